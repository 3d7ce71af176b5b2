import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { decodeConf, defaultConfig } from '../format/conf.ts'
import type { ClientConfig } from '../format/conf.ts'

/** bindery.conf(5): the file named by -f, which must be there, or etc/bindery.conf below the root, which need not. */
export async function readConfig(context: { readonly root: string; readonly configFile: string | undefined }): Promise<ClientConfig> {
  const file = context.configFile ?? join(context.root, 'etc/bindery.conf')
  const bytes = await readConfFile(file, context.configFile !== undefined)
  if (bytes === undefined) return defaultConfig
  try {
    return decodeConf(bytes)
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    throw new BinderyError(error.code, error.message, { subject: file, hint: error.hint, cause: error })
  }
}

async function readConfFile(file: string, mustExist: boolean): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT' && !mustExist) return undefined
    if (code === 'ENOENT') throw new BinderyError('not-found', 'is not there', { subject: file, cause })
    throw new BinderyError(code === 'EACCES' ? 'permission' : 'io', 'cannot be read', { subject: file, cause })
  }
}
