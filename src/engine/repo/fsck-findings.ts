import { BinderyError } from '../../base/error.ts'
import type { ErrorCode } from '../../base/error.ts'
import type { Clock, Meter } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'

export type FsckInput = {
  readonly store: Store
  readonly clock: Clock
  /** A root file that came by a trusted way: the repository's roots must contain it. */
  readonly trustedRoot?: Uint8Array
  /** Also unpack every dist and compare it with its manifest and frames. */
  readonly deep: boolean
  readonly meter: Meter
  readonly signal: AbortSignal
}

export type Finding = {
  /** `error`: clients will refuse it. `warning`: they will before long, or do now. `note`: only in the way. */
  readonly severity: 'error' | 'warning' | 'note'
  readonly code: ErrorCode | 'orphan'
  /** The file that it is about. */
  readonly key: string
  readonly message: string
}

export type FsckContext = FsckInput & { readonly findings: Finding[] }

/** Adds an error of a check to the findings; what is no finding is thrown on. */
export function report(context: FsckContext, key: string, error: unknown): void {
  if (!(error instanceof BinderyError) || context.signal.aborted) throw error
  const at = error.subject ?? key
  // One damage is met by several checks; the first says it best.
  if (context.findings.some((finding) => finding.severity === 'error' && finding.key === at)) return
  context.findings.push({ severity: 'error', code: error.code, key: at, message: error.message })
}

/** Undefined after an error, which is among the findings then. */
export async function attempt<T>(context: FsckContext, key: string, work: () => Promise<T> | T): Promise<T | undefined> {
  context.signal.throwIfAborted()
  try {
    return await work()
  } catch (error) {
    report(context, key, error)
    return undefined
  }
}
