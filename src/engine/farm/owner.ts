/**
 * Which ports a changed file of the ports tree belongs to. Ports lie two, three or more folders deep (net/curl,
 * net/icinga/core2, lang/python/3.8), so that no fixed depth is right: where the ports are known, the longest known
 * pkgpath that holds the file owns it. Paths are relative to the ports tree, one char per byte.
 */
export type Owner =
  | { readonly kind: 'ports'; readonly pkgpaths: readonly string[]; readonly how: 'known' | 'shared' | 'guessed' }
  | { readonly kind: 'none'; readonly why: Unowned }

/** Machinery of the tree, a category's own files, files that stand in no category. */
export type Unowned = 'infrastructure' | 'category' | 'top'

/** What a port's own folder holds; never a port of its own (ports(7)). */
const insides: ReadonlySet<string> = new Set(['pkg', 'patches', 'files'])
const sharedFile = /^(?:Makefile\.inc|.*\.port\.mk)$/

export type Known = { readonly has: (pkgpath: string) => boolean; readonly below: (folder: string) => readonly string[] }

/** Of pkgpaths without flavors and subpackages. */
export function knownPorts(pkgpaths: Iterable<string>): Known {
  const all = new Set(pkgpaths)
  const below = new Map<string, string[]>()
  for (const pkgpath of all) for (const folder of foldersOf(pkgpath)) below.set(folder, [...(below.get(folder) ?? []), pkgpath])
  return { has: (pkgpath) => all.has(pkgpath), below: (folder) => below.get(folder) ?? [] }
}

/** Itself and every folder above: lang/python/3.8, lang/python, lang. */
function foldersOf(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

export function ownerOf(path: string, known: Known): Owner {
  const parts = path.split('/')
  if (parts.length < 2) return { kind: 'none', why: 'top' }
  if (parts[0] === 'infrastructure') return { kind: 'none', why: 'infrastructure' }
  const folder = parts.slice(0, -1).join('/')
  if (sharedFile.test(parts.at(-1) as string) && known.below(folder).length > 0)
    return { kind: 'ports', pkgpaths: known.below(folder), how: 'shared' }
  const owner = foldersOf(folder).findLast((candidate) => known.has(candidate))
  if (owner !== undefined) return { kind: 'ports', pkgpaths: [owner], how: 'known' }
  const guess = guessOf(parts.slice(0, -1))
  return guess === undefined ? { kind: 'none', why: 'category' } : { kind: 'ports', pkgpaths: [guess], how: 'guessed' }
}

/** For ports that nobody knows yet: the folder of the file, or the one that its insides stand in. */
function guessOf(folders: readonly string[]): string | undefined {
  const inside = folders.findIndex((name, index) => index >= 2 && insides.has(name))
  const port = inside < 0 ? folders : folders.slice(0, inside)
  return port.length < 2 ? undefined : port.join('/')
}
