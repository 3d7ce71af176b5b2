import { BinderyError } from '../../base/error.ts'
import { parentPath, rootPath, showPath } from '../../base/path.ts'
import type { RelPath } from '../../base/path.ts'
import type { FileTree } from './tree.ts'

/** As Linux counts them. */
const mostLinks = 40

/** Refuses symbolic links that lead out of the tree, also over each other. `home`: where the tree is once it is installed. */
export function refuseLinksOut(tree: FileTree, home: string | undefined): void {
  for (const [path, node] of tree) {
    if (node.kind !== 'symlink' || staysInside(tree, path, node.target, home)) continue
    throw new BinderyError('hostile', `is a symbolic link that leads out of the package, to ${showPath(node.target)}`, {
      subject: showPath(path),
      hint: 'with --links-out it is taken as it is',
    })
  }
}

/** Follows the target as the system would; what is not there is taken for a folder. */
function staysInside(tree: FileTree, link: RelPath, target: string, home: string | undefined): boolean {
  let at: string[] = partsOf(parentPath(link))
  let toGo = [target]
  let links = 0
  for (let next = toGo.shift(); next !== undefined; next = toGo.shift()) {
    if (next.startsWith('/')) {
      const inside = belowHome(next, home)
      if (inside === undefined) return false
      at = []
      next = inside
    }
    const [name = '', ...rest] = next.split('/')
    if (rest.length > 0) toGo = [rest.join('/').replace(/^\/+/, ''), ...toGo]
    if (name === '' || name === '.') continue
    if (name === '..') {
      if (at.pop() === undefined) return false
      continue
    }
    at.push(name)
    const node = tree.get(at.join('/') as RelPath)
    if (node?.kind !== 'symlink') continue
    // Going round in circles leads nowhere.
    if (++links > mostLinks) return true
    at.pop()
    toGo = [node.target, ...toGo]
  }
  return true
}

function partsOf(path: RelPath): string[] {
  return path === rootPath ? [] : path.split('/')
}

function belowHome(path: string, home: string | undefined): string | undefined {
  if (home === undefined || !home.startsWith('/') || home === '/') return undefined
  const clean = home.replace(/\/+$/, '')
  return path === clean ? '.' : path.startsWith(`${clean}/`) ? path.slice(clean.length + 1).replace(/^\/+/, '') || '.' : undefined
}
