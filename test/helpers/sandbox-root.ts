import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostDisk } from '../../src/host/disk.ts'
import { dir, file, hardlink, plant, symlink } from './plant.ts'
import type { Sandbox, SandboxJob, SandboxResult } from '../../src/port/sandbox.ts'
import type { Literal } from './plant.ts'

const applets = 'cat chmod chown cp date dd echo env hostname kill ln ls mkdir mkfifo mknod mount mv printf rm rmdir setsid sh sleep touch'

/** A small world to run commands in: static busybox, and a few files of each kind. */
export async function makeRoot(root: string, more: Literal = {}): Promise<void> {
  mkdirSync(root, { recursive: true })
  const links = Object.fromEntries(applets.split(' ').map((name) => [`bin/${name}`, symlink('busybox')]))
  const plain = {
    'etc/a': 'a\n',
    'etc/b': 'b\n',
    'd/e/f': 'f\n',
    'd/linked': hardlink('etc/b'),
    dev: dir(),
    proc: dir(),
    tmp: dir({ mode: 0o1777 }),
  }
  await plant(hostDisk(root), { ...links, 'bin/busybox': file(''), ...plain, ...more })
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  await hostDisk(root).chmod('bin/busybox' as never, 0o755)
}

export type Ran = { readonly result: SandboxResult; readonly text: string }

/** Runs a script of sh; `$T` is where the tree is. */
export async function runScript(sandbox: Sandbox, script: string, job: Partial<SandboxJob> = {}): Promise<Ran> {
  return await runCommand(sandbox, ['sh', '-c', `T=\${DESTDIR-}\n${script}`], job)
}

export async function runCommand(sandbox: Sandbox, command: readonly string[], job: Partial<SandboxJob> = {}): Promise<Ran> {
  let text = ''
  const output = (bytes: Uint8Array): void => void (text += Buffer.from(bytes).toString('latin1'))
  const result = await sandbox.run({ command, network: false, output, signal: new AbortController().signal, ...job })
  return { result, text }
}

/** How many processes of the system have `mark` among their arguments. */
export function countProcesses(mark: string): number {
  return commandLines().filter((words) => words.includes(mark)).length
}

function commandLines(): readonly (readonly string[])[] {
  if (process.platform !== 'linux')
    return execFileSync('ps', ['-ax', '-o', 'command'], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.split(' '))
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(argumentsOf)
}

function argumentsOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}
