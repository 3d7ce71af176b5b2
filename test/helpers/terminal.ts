import { spawn } from 'node:child_process'

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
  const child = spawn('script', ['-qec', words, '/dev/null'], { cwd: options.cwd, stdio: ['pipe', 'pipe', 'inherit'] })
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
  const status = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 128)))
  clearTimeout(timer)
  return { status, shown }
}
