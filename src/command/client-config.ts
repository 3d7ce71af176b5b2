import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BinderyError, toldOf } from '../base/error.ts'
import { decodeConf, defaultConfig } from '../format/conf.ts'
import type { ClientConfig } from '../format/conf.ts'

type Place = { readonly root: string; readonly configFile: string | undefined }

/** bindery.conf(5): the file named by -f, which must be there, or etc/bindery.conf below the root, which need not. */
export async function readConfig(place: Place): Promise<ClientConfig> {
  return (await readConfFile(place, decodeConf)) ?? defaultConfig
}

export function confFile({ root, configFile }: Place): string {
  return configFile ?? join(root, 'etc/bindery.conf')
}

/** Undefined where there is none. What is wrong with it is told with its name. */
export async function readConfFile<T>(place: Place, decode: (bytes: Uint8Array) => T): Promise<T | undefined> {
  const file = confFile(place)
  const bytes = await bytesOf(file, place.configFile !== undefined)
  if (bytes === undefined) return undefined
  try {
    return decode(bytes)
  } catch (error) {
    throw toldOf(error, file)
  }
}

async function bytesOf(file: string, mustExist: boolean): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT' && !mustExist) return undefined
    if (code === 'ENOENT') throw new BinderyError('not-found', 'is not there', { subject: file, cause })
    throw new BinderyError(code === 'EACCES' ? 'permission' : 'io', 'cannot be read', { subject: file, cause })
  }
}
