import { utf8 } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'

/** What chance has for these words: from 0 up to 1, the same each time, and nothing like it for other words. */
export function draw(...words: readonly string[]): number {
  return parseInt(sha256(utf8(words.join('\n'))).slice(0, 12), 16) / 2 ** 48
}
