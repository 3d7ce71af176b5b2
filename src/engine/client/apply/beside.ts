import { baseName, joinPath, maxNameBytes, parentPath, parseRelPath } from '../../../base/path.ts'
import { lookAt } from './look.ts'
import { sameContent } from './nodes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { NodeScope, NodeTree } from './nodes.ts'

/** Where a version goes that may not replace what is there: `PATH.new`, or the next free name behind it. */
export type Beside =
  /** It lies there already, from an earlier attempt. */
  | { readonly kind: 'there'; readonly path: RelPath }
  | { readonly kind: 'add'; readonly path: RelPath }
  /** An earlier release's version lies there, unchanged. */
  | { readonly kind: 'replace'; readonly path: RelPath; readonly old: Node; readonly stat: Stat }

export type BesideOptions = {
  readonly suffix: '.new' | '.old'
  readonly base: NodeTree
  readonly next: NodeTree
  readonly scope: NodeScope
  /** By another path whose name has the same beginning. */
  readonly isTaken: (path: RelPath) => boolean
}

const maxTries = 100

/** Undefined where the path would be too long, or a hundred names are taken. Never takes what a user may have edited. */
export async function findBeside(disk: DiskReader, path: RelPath, node: Node, options: BesideOptions): Promise<Beside | undefined> {
  for (const candidate of namesBeside(path, options.suffix)) {
    if (parseRelPath(candidate) === undefined) return undefined
    if (options.base.nodes.has(candidate) || options.next.nodes.has(candidate) || options.isTaken(candidate)) continue
    const beside = await tryName(disk, path, candidate, node, options)
    if (beside !== undefined) return beside
  }
  return undefined
}

/** In the order in which they are tried. */
export function namesBeside(path: RelPath, suffix: string): readonly RelPath[] {
  return Array.from({ length: maxTries }, (_, i) => nameBeside(path, `${suffix}${i === 0 ? '' : `.${i}`}`))
}

/** The suffix is never left out: a name that would be longer than names can be loses its end for it, in whole characters of UTF-8. */
export function nameBeside(path: RelPath, suffix: string): RelPath {
  const name = baseName(path)
  let end = Math.min(name.length, maxNameBytes - suffix.length)
  for (let i = 0; i < 3 && isContinuation(name.charCodeAt(end)); i++) end--
  return joinPath(parentPath(path), `${name.slice(0, end)}${suffix}`)
}

function isContinuation(byte: number): boolean {
  return byte >> 6 === 0b10
}

async function tryName(
  disk: DiskReader,
  path: RelPath,
  candidate: RelPath,
  node: Node,
  { base, scope }: BesideOptions,
): Promise<Beside | undefined> {
  const view = await lookAt(disk, [candidate], { scope, guess: () => undefined })
  const live = view.nodes.get(candidate)
  if (live === undefined) return { kind: 'add', path: candidate }
  if (sameContent(live, node)) return { kind: 'there', path: candidate }
  const earlier = base.nodes.get(path)
  if (earlier === undefined || live.kind === 'dir' || !sameContent(earlier, live)) return undefined
  return { kind: 'replace', path: candidate, old: live, stat: view.stats.get(candidate) as Stat }
}
