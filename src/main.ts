import { exitStatusOf, BinderyError, isBrokenPipe } from './base/error.ts'
import { commandHelp, overview } from './command/help.ts'
import { parseInput, splitLine } from './command/parse.ts'
import { showLine } from './base/show-text.ts'
import { didYouMean } from './base/suggest.ts'
import { fetcherCommand, fetcherWord, hostContext, version, writeOut } from './host/context.ts'
import type { Command, Input, Verb } from './command/command.ts'
import type { Parts } from './host/context.ts'
import type { Started } from './host/fetcher-process.ts'

/**
 * argv -> verb -> exit status, with the verbs of this bundle, and what only one of the bundles has. The only
 * process.exit and the only place where an error becomes text.
 */
export async function main(verbs: readonly Verb[], parts: Parts = {}): Promise<never> {
  // Each write is told of its own failure; without a listener a reader that goes away would end us with a stack trace.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const argv = process.argv.slice(2)
  process.exit(argv[0] === fetcherWord ? await fetchForOther() : await run(verbs, argv, parts))
}

/** No verb: how root starts this program once more, to do what root should not (doc/spec/fetcher.md). */
async function fetchForOther(): Promise<number> {
  const { serveFetcher } = await import('./host/fetcher-service.ts')
  const { lookFirst } = await import('./engine/repo/look-first.ts')
  await serveFetcher(lookFirst)
  return 0
}

async function run(verbs: readonly Verb[], argv: readonly string[], parts: Parts): Promise<number> {
  let verb: string | undefined
  try {
    const line = splitLine(argv)
    if (line.globals.flag('version')) return await print(`bindery ${version}\n`)
    if (line.globals.flag('help')) return await print(overview(verbs))
    if (line.verb === undefined) throw new BinderyError('usage', 'no verb given', { hint: 'bindery --help lists them' })
    const found = findVerb(verbs, line.verb, line.rest)
    verb = found.verb.name
    const fetcher = await startFetcher(found.verb, found.rest)
    return await runVerb(await found.verb.load(), line.globals, found.rest, { ...parts, fetcher })
  } catch (error) {
    return report(error, verb)
  }
}

/** It takes longer to start than its caller to load the verb. */
async function startFetcher({ fetches }: Verb, words: readonly string[]): Promise<() => Started | undefined> {
  if (fetches !== true || process.getuid?.() !== 0 || words.some((word) => word === '-h' || word === '--help')) return () => undefined
  const started = [(await import('./host/fetcher-process.ts')).startProcess(fetcherCommand())]
  return () => started.pop()
}

/** Some verbs are of two words: `farm select`. */
function findVerb(verbs: readonly Verb[], first: string, rest: readonly string[]): { verb: Verb; rest: readonly string[] } {
  const two = verbs.find(({ name }) => name === `${first} ${rest[0] ?? ''}`)
  if (two !== undefined) return { verb: two, rest: rest.slice(1) }
  const one = verbs.find(({ name }) => name === first)
  if (one !== undefined) return { verb: one, rest }
  throw noSuchVerb(verbs, first, rest[0])
}

function noSuchVerb(verbs: readonly Verb[], first: string, second: string | undefined): BinderyError {
  const group = verbs.map(({ name }) => name).filter((name) => name.startsWith(`${first} `))
  if (group.length > 0) {
    const what = second === undefined || second.startsWith('-') ? `'${first}' is followed by a second word` : `no verb '${first} ${second}'`
    return new BinderyError('usage', what, { hint: `there is ${group.join(', ')}` })
  }
  const near = didYouMean(
    first,
    verbs.map(({ name }) => name),
  )
  return new BinderyError('usage', `no verb '${first}'`, {
    hint: near === undefined ? 'bindery --help lists the verbs' : `did you mean '${near}'?`,
  })
}

async function runVerb(command: Command, globals: Input, words: readonly string[], parts: Parts): Promise<number> {
  const input = parseInput(command, words)
  if (input.flag('help')) return await print(commandHelp(command))
  return await command.run(hostContext(command.name, globals, parts), input)
}

async function print(text: string): Promise<number> {
  await writeOut(text)
  return 0
}

function report(error: unknown, verb: string | undefined): number {
  // A verb that only prints has nothing left to do; others go on (print in command/output.ts).
  if (isBrokenPipe(error)) return 0
  const prefix = verb === undefined ? 'bindery: ' : `bindery: ${verb}: `
  if (!(error instanceof BinderyError)) {
    process.stderr.write(`${prefix}internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    return exitStatusOf.io
  }
  const subject = error.subject === undefined ? '' : `${error.subject}: `
  // Names and texts of others stand in it.
  process.stderr.write(`${prefix}${showLine(`${subject}${error.message}`)}\n`)
  if (error.hint !== undefined) process.stderr.write(`bindery: hint: ${showLine(error.hint)}\n`)
  return exitStatusOf[error.code]
}
