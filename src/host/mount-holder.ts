import { spawn } from 'node:child_process'
import { fromLatin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/**
 * A shell with a mount namespace of its own that does what it is told on its stdin. What it mounts is seen by nobody else,
 * and goes with it: when it is closed, and also when we die in whatever way, since its stdin ends then.
 */
export type MountHolder = {
  readonly pid: number
  /** Its current directory as the system sees it: node reads what is mounted by way of it. */
  readonly folder: string
  /** Runs lines of sh (bytes as latin1); `io` with what was printed where one of them fails, and the holder is gone. */
  tell(script: string): Promise<void>
  close(): Promise<void>
}

export function startMountHolder(folder: string): MountHolder {
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-e'], {
    cwd: folder,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C is for us.
    detached: true,
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()))
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stdin.on('error', () => {})
  return {
    pid: child.pid ?? 0,
    folder: `/proc/${child.pid ?? 0}/cwd`,
    tell: async (script) => {
      const done = new Promise<boolean>((resolve) => child.stdout.once('data', () => resolve(true)))
      child.stdin.write(fromLatin1(`${script}\necho done\n`))
      if (await Promise.race([done, ended.then(() => false)])) return
      throw new BinderyError('io', said.trim().split('\n')[0] || 'no mount namespace can be made', { subject: 'unshare' })
    },
    close: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** For sh: bytes as latin1. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
