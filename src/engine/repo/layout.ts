import { channelPrefix } from '../update/compose.ts'
import type { Channel } from '../../base/name.ts'

/** Where things lie in a repository (doc/spec/repo.md): keys of a Store, and paths below the URL of a server. */

export const timestampKey = 'metadata/timestamp.json'

/** Of every role but timestamp, whose file has no version in its name. */
export function metadataKey(role: string, version: number): string {
  return `metadata/${version}.${role}.json`
}

/** The TUF way of consistent snapshots: the digest goes before the last part of the target's path. */
export function blobKey(target: string, sha256: string): string {
  const slash = target.lastIndexOf('/')
  return `blobs/${target.slice(0, slash + 1)}${sha256}.${target.slice(slash + 1)}`
}

export type MetadataName = { readonly role: string; readonly version: number }

/** Undefined for whatever is no versioned metadata file. */
export function parseMetadataKey(key: string): MetadataName | undefined {
  const match = /^metadata\/([1-9][0-9]{0,14})\.([^/]+)\.json$/.exec(key)
  return match === null ? undefined : { version: Number(match[1]), role: match[2] as string }
}

/** The paths that a channel's role may sign for. */
export function channelPattern(channel: Channel): string {
  return `${channelPrefix(channel)}*`
}
