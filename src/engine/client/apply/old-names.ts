import { oneChunk } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { isWithin, joinPath, parentPath } from '../../../base/path.ts'
import { decodeOldNames, encodeOldNames, maxOldNamesBytes } from '../../../format/old-names.ts'
import { readStateFile, statePaths } from '../state.ts'
import { lstatDeep } from './aside.ts'
import { findChanges } from './changes.ts'
import { lookAt } from './look.ts'
import type { RelPath } from '../../../base/path.ts'
import type { KeepOld } from '../../../format/keep-old.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { Change, ChangeInput, Changes } from './changes.ts'
import type { LiveView } from './look.ts'
import type { NodeTree } from './nodes.ts'
import type { StateChange } from './plan.ts'

/**
 * A kernel that is replaced stays bootable under a second name until the next is (`keep-old` in bindery.conf): what is
 * there now is linked, all of a directory. The links are changes of the plan like any other, so that they are journalled
 * with it and taken back with it. What was put there earlier is known by `old-names`; nothing else is touched.
 */
export type OldNames = Changes & { readonly stateFiles: readonly StateChange[] }

const nothing: OldNames = { changes: [], kept: [], merges: new Map(), live: { stats: new Map(), nodes: new Map() }, stateFiles: [] }

export async function findOldNames(input: ChangeInput, own: Changes, keepOld: readonly KeepOld[]): Promise<OldNames> {
  const wanted = keepOld.filter((rule) => isReplaced(rule, own) && isFree(rule, input, own))
  if (wanted.length === 0) return nothing
  const earlier = (await readOldNames(input.disk)).filter(({ path }) => !input.scope.excluded(path))
  const sources: Source[] = []
  const kept: Changes['kept'][number][] = []
  for (const rule of wanted) {
    const source = await sourceOf(input, rule)
    if (source === undefined) continue
    if (await isForeign(input.disk, rule, earlier)) kept.push({ path: rule.old, reason: 'in-the-way' })
    else sources.push(source)
  }
  if (sources.length === 0) return { ...nothing, kept }
  const found = await changesOf(input, sources, earlier)
  return { ...found, kept: [...kept, ...found.kept], stateFiles: [record(sources, earlier)] }
}

/** What was kept last, as it was then; empty where nothing was. */
export async function readOldNames(disk: DiskReader): Promise<readonly Node[]> {
  const bytes = await readStateFile(disk, statePaths.oldNames, maxOldNamesBytes)
  if (bytes === undefined) return []
  try {
    return decodeOldNames(bytes)
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    const hint = 'put it back from a backup, or remove it: what it names is then kept as if it were yours'
    throw new BinderyError(error.code, error.message, { subject: `/${statePaths.oldNames}`, hint, cause: error })
  }
}

/** What comes to lie beside what stays replaces nothing. */
function isReplaced({ path }: KeepOld, { changes }: Changes): boolean {
  const isBeside = (change: Change): boolean => 'of' in change && change.of !== change.path
  return changes.some((change) => change.kind !== 'attr' && !isBeside(change) && isWithin(change.path, path))
}

/** The second name is no business of the release, and the directory that it is in stays. */
function isFree({ path, old }: KeepOld, { base, next, scope }: ChangeInput, { changes }: Changes): boolean {
  if (scope.excluded(path) || scope.excluded(old) || isWithin(old, path) || isWithin(path, old)) return false
  if ([base, next].some(({ nodes }) => nodes.has(old))) return false
  return !changes.some((change) => change.kind !== 'attr' && 'old' in change && isWithin(old, change.path))
}

/** What is at a path now, and all that is below it. */
type Source = { readonly rule: KeepOld; readonly live: LiveView }

