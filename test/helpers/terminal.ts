import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inTemporary } from './temporary.ts'

/** `[what to wait for, what to type then]` */
export type Turn = readonly [expected: string, typed: string]

export type TerminalRun = { readonly status: number; readonly shown: string }

/**
 * Runs a command on a terminal of its own (util-linux script(1)), as a person would: each answer is typed when its
 * question has been shown. A terminal echoes what a program lets it echo, so `shown` tells what a passer-by sees.
 */
export async function onTerminal(
  command: readonly string[],
  turns: readonly Turn[],
  options: { readonly cwd?: string } = {},
): Promise<TerminalRun> {
  const words = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  return await inTemporary(async (folder) => {
    // The status that script(1) answers is now and then another one, where the terminal is closed before the command has ended.
    const file = join(folder, 'status')
    const shown = await shownBy(`trap : INT; ${words}; echo $? >'${file}'`, turns, options)
    return { status: Number(readFileSync(file, 'utf8')), shown }
  })
}

async function shownBy(script: string, turns: readonly Turn[], options: { readonly cwd?: string }): Promise<string> {
  const env = { ...process.env, SHELL: '/bin/sh' }
  const child = spawn('script', ['-qc', script, '/dev/null'], { cwd: options.cwd, env, stdio: ['pipe', 'pipe', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  let shown = ''
  let seen = 0
  let turn = 0
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString('utf8')
    const next = turns[turn]
    const found = next === undefined ? -1 : shown.indexOf(next[0], seen)
    if (next === undefined || found < 0) return
    seen = found + next[0].length
    turn++
    child.stdin.write(next[1])
  })
  child.stdin.on('error', () => {})
  await new Promise((resolve) => child.on('close', resolve))
  clearTimeout(timer)
  return shown
}
