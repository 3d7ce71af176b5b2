import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { slugOf } from '../base/slug.ts'
import { advise, questionsOf } from '../engine/update/advise.ts'
import { addNotes, notesOfAdvice } from '../engine/update/notes.ts'
import { writeNewFolder } from '../host/new-folder.ts'
import { matchesOf } from '../engine/update/rules.ts'
import { systemOf } from '../engine/update/system.ts'
import { payloadOfFiles, payloadOfReleases } from './compose-payload.ts'
import { updTargetOf, writeUpd } from './compose-upd.ts'
import { writeComposed } from './composed.ts'
import { distNameOptions, today } from './dist-name.ts'
import { sharedFlags } from './flags.ts'
import { ruleOptions, rulesOf, systemOfTree } from './rules-input.ts'
import { scriptsOf } from './scripts.ts'
import { answersOf, noteOptions, notesOfFlags, titleOf } from './update-notes.ts'
import type { UpdateNotes } from '../engine/update/compose.ts'
import type { Answers } from '../engine/update/advise.ts'
import type { Event, Rules } from '../engine/update/rules.ts'
import type { Descriptor } from '../format/descriptor.ts'
import type { Command, Context, Input } from './command.ts'
import type { Payload } from './compose-payload.ts'

export const compose: Command = {
  name: 'compose',
  summary: 'make an update, with its post-steps, notices and description, from named files or two releases',
  operands: '[PATH ...]',
  operandCount: { min: 0, max: Infinity },
  options: {
    output: { ...sharedFlags.output, value: 'DIR', help: 'the folder for the update (default: patch-DATE-NAME here)' },
    name: { kind: 'value', value: 'TEXT', help: 'what people call the update; asked for on a terminal' },
    url: { kind: 'value', value: 'URL', help: 'where more is said about it; asked for on a terminal' },
    from: { kind: 'value', value: 'DIST', help: 'the release before; with --to, and without PATH' },
    to: { kind: 'value', value: 'DIST', help: 'the release that the update brings' },
    base: { kind: 'value', value: 'BASE', help: 'the release, or its tree, that PATHs are laid over (default: none, they are all)' },
    product: { ...distNameOptions.product, help: "what it is (default: the base's, or made of the name)" },
    revision: { ...distNameOptions.revision, help: 'which one (default without a base: 1)' },
    date: distNameOptions.date,
    arch: { ...distNameOptions.arch, help: "what it runs on (default: the base's, or this machine's)" },
    ...noteOptions,
    script: { kind: 'list', value: 'FILE', help: 'a whole script, run by sh when it has been installed; the rules must allow it' },
    ...ruleOptions,
    upd: { kind: 'value', value: 'RELEASE', help: 'also for the updater of PC-BSD RELEASE: a tarball with update.sh, and an .upd file' },
  },
  examples: [
    "bindery -C /build compose sbin/mount_nfs etc/rc.d/nfsd --name 'NFS Security update' --url http://www.example.org/nfs",
    "bindery compose --from base-1.0-20260101-amd64.tar.zst --to base-1.1-20260201-amd64.tar.zst --name 'February' -o update",
    "bindery -C /build compose --base base-1.0-20260101-amd64.tar.zst --revision 1.0p1 --name 'Repairs ls' bin/ls",
  ],
  run: async (context, input) => {
    checkForm(input)
    await composeUpdate(context, input)
    return 0
  },
}

function checkForm(input: Input): void {
  const isTwo = input.value('from') !== undefined || input.value('to') !== undefined
  if (!isTwo && input.operands.length === 0) throw new BinderyError('usage', 'PATH, or --from and --to, are missing')
  if (!isTwo) return
  if (input.operands.length > 0) throw new BinderyError('usage', '--from and --to take no PATH')
  for (const name of ['from', 'to']) input.required(name)
  for (const name of ['base', ...Object.keys(distNameOptions)]) {
    if (input.value(name) !== undefined) throw new BinderyError('usage', `--${name} means nothing with --from and --to`)
  }
}

