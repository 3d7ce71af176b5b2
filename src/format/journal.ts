import { fromLatin1, latin1 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError, unreachable } from '../base/error.ts'
import { parseRelPath } from '../base/path.ts'
import { decodeNode, encodeNode, escapeWord, unescapeWord } from './journal-node.ts'
import { decodeStep, encodeStep } from './journal-step.ts'
import { rebootClasses } from './update.ts'
import type { RelPath } from '../base/path.ts'
import type { DirEntry } from '../base/entry.ts'
import type { Leaf, Node } from './journal-node.ts'
import type { PostStep, StepToRun } from './post-step.ts'
import type { RebootClass } from './update.ts'

/**
 * The journal (doc/spec/journal.md): a plan as text, written before the first live change. The same text, renamed,
 * is the receipt of what was done. Its actions only rename, remove, make folders and set attributes: all contents lie
 * in their slots before it is written.
 */
export type Journal = {
  /** Names the folders `stage/N` and `store/N` of each area; grows with each transaction of a root. */
  readonly transaction: number
  readonly purpose: Purpose
  /** Backward undoes the actions, last one first. */
  readonly direction: 'forward' | 'backward'
  /** Seconds since the epoch. */
  readonly time: number
  readonly releases: readonly ReleaseChange[]
  /** Folders on the file systems that take part, which hold `stage` and `store`; the first is the state folder. */
  readonly areas: readonly RelPath[]
  /** Receipts that are void when this is done, newest first. */
  readonly undoes: readonly number[]
  readonly postSteps: readonly PostStep[]
  /** Steps of a done transaction that failed when they were last run; absent in a journal and in a receipt. */
  readonly failed?: readonly StepToRun[]
  /** What has to start again when all is done; nothing for channels that are not named. */
  readonly reboot: readonly ChannelReboot[]
  readonly kept: readonly Kept[]
  readonly actions: readonly Action[]
}

export type ChannelReboot = { readonly role: string; readonly class: RebootClass }

export type Purpose = 'install' | 'rollback' | 'repair'

/** Names of the channel's releases before and after. */
export type ReleaseChange = { readonly role: string; readonly old: string; readonly new: string }

/** A local change that was respected. */
export type Kept = {
  readonly path: RelPath
  readonly reason: KeptReason
  /** Where the version lies that would have been there (for `late`, the one that was there). */
  readonly beside?: RelPath
  /** What needs it. */
  readonly by?: RelPath
}

/**
 * `modified`: the content was changed here; `removed`: it was removed here; `in-the-way`: something else is there;
 * `not-empty`: a folder that was to go holds files of others; `attributes`: mode, owner, flags or attributes were
 * changed here and in the release; `protected`: by bindery.conf; `merged`: the new content holds it; `needed`: a shared
 * library that something here is linked against; `late`: changed while the plan was carried out, and moved to `beside`.
 */
export type KeptReason = (typeof keptReasons)[number]
const keptReasons = ['modified', 'removed', 'in-the-way', 'not-empty', 'attributes', 'protected', 'merged', 'needed', 'late'] as const

/** `AREA/stage/TRANSACTION/NUMBER` holds what comes in, `AREA/store/TRANSACTION/NUMBER` what goes out. */
export type Slot = { readonly area: number; readonly number: number }

export type Action =
  | { readonly kind: 'mkdir'; readonly path: RelPath; readonly new: DirEntry }
  | { readonly kind: 'rmdir'; readonly path: RelPath; readonly old: DirEntry }
  | { readonly kind: 'put'; readonly path: RelPath; readonly slot: Slot; readonly new: Leaf }
  | ({ readonly kind: 'drop'; readonly path: RelPath; readonly slot: Slot; readonly old: Leaf } & Twin)
  | ({ readonly kind: 'swap'; readonly path: RelPath; readonly slot: Slot; readonly old: Leaf; readonly new: Leaf } & Twin)
  | { readonly kind: 'attr'; readonly path: RelPath; readonly old: Node; readonly new: Node }

/**
 * Another name of the file that goes, which stays in the tree. When all is done the store gets a copy of its own, so that
 * the count of links is that of the release; going back, the path becomes a name of its twin again.
 */
type Twin = { readonly twin?: RelPath }

const firstLine = 'bindery-journal 1'
export const maxJournalBytes = 512 << 20
const maxAreas = 1024

