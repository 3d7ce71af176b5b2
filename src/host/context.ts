import { isatty } from 'node:tty'
import { BinderyError } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { systemClock, systemRandom, systemWait } from './ambient.ts'
import { endPrograms, hostExec } from './exec.ts'
import { hostHttp } from './http.ts'
import { hostBoot } from './boot.ts'
import { ask } from './ask.ts'
import { ownProgram } from './own-program.ts'
import { askOnTerminal } from './passphrase.ts'
import { hostProcesses } from './processes.ts'
import { stderrProgress } from './progress.ts'
import { hostKernel } from './running-kernel.ts'
import { stagedRootOf } from './staged-root.ts'
import { hostStepRunner } from './step-runner.ts'
import { systemError } from './system-error.ts'
import manifest from '../../package.json' with { type: 'json' }
import type { Context, Input } from '../command/command.ts'
import type { Started } from './fetcher-process.ts'
import type { Fetcher } from '../port/fetcher.ts'
import type { Progress } from '../port/ambient.ts'
import type { OwnProgram } from '../port/own-program.ts'

export const version: string = manifest.version

/** What this program is called with to be the fetcher. */
export const fetcherWord = '--fetcher'

/** What a bundle may do without. */
export type Parts = Partial<Pick<Context, 'threads' | 'staging'>> & {
  /** What was started before its user was known, for the first who asks. */
  readonly fetcher?: () => Started | undefined
}

/** The real world for one verb. */
export function hostContext(verb: string, globals: Input, parts: Parts = {}): Context {
  const given = globals.value('root') ?? '/'
  const staged = stagedRootOf(given)
  let signal: AbortSignal | undefined
  return contextAt(verb, globals, {
    root: staged?.tree ?? given,
    staged,
    parts,
    signalOf: () => (signal ??= stopSignal()),
    committing: staged === undefined ? async () => {} : refuseInPlace,
  })
}

async function refuseInPlace(): Promise<void> {
  throw new BinderyError('not-supported', 'this is not done in a staged root', {
    hint: "'bindery enroll --mode live' makes it one that is changed in place",
  })
}

type At = Pick<Context, 'root' | 'staged' | 'committing'> & {
  readonly parts: Parts
  readonly signalOf: () => AbortSignal
  readonly isSilent?: boolean
}

function contextAt(verb: string, globals: Input, at: At): Context {
  const { root, staged, parts, signalOf, committing } = at
  const verbosity = at.isSilent === true ? 'quiet' : verbosityOf(globals)
  let progress: Progress | undefined
  let program: OwnProgram | undefined
  const line = (text: string): void => void process.stderr.write(`bindery: ${verb}: ${showLine(text)}\n`)
  return {
    root,
    staged,
    at: (other, given) => contextAt(verb, globals, { ...at, ...given, root: other }),
    committing,
    configFile: globals.value('config'),
    verbosity,
    // Opened by whoever reads it: the streams of the runtime cost time at the start.
    get stdin() {
      return process.stdin
    },
    out: writeOut,
    say: verbosity === 'quiet' ? () => {} : line,
    tell: (text) => void process.stderr.write(text),
    explain: verbosity === 'verbose' ? line : () => {},
    passOn: (bytes) => void (verbosity !== 'quiet' && isatty(2) && process.stderr.write(bytes)),
    get progress() {
      return (progress ??= stderrProgress(verbosity === 'quiet' ? undefined : process.stderr))
    },
    environment: process.env,
    clock: systemClock,
    wait: systemWait,
    random: systemRandom,
    http: hostHttp(),
    fetcher: async (asked) => await rootsFetcher(asked, parts.fetcher ?? (() => undefined), line),
    exec: hostExec,
    get program() {
      return (program ??= ownProgram(root, version, hostExec))
    },
    kernel: hostKernel(hostExec),
    boot: hostBoot(hostExec, root),
    processes: hostProcesses(root, hostExec),
    steps: hostStepRunner(root),
    threads: parts.threads,
    staging: parts.staging,
    askPassphrase: askOnTerminal,
    ask,
    get isTerminal() {
      return { stdin: isatty(0), stdout: isatty(1), stderr: isatty(2) }
    },
    get signal() {
      return signalOf()
    },
  }
}

/** For root, unless it is said that root itself shall fetch. */
async function rootsFetcher(
  { user, proxies }: Parameters<Context['fetcher']>[0],
  early: () => Started | undefined,
  say: (line: string) => void,
): Promise<Fetcher | undefined> {
  if (user === 'none') early()?.child.kill('SIGKILL')
  if (user === 'none' || process.getuid?.() !== 0) return undefined
  const { hostFetcher } = await import('./fetcher.ts')
  const { startProcess } = await import('./fetcher-process.ts')
  return hostFetcher({ user, proxies, process: () => early() ?? startProcess(fetcherCommand()), say })
}

/** By which the runtime becomes the fetcher. */
export function fetcherCommand(): readonly string[] {
  return [process.argv[1] ?? '', fetcherWord]
}

function verbosityOf(globals: Input): Context['verbosity'] {
  if (globals.flag('quiet') && globals.flag('verbose')) throw new BinderyError('usage', '-q and -v exclude each other')
  return globals.flag('quiet') ? 'quiet' : globals.flag('verbose') ? 'verbose' : 'normal'
}

/** Waits until the bytes were taken; rejects with EPIPE when the reader went away, else as a disk would. */
export async function writeOut(data: Uint8Array | string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(data, (error) => (error ? reject(systemError(error, 'standard output')) : resolve()))
  })
}

/**
 * The first SIGINT or SIGTERM asks for an orderly stop, also of who waits for stdin; the second has its usual effect.
 * Only a verb that asks for the signal changes what signals do.
 */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop(controller, name))
  return controller.signal
}

function stop(controller: AbortController, name: NodeJS.Signals): void {
  const reason = new BinderyError('stopped', `stopped by ${name}`)
  controller.abort(reason)
  process.once(name, () => {
    endPrograms()
    process.kill(process.pid, name)
  })
  // Whoever reads it gets the reason; where nobody does, it is no error.
  process.stdin.on('error', () => {})
  process.stdin.destroy(reason)
}
