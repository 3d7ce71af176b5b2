import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Machine, Usage } from '../harness.ts'
import type { Files, Pair } from './pairs.ts'
import { hdiffzMeasured } from './peers.ts'
import type { ToolName } from './peers.ts'

/** What a run leaves, in bench/results-delta.json. */
export type Results = {
  readonly machine: Machine
  readonly versions: Readonly<Partial<Record<ToolName, string>>>
  readonly pairs: readonly PairResult[]
}

export type PairResult = Measured | Missing

export type Measured = Pick<Pair, 'name' | 'kind' | 'what' | 'heldOut'> &
  Pick<Files, 'versions' | 'oldBytes' | 'newBytes' | 'digest'> & {
    readonly figures: Readonly<Partial<Record<ToolName, Figures>>>
  }

/** A pair that could not be fetched, and why. */
export type Missing = Pick<Pair, 'name' | 'kind' | 'what' | 'heldOut'> & { readonly missing: string }

/** `hangs`: how often the program did not end and was measured anew; absent for never. */
export type Figures = { readonly bytes: number; readonly make: Usage; readonly apply: Usage; readonly hangs?: number }

const file = 'bench/results-delta.json'

export function loadResults(): Results {
  if (!existsSync(file)) throw new Error(`${file} is not there: run make bench-delta first`)
  return JSON.parse(readFileSync(file, 'utf8')) as Results
}

export function saveResults(results: Results): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(results, null, 2)}\n`)
  renameSync(`${file}.new`, file)
}

export function unmeasured({ name, kind, what, heldOut }: Pair, { versions, oldBytes, newBytes, digest }: Files): Measured {
  return { name, kind, what, heldOut, versions, oldBytes, newBytes, digest, figures: {} }
}

export function measuredOf(results: Results, kind?: Pair['kind']): readonly Measured[] {
  return results.pairs.filter((pair): pair is Measured => 'figures' in pair && (kind === undefined || pair.kind === kind))
}

/** Size of the tool's delta against that of bsdiff. */
export function ratioToBsdiff(pair: Measured, tool: ToolName | 'hdiffz'): number | undefined {
  const bytes = tool === 'hdiffz' ? hdiffzBytes(pair) : pair.figures[tool]?.bytes
  const bsdiff = pair.figures.bsdiff?.bytes
  return bytes === undefined || bsdiff === undefined ? undefined : bytes / bsdiff
}

/** Ours against the smallest delta of any other. */
export function ratioToBest(pair: Measured): number | undefined {
  const others = Object.entries(pair.figures).flatMap(([name, figures]) => (name === 'bindery' ? [] : [figures.bytes]))
  const known = [...others, hdiffzBytes(pair)].filter((bytes) => bytes !== undefined)
  const bytes = pair.figures.bindery?.bytes
  return bytes === undefined || known.length === 0 ? undefined : bytes / Math.min(...known)
}

function hdiffzBytes(pair: Measured): number | undefined {
  const known = hdiffzMeasured[pair.name]
  return known !== undefined && known.bsdiff === pair.figures.bsdiff?.bytes ? known.hdiffz : undefined
}

/** Undefined where there is nothing to take the mean of. */
export function geometricMean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : Math.exp(known.reduce((sum, value) => sum + Math.log(value), 0) / known.length)
}
