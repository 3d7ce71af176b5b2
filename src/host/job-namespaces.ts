import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { BinderyError } from '../base/error.ts'
import { fixedEnvironment, fixedHostName, fixedUmask } from '../port/sandbox.ts'
import { hostExec, programPath } from './exec.ts'
import { clockWords, placeClock, preloadClock } from './sandbox-clock.ts'
import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { SandboxJob } from '../port/sandbox.ts'
import type { Running } from './sandbox-job.ts'

/**
 * Linux: a job has namespaces of its own for processes, mounts, host name, IPC and (unless it was asked for) network. Its
 * first process is a shell of ours, which ends with the command; the kernel then kills what else there is, and tells us
 * when all of it is gone. When we die, `unshare` gets a signal, and its end ends that shell.
 */
export type JobPlace = {
  /** The process in whose mount namespace `root` is a path; ours without. */
  readonly holder?: number
  /** What the command sees as `/`; without, it sees what we see. */
  readonly root?: string
  /** Where it starts: a path below `root`. */
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
}

export function startInNamespaces(place: JobPlace, job: SandboxJob): Running {
  const child = spawn('setpriv', wordsOf(place, job), {
    env: { ...process.env, LC_ALL: 'C' },
    stdio: [job.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', 'pipe'],
    // A session of its own: neither Ctrl-C nor /dev/tty.
    detached: true,
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(job.input)
  child.stdout?.on('data', (chunk: Uint8Array) => job.output(chunk))
  const told = collect(child.stdio[3] as Readable)
  const failure = collect(child.stderr as Readable)
  let stopped = false
  return {
    ended: endOf(child).then(() => {
      const [, ready, status] = told().split('\n')
      if (ready !== 'ready' && !stopped) throw notMade(job, failure())
      return status === undefined || status === '' ? killed : Number(status)
    }),
    stop: () => {
      stopped = true
      stop(child, Number(told().split('\n')[0]))
    },
  }
}

/** Of our shell: by us, or by whoever may. */
const killed = 128 + constants.signals.SIGKILL

function notMade(job: SandboxJob, said: string): BinderyError {
  return new BinderyError('io', said.trim().split('\n')[0] || 'no world can be made for it', { subject: job.command[0] })
}

let missing: Promise<string | undefined> | undefined

/** Undefined where jobs can have namespaces of their own; otherwise what is in the way, in one line. */
export async function namespacesMissing(): Promise<string | undefined> {
  return await (missing ??= findMissing())
}

async function findMissing(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'this system has no namespaces'
  for (const tool of ['setpriv', 'unshare', 'nsenter', 'mount', 'env']) if (!(await hostExec.has(tool))) return `${tool} is not installed`
  const { status, stderr } = await hostExec.run('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...flagsOf(false), 'true'])
  if (status === 0) return undefined
  // unshare: unshare failed: Operation not permitted
  const reason = Buffer.from(stderr).toString().trim().split(': ').at(-1) ?? ''
  return `no namespaces can be made here (${reason})`
}

function wordsOf(place: JobPlace, job: SandboxJob): readonly string[] {
  // Entering another namespace leaves a chroot that we are in: the holder's own root is named as well.
  const enter = place.holder === undefined ? [] : ['nsenter', `--mount=/proc/${place.holder}/ns/mnt`, `--root=/proc/${place.holder}/root`]
  const env = Object.entries({ ...fixedEnvironment, ...place.env, ...job.env }).map(([name, value]) => `${name}=${value}`)
  const shell = ['sh', '-ec', firstProcess, 'sh', place.root ?? '', place.folder, job.network ? '' : 'own', ...clockWords(place, job)]
  return ['--pdeathsig', 'KILL', ...enter, 'unshare', ...flagsOf(job.network), ...shell, ...env, ...commandOf(place, job)]
}

function commandOf(place: JobPlace, job: SandboxJob): readonly string[] {
  return place.root === undefined
    ? job.command
    : [programPath('unshare') ?? 'unshare', '--root=.', `--wd=${place.folder}`, '--', ...job.command]
}

function flagsOf(network: boolean): readonly string[] {
  return ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--uts', '--ipc', ...(network ? [] : ['--net'])]
}

/**
 * `ROOT FOLDER NETWORK LIBRARY AHEAD NAME=VALUE… COMMAND…`. Descriptor 3 tells the shell's process number (outside), and that all is
 * ready, and at the end the status. /proc and /dev are mounted where the tree has real directories for them: what a command leaves there is no part of
 * the tree.
 */
const firstProcess = `
read -r pid rest </proc/self/stat
echo "$pid" >&3
root=$1 folder=$2 network=$3 library=$4 ahead=$5
shift 5
{ echo ${fixedHostName} >/proc/sys/kernel/hostname; } 2>/dev/null || hostname ${fixedHostName}
[ -z "$network" ] || ip link set lo up 2>/dev/null || :
if [ -n "$root" ]; then
  cd "$root"
  if [ -d dev ] && [ ! -L dev ]; then
    cd /dev
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir -m 1777 "$root/dev/shm"
    cp -a null zero full random urandom tty fd stdin stdout stderr "$root/dev/"
    cd "$root"
  fi
  [ ! -d proc ] || [ -L proc ] || mount -t proc proc proc
else
  mount -t proc proc /proc
  cd "$folder"
fi
[ -z "$library" ] || { ${placeClock}
}
umask ${fixedUmask.toString(8).padStart(3, '0')}
echo ready >&3
exec 2>/dev/null
set +e ${preloadClock}
env -i "$@" 2>&1 3>&-
echo "$?" >&3`

function stop(child: ChildProcess, firstProcess: number): void {
  // Kills all of the namespace, and unshare ends when the last of them is gone.
  if (Number.isSafeInteger(firstProcess) && firstProcess > 1) kill(firstProcess)
  else child.kill('SIGKILL')
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}

function collect(stream: Readable): () => string {
  let text = ''
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return () => text
}

async function endOf(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('error', (cause) => reject(new BinderyError('not-found', 'cannot be run', { subject: child.spawnfile, cause })))
    child.once('close', () => resolve())
  })
}
