import assert from 'node:assert/strict'
import { collectBytes, oneChunk } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { applyDelta } from '../../src/engine/delta/apply.ts'
import { deltaVectors } from '../helpers/delta-vectors.ts'
import { Refused } from '../second-decoder/bytes.ts'
import { decodeDelta } from '../second-decoder/delta.ts'

/** Every vector through both decoders, on the Node that runs this. */
for (const { name, delta, old, result } of deltaVectors()) {
  const patched = collectBytes(applyDelta(oneChunk(delta), oneChunk(old)), 1 << 26)
  if (result.kind === 'refused') {
    await assert.rejects(patched, (error) => isBinderyError(error) && error.code === result.code, name)
    assert.throws(() => decodeDelta(delta, old), Refused, name)
  } else {
    assert.ok(Buffer.compare((await patched) ?? Buffer.of(), result.bytes) === 0, name)
    assert.ok(Buffer.compare(decodeDelta(delta, old), result.bytes) === 0, name)
  }
}
