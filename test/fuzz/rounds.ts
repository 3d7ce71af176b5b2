import { workerData } from 'node:worker_threads'
import { decoders } from './decoders.ts'
import { corpusOf, fuzz, judge, keep } from './fuzz.ts'
import { noteInput, noteNone, watchIn } from './watch.ts'
import type { Decoder } from './decoder.ts'

/** The thread of `make fuzz`. */

type Row = { accepted: number; refused: number; bad: number; milliseconds: number }
type Work = {
  readonly minutes: number
  /** Inputs for each decoder in each round. */
  readonly count: number
  readonly seed: number
  readonly only: readonly string[] | undefined
  readonly seen: SharedArrayBuffer
}

const { minutes, count, seed: first, only, seen } = workerData as Work
const watched = watchIn(seen)

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const chosen = decoders.filter(({ name }) => only?.includes(name) !== false)
const rows = new Map<Decoder, Row>(chosen.map((one) => [one, { accepted: 0, refused: 0, bad: 0, milliseconds: 0 }]))

for (const [decoder, row] of rows)
  for (const input of corpusOf(decoder)) {
    try {
      row[await judge(decoder, input)]++
    } catch (error) {
      row.bad++
      say(`${decoder.name}: of the corpus: ${String(error)}`)
    }
  }

// Where most inputs are refused, writing down where from would take most of the time.
Error.stackTraceLimit = 0
const end = performance.now() + minutes * 60_000
let seed = first
do {
  for (const [decoder, row] of count === 0 ? [] : rows) await round(decoder, row, seed)
  seed++
} while (performance.now() < end)

async function round(decoder: Decoder, row: Row, number: number): Promise<void> {
  const started = performance.now()
  const index = decoders.indexOf(decoder)
  const { accepted, refused, bad } = await fuzz(decoder, { count, seed: number, watch: (input) => noteInput(watched, index, input) })
  noteNone(watched)
  row.accepted += accepted
  row.refused += refused
  row.milliseconds += performance.now() - started
  if (bad === undefined) return
  row.bad++
  say(`${decoder.name}: ${bad.why}: ${keep(decoder, bad)}`)
}

say(`\nseeds ${first} to ${seed - 1}\n\n| decoder | inputs | accepted | refused | bad | µs each |\n|---|---:|---:|---:|---:|---:|`)
for (const [{ name }, { accepted, refused, bad, milliseconds }] of rows) {
  const inputs = accepted + refused + bad
  say(`| ${name} | ${inputs} | ${accepted} | ${refused} | ${bad} | ${((milliseconds * 1000) / inputs).toFixed(0)} |`)
}
process.exitCode = [...rows.values()].some(({ bad }) => bad > 0) ? 1 : 0
