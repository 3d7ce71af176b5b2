import { comparePackageVersions, formatPackageVersion, parsePackageVersion } from './package-version.ts'
import type { PackageVersion } from './package-version.ts'

/** Names of OpenBSD packages, `stem-version-flavor-flavor`, and the two ways to split them (doc/spec/package-names.md). */
export type PackageName = {
  readonly stem: string
  readonly version: PackageVersion
  /** Sorted, each once. */
  readonly flavors: readonly string[]
}

/** pkg_add's way, at the first dash before a digit; undefined for what is a stem alone. */
export function parsePackageName(text: string): PackageName | undefined {
  const dash = text.search(/-[0-9]/)
  if (dash < 0) return undefined
  const [version, ...flavors] = text.slice(dash + 1).split('-') as [string, ...string[]]
  return { stem: text.slice(0, dash), version: parsePackageVersion(version), flavors: [...new Set(flavors)].sort() }
}

/** The same package is always written the same way: flavors sorted. A stem stays as it is. */
export function canonicalPackageName(text: string): string {
  const name = parsePackageName(text)
  return name === undefined ? text : formatPackageName(name)
}

export function formatPackageName({ stem, version, flavors }: PackageName): string {
  return [stem, formatPackageVersion(version), ...flavors].join('-')
}

/** Undefined where these are not two versions of one package. */
export function comparePackageNames(a: PackageName, b: PackageName): number | undefined {
  if (a.stem !== b.stem || a.flavors.join('-') !== b.flavors.join('-')) return undefined
  return comparePackageVersions(a.version, b.version)
}

/**
 * As obsdpkgup splits a name, at the last part that begins with a digit or a dot. The flavors keep their order. The version is text: of
 * most packages nobody compares it.
 */
export type SplitName = { readonly stem: string; readonly version: string; readonly flavor: string }

export function splitFromRight(text: string): SplitName | undefined {
  const start = versionFromRight(text)
  if (start === undefined) return undefined
  const dash = text.indexOf('-', start)
  const end = dash < 0 ? text.length : dash
  return { stem: text.slice(0, Math.max(0, start - 1)), version: text.slice(start, end), flavor: text.slice(end + 1) }
}

/** The stem alone, of which a whole index is asked for: the same split. */
export function stemFromRight(text: string): string | undefined {
  const start = versionFromRight(text)
  return start === undefined ? undefined : text.slice(0, Math.max(0, start - 1))
}

function versionFromRight(text: string): number | undefined {
  for (let dash = text.lastIndexOf('-'); dash >= 0; dash = dash === 0 ? -1 : text.lastIndexOf('-', dash - 1))
    if (beginsVersion(text.charCodeAt(dash + 1))) return dash + 1
  return beginsVersion(text.charCodeAt(0)) ? 0 : undefined
}

function beginsVersion(code: number): boolean {
  return (code >= 48 && code <= 57) || code === 46
}

/** What a folder of the package database holds besides packages: libraries of one that is gone, or one that was never finished. */
export type InstalledName = { readonly kind: 'package' | 'kept-libraries' | 'interrupted'; readonly name: string }

export function readInstalledName(folder: string): InstalledName {
  const kept = folder.startsWith('.') ? /^\.libs[0-9]*-/.exec(folder) : null
  if (kept !== null) return { kind: 'kept-libraries', name: folder.slice(kept[0].length) }
  if (folder.startsWith('partial-')) return { kind: 'interrupted', name: folder.slice('partial-'.length) }
  return { kind: 'package', name: folder }
}

/** What may become part of a path or of a command: no slash, no blank, nothing that a shell would act on. */
export function isPlainPackageName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+%~@-]{0,254}$/.test(text)
}
