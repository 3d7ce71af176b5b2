import { codePiece } from './code-piece.ts'
import { deltaEncoder } from './delta-encode.ts'
import { matcher, plainCosts } from './match.ts'
import { compressedSize } from './write-batch.ts'
import type { DeltaEncoder } from './delta-encode.ts'
import type { MatchedImage } from './image/encode.ts'
import type { Copies } from './image/copies.ts'
import type { Matcher, Search } from './match.ts'
import type { SeedIndexer } from './seed-index.ts'

/**
 * Where an effort has several ways to the same bytes, all of them are tried. What each takes is an estimate: in the delta its
 * streams are compressed with those of others.
 */

/** Matches in each of the ways, and answers the copies that take least; those of the first of equals. */
export function smallestMatcher(searches: readonly Search[], indexer: SeedIndexer): Matcher {
  const matchers = searches.map((search) => matcher(plainCosts, search, indexer))
  return {
    match: (old, next, start) => {
      const found = matchers.map(({ match }) => match(old, next, start))
      const [first = [], ...others] = found.filter((copies, i) => found.findIndex((one) => isSame(one, copies)) === i)
      let [best, least] = [first, others.length === 0 ? 0 : plainSize(first, old, next)]
      for (const copies of others) {
        const size = plainSize(copies, old, next)
        if (size < least) [best, least] = [copies, size]
      }
      return best
    },
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i])
}

/**
 * Of several ways to an image the smallest, if that is smaller than plain matching with these copies. Undefined where there is
 * none.
 */
export function smallestImage({ imageSize }: DeltaEncoder, images: readonly MatchedImage[], plainCopies: Copies): MatchedImage | undefined {
  const [first] = images
  if (first === undefined) return undefined
  let best: MatchedImage | undefined
  let least = plainSize(plainCopies, first.old.bytes, first.next)
  for (const image of images) {
    const size = imageSize(image)
    if (size < least) [best, least] = [image, size]
  }
  return best
}

function plainSize(copies: readonly number[] | Copies, old: Uint8Array, next: Uint8Array): number {
  const encoder = deltaEncoder({ window: Infinity, batchLimit: 1 << 28, modelLiterals: true })
  codePiece(encoder, copies, next, { bytes: old, start: 0 })
  return encoder
    .take(true)
    .flatMap(({ streams }) => Object.values(streams))
    .reduce((sum, bytes) => sum + compressedSize(bytes), 0)
}
