import { sameAttributes, sameContent, sameFlags, sameMode, sameOwner, sameTime, sameXattrs } from './nodes.ts'
import type { FileEntry, Xattrs } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { KeptReason } from '../../../format/journal.ts'
import type { Node } from '../../../format/journal-node.ts'

/**
 * One path, three states: `base` is what bindery put there, `next` what shall be there, `live` what is. A change made
 * here wins over a change made by the release, and is reported; where only one side changed something, that is taken.
 * Content and each kind of attribute are merged on their own, so that a local chmod survives a new content.
 */
export type Situation = {
  readonly path: RelPath
  readonly base?: Node | undefined
  readonly next?: Node | undefined
  readonly live?: Node | undefined
  /** By bindery.conf: a new content always comes to lie beside. */
  readonly guarded: boolean
  /** The system makes it anew by itself: what is there is no local change. */
  readonly generated?: boolean
  /** The content that holds both the local changes and those of the release, where there is one. */
  readonly merged?: Pick<FileEntry, 'size' | 'sha256' | 'mtime'> | undefined
  /** The file is to be another inode although its content is the same: it leaves or joins a hard-link group. */
  readonly relinked: boolean
}

export type Decision =
  | { readonly kind: 'keep' }
  | { readonly kind: 'add'; readonly new: Node }
  /** `told`: what of it is a local change that stays. */
  | { readonly kind: 'replace' | 'attr'; readonly old: Node; readonly new: Node; readonly told: KeptReason | undefined }
  | { readonly kind: 'remove'; readonly old: Node }
  /** A local change that stays; `beside` is what would have been there. */
  | { readonly kind: 'kept'; readonly reason: KeptReason; readonly beside?: Node }
  /** A folder is needed where something else is: nothing can be put below it. */
  | { readonly kind: 'blocked' }

const keep: Decision = { kind: 'keep' }

export function decide(at: Situation): Decision {
  return at.generated === true && at.live?.kind !== 'dir' ? decideGenerated(at) : decideOwn(at)
}

/** What was made here is newer than a content that the release does not change; another one makes it room, and it is kept like any other version. */
function decideGenerated(at: Situation): Decision {
  const { base, next, live } = at
  if (base !== undefined && next !== undefined && sameContent(base, next) && !at.relinked)
    return live?.kind === next.kind ? withAttributes(base, next, live) : keep
  if (live === undefined) return next === undefined ? keep : { kind: 'add', new: next }
  // Attributes are compared with what they were: a mode that was set here is no part of what the system makes.
  return decideOwn({ ...at, base: base?.kind === live.kind ? withAttributesOf(live, base) : live })
}

function decideOwn(at: Situation): Decision {
  if (at.next === undefined) return decideRemoval(at)
  if (at.base === undefined) return decideAddition(at, at.next)
  if (sameContent(at.base, at.next) && !at.relinked) return decideAttributes(at, at.base, at.next)
  return decideContent(at, at.base, at.next)
}

function decideRemoval({ base, live, guarded }: Situation): Decision {
  if (live === undefined || base === undefined) return keep
  if (!sameContent(base, live)) return { kind: 'kept', reason: 'modified' }
  return guarded ? { kind: 'kept', reason: 'protected' } : { kind: 'remove', old: live }
}

function decideAddition({ live }: Situation, next: Node): Decision {
  if (live === undefined) return { kind: 'add', new: next }
  if (sameContent(live, next)) return keep
  return next.kind === 'dir' ? { kind: 'blocked' } : { kind: 'kept', reason: 'in-the-way', beside: next }
}

/** Nothing but attributes and links changed in the release; whatever the content is here, it stays. */
function decideAttributes({ live }: Situation, base: Node, next: Node): Decision {
  if (next.kind === 'dir' && live !== undefined && live.kind !== 'dir') return { kind: 'blocked' }
  if (live === undefined) return { kind: 'kept', reason: 'removed' }
  if (live.kind !== next.kind) return { kind: 'kept', reason: 'modified' }
  const decision = withAttributes(base, next, live)
  if (sameContent(live, next)) return decision
  return decision.kind === 'attr' ? { ...decision, told: decision.told ?? 'modified' } : { kind: 'kept', reason: 'modified' }
}

function decideContent({ live, guarded, merged: both }: Situation, base: Node, next: Node): Decision {
  if (live === undefined) return { kind: 'kept', reason: 'removed' }
  if (sameContent(live, next) && !sameContent(base, next)) return withAttributes(base, next, live)
  if (both !== undefined && next.kind === 'file') return decideMerge(live, both, base, next)
  if (!sameContent(live, base)) return next.kind === 'dir' ? { kind: 'blocked' } : { kind: 'kept', reason: 'modified', beside: next }
  if (guarded && next.kind !== 'dir') return { kind: 'kept', reason: 'protected', beside: next }
  const { merged, clash } = mergeAttributes(base, next, live)
  return { kind: 'replace', old: live, new: { ...merged, mtime: next.mtime }, told: clash ? 'attributes' : undefined }
}

function decideMerge(live: Node, { size, sha256, mtime }: NonNullable<Situation['merged']>, base: Node, next: FileEntry): Decision {
  const wanted = { ...next, size, sha256 }
  if (sameContent(live, wanted)) return withAttributes(base, next, live)
  const { merged, clash } = mergeAttributes(base, wanted, live)
  const isOfRelease = sameContent(wanted, next)
  return { kind: 'replace', old: live, new: { ...merged, mtime: isOfRelease ? next.mtime : mtime }, told: clash ? 'attributes' : undefined }
}

function withAttributes(base: Node, next: Node, live: Node): Decision {
  const { merged, clash } = mergeAttributes(base, next, live)
  // Without a new content, the time of what somebody worked on is theirs.
  const isUntouched = sameTime(live, base) && !sameTime(base, next)
  const wanted = { ...merged, mtime: isUntouched ? next.mtime : live.mtime }
  if (sameAttributes(wanted, live) && !clash) return keep
  // The content is what is there, and not what the release says of it.
  return { kind: 'attr', old: live, new: withAttributesOf(live, wanted), told: clash ? 'attributes' : undefined }
}

/** Three ways for each kind of attribute; `clash` where both sides changed one, and the local one stayed. */
export function mergeAttributes(base: Node, next: Node, live: Node): { readonly merged: Node; readonly clash: boolean } {
  if (base.kind !== next.kind || live.kind !== next.kind) return { merged: next, clash: false }
  let clash = false
  const pick = (same: (a: Node, b: Node) => boolean): Node => {
    if (same(live, base) || same(live, next)) return next
    if (same(base, next)) return live
    clash = true
    return live
  }
  const { mode } = pick(sameMode)
  const { uid, gid } = pick(sameOwner)
  const { flags } = pick(sameFlags)
  const { xattrs } = pick(sameXattrs)
  return { merged: withAttributesOf(next, { mode, uid, gid, mtime: next.mtime, flags, xattrs }), clash }
}

type Attributes = Pick<Node, 'mode' | 'uid' | 'gid' | 'mtime'> & {
  readonly flags?: readonly string[] | undefined
  readonly xattrs?: Xattrs | undefined
}

/** The node with these attributes instead of its own. */
export function withAttributesOf<T extends Node>(node: T, { mode, uid, gid, mtime, flags, xattrs }: Attributes): T {
  const { flags: _flags, xattrs: _xattrs, ...rest } = node
  return { ...rest, mode, uid, gid, mtime, ...(flags === undefined ? {} : { flags }), ...(xattrs === undefined ? {} : { xattrs }) } as T
}
