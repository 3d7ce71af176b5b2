import { hex } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { indexedPackage } from '../../../format/openbsd/index-state.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Checksum } from '../../../format/checksum-list.ts'
import type { IndexedPackage } from '../../../format/openbsd/bindery-index.ts'
import type { KnownPackage } from '../../../format/openbsd/index-state.ts'
import type { MirrorFile } from '../../../port/package-mirror.ts'

/** What an index says of a mirror. */
export type MirrorIndex = {
  /** When the quirks package was signed: when the mirror is from. */
  readonly quirksDate: string
  readonly packages: readonly KnownPackage[]
}

/** The first of the list, as obsdpkgup takes it. */
export function quirksOf(files: readonly MirrorFile[]): string | undefined {
  return files.find(({ name }) => name.startsWith('quirks-'))?.name
}

/** Throws `not-found` without the date of a quirks package. */
export function mirrorIndex(files: readonly MirrorFile[], packages: readonly KnownPackage[]): MirrorIndex {
  const quirks = quirksOf(files)
  if (quirks === undefined) throw new BinderyError('not-found', "holds no quirks package, whose date would be the mirror's")
  const quirksDate = packages.find(({ file }) => file === quirks)?.signedOn
  if (quirksDate === undefined) throw new BinderyError('not-found', `holds no date of its signature`, { subject: quirks })
  return { quirksDate, packages }
}

/** With the digests that the mirror tells. */
export function indexedPackages({ packages }: MirrorIndex, checksums: readonly Checksum[]): readonly IndexedPackage[] {
  const sums = new Map(
    checksums.flatMap(({ file, algorithm, digest }) => (algorithm === 'SHA256' ? [[file, hex(digest) as Sha256] as const] : [])),
  )
  return packages.map((known) => ({ ...indexedPackage(known), sha256: sums.get(known.file) }))
}
