import { BinderyError } from '../../../base/error.ts'
import { isWithin } from '../../../base/path.ts'
import { storeSlot } from './area.ts'
import { withAttributesOf } from './decide.ts'
import { sameContent } from './nodes.ts'
import { listReceipts, readReceipt, readReceiptHeads, stepsAmong } from './receipts.ts'
import { stateFolder } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Journal, ReleaseChange } from '../../../format/journal.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { NodeTree } from './nodes.ts'
import type { Origin } from './plan.ts'
import type { Receipt, ReceiptHead } from './receipts.ts'

/** How far to go back: so many installs, or until a release is the installed one. */
export type Goal = { readonly kind: 'steps'; readonly count: number } | { readonly kind: 'release'; readonly name: string }

/** The receipts to undo, newest first; repairs that came after the oldest of them go with it. Throws `not-found`. */
export async function receiptsBackTo(disk: DiskReader, goal: Goal): Promise<readonly Receipt[]> {
  const heads = (await readReceiptHeads(disk)).filter(({ purpose }) => purpose !== 'rollback').toReversed()
  const installs = stepsAmong(heads.filter(({ purpose }) => purpose === 'install'))
  const isFrom = (name: string, step: readonly ReceiptHead[]): boolean =>
    step.some(({ releases }) => releases.some(({ old }) => old === name))
  const oldest = (goal.kind === 'steps' ? installs[goal.count - 1] : installs.find((step) => isFrom(goal.name, step)))?.at(-1)
  if (oldest === undefined) {
    await readAll(disk)
    throw new BinderyError('not-found', whyNot(goal, installs.length), { hint: "'bindery list' shows what can be rolled back" })
  }
  const going = new Set(heads.map(({ transaction }) => transaction))
  const receipts: Receipt[] = []
  // Also those that are undone, or seem to be: a head is read without its digest, and one that is damaged is left out above.
  for (const transaction of (await listReceipts(disk)).filter((one) => one >= oldest.transaction).toReversed()) {
    const receipt = await readReceipt(disk, transaction)
    if (going.has(transaction)) receipts.push(receipt)
  }
  return receipts
}

/** What is asked for may be what a damaged one says. */
async function readAll(disk: DiskReader): Promise<void> {
  for (const transaction of await listReceipts(disk)) await readReceipt(disk, transaction)
}

function whyNot(goal: Goal, known: number): string {
  if (known === 0) return 'there is nothing to roll back'
  return goal.kind === 'steps'
    ? `only ${known} ${known === 1 ? 'install' : 'installs'} can be rolled back`
    : `no way leads back to ${goal.name}`
}

/**
 * Whether an interrupted rollback was on its way to `goal`, or to wherever without one: who is asked for the same again has
 * been asked once.
 */
export async function isRepeated(disk: DiskReader, journal: Journal, goal: Goal | undefined): Promise<boolean> {
  const { purpose, direction, releases, undoes } = journal
  if (purpose !== 'rollback' || direction !== 'forward') return false
  if (goal === undefined) return true
  if (goal.kind === 'release') return releases.some((release) => release.new === goal.name)
  const undone = (await readReceiptHeads(disk)).filter(({ transaction }) => undoes.includes(transaction))
  return stepsAmong(undone.filter(({ purpose: what }) => what === 'install').toReversed()).length === goal.count
}

/** Several receipts as one step: what is there because of the newest, and what was there before the oldest. */
export type History = {
  readonly base: NodeTree
  readonly next: NodeTree
  readonly origins: ReadonlyMap<RelPath, KeptFile>
  /** The content is the same, but the file that was there is another inode. */
  readonly relinked: ReadonlySet<RelPath>
  /** Files of the state folder: what they were, or undefined where they were not. */
  readonly state: ReadonlyMap<RelPath, KeptFile | undefined>
  readonly releases: readonly ReleaseChange[]
}

