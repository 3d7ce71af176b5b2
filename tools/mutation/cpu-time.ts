import { readFileSync } from 'node:fs'

/** Of a process and its children that have ended, in milliseconds, and whether it waits for something else than a processor. */
export type CpuTime = {
  readonly used: number
  /** That part of it. */
  readonly ofChildren: number
  readonly isIdle: boolean
}

/** By proc_pid_stat(5), whose ticks are hundredths of a second; undefined where there is none. */
export function cpuTime(pid: number): CpuTime | undefined {
  try {
    // Behind the name, which may hold anything.
    const words = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    const spent = (from: number, to: number): number => words.slice(from, to).reduce((sum, word) => sum + 10 * Number(word), 0)
    return { used: spent(11, 15), ofChildren: spent(13, 15), isIdle: words[0] === 'S' }
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
