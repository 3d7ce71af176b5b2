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

const alternativePattern = /^(.*?)-((?:(?:>=|<=|>|<|=)?[0-9]|\*)[^-]*)(.*)$/

/** Undefined where an alternative has no version, not even `*`: pkg_add takes that for a spec that fits nothing. */
export function parsePackageSpec(text: string): PackageSpec | undefined {
  const alternatives = text.split('|').map(parseAlternative)
  return alternatives.includes(undefined) ? undefined : (alternatives as SpecAlternative[])
}

function parseAlternative(text: string): SpecAlternative | undefined {
  const match = alternativePattern.exec(text)
  if (match === null) return undefined
  const [, stem, versions, flavors] = match as unknown as [string, string, string, string]
  return { stem, versions: versions === '*' ? [] : versions.split(',').map(parseBound), flavors: parseFlavors(flavors) }
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

/** Names are folders, of 255 bytes at most; what is much longer is no regular expression any more. */
const maxPattern = 1024

/** `.libs-X` also stands for the numbered ones. Stems are short; a pattern of many stars could still take its time, so it has a limit. */
function fitsStem(pattern: string, stem: string): boolean {
  if (pattern === stem) return true
  if (!/[*?]/.test(pattern) && !pattern.startsWith('.libs-')) return false
  if (pattern.length > maxPattern || pattern.split('*').length > 8) return false
  const source = pattern
    .replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
    .replace(/^\\\.libs-/, '\\.libs[0-9]*-')
  return new RegExp(`^${source}$`).test(stem)
}

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