async function composeUpdate(context: Context, input: Input): Promise<void> {
  const title = titleOf(await given(context, input, 'name', 'Name'), '--name')
  const url = await urlOf(context, input)
  const upd = input.value('upd') === undefined ? undefined : updTargetOf(input.required('upd'))
  const slug = slugOf(title, 'update')
  const output = input.value('output') ?? `patch-${today(context)}-${slug}`
  // Asked for before a folder is made aside: from the first moment on, a signal takes it away again.
  context.signal.throwIfAborted()
  await writeNewFolder(output, async (aside) => {
    const payload = input.operands.length === 0 ? await payloadOfReleases(context, input) : await payloadOfFiles(context, input, slug)
    try {
      const rules = await rulesOf(context, input, await detected(input, payload))
      const notes = await notesOf(context, input, rules, payload.events, { title, ...(url === '' ? {} : { url }) })
      const written = await payload.write(aside)
      const { release, previous } = payload
      const descriptor: Descriptor = {
        ...notes,
        title,
        configuration: notes.configuration ?? [],
        release,
        ...(previous === undefined ? {} : { previous }),
        payload: written,
      }
      if (upd !== undefined) await writeUpd(context, aside, upd, { payload, descriptor, slug })
      await writeComposed(aside, { descriptor, events: payload.events })
      context.signal.throwIfAborted()
    } finally {
      await payload.close()
    }
  })
  context.explain(`${output}: ready for 'bindery publish'`)
  if (input.value('output') === undefined) context.say(`the update is in ${output}`)
}

/** What is not there as a flag is asked for, where there is somebody to ask. */
async function given(context: Context, input: Input, flag: string, question: string): Promise<string> {
  const value = input.value(flag) ?? (canAsk(context) ? await askPerson(context, `${question}: `) : '') ?? ''
  if (value.trim() === '') throw new BinderyError('usage', `--${flag} is needed`)
  return value.trim()
}

/** Asked for with the name, and may stay empty. */
async function urlOf(context: Context, input: Input): Promise<string> {
  const value = input.value('url')
  if (value !== undefined || input.value('name') !== undefined || !canAsk(context)) return value ?? ''
  return ((await askPerson(context, 'Details URL: ')) ?? '').trim()
}

/** Undefined where the terminal has no more to say; whoever stops us there means it. */
async function askPerson(context: Context, question: string): Promise<string | undefined> {
  const answer = await context.ask(question)
  context.signal.throwIfAborted()
  return answer
}

function canAsk({ isTerminal, verbosity }: Context): boolean {
  return isTerminal.stdin && isTerminal.stderr && verbosity !== 'quiet'
}

async function detected(input: Input, payload: Payload): Promise<string | undefined> {
  const system = systemOf(payload.paths)
  return system ?? (input.operands.length === 0 ? undefined : await systemOfTree(payload.disk))
}

async function notesOf(
  context: Context,
  input: Input,
  rules: Rules,
  events: readonly Event[],
  { title, url }: Pick<UpdateNotes, 'title' | 'url'>,
): Promise<UpdateNotes> {
  if (events.length === 0) context.say('nothing changes by this update')
  tellMatches(context, rules, events)
  const answers = await allAnswers(context, rules, events, answersOf(input))
  const maker = notesOfFlags(input, title)
  const scripts = await scriptsOf(context, input.list('script'), rules)
  return addNotes(notesOfAdvice(advise(rules, events, answers)), {
    ...maker,
    ...(url === undefined ? {} : { url }),
    postSteps: [...scripts, ...maker.postSteps],
  })
}

/** To whoever sits there; a script sees it under -v. */
function tellMatches(context: Context, rules: Rules, events: readonly Event[]): void {
  const tell = canAsk(context) ? context.say : context.explain
  for (const { path, happening } of events) {
    for (const { rule, pattern, silenced } of matchesOf(rules, path, happening)) {
      if (silenced === undefined) tell(`/${showPath(path)}: rule '${rule.name}' (${rule.file}), since it matches ${pattern}`)
    }
  }
}

async function allAnswers(context: Context, rules: Rules, events: readonly Event[], given: Answers): Promise<Answers> {
  const answers = new Map(given)
  const questions = questionsOf(rules, events)
  const unasked = [...given.keys()].find((step) => !questions.some((question) => question.step === step))
  if (unasked !== undefined) throw new BinderyError('usage', `--answer: no step '${unasked}' asks anything here`)
  if (!canAsk(context)) return answers
  for (const { step, text } of questions) {
    if (answers.has(step)) continue
    const answer = await askPerson(context, `${text} (nothing leaves the step out): `)
    // A terminal that is gone has not left anything out.
    if (answer !== undefined) answers.set(step, answer.trim())
  }
  return answers
}
