import { existsSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { machine } from '../harness.ts'
import { figuresOf } from './measure.ts'
import { fetchOrTell, pairs } from './pairs.ts'
import { ours, peers } from './peers.ts'
import { drawSizes } from './picture.ts'
import { loadResults, measuredOf, ratioToBsdiff, saveResults, unmeasured } from './results.ts'
import { report } from './tables.ts'
import type { Pair } from './pairs.ts'
import type { Tool } from './peers.ts'
import type { Measured, PairResult, Results } from './results.ts'

const usage = `usage: node bench/delta/run.ts [--only NAME ...] [--peers none] [--again] [--from-json] [--details]

Measures bindery and its peers on every pair, prints tables, and writes bench/results-delta.json and
doc/delta-sizes.svg. What peers did is kept below .cache/bench-delta/figures as long as pair, tool and version are the same.

--only NAME ...  these pairs alone; tables only, nothing is written
--peers none     bindery alone, applying once; tables only, nothing is written
--again          bindery anew, the peers as in the last results
--from-json      no measuring: tables and picture of the last results
--details        the times and memory of every pair and tool too

Pairs: ${pairs.map((pair) => pair.name).join(' ')}
`

type Options = {
  readonly only: readonly string[]
  readonly peers: 'measured' | 'none' | 'as before'
  readonly fromJson: boolean
  readonly details: boolean
}

function main(words: readonly string[]): number | Promise<number> {
  if (!existsSync('bin/bindery')) throw new Error('run it from the top of the project')
  const options = parseOptions(words)
  if (options === undefined) {
    process.stderr.write(usage)
    return 2
  }
  return options.fromJson ? redraw(options) : measure(options)
}

function parseOptions(words: readonly string[]): Options | undefined {
  const flag = { type: 'boolean', default: false } as const
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      peers: { type: 'string' },
      again: flag,
      'from-json': flag,
      details: flag,
    },
  })
  const only = [...values.only, ...positionals]
  const known = new Set(pairs.map((pair) => pair.name))
  if (only.some((name) => !known.has(name)) || (values.peers ?? 'none') !== 'none') return undefined
  const peers = values.peers === 'none' ? 'none' : values.again ? 'as before' : 'measured'
  return { only, peers, fromJson: values['from-json'], details: values.details }
}

function redraw(options: Options): number {
  const results = loadResults()
  writeFileSync('doc/delta-sizes.svg', drawSizes(results))
  process.stdout.write(report({ ...results, pairs: results.pairs.filter((pair) => isChosen(pair, options)) }, options))
  return 0
}

async function measure(options: Options): Promise<number> {
  const before = options.peers === 'as before' ? loadResults() : undefined
  const tools = [ours, ...(options.peers === 'measured' ? peers : [])]
  const versions = { ...before?.versions, ...Object.fromEntries(tools.map((tool) => [tool.name, tool.version()])) }
  const done: PairResult[] = []
  for (const pair of pairs.filter((one) => isChosen(one, options))) {
    done.push(await measurePair(pair, tools, before, options))
  }
  const results = { machine: machine(), versions, pairs: done }
  if (options.only.length === 0 && options.peers !== 'none') {
    saveResults(results)
    writeFileSync('doc/delta-sizes.svg', drawSizes(results))
  }
  process.stdout.write(report(results, options))
  return 0
}

function isChosen(pair: Pick<Pair, 'name'>, { only }: Options): boolean {
  return only.length === 0 || only.includes(pair.name)
}

async function measurePair(pair: Pair, tools: readonly Tool[], before: Results | undefined, options: Options): Promise<PairResult> {
  const { name, kind, what, heldOut } = pair
  const files = fetchOrTell(pair)
  if ('missing' in files) return { name, kind, what, heldOut, missing: files.missing }
  const { digest } = files
  const earlier = before === undefined ? undefined : measuredOf(before).find((one) => one.name === name && one.digest === digest)
  let result: Measured = { ...unmeasured(pair, files), figures: earlier?.figures ?? {} }
  for (const tool of tools) {
    const figures = await figuresOf(tool, files, options.peers === 'none' ? 1 : 3)
    result = { ...result, figures: { ...result.figures, [tool.name]: figures } }
  }
  tell(result, earlier)
  return result
}

/** A line while it runs: where we are, and where we were when the last results were written. */
function tell(result: Measured, earlier: Measured | undefined): void {
  const bytes = result.figures.bindery?.bytes ?? 0
  const was = earlier?.figures.bindery?.bytes
  const ratio = ratioToBsdiff(result, 'bindery')
  const facts = [
    `${bytes} bytes`,
    ...(ratio === undefined ? [] : [`${ratio.toFixed(3)} of bsdiff`]),
    ...(was === undefined ? [] : [`${(bytes / was).toFixed(3)} of before`]),
  ]
  process.stderr.write(`${result.name}: ${facts.join(', ')}\n`)
}

process.exitCode = await main(process.argv.slice(2))
