import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, globSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { npm } from '../npm.ts'
import { acceptedSurvivors } from './accepted.ts'
import { groups, type Group } from './groups.ts'
import { spareTime } from './node-test-runner.ts'
import { forgetUncertain, readMutants, type Mutant } from './mutants.ts'
import { listing, scoreOf, table } from './table.ts'

/**
 * make mutation: changes the source in small ways, and sees whether the tests find out. ARGS: names of groups (groups.ts), files
 * or folders; `--force` for all anew, `--survivors` for those that were not killed, otherwise what has not changed is known
 * from .cache/mutation; `--jobs 1`. Status 1 where a
 * file is below the bound.
 */
const bound = 85
const flag = { type: 'boolean', default: false } as const
/** All that tests in this process read; each run copies it. */
const copied = new Set(['src', 'test', 'share', 'package.json'])
const cache = '.cache/mutation'
const stryker = resolve(import.meta.dirname, 'node_modules/@stryker-mutator/core/bin/stryker.js')

function main(): void {
  const { values, positionals } = parseArgs({
    options: { force: flag, survivors: flag, jobs: { type: 'string', default: String(availableParallelism()) } },
    allowPositionals: true,
  })
  if (!existsSync(stryker)) npm(import.meta.dirname, 'ci', '--no-audit', '--no-fund')
  mkdirSync(cache, { recursive: true })
  const chosen = groups.map((group) => chosenOf(group, positionals)).filter((group) => group.mutate.length > 0)
  if (chosen.length === 0) throw new Error(`no group and no file of one: ${positionals.join(' ')}`)
  for (const group of chosen) runGroup(group, { ...values, jobs: Number(values.jobs) })
  tell(chosen.flatMap((group) => readMutants(`${cache}/${group.name}.json`).filter(({ file }) => group.mutate.includes(file))))
}

/** The group with those of its files alone that are asked for. */
function chosenOf(group: Group, words: readonly string[]): Group {
  const files = globSync([...group.mutate]).sort()
  const isAsked = (file: string): boolean => words.some((word) => file === word || file.startsWith(`${word.replace(/\/$/, '')}/`))
  return { ...group, mutate: words.length === 0 || words.includes(group.name) ? files : files.filter(isAsked) }
}

type Terms = { readonly force: boolean; readonly survivors: boolean; readonly jobs: number }

function runGroup(group: Group, { force, survivors, jobs }: Terms): void {
  const config = join(cache, `${group.name}.config.json`)
  const started = performance.now()
  forgetUncertain(`${cache}/${group.name}.json`, group.mutate, survivors)
  writeFileSync(config, JSON.stringify(configOf(group, force, jobs), null, 2))
  // Its words go to a file: the table says what there is to say.
  const log = join(cache, `${group.name}.log`)
  const output = openSync(log, 'w')
  const { status } = spawnSync(process.execPath, [stryker, 'run', config], { stdio: ['ignore', output, output] })
  closeSync(output)
  if (status !== 0) throw new Error(`Stryker ended with ${status}: ${log}`)
  process.stdout.write(`${group.name}: ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
}

function configOf({ name, mutate, tests, leaveOut = [] }: Group, force: boolean, jobs: number): object {
  return {
    mutate,
    plugins: [resolve(import.meta.dirname, 'node-test-runner.ts')],
    testRunner: 'node-test',
    nodeTests: { files: tests, leaveOut, times: resolve(cache, `${name}.times.json`) },
    ignorers: ['texts-for-people'],
    coverageAnalysis: 'perTest',
    incremental: true,
    incrementalFile: `${cache}/${name}.json`,
    force,
    concurrency: jobs,
    timeoutMS: spareTime,
    timeoutFactor: 2,
    ignorePatterns: [...readdirSync('.').filter((entry) => !copied.has(entry)), 'test/fixtures', 'test/vectors'].map(
      (entry) => `/${entry}`,
    ),
    tempDirName: `${cache}/${name}.sandbox`,
    cleanTempDir: 'always',
    disableTypeChecks: false,
    tsconfigFile: 'none',
    reporters: ['progress-append-only'],
    allowConsoleColors: false,
    warnings: { unknownOptions: false },
  }
}

function tell(mutants: readonly Mutant[]): void {
  const accepted = acceptedSurvivors(readFileSync(join(import.meta.dirname, 'accepted.toml'), 'utf8'))
  process.stdout.write(`\n${table(mutants, accepted)}\n`)
  const list = join(cache, 'survivors.txt')
  writeFileSync(list, listing(mutants, accepted))
  process.stdout.write(`\nsurvivors, timeouts: ${list}\n`)
  const low = [...new Set(mutants.map(({ file }) => file))].filter(
    (file) => scoreOf(mutants.filter((mutant) => mutant.file === file)) < bound,
  )
  if (low.length === 0) return
  process.stdout.write(`below ${bound} %: ${low.join(' ')}\n`)
  process.exitCode = 1
}

main()