/** Undefined where there is nothing to link: a symbolic link says nothing of what it leads to, and links end at mounts. */
async function sourceOf({ disk, scope, signal }: ChangeInput, rule: KeepOld): Promise<Source | undefined> {
  const [stat, above] = [await lstatDeep(disk, rule.path), await lstatDeep(disk, parentPath(rule.path))]
  if ((stat?.kind !== 'file' && stat?.kind !== 'dir') || isMountedIn(above, stat)) return undefined
  const paths = stat.kind === 'dir' ? await walk(disk, rule.path, stat) : [rule.path]
  return { rule, live: await lookAt(disk, paths, { scope, guess: () => undefined, signal }) }
}

/** Of directories alone: on an overlay, files are of other devices than the directories that they are in. */
function isMountedIn(above: Stat | undefined, stat: Stat): boolean {
  return stat.kind === 'dir' && stat.device !== above?.device
}

async function walk(disk: DiskReader, folder: RelPath, above: Stat): Promise<readonly RelPath[]> {
  const paths = [folder]
  for (const name of await disk.readdir(folder)) {
    const path = joinPath(folder, name)
    const stat = await lstatDeep(disk, path)
    if (stat === undefined || stat.kind === 'socket' || isMountedIn(above, stat)) continue
    paths.push(...(stat.kind === 'dir' ? await walk(disk, path, stat) : [path]))
  }
  return paths
}

/** Something is there that was not put there by us, or another file system is. */
async function isForeign(disk: DiskReader, { old }: KeepOld, earlier: readonly Node[]): Promise<boolean> {
  const [live, above] = [await lstatDeep(disk, old), await lstatDeep(disk, parentPath(old))]
  return live !== undefined && (isMountedIn(above, live) || !earlier.some(({ path }) => path === old))
}

function renamed({ path, old }: KeepOld, node: Node): Node {
  return { ...node, path: `${old}${node.path.slice(path.length)}` as RelPath }
}

function nodesOf({ rule, live }: Source): readonly Node[] {
  return [...live.nodes.values()].map((node) => renamed(rule, node))
}

/** Three ways, as for the tree itself: what was changed under the second name since stays, and the old version comes beside it. */
async function changesOf(input: ChangeInput, sources: readonly Source[], earlier: readonly Node[]): Promise<Changes> {
  const base: Node[] = []
  // Who has removed it for its space wants the next one all the same.
  for (const node of earlier) {
    if (sources.some(({ rule }) => isWithin(node.path, rule.old)) && (await lstatDeep(input.disk, node.path)) !== undefined) base.push(node)
  }
  const found = await findChanges({
    ...input,
    base: treeOf(base),
    next: treeOf(sources.flatMap(nodesOf)),
    relinked: undefined,
    merging: undefined,
  })
  const stats = new Map([...found.live.stats, ...sources.flatMap(({ live }) => [...live.stats])])
  return { ...found, changes: found.changes.flatMap((change) => linked(change, sources)), live: { ...found.live, stats } }
}

/** A link has the attributes of its file, which those under the second name must not change. */
function linked(change: Change, sources: readonly Source[]): readonly Change[] {
  if (change.kind === 'remove' || change.new.kind === 'dir') return [change]
  if (change.kind === 'attr') return []
  const { rule, live } = sources.find((source) => isWithin(change.of, source.rule.old)) as Source
  const donor = `${rule.path}${change.of.slice(rule.old.length)}` as RelPath
  return [{ ...change, donor, new: { ...(live.nodes.get(donor) as Node), path: change.path } }]
}

function treeOf(nodes: readonly Node[]): NodeTree {
  return { nodes: new Map(nodes.map((node) => [node.path, node])), groups: new Map(), leaders: new Map() }
}

function record(sources: readonly Source[], earlier: readonly Node[]): StateChange {
  const others = earlier.filter(({ path }) => !sources.some(({ rule }) => isWithin(path, rule.old)))
  const nodes = [...others, ...sources.flatMap(nodesOf)].sort((a, b) => (a.path < b.path ? -1 : 1))
  const bytes = encodeOldNames(nodes)
  return { path: statePaths.oldNames, content: () => oneChunk(bytes), mode: 0o600, size: bytes.length }
}
