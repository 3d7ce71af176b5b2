import { BinderyError } from '../../base/error.ts'
import { parentPath, rootPath, showPath } from '../../base/path.ts'
import { withoutTrailing } from '../../base/trailing.ts'
import type { RelPath } from '../../base/path.ts'
import type { FileTree } from './tree.ts'

/** As Linux counts them. */
const mostLinks = 40
/** For all links together, names of the paths that are looked up: a hundred thousand links of thirty names each, and then some. */
const mostNames = 100_000_000

/** Refuses symbolic links that lead out of the tree, also over each other. `home`: where the tree is once it is installed. */
export function refuseLinksOut(tree: FileTree, home: string | undefined): void {
  const walk: Walk = { tree, home, left: mostNames }
  for (const [path, node] of tree) {
    if (node.kind !== 'symlink' || staysInside(walk, path, node.target)) continue
    throw new BinderyError('hostile', `is a symbolic link that leads out of the package, to ${showPath(node.target)}`, {
      subject: showPath(path),
      hint: 'with --links-out it is taken as it is',
    })
  }
}

type Walk = { readonly tree: FileTree; readonly home: string | undefined; left: number }

/** Follows the target as the system would; what is not there is taken for a folder. */
function staysInside(walk: Walk, link: RelPath, target: string): boolean {
  let at: string[] = partsOf(parentPath(link))
  const start = namesToGo(target, walk.home)
  if (start === undefined) return false
  if (start.isAbsolute) at = []
  /** The next is the last. */
  const toGo = start.names
  let links = 0
  for (let name = toGo.pop(); name !== undefined; name = toGo.pop()) {
    walk.left -= at.length + 1
    if (walk.left < 0) throw new BinderyError('over-limit', 'the symbolic links lead too far to be followed', { subject: showPath(link) })
    if (name === '..') {
      if (at.pop() === undefined) return false
      continue
    }
    at.push(name)
    const node = walk.tree.get(at.join('/') as RelPath)
    if (node?.kind !== 'symlink') continue
    // Going round in circles leads nowhere.
    if (++links > mostLinks) return true
    at.pop()
    const more = namesToGo(node.target, walk.home)
    if (more === undefined) return false
    if (more.isAbsolute) at = []
    for (const one of more.names) toGo.push(one)
  }
  return true
}

/** Of a target, the last first; undefined for an absolute one that is not at home. */
function namesToGo(target: string, home: string | undefined): { readonly isAbsolute: boolean; readonly names: string[] } | undefined {
  const isAbsolute = target.startsWith('/')
  const inside = isAbsolute ? belowHome(target, home) : target
  return inside === undefined
    ? undefined
    : {
        isAbsolute,
        names: inside
          .split('/')
          .filter((name) => name !== '' && name !== '.')
          .reverse(),
      }
}

function partsOf(path: RelPath): string[] {
  return path === rootPath ? [] : path.split('/')
}

function belowHome(path: string, home: string | undefined): string | undefined {
  if (home === undefined || !home.startsWith('/') || home === '/') return undefined
  const clean = withoutTrailing(home, '/')
  return path === clean ? '.' : path.startsWith(`${clean}/`) ? path.slice(clean.length + 1).replace(/^\/+/, '') || '.' : undefined
}
