import { compareAsObsdpkgup, parsePackageVersion } from '../../../format/openbsd/package-version.ts'
import { compareUpdateSignatures, updateSignature } from '../../../format/openbsd/update-signature.ts'
import type { SplitName } from '../../../format/openbsd/package-name.ts'
import type { Candidate, Catalog } from './candidate.ts'
import type { InstalledPackage } from './installed.ts'

export type PackageUpdate = {
  readonly installed: InstalledPackage
  readonly next: Candidate
  /** `rebuilt`: the same version, with another signature. */
  readonly reason: 'version' | 'rebuilt'
  /** What pkg_add is called with: no version, so that it may find a newer one than the index knows. */
  readonly argument: string
}

/** pkg_add looks after quirks by itself. */
const ownBusiness: ReadonlySet<string> = new Set(['quirks'])

export function updatesOf(packages: readonly InstalledPackage[], catalog: Catalog): readonly PackageUpdate[] {
  return packages.flatMap((installed) => {
    if (ownBusiness.has(installed.stem)) return []
    const next = bestOf(installed, fitting(installed, catalog))
    return next === undefined ? [] : [updateTo(installed, next)]
  })
}

/** The same package: flavors and path in the ports tree are the same. Of the first directory that has it, as pkg_add does. */
export function fitting(installed: InstalledPackage, catalog: Catalog): readonly Candidate[] {
  for (const directory of catalog) {
    const fits = (directory.get(installed.stem) ?? []).filter(
      ({ flavor, pkgpath }) => flavor === installed.flavor && (pkgpath === undefined || pkgpath === installed.pkgpath),
    )
    if (fits.length > 0) return fits
  }
  return []
}

/** A higher version, or the same with another signature; never a lower one. */
function bestOf(installed: InstalledPackage, candidates: readonly Candidate[]): Candidate | undefined {
  let best: Candidate | undefined
  for (const candidate of candidates) {
    const order = compareVersions(candidate, best ?? installed)
    if (order > 0 || (order === 0 && isAnother(installed, candidate))) best = candidate
  }
  return best !== undefined && isAnother(installed, best) ? best : undefined
}

/** Of most packages it is the same text. */
function compareVersions(a: SplitName, b: SplitName): number {
  return a.version === b.version ? 0 : compareAsObsdpkgup(parsePackageVersion(a.version), parsePackageVersion(b.version))
}

function isAnother(installed: InstalledPackage, { name, evidence }: Candidate): boolean {
  switch (evidence.kind) {
    case 'text':
      return evidence.signature !== installed.signature
    case 'hash':
      return name !== installed.name || !installed.info.options.includes(`always-update ${evidence.hash}`)
    case 'keyed': {
      const mine = updateSignature(installed.info, () => '')
      const { kind } = compareUpdateSignatures(mine, evidence.signature)
      // Where pkg_add knows no order it takes the one of the mirror.
      return kind === 'newer' || kind === 'undefined'
    }
  }
}

function updateTo(installed: InstalledPackage, next: Candidate): PackageUpdate {
  return { installed, next, reason: compareVersions(installed, next) === 0 ? 'rebuilt' : 'version', argument: argumentOf(installed) }
}

/** A branch is named by the last part of a path of three: `python%3.12` for lang/python/3.12. */
function argumentOf({ stem, isBranch, pkgpath }: InstalledPackage): string {
  const branch = isBranch ? /^.*\/.*\/([^ ,]+)/.exec(pkgpath)?.[1] : undefined
  return branch === undefined ? stem : `${stem}%${branch}`
}
