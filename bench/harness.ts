import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'

/**
 * What every file of bench/ uses: it exports `const bench: Bench`, and `node bench/run.ts` runs them all. Commands are
 * bash pipelines, measured from outside (wall, processor and peak memory by time(1)), so that ours and the peer's are
 * measured alike, process start included.
 */
export type Bench = {
  /** The heading of its table. */
  readonly name: string
  run(kit: Kit): Promise<readonly Row[]>
}

/** One line of the table. `ours` and `peer.value` are in `unit`; the ratio is ours / peer. */
export type Row = {
  readonly what: string
  readonly unit: Unit
  readonly ours: number
  readonly peer?: { readonly name: string; readonly value: number }
  readonly goal?: Goal
}

/** MiB is for memory. */
export type Unit = 's' | 'bytes' | 'MiB' | 'MB/s'

/** A bound on `ours` (in the row's unit) or on the ratio ours / peer. */
export type Goal = { readonly of: 'ours' | 'ratio'; readonly atMost?: number; readonly atLeast?: number }

export type Kit = Meter & {
  /** A pair of real trees of about 250 MB, or under `smoke` a synthetic pair of a few MB. */
  readonly trees: TreePair
  /** True where only the working is checked: times mean nothing then. */
  readonly smoke: boolean
}

export type Meter = {
  /** An empty folder, removed afterwards. */
  readonly work: string
  /** One measured run of a bash pipeline; throws with its stderr when it fails. */
  measure(command: string): Usage
  /** Each command `runs` times (default 5; always 1 where only the working is checked), in turn, so that a busy moment hits all of them: medians. */
  compare<Name extends string>(commands: Readonly<Record<Name, Job>>, runs?: number): Readonly<Record<Name, Usage>>
}

export type TreePair = { readonly old: string; readonly new: string }

/** `before` and `after` are not measured. */
export type Job = string | { readonly command: string; readonly before?: () => void; readonly after?: () => void }

export type Usage = {
  readonly wallSeconds: number
  /** User and system time of all processes of the pipeline. */
  readonly cpuSeconds: number
  /** Of the largest process of the pipeline. */
  readonly peakMiB: number
}

/** The command of this clone, quoted for a pipeline. */
export const bindery: string = quote(resolve('bin/bindery'))

export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** Makes the kit of one bench below `folder`, gives it to `use`, and removes it. */
export async function withKit<T>(facts: { trees: TreePair; smoke: boolean; folder: string }, use: (kit: Kit) => Promise<T>): Promise<T> {
  const { trees, smoke, folder } = facts
  return await withMeter({ folder, ...(smoke ? { atMost: 1 } : {}) }, async (meter) => await use({ trees, smoke, ...meter }))
}

/** The part of it that needs no trees; `atMost` bounds the runs that `compare` makes, and a command that exceeds `limitSeconds` is `Hung`. */
export async function withMeter<T>(
  facts: { folder: string; atMost?: number; limitSeconds?: number },
  use: (meter: Meter) => Promise<T>,
): Promise<T> {
  const work = resolve(facts.folder)
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  const report = join(work, '..', `time.${process.pid}`)
  const measure = (command: string): Usage => measureOnce(command, { work, report, limit: facts.limitSeconds ?? 0 })
  try {
    return await use({
      work,
      measure,
      compare: (commands, runs = 5) => compareJobs(commands, Math.min(runs, facts.atMost ?? runs), measure),
    })
  } finally {
    rmSync(work, { recursive: true, force: true })
    rmSync(report, { force: true })
  }
}

export class Hung extends Error {}

type Place = { readonly work: string; readonly report: string; readonly limit: number }

function measureOnce(command: string, { work, report, limit }: Place): Usage {
  // Killed by timeout(1), which takes the whole pipeline with it; 0 is no limit.
  const argv = ['-q', '-f', '%e %U %S %M', '-o', report, 'timeout', '-s', 'KILL', String(limit), 'bash', '-o', 'pipefail', '-c', command]
  const started = performance.now()
  const run = spawnSync('/usr/bin/time', argv, { cwd: work, stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 24 })
  // time(1) rounds to 10 ms, which is too coarse for `check`.
  const wallSeconds = (performance.now() - started) / 1000
  if (run.error !== undefined) throw run.error
  if (limit > 0 && wallSeconds >= limit) throw new Hung(`not done after ${Math.round(limit)} s: ${command}`)
  if (run.status !== 0) throw new Error(`exit status ${String(run.status)}: ${command}\n${run.stderr.toString()}`)
  const [, user, system, peak] = readFileSync(report, 'utf8').trim().split(' ').map(Number) as [number, number, number, number]
  return { wallSeconds, cpuSeconds: user + system, peakMiB: peak / 1024 }
}

function compareJobs<Name extends string>(
  jobs: Readonly<Record<Name, Job>>,
  runs: number,
  measure: (command: string) => Usage,
): Readonly<Record<Name, Usage>> {
  const names = Object.keys(jobs) as Name[]
  const seen = new Map<Name, Usage[]>(names.map((name) => [name, []]))
  for (let round = 0; round < runs; round++) {
    for (const name of names) (seen.get(name) as Usage[]).push(measureJob(jobs[name], measure))
  }
  return Object.fromEntries(names.map((name) => [name, medianUsage(seen.get(name) as Usage[])])) as Record<Name, Usage>
}

function measureJob(job: Job, measure: (command: string) => Usage): Usage {
  if (typeof job === 'string') return measure(job)
  job.before?.()
  const usage = measure(job.command)
  job.after?.()
  return usage
}

export function medianUsage(usages: readonly Usage[]): Usage {
  return {
    wallSeconds: median(usages.map((usage) => usage.wallSeconds)),
    cpuSeconds: median(usages.map((usage) => usage.cpuSeconds)),
    peakMiB: Math.max(...usages.map((usage) => usage.peakMiB)),
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

export type Machine = { readonly cores: number; readonly processor: string; readonly node: string; readonly date: string }

export function machine(): Machine {
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model ?? 'unknown',
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
  }
}
