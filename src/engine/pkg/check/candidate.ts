import type { SplitName } from '../../../format/openbsd/package-name.ts'
import type { UpdateSignature } from '../../../format/openbsd/update-signature.ts'

/** A package that a mirror offers, as far as its index tells. */
export type Candidate = SplitName & {
  readonly name: string
  /** Undefined where the index does not tell. */
  readonly pkgpath: string | undefined
  readonly evidence: Evidence
  /** Specs of paths that it was at before. */
  readonly formerPaths: readonly string[]
  /** Of the package file, in bytes. */
  readonly size: number | undefined
  /** Names of the packages that it was built with, where the index tells them apart from the evidence. */
  readonly depends: readonly string[] | undefined
}

/** What tells a rebuilt package of the same version. */
export type Evidence =
  /** obsdpkgup's string: another one is another package. */
  | { readonly kind: 'text'; readonly signature: string }
  /** pkg_add's elements, which know older from newer. */
  | { readonly kind: 'keyed'; readonly signature: UpdateSignature }
  /** Of a package with always-update. */
  | { readonly kind: 'hash'; readonly hash: string }

/** What the directories of a path offer, by stem: of each directory, in the order of the path. */
export type Catalog = readonly ReadonlyMap<string, readonly Candidate[]>[]
