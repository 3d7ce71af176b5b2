import { parseArgs } from 'node:util'
import { hex } from '../../../src/base/bytes.ts'
import { BinderyError } from '../../../src/base/error.ts'
import { needs } from '../../helpers/programs.ts'
import { numbers } from '../../helpers/numbers.ts'
import { inputOf, randomRecipe } from '../recipe.ts'
import { archiveJudges } from './archives.ts'
import { signatureJudges } from './signatures.ts'
import type { Judge, Taken } from './judge.ts'

/** `make fuzz-judges`: what is taken here is given to other readers of the format, and a table tells whether they read the same. */

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: { only: text, count: { ...text, default: '5000' }, seed: { ...text, default: '1' }, reader: text },
})
const judges = [...archiveJudges, ...signatureJudges].filter(
  ({ decoder, reader }) =>
    values.only?.split(',').includes(decoder.name) !== false && (values.reader === undefined || values.reader === reader),
)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

type Row = { readonly judge: Judge; taken: number; same: number; bad: number; readonly known: Map<string, number> }

/** As many inputs at once, so that a shell is started for hundreds of them. */
const atOnce = 250

async function fuzzed(judge: Judge): Promise<Row> {
  const random = numbers(Number(values.seed))
  const row: Row = { judge, taken: 0, same: 0, bad: 0, known: new Map() }
  let batch: Taken<never>[] = []
  for (let left = Number(values.count); left > 0; left--) {
    const input = inputOf(judge.decoder, randomRecipe(judge.decoder, random))
    const value = await takenBy(judge, input)
    if (value !== undefined && judge.isOf?.(input) !== false) batch.push({ input, value: value as never })
    if (batch.length < atOnce && left > 1) continue
    await count(row, batch)
    batch = []
  }
  return row
}

async function takenBy({ decoder }: Judge, input: Uint8Array): Promise<unknown> {
  try {
    return await decoder.decode(input.slice())
  } catch (error) {
    if (error instanceof BinderyError) return undefined
    throw error
  }
}

async function count(row: Row, batch: readonly Taken<never>[]): Promise<void> {
  const found = await row.judge.differences(batch)
  for (const [i, difference] of found.entries()) {
    row.taken++
    const known = difference === undefined ? undefined : row.judge.known.find((one) => one.difference.test(difference))
    if (difference === undefined) row.same++
    else if (known !== undefined) row.known.set(known.reason, (row.known.get(known.reason) ?? 0) + 1)
    else {
      row.bad++
      if (row.bad <= 10)
        say(`${row.judge.decoder.name}: ${row.judge.reader} ${difference.replaceAll('\n', ' ')}: ${hex((batch[i] as Taken<never>).input)}`)
    }
  }
}

const rows: Row[] = []
for (const judge of judges) {
  const { skip } = needs(...judge.needs)
  if (skip === undefined) rows.push(await fuzzed(judge))
  else say(`${judge.decoder.name}: ${judge.reader}: ${skip}`)
}
say('\n| decoder | second reader | inputs | taken here | read the same | meant differences | bad |\n|---|---|---:|---:|---:|---:|---:|')
for (const { judge, taken, same, bad, known } of rows)
  say(
    `| ${judge.decoder.name} | ${judge.reader} | ${values.count} | ${taken} | ${same} | ${[...known.values()].reduce((a, b) => a + b, 0)} | ${bad} |`,
  )
for (const { judge, known } of rows)
  for (const [reason, times] of known) say(`\n${judge.decoder.name}, ${judge.reader}, ${times} times: ${reason}.`)
process.exitCode = rows.some(({ bad }) => bad > 0) ? 1 : 0
