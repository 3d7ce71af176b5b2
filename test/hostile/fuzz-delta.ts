import { inspect, parseArgs } from 'node:util'
import { damagedDelta, openSamples } from '../helpers/damaged-deltas.ts'
import { deltaSamples } from '../helpers/delta-samples.ts'
import { judge } from '../helpers/delta-judge.ts'

/** `make fuzz-delta`: judges many damaged deltas, and counts. Options: `--count`, `--from`, a seed. */
const { values } = parseArgs({ options: { count: { type: 'string', default: '100000' }, from: { type: 'string', default: '1' } } })
const [count, from] = [Number(values.count), Number(values.from)]

const samples = openSamples(await deltaSamples())
const verdicts = new Map<string, number>()
const failed: number[] = []
let slowest = { seed: 0, seconds: 0 }
const started = performance.now()
for (let seed = from; seed < from + count; seed++) {
  const damaged = damagedDelta(samples, seed)
  const before = performance.now()
  try {
    const verdict = await judge(damaged)
    const name = verdict.kind === 'refused' ? verdict.code : verdict.kind
    verdicts.set(name, (verdicts.get(name) ?? 0) + 1)
  } catch (error) {
    failed.push(seed)
    process.stdout.write(`seed ${seed}, ${damaged.sample.name}, ${damaged.how}: ${inspect(error)}\n`)
  }
  const seconds = (performance.now() - before) / 1000
  if (seconds > slowest.seconds) slowest = { seed, seconds }
  if ((seed - from + 1) % 10_000 === 0) process.stdout.write(`${seed - from + 1} deltas, ${failed.length} failed\n`)
}

const total = ((performance.now() - started) / 1000).toFixed(0)
const peak = Math.round(process.resourceUsage().maxRSS / 1024)
process.stdout.write(`${count} damaged deltas in ${total} s: ${[...verdicts].map(([name, times]) => `${times} ${name}`).join(', ')}\n`)
process.stdout.write(
  `failed: ${failed.length}; slowest: ${slowest.seconds.toFixed(2)} s (seed ${slowest.seed}); most memory: ${peak} MiB\n`,
)
process.exitCode = failed.length > 0 || slowest.seconds > 20 || peak > 1024 ? 1 : 0