export function encodeJournal(journal: Journal): Uint8Array {
  const head = [
    firstLine,
    `transaction ${journal.transaction}`,
    `purpose ${journal.purpose}`,
    `direction ${journal.direction}`,
    `time ${journal.time}`,
  ]
  const text = [
    ...head,
    ...journal.releases.map((release) => `release ${escapeWord(release.role)} ${escapeWord(release.old)} ${escapeWord(release.new)}`),
    ...journal.areas.map((area) => `area ${escapeWord(area)}`),
    ...journal.undoes.map((transaction) => `undoes ${transaction}`),
    ...journal.postSteps.map((step) => `post ${encodeStep(step)}`),
    ...(journal.failed ?? []).map((step) => `failed ${encodeStep(step)}`),
    ...journal.reboot.map((one) => `reboot ${escapeWord(one.role)} ${one.class}`),
    ...journal.kept.map(encodeKept),
    ...journal.actions.map(encodeAction),
    '',
  ].join('\n')
  const bytes = fromLatin1(text)
  return fromLatin1(`${text}end ${sha256(bytes)}\n`)
}

/** The last word, where there is one, is what the reason has to say. */
function encodeKept({ path, reason, beside, by }: Kept): string {
  return ['kept', reason, ...[path, beside ?? by].filter((one) => one !== undefined).map(escapeWord)].join(' ')
}

/** Also what `install -n` prints. */
export function encodeAction(action: Action): string {
  const path = escapeWord(action.path)
  switch (action.kind) {
    case 'mkdir':
      return `mkdir ${path} ${encodeNode(action.new)}`
    case 'rmdir':
      return `rmdir ${path} ${encodeNode(action.old)}`
    case 'put':
      return `put ${path} ${encodeSlot(action.slot)} ${encodeNode(action.new)}`
    case 'drop':
      return `drop ${path} ${encodeSlot(action.slot)} ${encodeNode(action.old)}${encodeTwin(action)}`
    case 'swap':
      return `swap ${path} ${encodeSlot(action.slot)} ${encodeNode(action.old)} ${encodeNode(action.new)}${encodeTwin(action)}`
    case 'attr':
      return `attr ${path} ${encodeNode(action.old)} ${encodeNode(action.new)}`
    default:
      return unreachable(action)
  }
}

function encodeTwin({ twin }: Twin): string {
  return twin === undefined ? '' : ` ${escapeWord(twin)}`
}

function encodeSlot({ area, number }: Slot): string {
  return `${area}:${number}`
}

/** Throws `bad-format` (a torn journal included), `not-supported` for another version, `over-limit`. */
export function decodeJournal(bytes: Uint8Array): Journal {
  if (bytes.length > maxJournalBytes) throw new BinderyError('over-limit', `is larger than ${maxJournalBytes} bytes`)
  const lines = new Lines(checkedText(bytes))
  const head = {
    ...decodeHead(lines),
    postSteps: lines.many('post', 2, 6).map(decodeStep),
    ...failedOf(lines.many('failed', 6).map(decodeStep)),
    reboot: lines.many('reboot', 2).map(([role, kind]) => ({ role: word(role), class: oneOf(rebootClasses, kind as string) })),
    kept: lines.many('kept', 2, 3).map(decodeKept),
  }
  if (head.areas.length === 0 || head.areas.length > maxAreas) throw new BinderyError('bad-format', 'names no area, or too many')
  return { ...head, actions: lines.rest().map((line) => decodeAction(line, head.areas.length)) }
}

type Head = Pick<Journal, 'transaction' | 'purpose' | 'direction' | 'time' | 'releases' | 'areas' | 'undoes'>

function decodeHead(lines: Lines): Head {
  const scalar = (key: string): string => lines.one(key)[0] as string
  return {
    transaction: whole(scalar('transaction')),
    purpose: oneOf(['install', 'rollback', 'repair'] as const, scalar('purpose')),
    direction: oneOf(['forward', 'backward'] as const, scalar('direction')),
    time: whole(scalar('time')),
    releases: lines.many('release', 3).map(([role, old, next]) => ({ role: word(role), old: word(old), new: word(next) })),
    areas: lines.many('area', 1).map(([area]) => path(area)),
    undoes: lines.many('undoes', 1).map(([transaction]) => whole(transaction)),
  }
}

/** For lists: the head alone, from the first bytes of a journal whose digest nobody checks; undefined where it is none. */
export function decodeJournalHead(bytes: Uint8Array): Head | undefined {
  const text = latin1(bytes)
  if (!text.startsWith(`${firstLine}\n`)) return undefined
  try {
    return decodeHead(new Lines(text.slice(firstLine.length + 1)))
  } catch (error) {
    if (error instanceof BinderyError) return undefined
    throw error
  }
}

