import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { BinderyError } from '../base/error.ts'
import { fixedEnvironment, fixedUmask } from '../port/sandbox.ts'
import { programPath } from './exec.ts'
import type { ChildProcess } from 'node:child_process'
import type { SandboxJob } from '../port/sandbox.ts'
import type { Running } from './sandbox-job.ts'

/**
 * Where there are no namespaces: a job is a session and process group of its own, which is ended with it. What a command
 * puts into another session is not found; host name and network are those of the system. A shell of ours leads the group:
 * it waits for a pipe of ours to end, so that the group is killed when we die.
 */
export type GroupPlace = {
  /** For chroot(8). */
  readonly root?: string
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
}

export function startInGroup(place: GroupPlace, job: SandboxJob): Running {
  const child = spawnLed({
    cwd: place.root ?? place.folder,
    env: { ...fixedEnvironment, ...place.env, ...job.env },
    words: wordsOf(place, job),
    stdio: [job.input === undefined ? 'ignore' : 'pipe', 'pipe', 'ignore', 'pipe'],
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(job.input)
  child.stdout?.on('data', (chunk: Uint8Array) => job.output(chunk))
  return { ended: statusOf(child), stop: () => void endGroup(child) }
}

export type Led = {
  readonly cwd: string
  /** All that it has. */
  readonly env: Readonly<Record<string, string>>
  readonly words: readonly string[]
  /** The last is the pipe whose end the group ends with. */
  readonly stdio: readonly [...('ignore' | 'pipe' | number)[], 'pipe']
}

/** Stderr goes where stdout does. */
export function spawnLed({ cwd, env, words, stdio }: Led): ChildProcess {
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  return spawn('sh', ['-c', lead, 'sh', ...settings, ...words], { cwd, stdio: [...stdio], detached: true })
}

function wordsOf({ root, folder }: GroupPlace, job: SandboxJob): readonly string[] {
  if (root === undefined) return job.command
  const chroot = [programPath('chroot') ?? 'chroot', '.']
  return folder === '/' ? [...chroot, ...job.command] : [...chroot, 'sh', '-c', enter, 'sh', folder, ...job.command]
}

/** A shell adds to the environment. */
const enter = 'cd "$1" && shift && unset PWD OLDPWD SHLVL && exec "$@"'

/** `NAME=VALUE… COMMAND…` */
const lead = `
umask ${fixedUmask.toString(8).padStart(3, '0')}
(while read -r line; do :; done; kill -9 -$$) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&- 2>/dev/null
env -i "$@" 2>&1
status=$?
kill -9 $watcher
wait $watcher 2>/dev/null
exit $status`

const graceMs = 2000

async function statusOf(child: ChildProcess): Promise<number> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const status = await exitStatus(child)
  await endGroup(child)
  // Whoever got away may hold the other end for ever.
  await Promise.race([closed, setTimeout(graceMs, undefined, { ref: false })])
  for (const stream of child.stdio) stream?.destroy()
  return status
}

export function exitStatus(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new BinderyError('not-found', 'cannot be run', { subject: child.spawnfile, cause })))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']))
  })
}

/** Asked first: not everything that a build leaves behind may be cut off anywhere. */
export async function endGroup(child: ChildProcess): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    signalGroup(child, signal)
    for (let waited = 0; waited < graceMs && signalGroup(child, 0); waited += 20) await setTimeout(20)
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  try {
    return child.pid !== undefined && process.kill(-child.pid, signal)
  } catch {
    return false
  }
}
