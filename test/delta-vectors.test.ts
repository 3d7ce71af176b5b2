import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../src/base/digest.ts'
import { decodeSections } from '../src/engine/delta/sections.ts'
import { streamNames } from '../src/format/delta-batch.ts'
import { deltaVectors } from './helpers/delta-vectors.ts'
import { openDelta, streamOf } from './helpers/delta-parts.ts'
import { patched, refusedWith } from './helpers/delta.ts'
import { Refused } from './second-decoder/bytes.ts'
import { decodeDelta } from './second-decoder/delta.ts'
import type { ErrorCode } from '../src/base/error.ts'

const vectors = deltaVectors()

for (const { name, what, delta, old, result } of vectors) {
  test(`${name}: ${what}`, async () => {
    if (result.kind === 'refused') {
      await refusedWith(patched(delta, old), result.code as ErrorCode)
      assert.throws(() => decodeDelta(delta, old), Refused)
      return
    }
    assert.equal(sha256(await patched(delta, old)), sha256(result.bytes))
    assert.equal(sha256(decodeDelta(delta, old)), sha256(result.bytes))
  })
}

test('good vectors have every coding, stream and codec, and bad ones every code of a refusal', () => {
  const used = new Set<string>()
  for (const { delta, result } of vectors) {
    if (result.kind === 'refused') {
      used.add(result.code)
      continue
    }
    for (const batch of openDelta(delta).batches) {
      for (const { number, codec } of batch.streams) used.add(`codec ${codec}`).add(streamNames[number] as string)
      for (const section of decodeSections({ bytes: streamOf(batch, 'sections'), at: 0 }, batch.newSize))
        used.add(section.kind === 'image' && section.plainLiterals !== undefined ? 'image, plain literals' : section.kind)
    }
  }
  const codecs = ['codec 0', 'codec 1', 'codec 2']
  const codings = ['plain', 'image', 'gzip', 'image, plain literals']
  const codes: readonly ErrorCode[] = ['bad-digest', 'bad-format', 'over-limit', 'wrong-base']
  assert.deepEqual([...used].sort(), [...codecs, ...codings, ...codes, ...streamNames].sort())
})
