import { BinderyError } from '../../../base/error.ts'
import { closeGzip } from './close-gzip.ts'
import { gzipContent } from './content.ts'
import type { GzipSection } from '../sections.ts'
import type { Chains } from './predict.ts'

/** The reader's part of a gzip file in a delta (doc/spec/gzip-recipe.md). */

/** What a reader needs to make a gzip file: both contents, tables for its matches, the file itself. */
export function gzipMemory(oldContentSize: number, contentSize: number, size: number): number {
  return oldContentSize + 7 * contentSize + 2 * size + (1 << 20)
}

/** The content of the old file of a section; `memory`: what the delta's header grants. */
export function openOld(old: Uint8Array, section: GzipSection, memory: number): Uint8Array {
  if (gzipMemory(section.oldContentSize, section.contentSize, section.size) > memory)
    throw new BinderyError('over-limit', 'a gzip file in the delta takes more memory than its header says')
  const content = gzipContent(old, section.oldContentSize)
  if (content?.length !== section.oldContentSize) throw new BinderyError('bad-format', 'the delta takes for a gzip file what is none')
  return content
}

export function closeNew(content: Uint8Array, recipe: Uint8Array, size: number, chains: Chains): Uint8Array {
  const made = closeGzip(content, recipe, size, chains)
  if (made.length !== size) throw new BinderyError('bad-format', 'a gzip file in the delta has another size than it says')
  return made
}
