import { fromLatin1, oneChunk } from '../../base/bytes.ts'
import { digestStream, sha256, sha256Hasher } from '../../base/digest.ts'
import { BinderyError, toldOf } from '../../base/error.ts'
import { showPath } from '../../base/path.ts'
import { decodeCapture, encodeCapture } from '../../format/capture.ts'
import { manifestLimits } from '../../format/manifest-check.ts'
import { decodeManifest, encodeManifest } from '../../format/manifest.ts'
import { packingList } from '../tree/packing-list.ts'
import { changesOf } from './changes.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { FileEntry, Manifest } from '../../base/entry.ts'
import type { CaptureRecord } from '../../format/capture.ts'
import type { DiskReader } from '../../port/disk.ts'
import type { Store } from '../../port/store.ts'
import type { Sides } from './changes.ts'

/** A capture as a folder (doc/spec/capture.md): two manifests, a packing list, the log, contents by digest, the record last. */

export const captureKeys = { record: 'capture.json', old: 'old.mtree', new: 'new.mtree', plist: 'plist', log: 'log' } as const

const contentPrefix = 'content/'

export type CaptureFacts = Omit<CaptureRecord, 'old' | 'new'>

export type CaptureSource = {
  /** Has the contents. */
  readonly after: DiskReader
  readonly log: ByteStream
  readonly signal: AbortSignal
}

/** `conflict` where a file is no longer what the manifest says. */
export async function writeCapture(store: Store, facts: CaptureFacts, sides: Sides, source: CaptureSource): Promise<void> {
  const { after, log, signal } = source
  for (const entry of shippedFiles(sides)) {
    await store.put(`${contentPrefix}${entry.sha256}`, checked(after.read(entry.path), entry, signal))
  }
  await store.put(captureKeys.log, log)
  await store.put(captureKeys.plist, oneChunk(fromLatin1(packingList(changesOf(sides)))))
  const manifests = { old: encodeManifest(sides.old), new: encodeManifest(sides.new) }
  await store.put(captureKeys.old, oneChunk(manifests.old))
  await store.put(captureKeys.new, oneChunk(manifests.new))
  const record = { ...facts, old: sha256(manifests.old), new: sha256(manifests.new) }
  await store.put(captureKeys.record, oneChunk(encodeCapture(record)))
}

/** One of each content that is not there already before. */
export function shippedFiles(sides: Sides): readonly FileEntry[] {
  const files = new Map<Sha256, FileEntry>()
  const known = new Set(sides.old.entries.flatMap((entry) => (entry.kind === 'file' ? [`${entry.path} ${entry.sha256}`] : [])))
  for (const entry of sides.new.entries) {
    if (entry.kind === 'file' && !known.has(`${entry.path} ${entry.sha256}`)) files.set(entry.sha256, entry)
  }
  return [...files.values()]
}

async function* checked(content: ByteStream, entry: FileEntry, signal: AbortSignal): ByteStream {
  const hasher = sha256Hasher()
  signal.throwIfAborted()
  for await (const bytes of content) {
    signal.throwIfAborted()
    hasher.update(bytes)
    yield bytes
  }
  if (hasher.digest() !== entry.sha256) {
    throw new BinderyError('conflict', 'changed while it was captured', { subject: showPath(entry.path) })
  }
}

export type Capture = Sides & {
  readonly record: CaptureRecord
  /** The content of a file that the capture ships; `bad-digest` at its end where it is another. */
  content(file: FileEntry): ByteStream
}

/**
 * Every byte is checked, so that whoever goes on has all of it: `not-found`, `bad-format`, `bad-digest`. `folder` is the
 * name of the store, for errors.
 */
export async function openCapture(store: Store, folder: string): Promise<Capture> {
  const record = await readPart(store, folder, captureKeys.record, decodeCapture)
  const manifest = async (side: 'old' | 'new'): Promise<Manifest> =>
    await readPart(store, folder, captureKeys[side], (bytes) => manifestOf(bytes, record[side]))
  const sides = { old: await manifest('old'), new: await manifest('new') }
  for (const file of shippedFiles(sides)) {
    await checkContent(store, folder, file)
  }
  return { ...sides, record, content: (file) => store.stream(`${contentPrefix}${file.sha256}`) }
}

/** Its size first: what stands there may be a device without end. */
async function checkContent(store: Store, folder: string, { sha256: digest, size }: FileEntry): Promise<void> {
  const key = `${contentPrefix}${digest}`
  const found = await store.size(key)
  if (found === undefined) throw missing(`${folder}/${key}`)
  if (found !== size || (await digestStream(store.stream(key))).sha256 !== digest) throw toldOf(damaged(), `${folder}/${key}`)
}

async function readPart<T>(store: Store, folder: string, key: string, decode: (bytes: Uint8Array) => T): Promise<T> {
  const subject = `${folder}/${key}`
  if (((await store.size(key)) ?? 0) > manifestLimits.bytes) throw new BinderyError('over-limit', 'is too large', { subject })
  const bytes = await store.get(key)
  if (bytes === undefined) throw missing(subject)
  try {
    return decode(bytes)
  } catch (error) {
    throw toldOf(error, subject)
  }
}

function manifestOf(bytes: Uint8Array, digest: Sha256): Manifest {
  if (sha256(bytes) !== digest) throw damaged()
  return decodeManifest(bytes)
}

function missing(subject: string): BinderyError {
  return new BinderyError('not-found', 'is not there: the folder holds no finished capture', { subject })
}

function damaged(): BinderyError {
  return new BinderyError('bad-digest', 'is not what the record of the capture says')
}
