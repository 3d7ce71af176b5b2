import { collectBytes } from '../../../base/bytes.ts'
import { normalised, sameNormalised } from './normalise.ts'
import { learnStamps, sameButStamps } from './stamps.ts'
import type { RelPath } from '../../../base/path.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { Normalised, NoisyFormat } from './normalise.ts'
import type { Stamps } from './stamps.ts'

/** The trees that hold the contents: what was shipped, and one build or two of what may be shipped now. */
export type Builds = {
  readonly shipped: DiskReader
  readonly first: DiskReader
  /** By a clock that was moved, if it could be; undefined where there was one build alone. */
  readonly second?: DiskReader | undefined
}

/** `formats`: whose noise was taken off, the outermost first; places of stamps are those in what is left. */
export type Noise =
  | { readonly kind: 'formats'; readonly formats: readonly NoisyFormat[] }
  | { readonly kind: 'stamps'; readonly formats: readonly NoisyFormat[]; readonly stamps: Stamps }

export type Verdict =
  /** The file keeps the bytes that were shipped. */
  { readonly kind: 'noise'; readonly noise: Noise } | { readonly kind: 'real'; readonly because: RealReason }

export type RealReason =
  /** There is no second build to learn stamps from, or the file is not in it. */
  | 'built once'
  /** Two builds made the same: what differs from the shipped file is no stamp. */
  | 'built alike'
  /** Two builds differ by more than stamps explain. */
  | 'not stamps'
  /** The file has stamps, and differs in more than those. */
  | 'beside stamps'
  | 'too large'

/** Larger files are not looked at: three are in memory at a time. None of a base system is. */
export const mostNoisyBytes: number = 128 << 20

/** Of files that are in `shipped` and in `first`, with contents that differ. */
export async function judgeNoise(path: RelPath, builds: Builds, limit: number = mostNoisyBytes): Promise<Verdict> {
  const shipped = await contentOf(builds.shipped, path, limit)
  const first = await contentOf(builds.first, path, limit)
  if (shipped === undefined || first === undefined) return { kind: 'real', because: 'too large' }
  if (sameNormalised(shipped, first)) return { kind: 'noise', noise: { kind: 'formats', formats: first.formats } }
  const second = builds.second && (await isFile(builds.second, path)) ? await contentOf(builds.second, path, limit) : undefined
  return second === undefined ? { kind: 'real', because: 'built once' } : judgeStamps(shipped, first, second)
}

function judgeStamps(shipped: Normalised, first: Normalised, second: Normalised): Verdict {
  const { formats } = first
  if (sameNormalised(first, second)) return { kind: 'real', because: 'built alike' }
  const alike = formats.join() === second.formats.join()
  const stamps = alike ? learnStamps(first.bytes, second.bytes) : undefined
  if (stamps === undefined) return { kind: 'real', because: 'not stamps' }
  const isNoise = formats.join() === shipped.formats.join() && sameButStamps(shipped.bytes, first.bytes, stamps)
  return isNoise ? { kind: 'noise', noise: { kind: 'stamps', formats, stamps } } : { kind: 'real', because: 'beside stamps' }
}

async function isFile(tree: DiskReader, path: RelPath): Promise<boolean> {
  return (await tree.lstat(path))?.kind === 'file'
}

async function contentOf(tree: DiskReader, path: RelPath, limit: number): Promise<Normalised | undefined> {
  const bytes = await collectBytes(tree.read(path), limit)
  return bytes && normalised(path, bytes, limit)
}
