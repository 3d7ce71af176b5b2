import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { globalOptions, parseInput, splitLine } from '../src/command/parse.ts'
import { verbs } from '../src/command/verbs.ts'
import { flagsOf, literalLines, type PageFlag } from './helpers/mdoc.ts'
import { needs } from './helpers/programs.ts'
import { commandsOf } from './helpers/shell-words.ts'
import type { OptionTable } from '../src/command/command.ts'

const commands = await Promise.all(verbs.map(async (verb) => await verb.load()))
const pages = globSync('man/*.1').sort()

/** Of a verb of two words, both are joined. */
function pageName(verb: string): string {
  return `bindery-${verb.replace(' ', '-')}`
}

function pageOf(verb: string): string {
  const file = `man/${pageName(verb)}.1`
  assert.ok(existsSync(file), `${file} is missing`)
  return readFileSync(file, 'utf8')
}

function tableFlags(table: OptionTable): readonly PageFlag[] {
  return Object.entries(table).map(([long, option]) => ({
    long,
    ...(option.short === undefined ? {} : { short: option.short }),
    ...(option.kind === 'flag' ? {} : { value: option.value }),
  }))
}

/** Every verb has -h; a page may list it or leave it to bindery(1). */
function withoutHelp(flags: readonly PageFlag[]): readonly PageFlag[] {
  return flags.filter((flag) => flag.long !== 'help')
}

/** Parses each command that calls bindery, as bindery itself would. */
function parseExample(line: string): number {
  const calls = commandsOf(line.replace(/^[$#] /, ''))
    .map(bareCommand)
    .filter((words) => words[0] === 'bindery')
  for (const words of calls) {
    const { verb, rest, globals } = splitLine(words.slice(1))
    if (globals.flag('help') || globals.flag('version')) continue
    const two = commands.find((candidate) => candidate.name === `${String(verb)} ${rest[0] ?? ''}`)
    const command = two ?? commands.find((candidate) => candidate.name === verb)
    assert.ok(command, `no verb '${String(verb)}'`)
    parseInput(command, two === undefined ? rest : rest.slice(1))
  }
  return calls.length
}

/** Without assignments, doas and sudo, and without the path of a clone's launcher. */
function bareCommand(words: readonly string[]): readonly string[] {
  const first = words.findIndex((word) => !/^\w+=|^(doas|sudo|exec|time|if|then|!)$/.test(word))
  return first < 0 ? [] : [(words[first] as string).replace(/^.*\/(?=bindery$)/, ''), ...words.slice(first + 1)]
}

for (const command of commands) {
  test(`${pageName(command.name)}(1) lists the flags of the option table, in its order`, () => {
    assert.deepEqual(withoutHelp(flagsOf(pageOf(command.name))), tableFlags(command.options))
  })

  test(`${pageName(command.name)}(1) says what the verb says`, () => {
    const page = pageOf(command.name)
    for (const section of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT STATUS', 'EXAMPLES', 'SEE ALSO'])
      assert.match(page, new RegExp(`^\\.Sh ${section}$`, 'm'))
    assert.match(page, new RegExp(`^\\.Nm ${pageName(command.name)}\n\\.Nd `, 'm'))
    assert.match(page, new RegExp(`^\\.Dt ${pageName(command.name).toUpperCase()} 1$`, 'm'))
  })

  test(`the examples of ${command.name} can be parsed`, () => {
    const fromPage = literalLines(pageOf(command.name), 'EXAMPLES')
    const called = fromPage.reduce((sum, line) => sum + tryExample(line), 0)
    assert.ok(called > 0, 'the page has no example that calls bindery')
    assert.ok(command.examples.length > 0, '--help has no example')
    for (const line of command.examples) assert.ok(tryExample(line) > 0, `no call of bindery in: ${line}`)
  })
}

function tryExample(line: string): number {
  try {
    return parseExample(line)
  } catch (error) {
    throw new Error(`example: ${line}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

test('bindery(1) lists the global flags, in their order', () => {
  assert.deepEqual(flagsOf(readFileSync('man/bindery.1', 'utf8')), tableFlags(globalOptions))
})

test('bindery(1) names every verb', () => {
  const named = [...readFileSync('man/bindery.1', 'utf8').matchAll(/^\.It Xr (bindery-[\w-]+) 1$/gm)].map((match) => match[1] as string)
  assert.deepEqual(named.toSorted(), verbs.map((verb) => pageName(verb.name)).toSorted())
})

/** Programs of their own; test/acceptance/bindery-sh.test.ts holds what the page of bindery-sh says. */
const programPages = ['man/bindery.1', 'man/bindery-sh.1']

test('every page belongs to a program or a verb, and every reference to a page', () => {
  const known = new Set([...programPages, ...verbs.map((verb) => `man/${pageName(verb.name)}.1`)])
  assert.deepEqual(
    pages.filter((page) => !known.has(page)),
    [],
  )
  const dead = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\bXr (bindery\S*) 1/g)]
      .filter((match) => !known.has(`man/${match[1] as string}.1`))
      .map((match) => `${page}: ${match[0]}`),
  )
  assert.deepEqual(dead, [])
})

/** `-e` is `--embed` where signify(1) has it, and `--exit-code` in `check`; `-m -v -p` of pkgindex are genpkgup's, `-c -s -d` of pkgcheck obsdpkgup's. */
const flagsOfOriginals: ReadonlySet<string> = new Set(['embed', 'mirror', 'release', 'progress', 'cron', 'snapshot', 'debug'])

test('a short flag means one thing in all verbs, but for what some have from the programs that they stand in for', () => {
  const meanings = new Map<string, string>()
  for (const table of [globalOptions, ...commands.map((command) => command.options)]) {
    for (const [long, { short }] of Object.entries(table)) {
      if (short === undefined || flagsOfOriginals.has(long)) continue
      assert.equal(meanings.get(short) ?? long, long, `-${short}`)
      meanings.set(short, long)
    }
  }
})

test('mandoc finds nothing to say', needs('mandoc'), () => {
  const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', ...globSync('man/*.[1-9]').sort()], { encoding: 'utf8' })
  assert.equal(lint.stdout, '')
  assert.equal(lint.status, 0)
})
