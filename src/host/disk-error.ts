import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { systemError } from './system-error.ts'
import type { ErrorCode } from '../base/error.ts'
import type { Rights } from '../port/disk.ts'

/** Where the disk port's promise is narrower than the system's usual meaning. */
const known: Readonly<Record<string, { readonly code: ErrorCode; readonly message: string }>> = {
  // The parents were looked at: it is the last component that is none.
  ENOTDIR: { code: 'wrong-type', message: 'is no directory' },
  ENOSYS: { code: 'not-supported', message: 'not supported by this system' },
  // What FreeBSD and NetBSD answer to O_NOFOLLOW, where others say ELOOP.
  EMLINK: { code: 'wrong-type', message: 'is a symbolic link' },
  EFTYPE: { code: 'wrong-type', message: 'is a symbolic link' },
}

/** A failure of node:fs as the error that the disk port promises; anything else is passed through. */
export function diskError(cause: unknown, path: string): unknown {
  const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const meaning = known[errno]
  if (meaning === undefined) return systemError(cause, showPath(path))
  return new BinderyError(meaning.code, meaning.message, { subject: showPath(path), cause })
}

export function wrongType(path: string, message: string): BinderyError {
  return new BinderyError('wrong-type', message, { subject: showPath(path) })
}

export function changedWhileRead(path: string): BinderyError {
  return new BinderyError('io', 'changed while it was read', { subject: showPath(path) })
}

/** Another name of a file of others may have taken the place of what was looked at, and would be given to whoever owned that. */
export function checkRights(path: string, { mode, uid, gid }: Rights, wanted: Rights): void {
  if (uid === wanted.uid && gid === wanted.gid && mode === wanted.mode) return
  throw new BinderyError('conflict', 'has another owner or mode than a moment ago', { subject: path, hint: 'run it again' })
}
