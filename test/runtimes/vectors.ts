import assert from 'node:assert/strict'
import { deltaVectors } from '../helpers/delta-vectors.ts'
import { Refused } from '../second-decoder/bytes.ts'
import { decodeDelta } from '../second-decoder/delta.ts'

/** Every vector through the second decoder, on the Node that runs this. */
for (const { name, delta, old, result } of deltaVectors()) {
  if (result.kind === 'refused') assert.throws(() => decodeDelta(delta, old), Refused, name)
  else assert.ok(Buffer.compare(decodeDelta(delta, old), result.bytes) === 0, name)
}