export function composeHistory(newestFirst: readonly Receipt[]): History {
  const past = new Map<RelPath, Past>()
  for (const receipt of newestFirst) for (const [path, step] of stepsOf(receipt)) addStep(past, path, step, receipt.purpose === 'install')
  const base = new Map<RelPath, Node>()
  const next = new Map<RelPath, Node>()
  const origins = new Map<RelPath, KeptFile>()
  const relinked = new Set<RelPath>()
  const state = new Map<RelPath, KeptFile | undefined>()
  for (const [path, { isInstalled, after, before, origin }] of past) {
    if (!isInstalled) continue
    if (isWithin(path, stateFolder)) {
      if (after?.kind !== 'dir' && before?.kind !== 'dir') state.set(path, origin)
      continue
    }
    if (after !== undefined) base.set(path, after)
    if (before !== undefined) next.set(path, before)
    if (origin === undefined || before === undefined || before.kind === 'dir') continue
    origins.set(path, origin)
    if (after !== undefined && sameContent(after, before)) relinked.add(path)
  }
  return { base: treeOf(base), next: treeOf(next), origins, relinked, state, releases: releasesOf(newestFirst) }
}

/** A kept file; where its twin is still the same file, the path shall be another name of it again. */
export type KeptFile = Extract<Origin, { kind: 'link' }> & { readonly twin?: RelPath | undefined }

type Step = { readonly before: Node | undefined; readonly after: Node | undefined; readonly origin: KeptFile | undefined }
type Past = Step & { readonly isInstalled: boolean }

/** Where one receipt found each path, and how it left it: a path may have gone and come again in it. */
function stepsOf(receipt: Receipt): ReadonlyMap<RelPath, Step> {
  const steps = new Map<RelPath, Step>()
  for (const action of receipt.actions) {
    const known = steps.get(action.path)
    const [old, after] = ['old' in action ? action.old : undefined, 'new' in action ? action.new : undefined]
    const origin =
      action.kind === 'swap' || action.kind === 'drop'
        ? { kind: 'link' as const, from: storeSlot(receipt, action.slot), node: action.old, twin: action.twin }
        : undefined
    steps.set(action.path, known === undefined ? { before: old, after, origin } : { ...known, after, origin: known.origin ?? origin })
  }
  return steps
}

/** A repair says what is there, but what it mended is not brought back. */
function addStep(past: Map<RelPath, Past>, path: RelPath, step: Step, isInstall: boolean): void {
  const newer = past.get(path)
  const after = newer === undefined ? step.after : newer.after
  if (!isInstall) past.set(path, { after, before: newer?.before, origin: newer?.origin, isInstalled: newer?.isInstalled ?? false })
  else
    past.set(path, {
      after,
      before: beforeOf(step, newer),
      origin: step.before === undefined ? undefined : originOf(past, step, newer),
      isInstalled: true,
    })
}

/** Attributes have no content: where it is another one since, by hand or by a repair, that is what had them. */
function beforeOf({ before, origin }: Step, newer: Past | undefined): Node | undefined {
  if (before === undefined || before.kind === 'dir' || origin !== undefined || newer === undefined) return before
  const known = newer.isInstalled ? newer.before : newer.after
  if (known === undefined || known.kind !== before.kind) return known
  return sameContent(known, before) ? before : withAttributesOf(known, { ...before, mtime: known.mtime })
}

/** What became of a twin since is known already: a newer receipt kept it, or it is still in the tree. */
function originOf(past: ReadonlyMap<RelPath, Past>, { origin }: Step, newer: Past | undefined): KeptFile | undefined {
  const keptTwin = origin?.twin === undefined ? undefined : past.get(origin.twin)?.origin
  return keptTwin ?? origin ?? newer?.origin
}

function treeOf(nodes: ReadonlyMap<RelPath, Node>): NodeTree {
  return { nodes, groups: new Map(), leaders: new Map() }
}

function releasesOf(newestFirst: readonly Receipt[]): readonly ReleaseChange[] {
  const changes = new Map<string, ReleaseChange>()
  for (const { role, old, new: next } of newestFirst.filter(({ purpose }) => purpose === 'install').flatMap(({ releases }) => releases)) {
    changes.set(role, { role, old: changes.get(role)?.old ?? next, new: old })
  }
  return [...changes.values()]
}
