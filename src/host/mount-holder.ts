import { spawn } from 'node:child_process'
import { fromLatin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import type { Readable } from 'node:stream'

/**
 * A shell with a mount namespace of its own that does what it is told on its stdin. What it mounts is seen by nobody else,
 * and goes with it: when it is closed, and also when we die in whatever way, since its stdin ends then.
 */
export type MountHolder = {
  readonly pid: number
  /** Its current directory as the system sees it: node reads what is mounted by way of it. */
  readonly folder: string
  /** Runs lines of sh (bytes as latin1), answers what they print. Where one fails, the holder is gone: `io` with the last that was said. */
  tell(script: string): Promise<string>
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
  const ended = new Promise<undefined>((resolve) => {
    for (const event of ['close', 'error']) child.once(event, () => resolve(undefined))
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')))
  child.stdin.on('error', () => {})
  return {
    pid: child.pid ?? 0,
    folder: `/proc/${child.pid ?? 0}/cwd`,
    tell: async (script) => {
      const answer = untilDone(child.stdout)
      child.stdin.write(fromLatin1(`${script}\necho ${done}\n`))
      const text = await Promise.race([answer, ended])
      if (text !== undefined) return text
      // mount(8) indents what it says beside the reason.
      const reason = said.split('\n').findLast((line) => /^\S/.test(line))
      throw new BinderyError('io', showPath(reason ?? 'it ended'), { subject: 'unshare', cause: new Error(said) })
    },
    close: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

const done = '-- done'

async function untilDone(stdout: Readable): Promise<string> {
  let text = ''
  return await new Promise((resolve) => {
    const add = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (!text.endsWith(`${done}\n`)) return
      stdout.off('data', add)
      resolve(text.slice(0, -done.length - 1))
    }
    stdout.on('data', add)
  })
}
