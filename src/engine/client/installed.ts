import { collectBytes, oneChunk } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeManifest } from '../../format/manifest.ts'
import { decompress } from '../dist/wire.ts'
import { channelFile, channelFiles, repairHint } from './state.ts'
import type { Channel } from '../../base/name.ts'
import type { Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Digest, ReleaseState } from '../../format/release-state.ts'
import type { DiskReader } from '../../port/disk.ts'

export const maxManifestFileBytes = 64 << 20
/** Uncompressed. */
export const maxManifestBytes = 512 << 20

/** The manifest of the installed release, as it was signed: the state remembers the digest of the file. */
export async function readInstalledManifest(disk: DiskReader, channel: Channel, installed: ReleaseState): Promise<Manifest> {
  return decodeManifest(await readInstalledText(disk, channel, installed))
}

/** Its uncompressed bytes. */
export async function readInstalledText(disk: DiskReader, channel: Channel, installed: ReleaseState): Promise<Uint8Array> {
  const path = channelFile(channel, channelFiles.manifest)
  const bytes = await readManifestFile(disk, path, installed.manifest)
  if (bytes !== undefined) return await unpack(bytes)
  throw new BinderyError('bad-digest', 'is not the manifest of the installed release', { subject: path, hint: repairHint })
}

/** As it was stored; undefined where there is none, or another one. */
export async function readManifestFile(disk: DiskReader, path: RelPath, wanted: Digest): Promise<Uint8Array | undefined> {
  const bytes = (await disk.lstat(path)) === undefined ? undefined : await collectBytes(disk.read(path), maxManifestFileBytes)
  return bytes?.length === wanted.size && sha256(bytes) === wanted.sha256 ? bytes : undefined
}

/** A compressed manifest whose bytes have been verified. */
export async function unpackManifest(compressed: Uint8Array): Promise<Manifest> {
  return decodeManifest(await unpack(compressed))
}

async function unpack(compressed: Uint8Array): Promise<Uint8Array> {
  const text = await collectBytes(decompress(oneChunk(compressed), maxManifestBytes), maxManifestBytes)
  if (text === undefined) throw new BinderyError('over-limit', `unpacks to more than ${maxManifestBytes} bytes`)
  return text
}
