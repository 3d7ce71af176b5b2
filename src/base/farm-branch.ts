/** One line of a farm: the packages of a release, or the releases of a product. */
export type Branch = {
  readonly name: string
  /** What it makes releases of, as `base`; undefined for a line of packages. */
  readonly product: string | undefined
  readonly release: string
  readonly source: BranchSource
  /** Tags, branches or commits: the state of the release, and that of today. Of errata there are none. */
  readonly from: string
  readonly to: string
  readonly sqlports: string | undefined
  readonly archs: readonly string[]
  /** What builders of it must have. */
  readonly tags: readonly string[]
}

export type BranchSource = {
  readonly kind: 'cvs' | 'git' | 'errata'
  /** A root of CVS, a clone of git, a folder of errata patches. */
  readonly place: string
  readonly module: string | undefined
}
