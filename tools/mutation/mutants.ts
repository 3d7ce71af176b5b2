import { existsSync, readFileSync, writeFileSync } from 'node:fs'

/** What Stryker's report (mutation-testing-report-schema 2) says of one mutant. */
export type Mutant = {
  readonly file: string
  readonly status: string
  /** From 1. */
  readonly line: number
  /** The whole line on which it begins, trimmed: where it is, whatever moves above it. */
  readonly within: string
  readonly original: string
  readonly replacement: string
}

type Position = { readonly line: number; readonly column: number }
type Reported = {
  readonly status: string
  /** Reached while modules are loaded. Not said any more of what Stryker takes over from its last report. */
  readonly static?: boolean
  /** Tests that reach it; none where it is reached only while modules are loaded. */
  readonly coveredBy?: readonly string[]
  readonly replacement?: string
  readonly location: { readonly start: Position; readonly end: Position }
}
type Report = { readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Reported[] }>> }

export function readMutants(file: string): readonly Mutant[] {
  if (!existsSync(file)) return []
  const { files } = JSON.parse(readFileSync(file, 'utf8')) as Report
  return Object.entries(files).flatMap(([name, { source, mutants }]) => mutants.map((mutant) => mutantOf(name, source.split('\n'), mutant)))
}

function mutantOf(file: string, lines: readonly string[], { status, replacement = '', location }: Reported): Mutant {
  const { start, end } = location
  const span = lines.slice(start.line - 1, end.line)
  const last = span.length - 1
  const cut = span.map((line, i) => line.slice(i === 0 ? start.column - 1 : 0, i === last ? end.column - 1 : undefined))
  return {
    file,
    status,
    line: start.line,
    within: oneLine(span[0] ?? ''),
    original: oneLine(cut.join(' ')),
    replacement: oneLine(replacement),
  }
}

/** However it is broken into lines. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}

/**
 * Takes out of a report what Stryker would believe for good: it tries survivors again when tests are added that reach them, but does
 * not know which tests reach code that is run while modules are loaded, nor when tests come to reach what none did; and what took too
 * long may have been the machine. With `survivorsToo` also what it would believe while a helper of tests has changed, which it does not
 * look at. Of files that are not tried now all is kept.
 */
export function forgetUncertain(report: string, mutated: readonly string[], survivorsToo: boolean): void {
  if (!existsSync(report)) return
  const known = JSON.parse(readFileSync(report, 'utf8')) as Report
  const isCertain = ({ status, static: whileLoading = false, coveredBy = [] }: Reported): boolean =>
    status === 'Killed' || (status === 'Survived' && !whileLoading && coveredBy.length > 0 && !survivorsToo)
  const left = Object.entries(known.files).map(([name, one]) => {
    const mutants = mutated.includes(name) ? one.mutants.filter(isCertain) : one.mutants
    return [name, { ...one, mutants }] as const
  })
  writeFileSync(report, JSON.stringify({ ...known, files: Object.fromEntries(left) }))
}
