import type { Meter, Progress } from '../port/ambient.ts'

const silent: Progress = { start: () => ({ advance: () => {}, end: () => {} }) }

/** A line that redraws itself on a terminal, at most ten times a second; nothing anywhere else. */
export function stderrProgress(stream: NodeJS.WriteStream | undefined): Progress {
  if (stream === undefined || stream.isTTY !== true) return silent
  return { start: (label, total) => meter(stream, label, total) }
}

function meter(stream: NodeJS.WriteStream, label: string, total: number | undefined): Meter {
  const started = performance.now()
  let done = 0
  let drawn = 0
  const draw = (): void => {
    drawn = performance.now()
    stream.write(`\r\u001b[K${meterLine(label, done, total, (drawn - started) / 1000)}`)
  }
  return {
    advance: (by) => {
      done += by
      if (performance.now() - drawn >= 100) draw()
    },
    end: () => void stream.write('\r\u001b[K'),
  }
}

/** Bytes, per cent, rate, time left. */
export function meterLine(label: string, done: number, total: number | undefined, seconds: number): string {
  const rate = seconds > 0 ? done / seconds : 0
  const parts = [label, mega(done)]
  if (total !== undefined && total > 0) parts.push(`${Math.floor((100 * done) / total)} %`)
  parts.push(`${mega(rate)}/s`)
  if (total !== undefined && rate > 0) parts.push(`${Math.max(0, Math.round((total - done) / rate))} s left`)
  return parts.join('  ')
}

function mega(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e3)} kB`
}
