import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '../src/base/bytes.ts'
import { decoders } from './fuzz/decoders.ts'
import { corpusOf, fuzz, judge } from './fuzz/fuzz.ts'

/** A slice of `make fuzz`, other inputs each day, and everything that was ever taken wrongly. */

const today = Math.floor(Date.now() / 86_400_000)

for (const decoder of decoders)
  test(`${decoder.name}: whatever comes is refused, or is what it says`, async () => {
    for (const sample of decoder.samples) assert.equal(await judge(decoder, sample), 'accepted')
    for (const input of corpusOf(decoder)) await judge(decoder, input)
    const { bad } = await fuzz(decoder, { count: 40, seed: today })
    assert.equal(bad, undefined, bad === undefined ? '' : `${bad.why}: ${hex(bad.input)}`)
  })
