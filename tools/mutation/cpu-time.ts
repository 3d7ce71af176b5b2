import { readFileSync } from 'node:fs'

/** Of a process and its children that have ended, in milliseconds, and whether it waits for something else than a processor. */
export type CpuTime = { readonly used: number; readonly isIdle: boolean }

/** By proc_pid_stat(5), whose ticks are hundredths of a second; undefined where there is none. */
export function cpuTime(pid: number): CpuTime | undefined {
  try {
    // Behind the name, which may hold anything.
    const words = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    const ticks = words.slice(11, 15).reduce((sum, word) => sum + Number(word), 0)
    return { used: ticks * 10, isIdle: words[0] === 'S' }
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
