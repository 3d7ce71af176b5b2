import type { Meter, Progress } from '../port/ambient.ts'

const silent: Progress = { start: () => ({ advance: () => {}, end: () => {} }) }

/** A line that redraws itself on a terminal, at most ten times a second; nothing anywhere else. */
export function stderrProgress(stream: NodeJS.WriteStream | undefined): Progress {
  if (stream === undefined || stream.isTTY !== true) return silent
  return { start: (label, total, unit) => meter(stream, { label, total, unit }) }
}

export type Measured = { readonly label: string; readonly total: number | undefined; readonly unit?: string | undefined }

function meter(stream: NodeJS.WriteStream, measured: Measured): Meter {
  const started = performance.now()
  let done = 0
  let drawn = 0
  const draw = (): void => {
    drawn = performance.now()
    stream.write(`\r\u001b[K${meterLine(measured, done, (drawn - started) / 1000)}`)
  }
  return {
    advance: (by) => {
      done += by
      if (performance.now() - drawn >= 100) draw()
    },
    end: () => void stream.write('\r\u001b[K'),
  }
}

/** How much, per cent, rate, time left. */
export function meterLine({ label, total, unit }: Measured, done: number, seconds: number): string {
  const rate = seconds > 0 ? done / seconds : 0
  const show = unit === undefined ? mega : (count: number): string => `${Math.round(count)} ${unit}`
  const parts = [label, show(done)]
  if (total !== undefined && total > 0) parts.push(`${Math.floor((100 * done) / total)} %`)
  parts.push(`${show(rate)}/s`)
  if (total !== undefined && rate > 0) parts.push(`${Math.max(0, Math.round((total - done) / rate))} s left`)
  return parts.join('  ')
}

function mega(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e3)} kB`
}
