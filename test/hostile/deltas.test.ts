import { test } from 'node:test'
import { damagedDelta, openSamples } from '../helpers/damaged-deltas.ts'
import { judge } from '../helpers/delta-judge.ts'
import { deltaSamples } from '../helpers/delta-samples.ts'
import { cases } from '../helpers/whole-suite.ts'

/** The first seeds of `make fuzz-delta`. */
test('damaged deltas of every coding: refused, or right, and as the second decoder has it', async () => {
  const samples = openSamples(await deltaSamples())
  for (let seed = 1; seed <= cases(500); seed++) await judge(damagedDelta(samples, seed))
})
