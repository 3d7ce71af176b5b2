import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import type { ErrorCode } from '../base/error.ts'

/** What the system's error numbers mean to a user. */
const known: Readonly<Record<string, { readonly code: ErrorCode; readonly message: string }>> = {
  ENOENT: { code: 'not-found', message: 'not found' },
  ENOTDIR: { code: 'not-found', message: 'a part of the path is no directory' },
  EEXIST: { code: 'exists', message: 'exists already' },
  EACCES: { code: 'permission', message: 'permission denied' },
  EPERM: { code: 'permission', message: 'operation not permitted' },
  EROFS: { code: 'read-only', message: 'the file system is read-only' },
  ENOSPC: { code: 'no-space', message: 'no space left' },
  EDQUOT: { code: 'no-space', message: 'the disk quota is used up' },
  EFBIG: { code: 'no-space', message: 'larger than the file system allows' },
  EISDIR: { code: 'wrong-type', message: 'is a directory' },
  ENOTEMPTY: { code: 'wrong-type', message: 'is not empty' },
  ELOOP: { code: 'wrong-type', message: 'is a symbolic link' },
  ENAMETOOLONG: { code: 'io', message: 'the name is too long for the file system' },
  ENOTSUP: { code: 'not-supported', message: 'not supported by the file system' },
  EOPNOTSUPP: { code: 'not-supported', message: 'not supported by the file system' },
}

/** An error of node:fs as a BinderyError about `subject`; everything else comes back as it is. A broken pipe stays one for main. */
export function systemError(error: unknown, subject: string): unknown {
  if (error instanceof BinderyError || !(error instanceof Error) || !('code' in error) || !('syscall' in error)) return error
  if (error.code === 'EPIPE') return error
  const meaning = known[String(error.code)]
  return new BinderyError(meaning?.code ?? 'io', meaning?.message ?? error.message, { subject, cause: error })
}

/** From the current directory, which somebody may have removed while we were in it. */
export function absolutePath(path: string): string {
  try {
    return resolve(path)
  } catch (cause) {
    throw new BinderyError('not-found', 'the current directory was removed', { subject: path, cause })
  }
}
