import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matcher } from '../src/engine/delta/match.ts'
import { noise } from './helpers/noise.ts'

/** Counts every byte that is looked at; words that are read through a view come on top, as many at most. */
function counted(bytes: Uint8Array, tally: { reads: number }): Uint8Array {
  return new Proxy(bytes, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value === 'number' && key !== 'length' && key !== 'byteLength' && key !== 'byteOffset') tally.reads++
      return value
    },
  })
}

function readsOf(old: Uint8Array, next: Uint8Array): number {
  const tally = { reads: 0 }
  matcher().match(counted(old, tally), counted(next, tally), 0)
  return tally.reads
}

function periodic(size: number, period: number): Uint8Array {
  const unit = noise(period, period).content
  return new Uint8Array(size).map((_, i) => unit[i % period] as number)
}

/** Every `step`th byte is another one. */
function withDifferences(bytes: Uint8Array, step: number): Uint8Array {
  return bytes.map((byte, i) => (i % step === step - 1 ? byte ^ 0x55 : byte))
}

/** What candidates and stretches may look at, for each byte of both sides, whatever the sizes. */
const mostReads = 150

function assertLinear(old: Uint8Array, next: Uint8Array): void {
  const reads = readsOf(old, next)
  assert.ok(reads <= mostReads * (old.length + next.length), `${reads} reads for ${old.length} and ${next.length} bytes`)
}

for (const period of [1, 3, 64, 1000]) {
  test(`where bytes repeat every ${period}, the work for each byte has a bound`, () => {
    for (const size of [4 << 10, 16 << 10]) {
      const [old, grown] = [periodic(size, period), periodic(2 * size, period)]
      for (const [a, b] of [
        [old, grown],
        [grown, old],
        [old, withDifferences(grown, 997)],
        [withDifferences(old, 1003), withDifferences(grown, 997)],
      ] as const)
        assertLinear(a, b)
    }
  })
}

test('so it is for stretches that repeat one after the other', () => {
  const stretch = fc
    .record({ size: fc.nat({ max: 4000 }), period: fc.integer({ min: 1, max: 300 }), step: fc.integer({ min: 30, max: 2000 }) })
    .map(({ size, period, step }) => withDifferences(periodic(size, period), step))
  const side = fc.array(stretch, { maxLength: 6 }).map((parts) => new Uint8Array(Buffer.concat(parts)))
  fc.assert(
    fc.property(side, side, (old, next) => {
      assertLinear(old, next)
    }),
    { numRuns: 40 },
  )
})
