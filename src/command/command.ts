import type { Ask, AskPassphrase, Clock, Progress, Random, Wait } from '../port/ambient.ts'
import type { Exec } from '../port/exec.ts'
import type { Fetcher } from '../port/fetcher.ts'
import type { HttpClient } from '../port/http.ts'
import type { Boot } from '../port/boot.ts'
import type { OwnProgram } from '../port/own-program.ts'
import type { Processes } from '../port/processes.ts'
import type { RunningKernel } from '../port/running-kernel.ts'
import type { StepRunner } from '../port/step-runner.ts'
import type { Threads } from '../port/thread.ts'
import type { Staging } from './staging.ts'

/**
 * One verb: its option table is at once the parser, the text of --help and what the test compares the manual with.
 * A short flag means one thing in all verbs (command/flags.ts holds the shared ones) and has a long twin.
 */
export type Command = {
  readonly name: string
  /** One line, without a full stop. */
  readonly summary: string
  /** As the manual's SYNOPSIS shows them, for instance `OLD NEW`. */
  readonly operands: string
  readonly operandCount: { readonly min: number; readonly max: number }
  readonly options: OptionTable
  readonly examples: readonly string[]
  run(context: Context, input: Input): Promise<number>
}

/** A verb with its module, loaded only when it is used: a client that checks loads nothing else. */
export type Verb = {
  readonly name: string
  readonly summary: string
  /** It always asks the network: what that takes starts while the verb is loaded. */
  readonly fetches?: true
  load(): Promise<Command>
}

export type OptionTable = Readonly<Record<string, Option>>

export type Option = {
  readonly short?: string
  readonly help: string
} & ({ readonly kind: 'flag' } | { readonly kind: 'value' | 'list'; readonly value: string })

/** What the parser made of argv. The getters only accept names of the verb's own table. */
export type Input = {
  readonly operands: readonly string[]
  flag(name: string): boolean
  value(name: string): string | undefined
  list(name: string): readonly string[]
  /** Usage error with the flag's name where it is missing. */
  required(name: string): string
}

/** The world as a verb sees it; main.ts builds the real one, tests build others. */
export type Context = {
  /** -C: the root that the client verbs work on. */
  readonly root: string
  /** Where the root is a tree of a staged one: the link that was given, and where it led. */
  readonly staged: { readonly link: string; readonly tree: string } | undefined
  /** The same world with another root; the signal is one for all. `isSilent`: nothing is said. */
  readonly at: (root: string, given: Pick<Context, 'committing'> & { readonly isSilent?: boolean }) => Context
  /** Before whatever changes the root: throws where it must not be changed in place. */
  readonly committing: () => Promise<void>
  /** -f: the configuration file, undefined for the default. */
  readonly configFile: string | undefined
  readonly verbosity: 'quiet' | 'normal' | 'verbose'
  /** Gives its chunks away. */
  readonly stdin: AsyncIterable<Uint8Array>
  /** Data. Resolves when the bytes have been taken, so that a slow reader slows us. */
  readonly out: (data: Uint8Array | string) => Promise<void>
  /** Talk: one line on stderr, prefixed `bindery: VERB: `; nothing under -q. */
  readonly say: (line: string) => void
  /** As it is, on stderr: for verbs that speak as another program did. */
  readonly tell: (text: string) => void
  /** Like `say`, only under -v. */
  readonly explain: (line: string) => void
  /** What another program prints, as it is, on stderr where that is a terminal; nothing under -q. */
  readonly passOn: (bytes: Uint8Array) => void
  readonly progress: Progress
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly wait: Wait
  readonly random: Random
  readonly http: HttpClient
  /** Who fetches instead, and reads first what is not verified yet: for root alone. Undefined `user`: the usual account; `none`: nobody. */
  readonly fetcher: (given: { readonly user: string | undefined; readonly proxies: Context['environment'] }) => Promise<Fetcher | undefined>
  readonly exec: Exec
  readonly program: OwnProgram
  readonly kernel: RunningKernel
  readonly boot: Boot
  readonly processes: Processes
  /** In the root. */
  readonly steps: StepRunner
  /** Undefined in a bundle whose verbs have no use for any. */
  readonly threads: Threads | undefined
  /** What a staged root asks for; undefined in a bundle that does without. */
  readonly staging: (() => Promise<Staging>) | undefined
  readonly askPassphrase: AskPassphrase
  readonly ask: Ask
  readonly isTerminal: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
  /** Aborted on SIGINT and SIGTERM; long work looks at it between steps. */
  readonly signal: AbortSignal
}
