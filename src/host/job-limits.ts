import { statfsSync } from 'node:fs'
import { BinderyError } from '../base/error.ts'

/** What a job may take; a job that goes beyond it is stopped, and the reason says by what. */
export type JobLimits = {
  readonly seconds: number | undefined
  /** Without a byte of output. */
  readonly silentSeconds: number | undefined
  readonly leastSpace: { readonly folder: string; readonly bytes: number } | undefined
}

export type Watch = {
  /** Aborted by a limit or by `signal`. */
  readonly signal: AbortSignal
  /** Set by a limit alone. */
  exceeded(): BinderyError | undefined
  sawOutput(): void
  close(): void
}

const lookEveryMs = 2000

export function watchLimits(limits: JobLimits, signal: AbortSignal): Watch {
  const controller = new AbortController()
  const timers: NodeJS.Timeout[] = []
  let exceeded: BinderyError | undefined
  const exceed = (message: string): void => {
    exceeded ??= new BinderyError('stopped', message)
    controller.abort(exceeded)
  }
  const { seconds, silentSeconds, leastSpace } = limits
  if (seconds !== undefined) timers.push(setTimeout(() => exceed(`took more than ${seconds} s`), seconds * 1000))
  const silence =
    silentSeconds === undefined ? undefined : setTimeout(() => exceed(`printed nothing for ${silentSeconds} s`), silentSeconds * 1000)
  if (silence !== undefined) timers.push(silence)
  if (leastSpace !== undefined) {
    const look = (): void => (hasSpace(leastSpace) ? undefined : exceed(`left less than ${leastSpace.bytes} bytes in ${leastSpace.folder}`))
    look()
    timers.push(setInterval(look, lookEveryMs))
  }
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    exceeded: () => exceeded,
    sawOutput: () => void silence?.refresh(),
    close: () => timers.forEach((timer) => clearTimeout(timer)),
  }
}

/** A folder that is not there yet fills no disk. */
function hasSpace({ folder, bytes }: { readonly folder: string; readonly bytes: number }): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize >= bytes
  } catch {
    return true
  }
}
