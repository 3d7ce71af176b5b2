import { BinderyError } from './error.ts'

/** What imports packages that a client does not install, by `load`: `not-supported`, with the package that is missing. */
export async function loadOptional<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND')) throw cause
    const name = /'([^']+)'/.exec(cause.message)?.[1] ?? 'a package'
    throw new BinderyError('not-supported', 'is not installed', { subject: name, hint: `npm install ${name}`, cause })
  }
}
