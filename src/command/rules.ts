import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { showLine } from '../base/show-text.ts'
import { failedExamples, matchesOf } from '../engine/update/rules.ts'
import { systems } from '../engine/update/system.ts'
import { hostDisk } from '../host/disk.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { pathInRoot } from './path-in-root.ts'
import { learn } from './rules-learn.ts'
import { ruleOptions, rulesOf, systemOfTree } from './rules-input.ts'
import type { RelPath } from '../base/path.ts'
import type { Rule } from '../format/rules.ts'
import type { Match, Placed, Rules } from '../engine/update/rules.ts'
import type { Command, Context, Input } from './command.ts'

export const rules: Command = {
  name: 'rules',
  summary: 'show, explain, test and learn the rules by which updates get their post-steps and notices',
  operands: 'list | explain PATH ... | test | learn DIR',
  operandCount: { min: 1, max: Infinity },
  options: { ...ruleOptions, json: sharedFlags.json },
  examples: [
    'bindery rules explain /boot/loader /etc/rc.d/sshd',
    'bindery rules list --system openbsd',
    'bindery rules test --rules site.toml',
    'bindery rules learn system-updates >learnt.toml',
  ],
  run: async (context, input) => {
    const [action, ...operands] = input.operands
    if (action === 'learn') return await learn(context, folderOf(operands))
    if (action !== 'explain' && operands.length > 0) throw new BinderyError('usage', `'${action ?? ''}' takes no operand`)
    switch (action) {
      case 'list':
        return await listRules(context, input)
      case 'explain':
        return await explain(context, input, operands)
      case 'test':
        return await testRules(context, input)
      default:
        throw new BinderyError('usage', `'${action ?? ''}' is none of list, explain, test, learn`)
    }
  },
}

function folderOf(operands: readonly string[]): string {
  const [folder, more] = operands
  if (folder === undefined || more !== undefined)
    throw new BinderyError('usage', "'learn' takes one folder of .upd files and their tarballs")
  return folder
}

async function rulesHere(context: Context, input: Input): Promise<Rules> {
  return await rulesOf(context, input, await systemOfTree(hostDisk(context.root)))
}

async function listRules(context: Context, input: Input): Promise<number> {
  const { rules: all, steps } = await rulesHere(context, input)
  for (const rule of all) {
    const patterns = rule.match.map(({ text }) => text)
    const line = input.flag('json')
      ? JSON.stringify({ rule: rule.name, from: rule.file, match: patterns, ...asks(rule) })
      : showLine(`${rule.name} (${rule.file}): ${patterns.join(' ')}: ${askText(rule)}`)
    await context.out(`${line}\n`)
  }
  for (const step of steps) {
    const { name, file, run, seconds, failure, afterRollback, ask } = step
    const line = input.flag('json')
      ? JSON.stringify({ step: name, from: file, run, seconds, failure, afterRollback, ask })
      : showLine(`step ${name} (${file}): ${run}`)
    await context.out(`${line}\n`)
  }
  return 0
}

async function explain(context: Context, input: Input, operands: readonly string[]): Promise<number> {
  if (operands.length === 0) throw new BinderyError('usage', "'explain' takes the paths that it is to explain")
  const known = await rulesHere(context, input)
  for (const path of operands.map(pathInRoot)) {
    const matches = matchesOf(known, path)
    const lines = input.flag('json') ? matches.map((match) => matchJson(path, match)) : explainedText(path, matches).map(showLine)
    for (const line of lines) await context.out(`${line}\n`)
  }
  return 0
}

function explainedText(path: RelPath, matches: readonly Match[]): readonly string[] {
  const shown = `/${showPath(path)}`
  if (matches.length === 0) return [`${shown}: no rule`]
  return matches.map(({ rule, pattern, silenced }) => {
    const why = `${shown}: rule '${rule.name}' (${rule.file}), since it matches ${pattern}`
    return silenced === undefined ? `${why}: ${askText(rule)}` : `${why}; but '${silenced}' stands instead of it`
  })
}

function matchJson(path: RelPath, { rule, pattern, silenced }: Match): string {
  return JSON.stringify({ path: `/${showPath(path)}`, rule: rule.name, from: rule.file, pattern, silenced, ...asks(rule) })
}

type Asks = Pick<Rule, 'on' | 'reboot' | 'notice' | 'steps' | 'configuration' | 'phase'>

function asks({ on, reboot, notice, steps, configuration, phase }: Placed<Rule>): Asks {
  return {
    on,
    reboot,
    steps,
    ...(notice === undefined ? {} : { notice }),
    ...(configuration === undefined ? {} : { configuration }),
    ...(phase === undefined ? {} : { phase }),
  }
}

function askText({ reboot, notice, steps, configuration, phase }: Placed<Rule>): string {
  const said = [
    ...(reboot === 'none' ? [] : [rebootText[reboot]]),
    ...steps.map((step) => `step ${step}`),
    ...(configuration === undefined ? [] : [configuration ? 'merged as configuration' : 'not merged']),
    ...(notice === undefined ? [] : [`notice '${notice}'`]),
    ...(phase === undefined ? [] : [`of the phase ${phase}`]),
  ]
  return said.length === 0 ? 'asks for nothing' : said.join('; ')
}

const rebootText = { restart: 'restart of what uses it', reboot: 'reboot', careful: 'reboot with care' } as const

/** Of everything that is built in, where nothing is named. */
async function testRules(context: Context, input: Input): Promise<number> {
  const isNamed = input.list('rules').length > 0 || input.value('system') !== undefined
  const all = isNamed ? [await rulesHere(context, input)] : await Promise.all(systems.map((system) => rulesOf(context, input, system)))
  const failed = [...new Set(all.flatMap(failedExamples))]
  for (const line of failed) await print(context, `${input.flag('json') ? JSON.stringify({ failed: line }) : showLine(line)}\n`)
  const count = all.reduce((sum, known) => sum + known.rules.reduce((n, { yes, no }) => n + yes.length + no.length, 0), 0)
  context.explain(`${count} examples`)
  return failed.length === 0 ? 0 : 1
}
