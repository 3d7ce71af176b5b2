import { unreachable } from '../../base/error.ts'
import { openPair } from './gzip/plan.ts'
import { findReferences } from './image/find.ts'
import { gainCounter } from './image/gain.ts'
import { matchImages } from './image/match-image.ts'
import { seedIndexer } from './seed-index.ts'
import { smallestMatcher } from './smallest.ts'
import type { OpenedPair } from './gzip/plan.ts'
import type { Copies } from './image/copies.ts'
import type { GainOf } from './image/gain.ts'
import type { Image } from './image/image.ts'
import type { ImageEffort } from './image/match-image.ts'
import type { Search } from './match.ts'

/** What takes a maker long about a pair of files and needs no more than their bytes: done here, or on a thread (port/thread.ts). */
export type MatchTask =
  /** `start`: the old byte to begin with. */
  | { readonly kind: 'plain'; readonly old: Uint8Array; readonly next: Uint8Array; readonly start: number }
  | { readonly kind: 'image'; readonly old: Uint8Array; readonly next: Uint8Array; readonly effort: ImageEffort }
  | { readonly kind: 'gzip'; readonly old: Uint8Array; readonly next: Uint8Array }
  | { readonly kind: 'gain'; readonly old: Uint8Array; readonly next: Uint8Array }

/** Two gzip files opened, and the copies between their contents. */
export type MatchedGzip = { readonly pair: OpenedPair; readonly copies: Copies }

/** Copies are triples (start in next, start in old, length), ascending and disjoint in next; undefined where a file is not understood. */
export type MatchAnswers = {
  readonly plain: Copies
  readonly image: Copies | undefined
  readonly gzip: MatchedGzip | undefined
  readonly gain: number
}

/** All share the memory of one index. */
export type Matchers = {
  plain(old: Uint8Array, next: Uint8Array, start: number): Copies
  images(old: Image, next: Image, effort: ImageEffort): Copies
  gzip(old: Uint8Array, next: Uint8Array): MatchedGzip | undefined
  readonly gain: GainOf
  /** Gives that memory back. */
  release(): void
}

/** `searches`: the ways of plain matching, of which the smallest is taken. */
export function newMatchers(searches: readonly Search[]): Matchers {
  const indexer = seedIndexer()
  const { match } = smallestMatcher(searches, indexer)
  const plain = (old: Uint8Array, next: Uint8Array, start: number): Copies => Int32Array.from(match(old, next, start))
  return {
    plain,
    images: (old, next, effort) => matchImages(old, next, effort, indexer),
    gzip: (old, next) => {
      const pair = openPair(old, next)
      return pair && { pair, copies: plain(pair.oldContent, pair.content, 0) }
    },
    gain: gainCounter(indexer),
    release: indexer.release,
  }
}

export type MatchWork = (task: MatchTask) => MatchAnswers[MatchTask['kind']]

export function matchWork(searches: readonly Search[]): MatchWork {
  const matchers = newMatchers(searches)
  return (task) => {
    const { kind, old, next } = task
    switch (kind) {
      case 'plain':
        return matchers.plain(old, next, task.start)
      case 'image': {
        const [oldImage, nextImage] = [findReferences(old), findReferences(next)]
        return oldImage && nextImage && matchers.images(oldImage, nextImage, task.effort)
      }
      case 'gzip':
        return matchers.gzip(old, next)
      case 'gain':
        return matchers.gain(old, next)
      default:
        return unreachable(kind)
    }
  }
}
