import { oneChunk } from '../../../base/bytes.ts'
import { parentPath } from '../../../base/path.ts'
import { AreaFinder } from './area.ts'
import { findChanges } from './changes.ts'
import { withAttributesOf } from './decide.ts'
import { inodeKey } from './links.ts'
import { lookAt, unreadDigest as stateDigest } from './look.ts'
import { sameAttributes } from './nodes.ts'
import { findOldNames } from './old-names.ts'
import { orderChanges } from './order.ts'
import { stateFolder } from '../state.ts'
import type { DirEntry } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { KeepOld } from '../../../format/keep-old.ts'
import type { Action, Journal, Slot } from '../../../format/journal.ts'
import type { Leaf, Node } from '../../../format/journal-node.ts'
import type { Stat } from '../../../port/disk.ts'
import type { Change, ChangeInput, Changes } from './changes.ts'
import type { LiveView } from './look.ts'
import type { Step, Way } from './order.ts'

/** All that is decided before anything is written. `journal` is what will be done, `stage` what must lie ready for it. */
export type Plan = {
  readonly journal: Journal
  readonly stage: readonly StageItem[]
  /** The live tree as it was seen: what has changed since ends the attempt before it begins. */
  readonly seen: ReadonlyMap<RelPath, Stat>
}

/** One slot to be filled, with the attributes that its path will have. */
export type StageItem = { readonly slot: Slot; readonly node: Leaf; readonly source: Source }

export type Source =
  /** From the release, under this path; each path comes once. */
  | { readonly kind: 'content'; readonly path: RelPath }
  /** Another name of a slot that is filled earlier. */
  | { readonly kind: 'share'; readonly slot: Slot }
  /** A file of its own with the bytes of a slot that is filled earlier. */
  | { readonly kind: 'copy'; readonly slot: Slot }
  /** Another name of a file below the root; a copy of it where the file system has no hard links. */
  | { readonly kind: 'link'; readonly from: RelPath }
  /** Links, FIFOs and devices say all themselves. */
  | { readonly kind: 'make' }
  | { readonly kind: 'stream'; readonly content: () => ByteStream; readonly from?: RelPath }

/** A file of the state folder that changes with the tree: its path from the root, and where its bytes come from. */
export type StateChange = {
  readonly path: RelPath
  readonly content: (() => ByteStream) | 'remove'
  readonly mode: number
  readonly size: number
  readonly from?: RelPath
}

/** Where the content of a path comes from: the dist, under the name that it has there, or a file that is kept, with its own attributes. */
export type Origin =
  | { readonly kind: 'content'; readonly path: RelPath }
  | { readonly kind: 'link'; readonly from: RelPath; readonly node: Node }

export type PlanInput = ChangeInput & {
  readonly way: Way
  readonly originOf: (path: RelPath) => Origin
  readonly stateFiles: (found: Changes) => readonly StateChange[]
  readonly keepOld?: readonly KeepOld[]
  readonly header: Omit<Journal, 'areas' | 'kept' | 'actions'>
}

export async function makePlan(input: PlanInput): Promise<Plan> {
  const own = await findChanges(input)
  const old = await findOldNames(input, own, input.keepOld ?? [])
  const found = together(old, own)
  const stateFiles = [...input.stateFiles(own), ...old.stateFiles]
  const state = await lookAtState(input, stateFiles)
  const stats = new Map([...found.live.stats, ...state.stats])
  const draft = new PlanDraft(input, { stats, merges: found.merges, twins: twinsOf(input, found) })
  // At no moment is a version without a name.
  for (const { changes } of [old, own]) for (const step of orderChanges(changes, input.way)) draft.step(step)
  for (const action of [...draft.later, ...(await folderAttributes(input, found))]) draft.action(action)
  for (const file of stateFiles) draft.stateFile(file, state)
  return { journal: { ...input.header, areas: draft.areas, kept: found.kept, actions: draft.actions }, stage: draft.stage, seen: stats }
}

function together(old: Changes, own: Changes): Changes {
  const live = {
    stats: new Map([...old.live.stats, ...own.live.stats]),
    nodes: new Map([...old.live.nodes, ...own.live.nodes]),
  }
  return { changes: [...old.changes, ...own.changes], kept: [...own.kept, ...old.kept], merges: own.merges, live }
}

