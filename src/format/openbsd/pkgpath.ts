/**
 * Where a package is in the ports tree (pkgpath(7)): `lang/python/3.12,-main,no_x11`, a folder with subpackage and flavors in any
 * order. Names that a package had before may hold groups in brackets, `editors/vim,gtk2[,-main]`: all of such a group or nothing.
 */
export type Pkgpath = {
  readonly folder: string
  readonly words: ReadonlySet<string>
  readonly optional: readonly ReadonlySet<string>[]
}

/** Undefined where there is no folder. A bare comma at the end says that no flavor is meant: it asks for nothing. */
export function parsePkgpath(text: string): Pkgpath | undefined {
  const groups: ReadonlySet<string>[] = []
  const fixed = text.replaceAll(/\[([^[\]]*)\]/g, (_, group: string) => {
    groups.push(wordsOf(group.split(',')))
    return ''
  })
  const [folder, ...words] = fixed.split(',') as [string, ...string[]]
  return isFolder(folder) ? { folder, words: wordsOf(words), optional: groups } : undefined
}

function wordsOf(words: readonly string[]): ReadonlySet<string> {
  return new Set(words.filter((word) => word !== ''))
}

function isFolder(folder: string): boolean {
  return folder.includes('/') && folder.split('/').every((name) => name !== '' && name !== '.' && name !== '..' && !/[\0\s]/.test(name))
}

/** Whether `path` is what `pattern` means: all that must be there is, and nothing is left that no group accounts for. */
export function fitsPkgpath(pattern: Pkgpath, path: Pkgpath): boolean {
  if (pattern.folder !== path.folder || !pattern.words.isSubsetOf(path.words)) return false
  const left = [...path.words].filter((word) => !pattern.words.has(word))
  const accounted = pattern.optional.filter((group) => group.isSubsetOf(path.words))
  return left.every((word) => accounted.some((group) => group.has(word)))
}
