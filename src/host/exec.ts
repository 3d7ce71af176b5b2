import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { concatBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import type { ChildProcess } from 'node:child_process'
import type { Exec, ExecOptions, ExecResult } from '../port/exec.ts'

const maxOutput = 64 << 20

export const hostExec: Exec = { run, has }

/** In a turn of the event loop of its own: directories that are open for this one (disk-anchors.ts) would keep a mount busy. */
async function run(program: string, args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  await setImmediate()
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: options.apart === true,
    })
    if (options.apart === true) endWithUs(child)
    const stdout = collector(() => child.kill('SIGKILL'))
    const stderr = collector(() => child.kill('SIGKILL'))
    child.stdout.on('data', stdout.add)
    child.stderr.on('data', stderr.add)
    // A program that exits without reading its input is judged by its status, not by our broken pipe.
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? new Uint8Array(0))
    child.on('error', (cause) => reject(new BinderyError('not-found', 'cannot be run', { subject: program, cause })))
    child.on('close', (code, signal) => {
      if (stdout.full() || stderr.full()) reject(new BinderyError('over-limit', 'printed more than 64 MiB', { subject: program }))
      else resolve({ status: code ?? (signal === null ? 1 : 128), stdout: stdout.bytes(), stderr: stderr.bytes() })
    })
  })
}

const running = new Set<ChildProcess>()

function endWithUs(child: ChildProcess): void {
  if (running.size === 0) process.once('exit', endPrograms)
  running.add(child)
  child.once('close', () => {
    running.delete(child)
    if (running.size === 0) process.off('exit', endPrograms)
  })
}

/** Those that run apart, and what they started; for a death that nobody is told of. */
export function endPrograms(): void {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
}

function collector(stop: () => void): { add(chunk: Uint8Array): void; full(): boolean; bytes(): Uint8Array } {
  const parts: Uint8Array[] = []
  let size = 0
  return {
    add: (chunk) => {
      size += chunk.length
      if (size > maxOutput) stop()
      else parts.push(chunk)
    },
    full: () => size > maxOutput,
    bytes: () => concatBytes(parts),
  }
}

async function has(program: string): Promise<boolean> {
  return programPath(program) !== undefined
}

/** Where PATH finds it. Synchronous: whoever walks a tree meanwhile would let it wait at every folder. */
export function programPath(program: string): string | undefined {
  return (process.env['PATH'] ?? '/usr/bin:/bin')
    .split(':')
    .map((folder) => join(folder === '' ? '.' : folder, program))
    .find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
