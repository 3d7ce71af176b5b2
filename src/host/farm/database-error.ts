import { BinderyError } from '../../base/error.ts'

/** Of PostgreSQL, of its driver, and of the system below; what is no failure of theirs stays as it is. */
export function databaseError(error: unknown, subject: string): unknown {
  if (error instanceof BinderyError || !(error instanceof Error)) return error
  const code = codeOf(error)
  const told = (kind: 'network' | 'permission' | 'not-found' | 'no-space' | 'io', message: string): BinderyError =>
    new BinderyError(kind, message, { subject, cause: error })
  if (isUnreachable(error)) return told('network', `the database cannot be reached: ${error.message}`)
  if (/^(?:28...|42501)$/.test(code)) return told('permission', `the database refuses: ${error.message}`)
  if (code === '3D000') return told('not-found', error.message)
  if (code === '53100' || code === 'ENOSPC') return told('no-space', 'no space left for the database')
  return told('io', `the database failed: ${error.message}`)
}

/** What passes by itself, and says nothing of the statement: no server, or one without connections, memory or space. */
export function isPassing(error: unknown): error is Error {
  return error instanceof Error && (isUnreachable(error) || /^(?:53...|57...|58...|25006)$/.test(codeOf(error)))
}

function isUnreachable(error: Error): boolean {
  const code = codeOf(error)
  // A socket that is not there is a server that is not; any other file is another matter.
  if (code === 'ENOENT') return 'syscall' in error && error.syscall === 'connect'
  if (code === '') return /^(?:Connection terminated|Client has encountered a connection error|timeout expired)/.test(error.message)
  return /^(?:ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|08...|57P0[1-3])$/.test(code)
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : ''
}
