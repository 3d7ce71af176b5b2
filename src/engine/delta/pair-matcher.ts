import { imagePair, matchedImage, newScratches } from './image/encode.ts'
import { newMatchers } from './match-work.ts'
import type { ThreadPool } from '../../port/thread.ts'
import type { Copies } from './image/copies.ts'
import type { MatchedImage } from './image/encode.ts'
import type { ImageEffort } from './image/match-image.ts'
import type { MatchAnswers, MatchedGzip, MatchTask } from './match-work.ts'
import type { Search } from './match.ts'

/** How pairs of files are matched: the same answers whoever does it. Bytes must stay as they are until there is one. */
export type PairMatcher = {
  /** How many pairs are matched at the same time. */
  readonly atOnce: number
  plain(old: Uint8Array, next: Uint8Array, start: number): Promise<Copies>
  /** For each of the ways, but for those in which it cannot be coded. Where one pair is matched at a time, good until the next. */
  image(old: Uint8Array, next: Uint8Array, efforts: readonly ImageEffort[]): Promise<readonly MatchedImage[]>
  gzip(old: Uint8Array, next: Uint8Array): Promise<MatchedGzip | undefined>
  gain(old: Uint8Array, next: Uint8Array): Promise<number>
  /** Gives memory and threads back: nothing more is matched. More than once does no harm. */
  end(): Promise<void>
}

export function matcherHere(searches: readonly Search[]): PairMatcher {
  const matchers = newMatchers(searches)
  const scratches = newScratches()
  return {
    atOnce: 1,
    plain: async (old, next, start) => matchers.plain(old, next, start),
    image: async (old, next, efforts) => {
      const pair = imagePair(old, next, scratches)
      return pair === undefined ? [] : efforts.flatMap((effort) => matchedImage(pair, matchers.images(pair.old, pair.next, effort)) ?? [])
    },
    gzip: async (old, next) => matchers.gzip(old, next),
    gain: async (old, next) => matchers.gain(old, next),
    end: async () => {
      for (const { release } of [matchers, scratches.old, scratches.next]) release()
    },
  }
}

/** `pool`: of so many threads, which do `matchWork`. */
export function matcherOnThreads(pool: ThreadPool, threads: number): PairMatcher {
  const run = async <K extends MatchTask['kind']>(task: MatchTask & { readonly kind: K }): Promise<MatchAnswers[K]> =>
    (await pool.run(sendable(task))) as MatchAnswers[K]
  let ended: Promise<void> | undefined
  return {
    atOnce: threads,
    plain: async (old, next, start) => await run({ kind: 'plain', old, next, start }),
    image: async (old, next, efforts) => {
      const found = await Promise.all(efforts.map(async (effort) => await run({ kind: 'image', old, next, effort })))
      // References are found again: sooner than they are copied from there to here.
      const pair = found.some((copies) => copies !== undefined) ? imagePair(old, next) : undefined
      return pair === undefined ? [] : found.flatMap((copies) => (copies && matchedImage(pair, copies)) ?? [])
    },
    gzip: async (old, next) => await run({ kind: 'gzip', old, next }),
    gain: async (old, next) => await run({ kind: 'gain', old, next }),
    end: async () => await (ended ??= pool.end()),
  }
}

/** Of a view the whole memory behind it would be copied. */
function sendable(task: MatchTask): MatchTask {
  return { ...task, old: compact(task.old), next: compact(task.next) }
}

function compact(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice()
}