/** The text before the last line, which holds its digest: whatever a crash left of a journal is recognised. */
function checkedText(bytes: Uint8Array): string {
  const text = latin1(bytes)
  if (!text.startsWith(`${firstLine}\n`)) {
    if (/^bindery-journal [0-9]{1,9}\n/.test(text)) throw new BinderyError('not-supported', 'was written by a newer bindery')
    throw new BinderyError('bad-format', 'is no journal')
  }
  const endLength = 'end \n'.length + 64
  const body = text.slice(firstLine.length + 1, -endLength)
  if (text.slice(-endLength) !== `end ${sha256(bytes.subarray(0, -endLength))}\n`)
    throw new BinderyError('bad-format', 'is torn or changed')
  return body
}

/** Lines in their order; each reader takes those of its key from the front. A class, since it has a position. */
class Lines {
  readonly #lines: readonly string[]
  #at = 0

  constructor(text: string) {
    this.#lines = text.split('\n').slice(0, -1)
  }

  one(key: string): string[] {
    const found = this.#take(key, 1, 1)
    return found ?? fail(`'${key}' is missing at its place`)
  }

  many(key: string, min: number, max = min): string[][] {
    const all: string[][] = []
    for (let words = this.#take(key, min, max); words !== undefined; words = this.#take(key, min, max)) all.push(words)
    return all
  }

  rest(): readonly string[] {
    return this.#lines.slice(this.#at)
  }

  #take(key: string, min: number, max: number): string[] | undefined {
    const [first, ...words] = (this.#lines[this.#at] ?? '').split(' ')
    if (first !== key) return undefined
    if (words.length < min || words.length > max) fail(`'${key}' has ${words.length} words`)
    this.#at++
    return words
  }
}

function failedOf(steps: readonly PostStep[]): Pick<Journal, 'failed'> {
  const failed = steps.filter((step) => step.kind !== 'notice')
  return failed.length === 0 ? {} : { failed }
}

function decodeKept(words: readonly string[]): Kept {
  const [reason, at, other] = words as [string, string, string | undefined]
  const kept = { reason: oneOf(keptReasons, reason), path: path(at) }
  return other === undefined ? kept : { ...kept, [reason === 'needed' ? 'by' : 'beside']: path(other) }
}

function decodeAction(line: string, areas: number): Action {
  const [kind, where, ...words] = line.split(' ')
  const at = path(where)
  const slot = (): Slot => decodeSlot(words.shift() ?? '', areas)
  const node = (): Node => decodeNode(words.shift() ?? '', at)
  const twin = (): Twin => (words.length === 0 ? {} : { twin: path(words.shift()) })
  const action = decodeKind(kind as string, at, { slot, node, twin })
  if (words.length > 0) fail(`'${kind as string}' has too many words`)
  return action
}

type Take = { readonly slot: () => Slot; readonly node: () => Node; readonly twin: () => Twin }

function decodeKind(kind: string, at: RelPath, { slot, node, twin }: Take): Action {
  switch (kind) {
    case 'mkdir':
      return { kind, path: at, new: dir(node()) }
    case 'rmdir':
      return { kind, path: at, old: dir(node()) }
    case 'put':
      return { kind, path: at, slot: slot(), new: leaf(node()) }
    case 'drop':
      return { kind, path: at, slot: slot(), old: leaf(node()), ...twin() }
    case 'swap':
      return { kind, path: at, slot: slot(), old: leaf(node()), new: leaf(node()), ...twin() }
    case 'attr':
      return { kind, path: at, old: node(), new: node() }
    default:
      return fail(`no action '${kind}'`)
  }
}

function dir(node: Node): DirEntry {
  return node.kind === 'dir' ? node : fail('is no folder')
}

function leaf(node: Node): Leaf {
  return node.kind === 'dir' ? fail('is a folder') : node
}

function decodeSlot(text: string, areas: number): Slot {
  const [area, number, ...rest] = text.split(':')
  const slot = { area: whole(area), number: whole(number) }
  return slot.area < areas && rest.length === 0 ? slot : fail(`'${text}' is no slot`)
}

function path(text: string | undefined): RelPath {
  return parseRelPath(word(text)) ?? fail(`'${text}' is no safe path`)
}

function word(text: string | undefined): string {
  return unescapeWord(text ?? '') ?? fail('holds a bad escape')
}

function whole(text: string | undefined): number {
  return /^(?:0|[1-9][0-9]{0,14})$/.test(text ?? '') ? Number(text) : fail(`'${text}' is no number`)
}

function oneOf<const T extends string>(known: readonly T[], text: string): T {
  return known.find((candidate) => candidate === text) ?? fail(`'${text}' is none of ${known.join(', ')}`)
}

function fail(message: string): never {
  throw new BinderyError('bad-format', message)
}
