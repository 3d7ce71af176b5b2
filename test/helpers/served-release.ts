import { gzipSync, zstdCompressSync } from 'node:zlib'
import { collectBytes, concatBytes, oneChunk } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { markVerified } from '../../src/base/verified.ts'
import { cachePath } from '../../src/engine/client/fetch/cache.ts'
import { makeDelta } from '../../src/engine/delta/make.ts'
import { channelFile, channelFiles, statePaths } from '../../src/engine/client/state.ts'
import { compress, decompress } from '../../src/engine/dist/wire.ts'
import { writeDist } from '../../src/engine/dist/write.ts'
import { releaseTargets } from '../../src/engine/update/compose.ts'
import { encodeEnrolled } from '../../src/format/enrolled.ts'
import { encodeFrames } from '../../src/format/frames.ts'
import { encodeManifest } from '../../src/format/manifest.ts'
import { release } from './client-world.ts'
import { address, enrolledOf, follower, installedOf, record, serve, served, servedRecord, trustIn } from './listed-releases.ts'
import { plant } from './plant.ts'
import { memorySpool, releaseName, sourceOf } from './repository.ts'
import type { ByteStream } from '../../src/base/bytes.ts'
import type { FileEntry } from '../../src/base/entry.ts'
import type { Verified } from '../../src/base/verified.ts'
import type { CachedBlob, Place } from '../../src/engine/client/fetch/download.ts'
import type { Offer } from '../../src/engine/client/fetch/offer.ts'
import type { Session } from '../../src/engine/client/fetch/session.ts'
import type { Wanted } from '../../src/engine/client/fetch/gather.ts'
import type { RouteStep } from '../../src/engine/update/route.ts'
import type { Basis } from '../../src/format/enrolled.ts'
import type { Digest, KeptBase } from '../../src/format/release-state.ts'
import type { MemoryHttp } from '../../src/host/memory-http.ts'
import type { Update } from '../../src/format/update.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { TestSession } from './client.ts'
import type { Release } from './client-world.ts'
import type { Served } from './listed-releases.ts'
import type { Literal } from './plant.ts'

/** A release of a tree with all that a repository serves of it: its dist has a frame for each kilobyte, so that small trees have some. */
export type WholeRelease = Release & {
  readonly tar: Uint8Array
  readonly update: Update
  readonly dist: Served
  readonly gzip: Served
  readonly frames: Served
  /** Compressed. */
  readonly packed: Served
  readonly record: Served
  readonly all: readonly Served[]
}

const frameBytes = 1024

export const digestOfBytes = (bytes: Uint8Array): Digest => ({ sha256: sha256(bytes), size: bytes.length })
export const whole = async (stream: ByteStream): Promise<Uint8Array> => new Uint8Array((await collectBytes(stream, Infinity)) as Uint8Array)
/** As bindery packs it. */
export const zstd = async (bytes: Uint8Array): Promise<Uint8Array> => await whole(compress(oneChunk(bytes), 'zstd'))
export const unpacked = async (bytes: ByteStream): Promise<Uint8Array> => await whole(decompress(bytes))

export async function wholeRelease(sequence: number, literal: Literal, more: Partial<Update> = {}): Promise<WholeRelease> {
  const made = await release(String(sequence), literal)
  const { disk, manifest, name } = made
  const tar = await whole(writeDist(name, manifest, ({ path }) => disk.read(path)))
  const targets = releaseTargets(name)
  const parts = Array.from({ length: Math.ceil(tar.length / frameBytes) }, (_, i) => tar.subarray(i * frameBytes, (i + 1) * frameBytes))
  const packedParts = parts.map((part) => new Uint8Array(zstdCompressSync(part)))
  const index = packedParts.map((part, i) => ({
    offset: packedParts.slice(0, i).reduce((sum, { length }) => sum + length, 0),
    ...digestOfBytes(part),
    start: i * frameBytes,
    length: (parts[i] as Uint8Array).length,
  }))
  const dist = served(targets.full('zstd'), concatBytes(packedParts))
  const gzip = served(targets.full('gzip'), new Uint8Array(gzipSync(tar)))
  const frames = served(targets.frames, encodeFrames(index))
  const packed = served(targets.manifest, new Uint8Array(zstdCompressSync(encodeManifest(manifest))))
  const way = { target: dist.info.path, size: dist.bytes.length, codec: 'zstd' as const }
  const update = record(sequence, {
    release: { name, tar: digestOfBytes(tar) },
    manifest: { target: packed.info.path, size: packed.bytes.length },
    full: [{ ...way, frames: { target: frames.info.path, size: frames.bytes.length } }],
    ...more,
  })
  const blob = servedRecord(update)
  return { ...made, tar, update, dist, gzip, frames, packed, record: blob, all: [dist, frames, packed, blob] }
}