async function lookAtState({ disk, scope }: PlanInput, stateFiles: readonly StateChange[]): Promise<LiveView> {
  const paths = stateFiles.flatMap(({ path }) => [path, parentPath(path)])
  return await lookAt(disk, [stateFolder, ...new Set(paths)], {
    scope: { ...scope, xattrs: false, flags: false },
    guess: () => stateDigest,
  })
}

type Seen = {
  readonly stats: ReadonlyMap<RelPath, Stat>
  readonly merges: Changes['merges']
  readonly twins: Twins
}

/** A plan on its way: gives out slots and knows which contents have one already. */
class PlanDraft {
  readonly actions: Action[] = []
  readonly stage: StageItem[] = []
  /** Attributes that a kept file gets when it is in its place: until then it is not ours alone. */
  readonly later: Action[] = []
  readonly #input: PlanInput
  readonly #stats: ReadonlyMap<RelPath, Stat>
  readonly #finder: AreaFinder
  readonly #twins: Twins
  readonly #merges: Changes['merges']
  readonly #shared = new Map<string, Slot>()
  readonly #contents = new Map<RelPath, Slot>()
  #nextSlot = 0

  constructor(input: PlanInput, { stats, merges, twins }: Seen) {
    this.#input = input
    this.#merges = merges
    this.#twins = twins
    this.#stats = stats
    this.#finder = new AreaFinder(stats)
  }

  get areas(): readonly RelPath[] {
    return this.#finder.areas
  }

  action(action: Action): void {
    this.actions.push(action)
  }

  step(step: Step): void {
    const { change } = step
    switch (step.kind) {
      case 'attr':
        if (step.change.new.kind !== 'dir') this.action(step.change)
        return
      case 'go':
        return this.#go(change as Extract<Change, { old: Node }>)
      case 'come':
        return this.#come(change as Coming)
      case 'exchange': {
        const { path, old, new: next } = change as Extract<Change, { kind: 'replace' }>
        const slot = this.#slot(path)
        this.#fill(slot, change as Coming)
        this.action({ kind: 'swap', path, slot, old: old as Leaf, new: next as Leaf, ...this.#twinOf(path) })
      }
    }
  }

  #go({ path, old }: { readonly path: RelPath; readonly old: Node }): void {
    if (old.kind === 'dir') this.action({ kind: 'rmdir', path, old })
    else this.action({ kind: 'drop', path, slot: this.#slot(path), old, ...this.#twinOf(path) })
  }

  #twinOf(path: RelPath): { readonly twin?: RelPath } {
    const twin = this.#twins.get(path)
    return twin === undefined ? {} : { twin }
  }

  #come(change: Coming): void {
    const { path, new: node } = change
    if (node.kind === 'dir') return this.action({ kind: 'mkdir', path, new: node })
    const slot = this.#slot(path)
    this.#fill(slot, change)
    this.action({ kind: 'put', path, slot, new: node })
  }

  #slot(path: RelPath): Slot {
    return { area: this.#finder.areaOf(parentPath(path)), number: this.#nextSlot++ }
  }

  #fill(slot: Slot, change: Coming): void {
    const node = change.new as Leaf
    this.stage.push({ slot, node, source: this.#sourceOf(slot, change) })
  }

  #sourceOf(slot: Slot, { path, of, donor, new: node }: Coming): Source {
    const merged = this.#merges.get(path)
    if (merged !== undefined) return { kind: 'stream', content: () => oneChunk(merged.content) }
    if (donor !== undefined && this.#areSameDevice(donor, path)) return { kind: 'link', from: donor }
    const origin = this.#input.originOf(of)
    if (origin.kind === 'link') {
      if (!sameAttributes(origin.node, node)) this.later.push({ kind: 'attr', path, old: withAttributesOf(node, origin.node), new: node })
      return { kind: 'link', from: origin.from }
    }
    const key = `${slot.area} ${path === of ? '' : 'beside '}${this.#groupOf(of)}`
    const shared = this.#shared.get(key)
    if (shared !== undefined) return { kind: 'share', slot: shared }
    this.#shared.set(key, slot)
    if (node.kind !== 'file') return { kind: 'make' }
    const filled = this.#contents.get(origin.path)
    if (filled !== undefined) return { kind: 'copy', slot: filled }
    this.#contents.set(origin.path, slot)
    return origin
  }

  /** A group that the live tree has spread over file systems cannot be one again. */
  #areSameDevice(a: RelPath, b: RelPath): boolean {
    return this.#finder.deviceOf(parentPath(a)) === this.#finder.deviceOf(parentPath(b))
  }

  #groupOf(path: RelPath): RelPath {
    return this.#input.next.groups.get(path)?.[0] ?? path
  }

