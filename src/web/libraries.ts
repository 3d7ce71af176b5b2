import { BinderyError } from '../base/error.ts'

/** Optional packages are loaded when they are needed: a client installs none of them. */
export async function loadOptional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    throw new BinderyError('not-supported', 'is not installed', { subject: name, hint: `npm install ${name}`, cause })
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
}
