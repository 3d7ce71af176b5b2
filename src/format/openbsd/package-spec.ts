import { fitsWildcards } from '../../base/wildcards.ts'
import { parsePackageName } from './package-name.ts'
import { compareToSpec, parsePackageVersion } from './package-version.ts'
import type { PackageName } from './package-name.ts'
import type { PackageVersion } from './package-version.ts'

/** What a dependency or a conflict asks for (packages-specs(7), doc/spec/package-names.md): it fits where one alternative does. */
export type PackageSpec = readonly SpecAlternative[]

type SpecAlternative = {
  /** With `*` and `?`. */
  readonly stem: string
  /** All must hold. */
  readonly versions: readonly VersionBound[]
  /** One must hold, of each all terms; undefined where any flavor will do. */
  readonly flavors: readonly (readonly FlavorTerm[])[] | undefined
}

type VersionBound = { readonly operator: '<' | '<=' | '>' | '>=' | '='; readonly version: PackageVersion }
type FlavorTerm = { readonly flavor: string; readonly isWanted: boolean }

/** Behind the stem; versions go on to the next dash. */
const versionStart = /-(?:(?:>=|<=|>|<|=)?[0-9]|\*)/

/** Undefined where an alternative has no version, not even `*`: pkg_add takes that for a spec that fits nothing. */
export function parsePackageSpec(text: string): PackageSpec | undefined {
  const alternatives = text.split('|').map(parseAlternative)
  return alternatives.includes(undefined) ? undefined : (alternatives as SpecAlternative[])
}

function parseAlternative(text: string): SpecAlternative | undefined {
  const start = text.search(versionStart)
  if (start < 0) return undefined
  const behind = text.indexOf('-', start + 1)
  const end = behind < 0 ? text.length : behind
  const versions = text.slice(start + 1, end)
  return {
    stem: text.slice(0, start),
    versions: versions === '*' ? [] : versions.split(',').map(parseBound),
    flavors: parseFlavors(text.slice(end)),
  }
}

function parseBound(text: string): VersionBound {
  const operator = (/^(?:>=|<=|>|<|=)/.exec(text)?.[0] ?? '') as VersionBound['operator'] | ''
  return { operator: operator === '' ? '=' : operator, version: parsePackageVersion(text.slice(operator.length)) }
}

function parseFlavors(text: string): SpecAlternative['flavors'] {
  if (text === '') return undefined
  const sets = text.replace(/^-/, '').split(',')
  return sets.map((set) => set.split('-').map((term) => ({ flavor: term.replace(/^!/, ''), isWanted: !term.startsWith('!') })))
}

export function fitsPackageSpec(spec: PackageSpec, name: string): boolean {
  const parsed = parsePackageName(name)
  return parsed !== undefined && spec.some((alternative) => fitsAlternative(alternative, parsed))
}

function fitsAlternative({ stem, versions, flavors }: SpecAlternative, name: PackageName): boolean {
  return (
    fitsStem(stem, name.stem) &&
    versions.every((bound) => fitsBound(bound, name.version)) &&
    (flavors === undefined || flavors.some((terms) => terms.every(({ flavor, isWanted }) => name.flavors.includes(flavor) === isWanted)))
  )
}

/** `.libs-X` also stands for the numbered ones. */
function fitsStem(pattern: string, stem: string): boolean {
  return fitsWildcards(pattern, pattern.startsWith(keptLibraries) ? stem.replace(/^\.libs[0-9]+-/, keptLibraries) : stem)
}

const keptLibraries = '.libs-'

function fitsBound({ operator, version }: VersionBound, found: PackageVersion): boolean {
  const order = -compareToSpec(version, found)
  switch (operator) {
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
    case '=':
      return order === 0
  }
}
