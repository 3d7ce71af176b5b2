import assert from 'node:assert/strict'
import { collectBytes, latin1, utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { joinPath } from '../../src/base/path.ts'
import { carryOut } from '../../src/engine/client/apply/commit.ts'
import { inodeKey } from '../../src/engine/client/apply/links.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { faultyDisk } from './faulty-disk.ts'
import { dir, file, plant, relPath } from './plant.ts'
import type { DirEntry, Timestamp } from '../../src/base/entry.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Action, Journal } from '../../src/format/journal.ts'
import type { Leaf, Node } from '../../src/format/journal-node.ts'
import type { Disk, Stat } from '../../src/port/disk.ts'
import type { Literal, Plant } from './plant.ts'

/**
 * A journal of transaction 1 that is carried out on a tree as it may be found. Trees have short names: `live` is a path, `come` its slot in
 * the stage, `gone` the one in the store; all else lies in the folder of the path.
 */
const paths: Readonly<Record<string, string>> = { live: 'etc/f', come: 'area/stage/1/0', gone: 'area/store/1/0' }
export const live = relPath('etc/f')
export const at = (sec: number): Timestamp => ({ sec, nsec: 0 })

/** Of one size: what tells them from each other is the time. */
export const before = file('before', { mtime: at(1) })
export const after = file('after.', { mtime: at(2) })
export const theirs = file('theirs', { mtime: at(3) })

export const pathOf = (name: string): RelPath => relPath(paths[name] ?? `etc/${name}`)
const nameOf = (path: RelPath): string => Object.keys(paths).find((name) => paths[name] === path) ?? path.slice('etc/'.length)

export function leaf(given: Plant): Leaf {
  const { mode = 0o644, uid = 0, gid = 0, mtime = at(0), xattrs } = given
  const meta = { path: live, mode, uid, gid, mtime, ...(xattrs && { xattrs }) }
  if (given.kind === 'file') {
    const content = typeof given.content === 'string' ? utf8(given.content) : given.content
    return { ...meta, kind: 'file', size: content.length, sha256: sha256(content) }
  }
  return { ...given, ...meta } as Leaf
}

export const folder = (mode: number): DirEntry => ({ kind: 'dir', path: live, mode, uid: 0, gid: 0, mtime: at(9) })
const slot = { area: 0, number: 0 }
export const put = (next: Plant): Action => ({ kind: 'put', path: live, slot, new: leaf(next) })
export const drop = (old: Plant): Action => ({ kind: 'drop', path: live, slot, old: leaf(old) })
export const swap = (old: Plant, next: Plant): Action => ({ kind: 'swap', path: live, slot, old: leaf(old), new: leaf(next) })
export const mkdir = (mode: number): Action => ({ kind: 'mkdir', path: live, new: folder(mode) })
export const rmdir = (mode: number): Action => ({ kind: 'rmdir', path: live, old: folder(mode) })
export const attr = (old: Node, next: Node, path = live): Action => ({ kind: 'attr', path, old, new: next })

export type Direction = Journal['direction']

export function journal(direction: Direction, actions: readonly Action[]): Journal {
  const none = { releases: [], undoes: [], postSteps: [], reboot: [], kept: [] }
  return { ...none, transaction: 1, purpose: 'install', direction, time: 0, areas: [relPath('area')], actions }
}

export async function found(given: Literal): Promise<Disk> {
  const disk = memoryDisk()
  const named = Object.entries(given).map(([name, one]) => {
    const isName = typeof one !== 'string' && one.kind === 'hardlink'
    return [pathOf(name), isName ? { ...one, leader: pathOf(one.leader) } : one] as const
  })
  await plant(disk, { etc: dir(), 'area/stage/1': dir(), 'area/store/1': dir(), ...Object.fromEntries(named) })
  return disk
}

export type Carried = {
  /** What was found changed here, as `REASON PATH BESIDE`. */
  readonly told: readonly string[]
  readonly calls: readonly string[]
}

export async function carryOutOn(disk: Disk, direction: Direction, ...actions: readonly Action[]): Promise<Carried> {
  const watched = faultyDisk(disk, { kind: 'none' })
  const kept = await carryOut(watched.disk, journal(direction, actions))
  return {
    told: kept.map(({ reason, path, beside }) => [reason, path, ...(beside === undefined ? [] : [beside])].join(' ')),
    calls: watched.calls,
  }
}

/** What lies where: by all the names of each file, its content. */
export async function treeOf(disk: Disk): Promise<Readonly<Record<string, string>>> {
  const files = new Map<string, { readonly names: string[]; readonly content: string }>()
  const add = async (path: RelPath): Promise<void> => {
    const stat = (await disk.lstat(path)) as Stat
    const known = files.get(inodeKey(stat))
    if (known === undefined) files.set(inodeKey(stat), { names: [nameOf(path)], content: await contentOf(disk, path, stat) })
    else known.names.push(nameOf(path))
    if (stat.kind === 'dir') await addAll(path)
  }
  const addAll = async (path: RelPath): Promise<void> => {
    for (const name of [...(await disk.readdir(path))].sort()) await add(joinPath(path, name))
  }
  for (const top of ['etc', 'area/stage/1', 'area/store/1'].map(relPath)) if ((await disk.lstat(top))?.kind === 'dir') await addAll(top)
  return Object.fromEntries([...files.values()].map(({ names, content }) => [names.sort().join(' '), content]))
}

async function contentOf(disk: Disk, path: RelPath, { kind }: Stat): Promise<string> {
  if (kind === 'file') return latin1((await collectBytes(disk.read(path), 100)) as Uint8Array)
  return kind === 'symlink' ? `-> ${await disk.readlink(path)}` : kind
}

/** What is found, what becomes of it, and what is told. */
export type Way = readonly [what: string, given: Literal, becomes: Readonly<Record<string, string>>, told?: readonly string[]]

export async function tryWays(
  direction: Direction,
  actions: readonly Action[],
  ways: readonly Way[],
  on: (disk: Disk) => Disk = (disk) => disk,
): Promise<void> {
  for (const [what, given, becomes, told = []] of ways) {
    const disk = await found(given)
    const carried = await carryOutOn(on(disk), direction, ...actions)
    assert.deepEqual([await treeOf(disk), carried.told], [becomes, told], what)
  }
}
