import assert from 'node:assert/strict'
import { concatBytes } from '../../src/base/bytes.ts'
import { matchImage } from '../../src/engine/delta/image/encode.ts'
import { imageModels } from '../../src/engine/delta/image/models.ts'
import { rangeEncoder } from '../../src/engine/delta/image/range-coder.ts'
import { walkImage } from '../../src/engine/delta/image/walk.ts'

export type CodedImage = { readonly images: Uint8Array; readonly imageChanges: Uint8Array; readonly literals: Uint8Array }

/** The streams that make `next` from `old`, with literals modelled (coding 1) or beside the image (coding 3). */
export function codedImage(old: Uint8Array, next: Uint8Array, literalsAre: 'plain' | 'modelled'): CodedImage {
  const matched = matchImage(old, next)
  assert.ok(matched)
  const coders = { main: rangeEncoder(), changes: rangeEncoder() }
  const literals: Uint8Array[] = []
  const plainLiterals = literalsAre === 'plain' ? (part: Uint8Array): void => void literals.push(part.slice()) : undefined
  walkImage({ coders, models: imageModels(), old: matched.old, next: next.slice(), plan: matched.plan, plainLiterals })
  return { images: coders.main.take(), imageChanges: coders.changes.take(), literals: concatBytes(literals) }
}
