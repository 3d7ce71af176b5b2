import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { continueBelow, isAnyHeld, killBelow, send } from './processes.ts'

/**
 * Programs under strace(1), stopped or failed at one of the calls by which they change or sync something below a folder. strace counts
 * its injections per thread; here calls are counted over all threads and processes of a run, and only those that matter.
 */

/** What is run, and the folder whose changes count: a machine's root, or a repository. */
export type Run = {
  readonly command: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  readonly place: string
}

/**
 * The nth call of its kind that matters, and which of all calls of that kind its thread made, the first being 1; `inFile`: of those of a
 * file, by its name.
 */
export type Call = {
  readonly kind: string
  readonly nth: number
  readonly inThread: number
  readonly file: string
  readonly inFile: number
  /** A name below the place that the call has, and which of those of all threads it is that have it. */
  readonly path: string
  readonly ofPath: number
  readonly text: string
}

export type Ended = { readonly status: number | null; readonly text: string }

/** The same, and what it names by chance has the same names each time. */
export function withSameNames(run: Run): Run {
  const [program, ...words] = run.command
  return program === process.execPath
    ? { ...run, command: [program, '--import', join(import.meta.dirname, 'same-names.ts'), ...words] }
    : run
}

/** `?`: not every processor has it. */
const kinds =
  `?open openat ?creat write pwrite64 writev pwritev fsync fdatasync ?rename renameat renameat2 ?link linkat ?unlink unlinkat ?symlink symlinkat
  ?mkdir mkdirat ?rmdir ?chmod fchmod fchmodat ?chown fchown ?lchown fchownat utimensat truncate ftruncate ?mknod mknodat setxattr lsetxattr
  fsetxattr removexattr lremovexattr`.split(/\s+/)

const usual = ['-f', '-qq', '-y', '-s', '16', '-a', '1'] as const

/** The kernel itself passes over the calls that are not followed; a run that is stopped at each call would not go on so. */
const onlyThose = '--seccomp-bpf'

/** All calls that matter, in their order, of a run that is left alone. */
export async function callsOf(run: Run, trace: string): Promise<readonly Call[]> {
  const { status, text } = await start(run, [...usual, onlyThose, '-e', 'signal=none', '-e', `trace=${kinds.join()}`, '-o', trace]).ended
  if (status !== 0 && status !== 6) throw new Error(`${run.command.join(' ')}: exit status ${String(status)}\n${text}`)
  return countCalls(readFileSync(trace, 'latin1').split('\n'), run.place)
}

function countCalls(lines: readonly string[], place: string): readonly Call[] {
  const [byKind, byThread] = [new Map<string, number>(), new Map<string, number>()]
  const calls: Call[] = []
  for (const line of lines) {
    const found = /^(\d+) +(\w+)\((.*)/.exec(line)
    if (found === null) continue
    const [, thread = '', kind = '', text = ''] = found
    const inThread = increase(byThread, `${thread} ${kind}`)
    const file = fileOf(kind, text)
    const inFile = increase(byThread, `${thread} ${kind} ${file}`)
    if (!matters(kind, text, place)) continue
    const path = pathBelow(text, place)
    const ofPath = increase(byKind, `${kind} ${path}`)
    calls.push({ kind, nth: increase(byKind, kind), inThread, file, inFile, path, ofPath, text })
  }
  return calls
}

/**
 * Of a call whose thread may make others between two runs, which wake another one or take a lock: the name that strace(1) tells it by. A lock
 * has the process's number in its name.
 */
function fileOf(kind: string, text: string): string {
  const known = kind === 'openat' ? /"([^"]*)"/ : /^p?write/.test(kind) ? /^\d+<([^>]*)>/ : undefined
  const name = known?.exec(text)?.[1] ?? ''
  return /\/\.?lock\/[^/]*$/.test(name) ? '' : name
}

/** The first absolute one, of a name or of what is open; `''` where there is none. */
function pathBelow(text: string, place: string): string {
  const names = [...text.matchAll(/"([^"]*)"|<([^>]*)>/g)].map(([, name, open]) => name ?? open ?? '')
  return names.find((name) => name.startsWith(`${place}/`)) ?? ''
}

function increase(counts: Map<string, number>, key: string): number {
  const count = (counts.get(key) ?? 0) + 1
  counts.set(key, count)
  return count
}

/** Whatever is opened to be read only, is told to a terminal, or wakes another thread, changes nothing. Anchored names are of the place. */
function matters(kind: string, text: string, place: string): boolean {
  if (/^(?:open|openat|creat)$/.test(kind) && kind !== 'creat' && !/O_WRONLY|O_RDWR|O_CREAT/.test(text)) return false
  if (text.includes('"/dev/null"')) return false
  return text.includes(place) || text.includes('"/proc/self/fd/')
}

type Aimed = Pick<Call, 'kind' | 'nth' | 'path' | 'ofPath'>

/**
 * Ends the run, with all its processes, right behind the call, as a power cut would but for what the kernel has not written yet.
 * Answers whether the call was made. Stopping at those alone that have the name takes the time of a few; what has other names in each run is found by
 * counting all of the kind.
 */
