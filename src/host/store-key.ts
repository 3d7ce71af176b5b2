import { BinderyError } from '../base/error.ts'

const keyPattern = /^[A-Za-z0-9_+-][A-Za-z0-9._+-]*(\/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)*$/

/** Slash-joined names, none of them hidden, empty or leading elsewhere. */
export function isKey(key: string): boolean {
  return key.length <= 1024 && keyPattern.test(key)
}

/** Keys come from names that were checked before; this wall is the last one before the file system. */
export function checkKey(key: string): string {
  if (!isKey(key)) throw new BinderyError('hostile', 'is no key of a repository', { subject: key.slice(0, 200) })
  return key
}
