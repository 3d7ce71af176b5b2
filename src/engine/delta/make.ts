import { createHash } from 'node:crypto'
import { encodeDeltaFront, maxBlocks, memoryNeed } from '../../format/delta.ts'
import { endOfBatches } from '../../format/delta-batch.ts'
import { inOrder } from '../dist/blocks.ts'
import { usualMemory } from './apply.ts'
import { codeSegments } from './code.ts'
import { meansOf, usualEffort } from './effort.ts'
import { largestProgram } from './reader-time.ts'
import { planGzip } from './gzip/plan.ts'
import { planImages } from './image/plan.ts'
import { pairMembers } from './pair.ts'
import { matcherHere, matcherOnThreads } from './pair-matcher.ts'
import { planDelta } from './plan.ts'
import { sourceView } from './source-view.ts'
import { survey } from './survey.ts'
import { batchCompressor } from './write-batch.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { DeltaHeader } from '../../format/delta.ts'
import type { Meter } from '../../port/ambient.ts'
import type { ByteSource } from '../../port/source.ts'
import type { TarMember } from '../../format/tar-members.ts'
import type { Threads } from '../../port/thread.ts'
import type { Effort, Means } from './effort.ts'
import type { DigestOf } from './pair.ts'
import type { PairMatcher } from './pair-matcher.ts'
import type { DeltaWatch } from './watch.ts'

/** What is done for a delta, and by how many. */
export type Making = {
  /** `usualEffort` where nothing is said. */
  readonly effort?: Effort | undefined
  /** How many pairs of files are matched at the same time, each on a thread of its own; the bytes are the same. */
  readonly jobs?: number | undefined
  readonly threads?: Threads | undefined
}

export type DeltaInput = Making & {
  readonly old: ByteSource
  readonly new: ByteSource
  /** Names of dists, or empty. */
  readonly oldName: string
  readonly newName: string
  /** Advanced by bytes of the new side. */
  readonly meter?: Meter | undefined
  readonly signal?: AbortSignal | undefined
  readonly watch?: DeltaWatch | undefined
  /** For readers with less memory than usual, at the cost of larger deltas. */
  readonly limits?: DeltaLimits | undefined
  /** Where the sides are more than tars. */
  readonly members?: { readonly old: readonly TarMember[]; readonly new: readonly TarMember[] } | undefined
}

/** What the reader must be able to hold: see the fields of the same names in the delta's header. */
export type DeltaLimits = Pick<DeltaHeader, 'window' | 'batchLimit' | 'blockSize'>

const digestSize = 16

/** Batches that are compressed while the next one is made. */
const atOnce = 2

/**
 * A delta from `old` to `new`, both uncompressed tars at best, but any bytes will do. Reads both several times and holds
 * neither as a whole; the same input gives the same bytes.
 */
export async function* makeDelta(input: DeltaInput): ByteStream {
  const means = meansOf(input.effort ?? usualEffort)
  const { jobs = 1, threads } = input
  const pool = jobs === 1 ? undefined : threads?.start('match', means.searches, jobs)
  const matcher = pool === undefined ? matcherHere(means.searches) : matcherOnThreads(pool, jobs)
  try {
    yield* makeWith(input, means, matcher)
  } finally {
    await matcher.end()
  }
}

async function* makeWith(input: DeltaInput, means: Means, matcher: PairMatcher): ByteStream {
  const limits = input.limits ?? usualLimits(Math.max(input.old.size, input.new.size))
  const old = await survey(input.old, limits.blockSize, digestSize, input.signal, input.members?.old)
  const next = await survey(input.new, limits.blockSize, digestSize, input.signal, input.members?.new)
  const pairs = await pairMembers(old.members, next.members, digestOf(input))
  const plan = planDelta(old, next, pairs, limits.window)
  const { oldName, newName } = input
  const sides = { oldName, newName, old: old.side, new: next.side }
  const header = { ...sides, ...limits, digestSize, retained: plan.retained, codingMemory: 0 }
  const room = roomForCodings(header)
  const views = { old: sourceView(input.old, matcher.atOnce === 1), next: sourceView(input.new, matcher.atOnce === 1) }
  const images = await planImages(plan, views, { window: limits.window, memory: means.images.length === 0 ? 0 : room }, matcher)
  const gzips = await planGzip(plan, views, means.opensGzip ? room - images.memory : 0)
  // Each takes its room for all of the delta: a reader may have both at the same time.
  const codingMemory = images.memory + gzips.memory
  const front = encodeDeltaFront({ ...header, codingMemory }, { old: old.digests, new: next.digests })
  input.watch?.planned({ old: old.members, next: next.members, pairs, frontSize: front.length })
  yield front
  const batches = codeSegments({ ...input, ...limits, views, plan, means, matcher, images: images.segments, gzips: gzips.segments })
  for await (const { head, bytes } of inOrder(batches, atOnce, batchCompressor(next.side.size, means.codecs))) {
    input.watch?.compressed(head, bytes.length)
    yield bytes
  }
  yield endOfBatches
}

const largeBlock = 16 << 20

/**
 * Digests of blocks cost their bytes in every delta, large blocks cost the reader memory: a small program is one
 * block, a system has blocks of 2 MiB, and what is larger than they are counted for has larger ones.
 */
function usualLimits(size: number): DeltaLimits {
  const isSystem = size > largestProgram
  let blockSize = size <= largeBlock ? largeBlock : isSystem ? 2 << 20 : 4 << 20
  while (size / blockSize > maxBlocks) blockSize *= 2
  // An executable is one section, and a section is never divided: what it takes at worst must fit into a batch.
  const batchLimit = isSystem || size <= largeBlock / 2 ? 8 << 20 : 16 << 20
  return { window: (isSystem ? 16 : 32) << 20, batchLimit, blockSize }
}

/** What images and gzip files may take of a reader's memory: with all else never more than it usually grants. */
function roomForCodings(header: DeltaHeader): number {
  return Math.min(4 * header.window + (16 << 20), usualMemory - memoryNeed(header))
}

const readSize = 1 << 20

function digestOf(input: DeltaInput): DigestOf {
  const room = new Uint8Array(readSize)
  return async (side, { contentStart, contentSize }) => {
    const hash = createHash('sha256')
    const end = contentStart + contentSize
    for (let at = contentStart; at < end; at += readSize) hash.update(await input[side].read(at, Math.min(end, at + readSize), room))
    return hash.digest('hex')
  }
}
