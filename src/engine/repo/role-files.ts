import { createHash } from 'node:crypto'
import { BinderyError } from '../../base/error.ts'
import type { Hashes, MetaFile } from '../../format/tuf.ts'

/** How a role's metadata file is called, and whether bytes are the ones that another role has signed for. */

/** RFC 3986: everything but letters, digits, `-`, `.`, `_`, `~` is quoted, so that a role name is one file name. */
export function quoteName(name: string): string {
  return encodeURIComponent(name).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** In the client's store (5.3.8 and its sisters): FILENAME.EXT. */
export function storeName(role: string): string {
  return `${quoteName(role)}.json`
}

/** On the repository, with and without consistent snapshots (5.5.1, 5.6.1). */
export function sourceName(role: string, version: number, consistent: boolean): string {
  return consistent ? `${version}.${quoteName(role)}.json` : storeName(role)
}

/** 5.5.2 and 5.6.2: length and hashes, where they are given. Throws `mix-and-match`: it is no file of the state that names it. */
export function checkMetaFile(bytes: Uint8Array, meta: MetaFile, subject: string, clause: string): void {
  if (meta.length !== undefined && bytes.length !== meta.length) {
    throw new BinderyError('mix-and-match', `holds ${bytes.length} bytes, and ${meta.length} are signed (TUF ${clause})`, { subject })
  }
  if (meta.hashes !== undefined) checkHashes(bytes, meta.hashes, subject, clause)
}

const knownHashes: readonly string[] = ['sha256', 'sha512']

/** Every hash that we know must fit, and we must know at least one. */
export function checkHashes(bytes: Uint8Array, hashes: Hashes, subject: string, clause: string): void {
  for (const name of usableHashes(hashes, subject)) {
    if (createHash(name).update(bytes).digest('hex') !== hashes[name]) {
      throw new BinderyError('mix-and-match', `does not have the ${name} that is signed (TUF ${clause})`, { subject })
    }
  }
}

export function usableHashes(hashes: Hashes, subject: string): readonly string[] {
  const names = Object.keys(hashes).filter((name) => knownHashes.includes(name))
  if (names.length === 0)
    throw new BinderyError('not-supported', `only has hashes that are not known: ${Object.keys(hashes).join(', ')}`, { subject })
  return names
}
