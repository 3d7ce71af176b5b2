import { collectBytes, oneChunk } from '../../../base/bytes.ts'
import { sha256 } from '../../../base/digest.ts'
import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { decodeFrames } from '../../../format/frames.ts'
import { decompress } from '../../dist/wire.ts'
import { blobUrl } from './download-attempt.ts'
import { downloadSmall } from './download.ts'
import { isMirrorFault, mirrorFailures } from './mirror-failures.ts'
import type { needTarget } from './releases.ts'
import { refusedBy, request } from './request.ts'
import type { Frame } from '../../../format/frames.ts'
import type { FullWay, Update } from '../../../format/update.ts'
import type { TargetInfo, Trust } from '../../repo/trust-types.ts'
import type { Place } from './download.ts'
import type { Piece, Wanted } from './gather.ts'
import type { Session } from './session.ts'

/** Single files of a release over the network: by range, since a zstd dist is made of independent frames. */

const maxFramesBytes = 16 << 20

/** More than this share of the dist is better fetched as the whole dist, in one request and resumable. */
const maxShare = 0.5

export type FramePlan = {
  readonly dist: TargetInfo
  readonly frames: readonly Frame[]
  /** Of the frames. */
  readonly bytes: number
  /** Of the index, which has come by then. */
  readonly indexBytes: number
}

/** Undefined when the release has no frames, or when they would be more than `share` of the dist. */
export async function planFrames(
  session: Session,
  place: Place,
  trust: Trust,
  update: Update,
  wanted: readonly Wanted[],
  share: number = maxShare,
): Promise<FramePlan | undefined> {
  const way = update.full.find((full) => full.frames !== undefined)
  if (way?.frames === undefined) return undefined
  const [dist, index] = [await trust.target(way.target), await trust.target(way.frames.target)]
  if (dist === undefined || index === undefined) return undefined
  const all = (await downloadSmall(session, place, index, maxFramesBytes, decodeFrames)).value
  checkFrames(all, way, dist.value, update)
  const frames = all.filter((frame) =>
    wanted.some(({ entry, offset }) => offset < frame.start + frame.length && frame.start < offset + entry.size),
  )
  const bytes = frames.reduce((sum, frame) => sum + frame.size, 0)
  return bytes > way.size * share ? undefined : { dist: dist.value, frames, bytes, indexBytes: index.value.length }
}

/** The index is signed, but on its own: it must be that of this dist. */
function checkFrames(frames: readonly Frame[], way: FullWay, dist: TargetInfo, update: Update): void {
  const last = frames.at(-1)
  if (last !== undefined && last.offset + last.size === dist.length && last.start + last.length === update.release.tar.size) return
  throw new BinderyError('bad-format', 'is not the index of its dist', { subject: way.frames?.target })
}

/** The frames, unpacked, each verified by its digest before. `not-supported` when no mirror understands ranges. */
export async function* fetchFrames(session: Session, place: Place, { dist, frames }: FramePlan): AsyncIterable<Piece> {
  for (const frame of frames) {
    session.signal.throwIfAborted()
    const bytes = await fetchFrame(session, place, dist, frame)
    const unpacked = await collectBytes(decompress(oneChunk(bytes), frame.length), frame.length)
    if (unpacked?.length !== frame.length)
      throw new BinderyError('bad-format', 'a frame has another length than the index says', { subject: dist.path })
    yield { at: frame.start, bytes: unpacked }
  }
}

async function fetchFrame(session: Session, place: Place, dist: TargetInfo, frame: Frame): Promise<Uint8Array> {
  const urls = session.mirrors.of(place.urls)
  const failures = mirrorFailures(session, dist.path)
  for (const [i, base] of urls.entries()) {
    try {
      const bytes = await rangeFrom(session, blobUrl(base, dist), frame)
      place.meter.advance(bytes.length)
      return bytes
    } catch (error) {
      if (!isMirrorFault(error) && !isBinderyError(error, 'not-supported')) throw error
      failures.add(error, urls[i + 1])
      session.mirrors.failed(base)
    }
  }
  throw failures.last()
}

async function rangeFrom(session: Session, url: string, frame: Frame): Promise<Uint8Array> {
  const range = `bytes=${frame.offset}-${frame.offset + frame.size - 1}`
  const response = await request(session, url, { headers: { range } })
  // Read no further than the frame: a server that ignores the range would send the whole dist.
  const bytes = await collectBytes(response.body, response.status === 206 ? frame.size : 0)
  if (response.status === 200) throw new BinderyError('not-supported', 'ignores ranges', { subject: url })
  if (response.status !== 206) throw refusedBy(response, url)
  if (bytes === undefined || sha256(bytes) !== frame.sha256)
    throw new BinderyError('bad-digest', 'a frame does not have the digest that is signed', { subject: url })
  return bytes
}

/** The dist that holds the files of a release as a whole: the smallest. */
export async function wholeDist(
  trust: Trust,
  update: Update,
): Promise<{ readonly way: FullWay; readonly target: Awaited<ReturnType<typeof needTarget>> } | undefined> {
  const ways = [...update.full].sort((a, b) => a.size - b.size)
  for (const way of ways) {
    const target = await trust.target(way.target)
    if (target !== undefined) return { way, target }
  }
  return undefined
}
