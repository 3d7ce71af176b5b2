import { BinderyError } from '../../base/error.ts'

/** Of PostgreSQL, of its driver, and of the system below; what is no failure of theirs stays as it is. */
export function databaseError(error: unknown, subject: string): unknown {
  if (error instanceof BinderyError || !(error instanceof Error)) return error
  const code = 'code' in error ? String(error.code) : ''
  const told = (kind: 'network' | 'permission' | 'not-found' | 'no-space' | 'io', message: string): BinderyError =>
    new BinderyError(kind, message, { subject, cause: error })
  if (/^(?:ECONNREFUSED|ECONNRESET|ENOENT|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|08...|57P0[1-3])$/.test(code))
    return told('network', `the database cannot be reached: ${error.message}`)
  if (/^(?:28...|42501)$/.test(code)) return told('permission', `the database refuses: ${error.message}`)
  if (code === '3D000') return told('not-found', error.message)
  if (code === '53100' || code === 'ENOSPC') return told('no-space', 'no space left for the database')
  return told('io', `the database failed: ${error.message}`)
}
