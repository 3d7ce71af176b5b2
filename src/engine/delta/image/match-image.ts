import { programHeadersEnd } from '../../../format/elf.ts'
import { imageCosts, matcher, usualSearch } from '../match.ts'
import { Guesses } from './guesses.ts'
import { maskReferences } from './mask.ts'
import type { Copies } from './copies.ts'
import type { Search, SwitchCosts } from '../match.ts'
import type { SeedIndexer } from '../seed-index.ts'
import type { Image } from './image.ts'

/** How often two images are matched, at least once, and how. */
export type ImageEffort = { readonly passes: number; readonly search: Search; readonly costs: SwitchCosts }

export const usualImageEffort: ImageEffort = { passes: 2, search: usualSearch, costs: imageCosts }

/**
 * Copies between two images, in two passes: the first with all references masked, the second with each showing where it is
 * thought to lead. They begin behind the program headers of the new one, which are copied by themselves.
 */
export function matchImages(old: Image, next: Image, effort: ImageEffort, indexer?: SeedIndexer): Copies {
  const { match } = matcher(effort.costs, effort.search, indexer)
  let copies = behindHeaders(match(maskReferences(old, undefined), maskReferences(next, undefined), 0), next)
  for (let pass = 1; pass < effort.passes; pass++) {
    const guesses = new Guesses(old, next.layout, copies)
    const asGuessed = maskReferences(old, (number) => guesses.guess(number))
    copies = behindHeaders(
      match(
        asGuessed,
        maskReferences(next, (number) => next.numbered.addresses[number] as number),
        0,
      ),
      next,
    )
  }
  return copies
}

function behindHeaders(copies: readonly number[], { bytes }: Image): Copies {
  const start = programHeadersEnd(bytes)
  const kept: number[] = []
  for (let i = 0; i < copies.length; i += 3) {
    const [to, from, length] = [copies[i] as number, copies[i + 1] as number, copies[i + 2] as number]
    const cut = Math.max(0, start - to)
    if (cut < length) kept.push(to + cut, from + cut, length - cut)
  }
  return Int32Array.from(kept)
}
