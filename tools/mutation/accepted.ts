import { parse } from 'smol-toml'
import type { Mutant } from './mutants.ts'

/** Mutants of one piece of code that no test can or need find, and why (accepted.toml). `within` where one original stands in several lines. */
export type Accepted = {
  readonly file: string
  readonly original: string
  readonly replacements: readonly string[]
  readonly within?: string
  readonly reason: string
}

/** A table for each file, of lists. Throws where one has no reason. */
export function acceptedSurvivors(text: string): readonly Accepted[] {
  const tables = parse(text) as unknown as Readonly<Record<string, readonly Omit<Accepted, 'file'>[]>>
  return Object.entries(tables).flatMap(([file, list]) =>
    list.map((one) => {
      if (typeof one.original !== 'string' || !Array.isArray(one.replacements) || typeof one.reason !== 'string' || one.reason === '')
        throw new Error(`accepted.toml: ${file}: an original, a replacement or a reason is missing`)
      return { ...one, file }
    }),
  )
}

export function isSame(accepted: Accepted, mutant: Mutant): boolean {
  return (
    accepted.file === mutant.file &&
    accepted.original === mutant.original &&
    accepted.replacements.includes(mutant.replacement) &&
    (accepted.within === undefined || accepted.within === mutant.within)
  )
}
