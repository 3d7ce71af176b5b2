/**
 * The ports that a tree has, with what decides whether an architecture can have them, as sqlports knows them.
 * A fullpkgpath names one package of a port: `editors/vim,gtk2,-lang` (pkgpath(7)).
 */
export type PortsList = {
  /** By pkgpath without flavors and subpackages. */
  readonly ports: ReadonlyMap<string, readonly ListedPackage[]>
  /** Where the list is from, for messages. */
  readonly source: string
}

export type ListedPackage = {
  readonly fullpkgpath: string
  /** Undefined: any. Names of architectures. */
  readonly onlyFor: readonly string[] | undefined
  readonly notFor: readonly string[]
  /** Why it cannot be built: everywhere, or on one architecture. */
  readonly broken: readonly { readonly arch: string | undefined; readonly why: string }[]
}
