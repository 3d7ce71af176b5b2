import { packIntoCache } from './cache.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Update } from '../../../format/update.ts'
import type { Route, RouteStep } from '../../update/route.ts'
import type { CachedFile } from './cache.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'
import type { NextBase } from './state-files.ts'

/** The base is folded when its deltas outgrow this share of it, or are so many that applying them takes long. */
const maxDeltaShare = 0.25
const maxDeltas = 16

export type FetchedRoute = {
  readonly route: Exclude<Route, { kind: 'none' }>
  /** What lies in the cache of it: a delta for each step, the dist, or contents of files. */
  readonly files: readonly CachedFile[]
  /** The dist, where it came whole. */
  readonly dist?: CachedFile | undefined
  readonly tar: () => ByteStream
}

/** What to keep for the update after this one. Folding passes over the new tar once, and so proves the deltas before anything is installed. */
export async function nextBase(
  session: Session,
  { enrolled, installed }: Offer,
  update: Update,
  { route, files, dist, tar }: FetchedRoute,
): Promise<NextBase> {
  if (enrolled.basis === 'installed') return { kind: 'none' }
  if (route.kind === 'full') {
    const isBase = dist !== undefined && route.way.codec === 'zstd'
    return { kind: 'new', file: isBase ? dist : await packTar(session, update, tar) }
  }
  const before = installed.base
  const deltas = [...(before?.deltas.map(({ file }) => file.size) ?? []), ...files.map(({ size }) => size)]
  const bytes = deltas.reduce((sum, size) => sum + size, 0)
  if (before === undefined || deltas.length > maxDeltas || bytes > before.file.size * maxDeltaShare) {
    session.explain('folding the kept deltas into a new base')
    return { kind: 'new', file: await packTar(session, update, tar) }
  }
  return { kind: 'longer', before, added: route.steps.map((step, i) => keptStep(step, files[i] as CachedFile)) }
}

function keptStep({ update }: RouteStep, blob: CachedFile): { blob: CachedFile; tar: Update['release']['tar'] } {
  return { blob, tar: update.release.tar }
}

/** The new tar compressed into the cache. */
export async function packTar({ disk, progress }: Session, update: Update, tar: () => ByteStream): Promise<CachedFile> {
  const { sha256, size } = update.release.tar
  const meter = progress.start('packing the base', size)
  try {
    return await packIntoCache(disk, `${sha256}.base`, metered(tar(), meter))
  } finally {
    meter.end()
  }
}

async function* metered(stream: ByteStream, meter: { advance(by: number): void }): ByteStream {
  for await (const bytes of stream) {
    meter.advance(bytes.length)
    yield bytes
  }
}
