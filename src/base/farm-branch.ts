/** One line of packages of a farm: a release, its ports, who has them. */
export type Branch = {
  readonly name: string
  readonly release: string
  readonly source: { readonly kind: 'cvs' | 'git'; readonly place: string; readonly module: string | undefined }
  /** Tags, branches or commits: the state of the release, and that of today. */
  readonly from: string
  readonly to: string
  readonly sqlports: string | undefined
  readonly archs: readonly string[]
  /** What builders of it must have. */
  readonly tags: readonly string[]
}
