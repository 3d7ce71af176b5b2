import { equalBytes } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { bzip2 } from '../../../format/bzip2-encode.ts'
import type { Opened } from './methods.ts'

/** One stream by bzip2-1.0, which has chosen in the same way since 2000. The recipe is its level. */

export function openBzip2(bytes: Uint8Array, content: Uint8Array): Opened | undefined {
  const level = (bytes[3] ?? 0) - 0x30
  if (level < 1 || level > 9 || !equalBytes(bzip2(content, level), bytes)) return undefined
  return { content, recipe: Uint8Array.of(level), by: `bzip2 -${level}` }
}

export function closeBzip2(content: Uint8Array, recipe: Uint8Array): Uint8Array {
  const [level = 0] = recipe
  if (recipe.length !== 1 || level < 1 || level > 9) throw new BinderyError('bad-format', 'the recipe of a bzip2 file is damaged')
  return bzip2(content, level)
}
