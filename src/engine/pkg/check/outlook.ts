import { splitFromRight, stemFromRight } from '../../../format/openbsd/package-name.ts'
import { fitsPkgpath, parsePkgpath } from '../../../format/openbsd/pkgpath.ts'
import type { Candidate, Catalog } from './candidate.ts'
import { fitting } from './decide.ts'
import type { PackageUpdate } from './decide.ts'
import type { InstalledPackage } from './installed.ts'
import type { QuirksTables } from './quirks-module.ts'

/** What pkg_add will find out besides: packages that are gone, and what updates bring along. */
export type Outlook = {
  readonly gone: readonly GonePackage[]
  /** Packages that are not installed and that updates need, the needs of these included. */
  readonly dependencies: readonly NewDependency[]
  /** Bytes to download; undefined where the index does not tell. */
  readonly download: number | undefined
}

export type GonePackage = { readonly installed: InstalledPackage } & (
  | { readonly kind: 'renamed'; readonly to: string }
  | { readonly kind: 'obsolete'; readonly why: string }
  | { readonly kind: 'vanished' }
)

export type NewDependency = { readonly name: string; readonly neededBy: string; readonly size: number | undefined }

export type OutlookInput = {
  readonly packages: readonly InstalledPackage[]
  readonly updates: readonly PackageUpdate[]
  /** Whole, not only of the stems that are installed. */
  readonly catalog: Catalog
  readonly quirks: QuirksTables
  /** Whether the path has all packages: on a release, only where the directory of the release is among them. */
  readonly isComplete: boolean
}

export function outlookOf(input: OutlookInput): Outlook {
  const dependencies = newDependencies(input)
  const sizes = [...input.updates.map(({ next }) => next.size), ...dependencies.map(({ size }) => size)]
  const isKnown = sizes.every((size) => size !== undefined)
  return {
    gone: input.isComplete ? gonePackages(input) : [],
    dependencies,
    download: isKnown ? sizes.reduce((sum: number, size) => sum + (size ?? 0), 0) : undefined,
  }
}

function gonePackages({ packages, catalog, quirks }: OutlookInput): readonly GonePackage[] {
  const former = formerPathIndex(catalog)
  return packages.flatMap((installed) => {
    // Firmware comes from elsewhere (fw_update), and quirks looks after itself.
    if (installed.stem === 'quirks' || installed.info.options.includes('firmware') || fitting(installed, catalog).length > 0) return []
    const to = successor(installed, former) ?? quirks.renamed.get(installed.stem)
    if (to !== undefined && to !== installed.stem) return { installed, kind: 'renamed' as const, to }
    const why = quirks.obsolete.get(installed.stem)
    return why === undefined ? { installed, kind: 'vanished' as const } : { installed, kind: 'obsolete' as const, why }
  })
}

/** By the folder of the path, so that each package looks at few. */
function formerPathIndex(catalog: Catalog): ReadonlyMap<string, readonly { readonly path: string; readonly candidate: Candidate }[]> {
  const index = new Map<string, { readonly path: string; readonly candidate: Candidate }[]>()
  for (const directory of catalog)
    for (const candidate of [...directory.values()].flat())
      for (const path of candidate.formerPaths) {
        const folder = path.split(/[,[]/)[0] as string
        index.set(folder, [...(index.get(folder) ?? []), { path, candidate }])
      }
  return index
}

/** The package that says of itself that it was where the installed one is. */
function successor(installed: InstalledPackage, former: ReturnType<typeof formerPathIndex>): string | undefined {
  const here = parsePkgpath(installed.pkgpath)
  if (here === undefined) return undefined
  return (former.get(here.folder) ?? []).find(({ path }) => {
    const pattern = parsePkgpath(path)
    return pattern !== undefined && fitsPkgpath(pattern, here)
  })?.candidate.name
}

function newDependencies({ packages, updates, catalog }: OutlookInput): readonly NewDependency[] {
  const present = new Set(packages.map(({ stem }) => stem))
  const found: NewDependency[] = []
  const waiting = updates.map(({ next }) => next)
  for (let candidate = waiting.shift(); candidate !== undefined; candidate = waiting.shift()) {
    for (const name of dependsOf(candidate)) {
      const stem = stemFromRight(name)
      if (stem === undefined || present.has(stem)) continue
      present.add(stem)
      const dependency = named(name, catalog)
      found.push({ name: dependency?.name ?? name, neededBy: candidate.name, size: dependency?.size })
      if (dependency !== undefined) waiting.push(dependency)
    }
  }
  return found
}

function dependsOf({ depends, evidence }: Candidate): readonly string[] {
  if (depends !== undefined || evidence.kind !== 'text') return depends ?? []
  const elements = evidence.signature.split(',').slice(2)
  return elements.filter((element) => element.startsWith('@')).map((element) => element.slice(1))
}

/** That version, or whatever there is of it with the same flavors. */
function named(name: string, catalog: Catalog): Candidate | undefined {
  const split = splitFromRight(name)
  if (split === undefined) return undefined
  for (const directory of catalog) {
    const same = (directory.get(split.stem) ?? []).filter(({ flavor }) => flavor === split.flavor)
    const best = same.find((candidate) => candidate.name === name) ?? same[0]
    if (best !== undefined) return best
  }
  return undefined
}
