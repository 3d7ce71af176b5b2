import { BinderyError, isBinderyError } from '../../../base/error.ts'
import type { ByteStream } from '../../../base/bytes.ts'

/**
 * Whose fault it is when a tar does not come out right. A broken delta must never hide behind the way that is tried
 * instead: it is named on stderr and in the exit status.
 */
export type Fault =
  /** The delta or dist of this target does not make what its signed record says. */
  | { readonly kind: 'target'; readonly target: string; readonly error: BinderyError }
  /** No mirror has it as it is signed. */
  | { readonly kind: 'missing'; readonly target: string; readonly error: BinderyError }
  /** The old bytes of this host. */
  | { readonly kind: 'base'; readonly error: BinderyError }
  /** What the next release was put together from, of which something changed meanwhile. */
  | { readonly kind: 'assembled'; readonly error: BinderyError }

/** Collects the fault that was noticed first: of nested streams the innermost fails first. */
export type FaultFinder = { found: Fault | undefined }

type Suspect = { readonly kind: 'base' | 'assembled' } | { readonly kind: 'target'; readonly target: string }

/** A stop is nobody's fault; a disk that fails is this host's, whatever was read from it. */
const innocent = ['interrupted', 'stopped', 'network', 'too-slow', 'incomplete', 'no-space', 'io', 'permission', 'read-only'] as const

export async function* blaming(finder: FaultFinder, suspect: Suspect, stream: ByteStream): ByteStream {
  try {
    yield* stream
  } catch (error) {
    throw blamed(finder, suspect, error)
  }
}

/** The same error, noted as the suspect's fault if it can be one. */
export function blamed(finder: FaultFinder, suspect: Suspect, error: unknown): unknown {
  if (error instanceof BinderyError && !innocent.some((code) => code === error.code)) finder.found ??= { ...suspect, error }
  return error
}

/** Of this machine, or a stop: no other way to the same bytes would help. */
export function isOwnFault({ code }: BinderyError): boolean {
  return (['stopped', 'interrupted', 'io', 'no-space', 'read-only', 'permission'] as const).some((own) => own === code)
}

/** No mirror has the target as it is signed: not a network that is away, through which nothing else would come either. */
export function isUnobtainable(error: unknown): error is BinderyError {
  return isBinderyError(error) && ['bad-digest', 'over-limit', 'incomplete'].includes(error.code)
}
