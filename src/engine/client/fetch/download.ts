import { collectBytes } from '../../../base/bytes.ts'
import { sha256 } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { parentPath } from '../../../base/path.ts'
import { markVerified } from '../../../base/verified.ts'
import { attemptDownload, blobUrl, wrongDigest } from './download-attempt.ts'
import { cachePath, discardPart, partPath, removeIfThere } from './cache.ts'
import { keepGoodPieces } from './download-pieces.ts'
import { isMirrorFault, mirrorFailures } from './mirror-failures.ts'
import { refusedBy, request } from './request.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { TargetInfo } from '../../repo/trust-types.ts'
import type { Outcome } from './download-attempt.ts'
import type { Session } from './session.ts'

/**
 * A file of the cache: the target, with the length and the digest that its channel's role has signed, or what that target,
 * a delta, has made of verified bytes (patched.ts).
 */
export type CachedBlob = { readonly target: string; readonly path: RelPath; readonly size: number; readonly sha256: Sha256 }

/** What a download needs to know of its repository. */
export type Place = { readonly urls: readonly string[]; readonly meter: Meter }

export const silentMeter: Meter = { advance: () => {}, end: () => {} }

/** A mirror that brought the file further by at least this much before it broke off is asked again. */
const worthwhile = 64 << 10

/**
 * Brings a target into the cache, or finds it there: resumed where an earlier run was cut off, from the next mirror
 * where one is bad or slow. Compressed bytes stay compressed. Throws what the last mirror failed with, `no-space`
 * before the download begins.
 */
export async function downloadBlob(session: Session, place: Place, target: Verified<TargetInfo>): Promise<Verified<CachedBlob>> {
  const info = target.value
  const blob = { target: info.path, path: cachePath(info.sha256), size: info.length, sha256: info.sha256 }
  if (await isIntact(session, blob)) return markVerified(blob)
  await removeIfThere(session.disk, blob.path)
  await checkSpace(session, info)
  await completePart(session, place, info)
  await session.disk.sync(partPath(info.sha256))
  await session.disk.rename(partPath(info.sha256), blob.path)
  await discardPart(session.disk, info.sha256)
  await session.disk.sync(parentPath(blob.path))
  return markVerified(blob)
}

/** Whether a file of the cache is complete and as it should be. */
export async function isIntact({ disk }: Pick<Session, 'disk'>, blob: Pick<CachedBlob, 'path' | 'size' | 'sha256'>): Promise<boolean> {
  const stat = await disk.lstat(blob.path)
  return stat?.kind === 'file' && stat.size === blob.size && (await disk.digest(blob.path)).sha256 === blob.sha256
}

async function checkSpace({ disk }: Session, info: TargetInfo): Promise<void> {
  const have = (await disk.lstat(partPath(info.sha256)))?.size ?? 0
  const folder = parentPath(cachePath(info.sha256))
  const { freeBytes } = await disk.space(folder)
  const need = info.length - have
  if (need > freeBytes) {
    throw new BinderyError('no-space', `no space for ${info.path}: ${need} bytes are needed, ${freeBytes} are free`, { subject: folder })
  }
}

/** Returns when the part has the signed length and digest. */
async function completePart(session: Session, place: Place, info: TargetInfo): Promise<void> {
  const queue = [...session.mirrors.of(place.urls)]
  const failures = mirrorFailures(session, info.path)
  const asked = new Map<string, number>()
  const restarting = new Set<string>()
  await keepGoodPieces(session, info)
  let furthest = (await session.disk.lstat(partPath(info.sha256)))?.size ?? 0
  for (let base = queue.shift(); base !== undefined; base = queue.shift()) {
    session.signal.throwIfAborted()
    const since = asked.get(base) ?? session.clock.now()
    asked.set(base, since)
    const mayRestart = queue.length === 0 || restarting.has(base)
    const outcome = await attemptDownload(session, { base, info, meter: place.meter, since, mayRestart })
    // Also of a server that sent more: what came before it is not the next one's.
    const isWhole = outcome.kind === 'complete' || outcome.reached === info.length
    if (isWhole && (await isIntact(session, { path: partPath(info.sha256), size: info.length, sha256: info.sha256 }))) return
    if (isWhole) await discardPart(session.disk, info.sha256)
    const wouldRestart = outcome.kind === 'failed' && outcome.wouldRestart === true
    if (wouldRestart) restarting.add(base)
    if (wouldRestart || mayTryAgain(outcome, furthest, info)) queue.push(base)
    if (outcome.kind === 'failed' && !isWhole) furthest = Math.max(furthest, outcome.reached)
    failures.add(outcome.kind === 'failed' ? outcome.error : wrongDigest(base, info), queue[0])
    if (!wouldRestart) session.mirrors.failed(base)
  }
  throw failures.last()
}

