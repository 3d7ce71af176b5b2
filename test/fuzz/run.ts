import { parseArgs } from 'node:util'
import { decoders } from './decoders.ts'
import { corpusOf, fuzz, judge, keep } from './fuzz.ts'
import type { Decoder } from './decoders.ts'

/** `make fuzz`: the corpus, then rounds over all decoders for so many minutes, and a table. What is bad is kept, as small as it could be made. */

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, only: text, count: { ...text, default: '1000' }, seed: text } })
const [count, first] = [Number(values.count), Number(values.seed ?? Math.floor(Date.now() / 1000) % 0x7fff_ffff)]
const end = performance.now() + Number(values.minutes ?? 0) * 60_000
const only = values.only?.split(',')
const chosen = decoders.filter(({ name }) => only?.includes(name) !== false)
const rows = new Map(chosen.map(({ name }) => [name, { accepted: 0, refused: 0, bad: 0 }]))

function tell(decoder: Decoder, input: Uint8Array, why: string): void {
  process.stdout.write(`${decoder.name}: ${why}: ${keep(decoder, input, why)}\n`)
}

for (const decoder of chosen)
  for (const input of corpusOf(decoder)) {
    const row = rows.get(decoder.name) as { accepted: number; refused: number; bad: number }
    try {
      row[await judge(decoder, input)]++
    } catch (error) {
      row.bad++
      process.stdout.write(`${decoder.name}: of the corpus: ${String(error)}\n`)
    }
  }
let seed = first
do {
  for (const decoder of count === 0 ? [] : chosen) {
    const row = rows.get(decoder.name) as { accepted: number; refused: number; bad: number }
    const { accepted, refused, bad } = await fuzz(decoder, { count, seed })
    row.accepted += accepted
    row.refused += refused
    if (bad === undefined) continue
    row.bad++
    tell(decoder, bad.input, bad.why)
  }
  seed++
} while (performance.now() < end)

process.stdout.write(`\nseeds ${first} to ${seed - 1}\n\n| decoder | inputs | accepted | refused | bad |\n|---|---:|---:|---:|---:|\n`)
for (const [name, { accepted, refused, bad }] of rows)
  process.stdout.write(`| ${name} | ${accepted + refused + bad} | ${accepted} | ${refused} | ${bad} |\n`)
process.exitCode = [...rows.values()].some(({ bad }) => bad > 0) ? 1 : 0
