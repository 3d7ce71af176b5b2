import { randomBytes } from 'node:crypto'
import { concatBytes, latin1, oneChunk, utf8 } from '../../src/base/bytes.ts'
import { BinderyError, exitStatusOf } from '../../src/base/error.ts'
import { staging } from '../../src/command/staging.ts'
import { parseInput } from '../../src/command/parse.ts'
import { memoryBoot } from '../../src/host/boot.ts'
import { hostExec } from '../../src/host/exec.ts'
import { hostHttp } from '../../src/host/http.ts'
import { sameThread } from '../../src/host/same-thread.ts'
import { stagedRootOf } from '../../src/host/staged-root.ts'
import { hostStepRunner } from '../../src/host/step-runner.ts'
import { threadWorks } from '../../src/thread-works.ts'
import type { Command, Context } from '../../src/command/command.ts'
import type { ErrorCode } from '../../src/base/error.ts'

/** What a verb did: its exit status, data, talk, and the error that ended it. */
export type Outcome = {
  readonly status: number
  readonly stdout: string
  readonly stderr: readonly string[]
  readonly code?: ErrorCode
  readonly error?: BinderyError
}

/** Runs a verb in this process, with a world that is real but for the terminal; stdout comes as latin1. */
export async function runCommand(
  command: Command,
  words: readonly string[],
  overrides: Partial<Context> & { readonly input?: Uint8Array } = {},
): Promise<Outcome> {
  const stdout: Uint8Array[] = []
  const stderr: string[] = []
  const context = stagedOr({ ...contextFor(stdout, stderr, overrides.input), ...overrides })
  const seen = (): Pick<Outcome, 'stdout' | 'stderr'> => ({ stdout: latin1(concatBytes(stdout)), stderr })
  try {
    return { status: await command.run(context, parseInput(command, words)), ...seen() }
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    return { status: exitStatusOf[error.code], code: error.code, error, ...seen() }
  }
}

/** A root that is a link is taken for its tree, as hostContext does. */
function stagedOr(context: Context): Context {
  const staged = stagedRootOf(context.root)
  return staged === undefined ? context : inTree({ ...context, staged }, staged.tree, { committing: refuse })
}

function inTree(context: Context, root: string, { committing, isSilent = false }: Parameters<Context['at']>[1]): Context {
  const talk = isSilent ? { say: () => {}, explain: () => {} } : {}
  const at: Context['at'] = (other, given) => inTree(context, other, given)
  return { ...context, root, committing, at, steps: hostStepRunner(root), ...talk }
}

async function refuse(): Promise<void> {
  throw new Error('a staged root is not changed in place')
}

/** The same world for what is no verb. */
export function contextOf(): Context {
  return contextFor([], [], undefined)
}

function contextFor(stdout: Uint8Array[], stderr: string[], input: Uint8Array | undefined): Context {
  return {
    root: '/',
    staged: undefined,
    at: () => {
      throw new Error('only a staged root has others')
    },
    committing: async () => {},
    staging: async () => staging,
    configFile: undefined,
    verbosity: 'normal',
    stdin: oneChunk(input?.slice() ?? new Uint8Array(0)),
    out: async (data) => void stdout.push(typeof data === 'string' ? utf8(data) : data.slice()),
    say: (line) => void stderr.push(line),
    tell: (text) => void stderr.push(text),
    explain: () => {},
    passOn: () => {},
    progress: { start: () => ({ advance: () => {}, end: () => {} }) },
    environment: {},
    clock: { now: () => Date.now() },
    wait: async () => {},
    random: { bytes: (count) => new Uint8Array(randomBytes(count)) },
    http: hostHttp(),
    fetcher: async () => await Promise.resolve(undefined),
    exec: hostExec,
    program: {
      version: '0.1.0',
      paths: [],
      isOther: () => false,
      there: async () => ({ kind: 'gone' }),
      become: undefined,
      begunWith: undefined,
    },
    kernel: { name: async () => undefined },
    boot: memoryBoot({ id: 'this-start' }),
    processes: { usersOf: async () => ({ processes: [] }) },
    steps: hostStepRunner('/'),
    ask: async () => '',
    threads: sameThread(threadWorks),
    askPassphrase: async () => await Promise.reject(new BinderyError('usage', 'there is no terminal')),
    isTerminal: { stdin: false, stdout: false, stderr: false },
    signal: new AbortController().signal,
  }
}
