import { existsSync, globSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { machine, withKit, type Bench, type Row, type Unit } from './harness.ts'
import { isMet, table, type Table } from './table.ts'
import { realTrees, smallTrees } from './trees.ts'

/**
 * node bench/run.ts [--smoke] [NAME ...]: runs every bench (or those named), prints a Markdown table for each and
 * writes bench/results.json. Exit status 1 where a goal is missed; under --smoke only goals for sizes and memory count.
 */
const harness = new Set(['debian', 'genpkgup', 'harness', 'mirror', 'obsdpkgup', 'run', 'serve-folder', 'table', 'trees', 'writes'])
const judgedUnderSmoke: ReadonlySet<Unit> = new Set(['bytes', 'MiB'])

async function main(words: readonly string[]): Promise<number> {
  if (!existsSync('bin/bindery')) throw new Error('run it from the top of the project')
  const smoke = words.includes('--smoke')
  const named = words.filter((word) => !word.startsWith('--'))
  const folder = resolve(smoke ? '.cache/bench-smoke' : '.cache/bench')
  const trees = smoke ? smallTrees(join(folder, 'trees')) : realTrees()
  const tables: Table[] = []
  for (const name of named.length > 0 ? named : benches()) {
    const bench = await load(name)
    const measured = await withKit({ trees, smoke, folder: join(folder, 'work') }, async (kit) => await bench.run(kit))
    const rows = smoke ? measured.map(unlessTimed) : measured
    tables.push({ name: bench.name, rows })
    process.stdout.write(`\n${table({ name: bench.name, rows })}`)
  }
  if (smoke) rmSync(folder, { recursive: true })
  else writeFileSync('bench/results.json', `${JSON.stringify({ machine: machine(), tables }, null, 2)}\n`)
  return summary(tables, smoke)
}

function benches(): readonly string[] {
  return globSync('bench/*.ts')
    .map((file) => basename(file, '.ts'))
    .filter((name) => !harness.has(name))
    .toSorted()
}

async function load(name: string): Promise<Bench> {
  const module = (await import(`./${name}.ts`)) as { readonly bench?: Bench }
  if (module.bench === undefined) throw new Error(`bench/${name}.ts exports no bench`)
  return module.bench
}

/** Without a goal that a small tree says nothing about. */
function unlessTimed(row: Row): Row {
  const { goal: _goal, ...rest } = row
  return judgedUnderSmoke.has(row.unit) ? row : rest
}

function summary(tables: readonly Table[], smoke: boolean): number {
  const rows = tables.flatMap((one) => one.rows).filter((row) => row.goal !== undefined)
  const missed = rows.filter((row) => !isMet(row))
  process.stdout.write(
    `\n${rows.length - missed.length} of ${rows.length} goals met${smoke ? ' (only sizes and memory are judged)' : ''}\n`,
  )
  for (const row of missed) process.stdout.write(`missed: ${row.what}\n`)
  return missed.length > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