export async function killBehind(run: Run, { kind, nth, path, ofPath }: Aimed, by: 'path' | 'kind' = 'kind'): Promise<boolean> {
  const which = by === 'path' ? ['-P', path] : []
  const inject = [...which, '-e', `trace=${kind}`, '-e', 'signal=SIGSTOP', '-e', `inject=${kind}:signal=SIGSTOP`]
  const isMeant = (text: string): boolean => matters(kind, text, run.place) && (by === 'kind' || pathBelow(text, run.place) === path)
  const { pid, lines, ended } = start(run, [...usual, ...inject])
  const last = new Map<string, string>()
  let count = 0
  let isKilled = false
  const idle = setInterval(() => continueBelow(pid), patience)
  for await (const line of lines) {
    idle.refresh()
    const [, thread = '', text = ''] = /^(?:\[pid +(\d+)\] )?(.*)$/.exec(line) ?? []
    if (isKilled) continue
    if (text.startsWith(`${kind}(`) || text.startsWith(`<... ${kind} resumed`)) {
      const begun = text.startsWith('<') ? (last.get(thread) ?? '') : text.slice(kind.length + 1)
      last.set(thread, begun)
    } else if (text.startsWith('--- SIGSTOP {')) {
      if (isMeant(last.get(thread) ?? '')) count++
      if (count === (by === 'path' ? ofPath : nth)) isKilled = killBelow(pid)
    } else if (text === '--- stopped by SIGSTOP ---' && (last.has(thread) || last.has('') || thread === '')) {
      send(thread === '' ? -pid : Number(thread), 'SIGCONT')
    }
  }
  clearInterval(idle)
  await ended
  return isKilled
}

/** Where nothing is heard for so many milliseconds, a process that was just made has stopped before its name was known. */
const patience = 500

/** How a run ended; the calls that were failed, and all of their kind. */
export type Failed = Ended & { readonly failed: readonly string[]; readonly calls: readonly string[] }

/** `each`: all those of its kind about its file. */
export type FailingCall = Omit<Call, 'inFile'> & { readonly inFile: number | 'each' }

/** The nth call of each thread, or of those about a file, fails, and is not made. */
export async function failAt(
  run: Run,
  { kind, inThread, file, inFile }: Pick<FailingCall, 'kind' | 'inThread' | 'file' | 'inFile'>,
  error: string,
  trace: string,
): Promise<Failed> {
  // A call that is always interrupted is rightly made for ever.
  const each = error === 'EINTR' ? 1 : '1+'
  const [which, when] = file === '' ? [[], inThread] : [['-P', file], inFile === 'each' ? each : inFile]
  const inject = [...which, '-e', 'signal=none', '-e', `trace=${kind}`, '-e', `inject=${kind}:error=${error}:when=${when}`]
  const { pid, ended } = start(run, [...usual, onlyThose, ...inject, '-o', trace])
  const limit = setTimeout(() => killBelow(pid), longest)
  const { status, text } = await ended
  clearTimeout(limit)
  const calls = readFileSync(trace, 'latin1').split('\n')
  const injected = calls.filter((line) => line.endsWith('(INJECTED)'))
  // A thread that cannot wake another one ends Node, and says nothing of us.
  const isWaking = kind === 'write' && injected.some((line) => !matters(kind, line, run.place))
  const failed = isWaking ? [] : injected.filter((line) => matters(kind, line, run.place))
  return { status, text, failed, calls }
}

/** Milliseconds that a run may take, many times as long as any does. */
const longest = 180_000

export type Met = Ended & { readonly isMet: boolean }

/** The nth call of each thread waits before it is made, and `act` is called meanwhile, once. */
export async function actBefore(
  run: Run,
  { kind, inThread }: Pick<Call, 'kind' | 'inThread'>,
  trace: string,
  act: () => void,
): Promise<Met> {
  const inject = ['-e', 'signal=none', '-e', `trace=${kind}`, '-e', `inject=${kind}:delay_enter=${delay}ms:when=${inThread}`]
  const { pid, ended } = start(run, [...usual, onlyThose, ...inject, '-o', trace])
  let isOver = false
  void ended.finally(() => (isOver = true))
  let wasHeld = false
  for (let isDone = false; !isDone && !isOver; await sleep(delay / 8)) {
    const isHeld = isAnyHeld(pid)
    if (isHeld && wasHeld) act()
    isDone = isHeld && wasHeld
    wasHeld = isHeld
  }
  const { status, text } = await ended
  const lines = readFileSync(trace, 'latin1').split('\n')
  return { status, text, isMet: lines.some((line) => line.endsWith('(DELAYED)') && matters(kind, line, run.place)) }
}

/** Milliseconds: longer than strace(1) holds any other call, even on a busy machine. */
const delay = 400

type Started = { readonly pid: number; readonly lines: AsyncIterable<string>; readonly ended: Promise<Ended> }

/** The program's own talk goes the same way as strace's, where that has no file. */
function start({ command, env }: Run, options: readonly string[]): Started {
  const child = spawn('strace', [...options, '--', ...command], { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  let text = ''
  child.stderr.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  const lines = createInterface({ input: child.stderr })
  const ended = new Promise<Ended>((done, failed) => {
    child.once('error', failed)
    child.once('close', (status) => done({ status, text }))
  })
  if (child.pid === undefined) throw new Error('strace does not start')
  return { pid: child.pid, lines, ended }
}
