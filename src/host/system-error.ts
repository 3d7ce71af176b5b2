import { constants } from 'node:os'
import { resolve } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import { BinderyError } from '../base/error.ts'
import type { ErrorCode } from '../base/error.ts'

/** What the system's error numbers mean to a user. */
const known: Readonly<Record<string, { readonly code: ErrorCode; readonly message: string }>> = {
  ENOENT: { code: 'not-found', message: 'not found' },
  ENOTDIR: { code: 'not-found', message: 'a part of the path is no directory' },
  EEXIST: { code: 'exists', message: 'exists already' },
  EACCES: { code: 'permission', message: 'permission denied' },
  EPERM: { code: 'permission', message: 'operation not permitted' },
  EBUSY: { code: 'io', message: 'is in use by the system; is something mounted on it?' },
  ETXTBSY: { code: 'io', message: 'is a program that is running' },
  EIO: { code: 'io', message: 'the disk failed' },
  EXDEV: { code: 'not-supported', message: 'is on another file system' },
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
  const meaning = known[nameOf(error as NodeJS.ErrnoException)]
  return new BinderyError(meaning?.code ?? 'io', meaning?.message ?? textOf(error as NodeJS.ErrnoException), { subject, cause: error })
}

/** Node has no name for a full quota, and for some others that the system has one for. */
function nameOf({ code = '', errno = 0 }: NodeJS.ErrnoException): string {
  if (code !== 'UNKNOWN' && !code.startsWith('Unknown system error')) return code
  return Object.entries(constants.errno).find(([, number]) => number === -errno)?.[0] ?? code
}

/** Node's message ends in the paths of the call, and those may be our own ways to a file (/proc/self/fd). */
function textOf(error: NodeJS.ErrnoException): string {
  const text = getSystemErrorMap().get(error.errno ?? 0)?.[1]
  return text === undefined ? `${error.syscall ?? ''} failed (${error.code ?? ''})` : `${text} (${error.code ?? ''})`
}

/** From the current directory, which somebody may have removed while we were in it. */
export function absolutePath(path: string): string {
  try {
    return resolve(path)
  } catch (cause) {
    throw new BinderyError('not-found', 'the current directory was removed', { subject: path, cause })
  }
}
