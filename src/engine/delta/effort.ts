import { imageCosts, usualSearch } from './match.ts'
import type { ImageEffort } from './image/match-image.ts'
import type { Search } from './match.ts'
import type { CodecEffort } from './write-batch.ts'

/** How much a maker does for a smaller delta, from 0 to 9. */
export type Effort = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9

export const usualEffort: Effort = 6

/** What an effort means. What a reader is asked for, memory and time, has the same limits at all of them. */
export type Means = {
  /** How plain matching searches. Of several ways, the one of the smallest result is taken. */
  readonly searches: readonly Search[]
  /** How executables are matched; likewise, and plain matching is tried beside several. Where there is none they are like any other file. */
  readonly images: readonly ImageEffort[]
  /** Whether gzip files are compared by their contents. */
  readonly opensGzip: boolean
  readonly codecs: CodecEffort
}

const quick: Search = { ...usualSearch, candidates: 8 }
const quickest: Search = { ...usualSearch, candidates: 4, horizon: 32, farHorizon: 256 }
/** Fewer seeds miss some matches, and many that only look like one. */
const sparse: Search = { ...usualSearch, strideScale: 2 }
const finest: Search = { ...usualSearch, candidates: 64, strideScale: 1 / 4 }

const someSearches = [usualSearch, sparse]
const manySearches = [...someSearches, { ...sparse, candidates: 64 }, { ...sparse, horizon: 48 }]
const allSearches = [...manySearches, { ...sparse, horizon: 128 }, { ...finest, horizon: 96 }]

const image = (search: Search, passes = 2, costs = imageCosts): ImageEffort => ({ search, passes, costs })

/** Each is the best one for some program: what a switch must save, and how far one looks for it. */
const allImages = [
  image(finest, 3),
  image({ ...finest, horizon: 48 }, 3, { near: 3, far: 8 }),
  image({ ...finest, horizon: 48 }, 3, { near: 2, far: 12 }),
  image(finest, 3, { near: 5, far: 8 }),
]

const zstd = (level: number): CodecEffort => ({ zstdLevel: level, brotli: { program: 0, system: 0 }, brotliWays: 'usual' })
const withBrotli = (program: number, system: number): CodecEffort => ({ ...zstd(19), brotli: { program, system } })
const allBrotli = withBrotli(Infinity, Infinity)

/** By effort: each does what the one before it does, and something more (bindery-delta(1), --effort). */
const means: Readonly<Record<Effort, Means>> = {
  0: { searches: [quickest], images: [], opensGzip: false, codecs: zstd(1) },
  1: { searches: [quick], images: [], opensGzip: false, codecs: zstd(3) },
  2: { searches: [usualSearch], images: [], opensGzip: true, codecs: zstd(9) },
  3: { searches: [usualSearch], images: [image(usualSearch)], opensGzip: true, codecs: zstd(12) },
  4: { searches: [usualSearch], images: [image(usualSearch)], opensGzip: true, codecs: zstd(19) },
  5: { searches: [usualSearch], images: [image(usualSearch)], opensGzip: true, codecs: withBrotli(512 << 10, 128 << 10) },
  6: { searches: [usualSearch], images: [image(usualSearch)], opensGzip: true, codecs: withBrotli(3 << 20, 512 << 10) },
  7: { searches: someSearches, images: [image({ ...usualSearch, strideScale: 1 / 2 })], opensGzip: true, codecs: allBrotli },
  8: { searches: manySearches, images: [image(finest, 3)], opensGzip: true, codecs: allBrotli },
  9: { searches: allSearches, images: allImages, opensGzip: true, codecs: { ...allBrotli, brotliWays: 'all' } },
}

export function meansOf(effort: Effort): Means {
  return means[effort]
}