export const gzipOnly = ({ gzip }: WholeRelease): Pick<Update, 'full'> => ({
  full: [{ target: gzip.info.path, size: gzip.bytes.length, codec: 'gzip' }],
})

/** The delta from one release to a later one, and the step that it is. */
export async function deltaStep(old: WholeRelease, next: WholeRelease): Promise<{ readonly step: RouteStep; readonly delta: Served }> {
  const from = `base-${old.name.revision}-20260101-amd64`
  const delta = served(releaseTargets(next.name).delta(from), await deltaBetween(old.tar, next.tar))
  const way = { target: delta.info.path, size: delta.bytes.length, from, fromSha256: sha256(old.tar), memory: 0 }
  return { delta, step: { update: next.update, delta: way } }
}

export async function deltaBetween(old: Uint8Array, next: Uint8Array): Promise<Uint8Array> {
  const made = await memorySpool(makeDelta({ old: sourceOf(old), new: sourceOf(next), oldName: '', newName: '' }))
  return await made.read(0, made.size)
}

/** Puts a blob where a download does. */
export async function inCache(disk: Disk, { info, bytes }: Served): Promise<Verified<CachedBlob>> {
  const path = cachePath(info.sha256)
  if ((await disk.lstat(path)) === undefined) await plant(disk, { [path]: { kind: 'file', content: bytes } })
  return markVerified({ target: info.path, path, size: bytes.length, sha256: info.sha256 })
}

export function fileOf({ manifest }: Release, path: string): FileEntry {
  return manifest.entries.find((entry) => entry.kind === 'file' && entry.path === path) as FileEntry
}

/** A place whose meter notes what it is told. */
export function notingPlace(urls: readonly string[]): { readonly place: Place; readonly meter: number[] } {
  const meter: number[] = []
  return { meter, place: { urls, meter: { advance: (bytes) => void meter.push(bytes), end: () => {} } } }
}

export const pathsOf = (wanted: readonly Wanted[]): readonly string[] => wanted.map(({ entry }) => entry.path)

export const nameOfRelease = (revision: number): Release['name'] => releaseName(String(revision))

export type Machine = { readonly session: TestSession; readonly offer: Offer; readonly requests: () => readonly string[] }

type MachineChange = {
  readonly basis?: Basis
  readonly base?: KeptBase
  /** What lies there: the tree, and the state besides the manifest. */
  readonly on?: Literal
  readonly listed?: readonly Served[]
  readonly served?: readonly Served[]
  readonly change?: Partial<Session>
}

/** A machine on which a release is installed, whose repository lists it; `requests` are the names of what it asked for, `*` by range. */
export async function machineWith(
  { update, packed, all }: WholeRelease,
  { basis = 'tar', base, on = {}, listed = all, served: answered = listed, change = {} }: MachineChange = {},
): Promise<Machine> {
  const file = (content: Uint8Array): Literal[string] => ({ kind: 'file', content })
  const enrolled = enrolledOf('base', { basis, urls: [address] })
  const written = {
    [channelFile(enrolled.channel, channelFiles.manifest)]: file(packed.bytes),
    [statePaths.enrolled]: file(encodeEnrolled([enrolled])),
  }
  const { tar } = update.release
  const more = { sequence: update.sequence, name: update.release.name, tar, manifest: digestOfBytes(packed.bytes) }
  const state = { ...more, ...(base === undefined ? {} : { base }) }
  const session = await follower({ base: state }, { ...written, ...on }, change)
  const http = session.http as MemoryHttp
  serve(http, answered)
  const trust = trustIn({ 'base-amd64': listed })
  const installed = installedOf('base', update.sequence, state)
  const offer = { enrolled, installed, trust, updates: [], goals: [], records: [], listed: new Map(), isHeld: false }
  const requests = (): readonly string[] =>
    http.requests.map(({ url, headers }) => `${url.slice(url.lastIndexOf('/') + 66)}${headers?.['range'] === undefined ? '' : '*'}`)
  return { session, offer, requests }
}
