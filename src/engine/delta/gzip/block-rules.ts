import { distanceCode, distanceExtra } from './symbols.ts'
import { windowBase } from './window.ts'
import type { Prediction } from './predict.ts'
import type { Rules } from './rules.ts'

/** gzip thinks about closing a block after each so many tokens. */
const early = 4096

/** How many tokens may be in a block, of which there are `count`, before `closesBlock` must be asked again. */
export function nextQuestion(rules: Rules, count: number): number {
  return rules.earlyBlocks ? Math.min(count - (count % early) + early, rules.blockTokens) : rules.blockTokens
}

/** Whether a block that began at `start` ends with its token number `count`, which begins at `at`. */
export function closesBlock(p: Prediction, tokens: Int32Array, count: number, start: number, at: number): boolean {
  return count === p.rules.blockTokens || compressesWell(tokens, count, lookedAt(p, at) - start)
}

/** The position that was looked at last when the token at `at` was chosen: lazy ones are one ahead. */
function lookedAt({ rules }: Prediction, at: number): number {
  return rules.fast ? at : at + 1
}

/** Less than half matches, and an upper bound of what they take is less than half of what they make. */
function compressesWell(tokens: Int32Array, count: number, made: number): boolean {
  const enough = (made >> 1) << 3
  let bits = 8 * count
  let matches = 0
  // As a rule it is too much long before the end.
  for (let i = 0; i < count && bits < enough; i++) {
    const distance = (tokens[i] as number) & 0xffff
    if (distance === 0) continue
    matches++
    bits += 5 + (distanceExtra[distanceCode(distance)] as number)
  }
  return matches < count >> 1 && bits < enough
}

/** Whether the bytes of a block from `start` on can still be stored when its last token begins at `at`. */
export function isStillThere(p: Prediction, start: number, at: number): boolean {
  return start >= windowBase(p, Math.min(p.end, lookedAt(p, at)))
}