/**
 * A broken connection that brought us further than ever is gone on with; a server that ignores ranges begins anew each
 * time and would go on for ever. Wrong bytes may have been there before: then the mirror gets one chance with a fresh
 * file, or a fresh piece.
 */
function mayTryAgain(outcome: Outcome, furthest: number, { length }: TargetInfo): boolean {
  if (outcome.kind === 'complete') return outcome.resumedAt > 0
  if (outcome.wasBegun === true) return true
  return outcome.reached < length && outcome.reached >= furthest + worthwhile
}

/**
 * A small target, decoded: through the cache, or in memory for those who may not write it. `limit` is our own, beside
 * the signed length.
 */
export async function downloadSmall<T>(
  session: Session,
  place: Place,
  target: Verified<TargetInfo>,
  limit: number,
  decode: Decoder<T>,
): Promise<Verified<T>> {
  const info = target.value
  if (info.length > limit) throw new BinderyError('over-limit', `has ${info.length} bytes, more than ${limit}`, { subject: info.path })
  if (session.access === 'write') return await readBlob(session, await downloadBlob(session, place, target), limit, decode)
  const urls = session.mirrors.of(place.urls)
  const failures = mirrorFailures(session, info.path)
  for (const [i, base] of urls.entries()) {
    const bytes = await bytesFrom(session, base, info).catch((error: unknown) => {
      if (!isMirrorFault(error)) throw error
      failures.add(error, urls[i + 1])
      session.mirrors.failed(base)
    })
    if (bytes !== undefined) return markVerified(await decode(bytes))
  }
  throw failures.last()
}

export type Decoder<T> = (bytes: Uint8Array) => T | Promise<T>

async function bytesFrom(session: Session, base: string, info: TargetInfo): Promise<Uint8Array> {
  const url = blobUrl(base, info)
  const response = await request(session, url)
  const bytes = await collectBytes(response.body, info.length)
  if (response.status !== 200) throw refusedBy(response, url)
  if (bytes === undefined)
    throw new BinderyError('over-limit', `sends more than the ${info.length} bytes that are signed`, { subject: url })
  if (bytes.length !== info.length || sha256(bytes) !== info.sha256) throw wrongDigest(base, info)
  return bytes
}

/** Decodes a blob, after one more look at its digest: the cache may have been written since. */
export async function readBlob<T>(
  { disk }: Pick<Session, 'disk'>,
  blob: Verified<CachedBlob>,
  limit: number,
  decode: Decoder<T>,
): Promise<Verified<T>> {
  const { path, target, sha256: digest } = blob.value
  const bytes = await collectBytes(disk.read(path), Math.min(limit, blob.value.size))
  if (bytes === undefined) throw new BinderyError('over-limit', `has ${blob.value.size} bytes, more than ${limit}`, { subject: target })
  if (sha256(bytes) !== digest) throw new BinderyError('bad-digest', 'changed in the cache', { subject: path })
  return markVerified(await decode(bytes))
}

/** The bytes of a blob as they were signed: an error at the end means that nothing of it may be used. */
export async function* streamBlob({ disk }: Pick<Session, 'disk'>, blob: Verified<CachedBlob>): ByteStream {
  yield* disk.read(blob.value.path)
}