  /** Files of bindery's own: their digests are the network half's business. */
  stateFile(file: StateChange, state: LiveView): void {
    const { path } = file
    const parent = parentPath(path)
    const old = state.nodes.get(path) as Leaf | undefined
    const { uid, gid } = this.#stats.get(stateFolder) as Stat
    const meta = { uid, gid, mtime: { sec: this.#input.header.time, nsec: 0 } }
    const hasParent = state.stats.has(parent) || this.actions.some((action) => action.path === parent)
    if (file.content === 'remove') return old === undefined ? undefined : this.action({ kind: 'drop', path, slot: this.#slot(path), old })
    if (!hasParent) this.action({ kind: 'mkdir', path: parent, new: { kind: 'dir', path: parent, mode: 0o755, ...meta } })
    const node: Leaf = { kind: 'file', path, mode: file.mode, ...meta, size: file.size, sha256: stateDigest }
    const slot = this.#slot(path)
    this.stage.push({
      slot,
      node,
      source: { kind: 'stream', content: file.content, ...(file.from === undefined ? {} : { from: file.from }) },
    })
    this.action(old === undefined ? { kind: 'put', path, slot, new: node } : { kind: 'swap', path, slot, old, new: node })
  }
}

/** Of every path that leaves a hard-link group: a name of the group that stays on the same inode. */
type Twins = ReadonlyMap<RelPath, RelPath | undefined>

function twinsOf({ base }: PlanInput, { changes, live }: Changes): Twins {
  const leaving = new Set(changes.filter(({ kind }) => kind === 'replace' || kind === 'remove').map(({ path }) => path))
  const isTwin = (path: RelPath, name: RelPath): boolean => {
    const other = live.stats.get(name)
    return !leaving.has(name) && other !== undefined && inodeKey(other) === inodeKey(live.stats.get(path) as Stat)
  }
  return new Map([...leaving].map((path) => [path, base.groups.get(path)?.find((name) => isTwin(path, name))]))
}

type Coming = Extract<Change, { readonly kind: 'add' | 'replace' }>

/**
 * Every folder in which a name changes gets a new time by that; in the end it shall be the one of the manifest. The
 * executor sets attributes of folders when all else is done.
 */
async function folderAttributes({ disk, next, scope }: PlanInput, { changes, live }: Changes): Promise<readonly Action[]> {
  const attrs = new Map(changes.flatMap((change) => (change.kind === 'attr' ? [[change.path, change.new] as const] : [])))
  const moving = changes.filter(({ kind }) => kind !== 'attr')
  const gone = new Set(moving.map(({ path }) => path))
  const touched = new Set(moving.map(({ path }) => parentPath(path)))
  const there = [...new Set([...attrs.keys(), ...touched])].filter((path) => live.stats.get(path)?.kind === 'dir' && !gone.has(path)).sort()
  const view = await lookAt(
    disk,
    there.filter((path) => !live.nodes.has(path)),
    { scope, guess: () => undefined },
  )
  return there.map((path): Action => {
    const old = (live.nodes.get(path) ?? view.nodes.get(path)) as DirEntry
    const wanted = (attrs.get(path) ?? old) as DirEntry
    const manifest = next.nodes.get(path)
    const mtime = touched.has(path) && manifest?.kind === 'dir' ? manifest.mtime : wanted.mtime
    return { kind: 'attr', path, old, new: withAttributesOf(wanted, { ...wanted, mtime }) }
  })
}
