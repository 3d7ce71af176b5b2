import { maxRetained } from '../../format/delta.ts'
import { heaviestAscending } from './order.ts'
import type { Range } from '../../format/delta.ts'
import type { TarMember } from '../../format/tar-members.ts'
import type { Pairs } from './pair.ts'
import type { Survey } from './survey.ts'

/** A stretch of the new side and the old bytes to make it from. */
export type Segment = {
  /** A header is compared with a header byte by byte; a body is searched for what moved. */
  readonly kind: 'header' | 'body'
  /** Of which member of the new tar; undefined behind the last one, and where the new side is no tar. */
  readonly member: number | undefined
  readonly next: Range
  /** Undefined where nothing of the old side helps, or can be had when it is needed. */
  readonly old: Range | undefined
  /** How many bytes at the end of either range are the padding of a tar. */
  readonly padding: { readonly next: number; readonly old: number }
}

const noPadding = { next: 0, old: 0 }

/** The whole new side in segments, in order, and what the reader must retain for it. */
export type DeltaPlan = { readonly segments: readonly Segment[]; readonly retained: readonly Range[] }

export function planDelta(old: Survey, next: Survey, pairs: Pairs, window: number): DeltaPlan {
  const whole = { old: { start: 0, end: old.side.size }, next: { start: 0, end: next.side.size } }
  if (old.members.length === 0 || next.members.length === 0)
    return { segments: [{ kind: 'body', member: undefined, ...whole, padding: noPadding }], retained: [] }
  const sources = reachable(old.members, next.members, pairs, window)
  return { segments: segmentsOf(old, next, sources.members), retained: sources.retained }
}

type Sources = { readonly members: readonly (TarMember | undefined)[]; readonly retained: readonly Range[] }

/**
 * Old is read once, forward: keeps the pairs that the window reaches when their turn comes. Members in their old order
 * always are; a moved one may be a little ahead, in the window, or retained.
 */
function reachable(old: readonly TarMember[], next: readonly TarMember[], pairs: Pairs, window: number): Sources {
  const inOrder = membersInOrder(old, pairs)
  // Moved files are few; what they need counts towards the memory of every reader.
  const retainedBudget = window / 2
  const retained: TarMember[] = []
  let retainedSize = 0
  /** Where reading old in its order has come to, and the furthest byte that any member so far may have used. */
  let line = 0
  let furthest = 0
  const members = next.map((_, i) => {
    const pair = pairs[i]
    if (pair === undefined) return undefined
    const member = old[pair.member] as TarMember
    const size = member.end - member.headerStart
    if (inOrder.has(i)) line = member.end
    else if (member.end > line + window / 2) return undefined
    else if (member.headerStart < furthest - window) {
      if (retainedSize + size > retainedBudget || retained.length === maxRetained) return undefined
      retainedSize += size
      retained.push(member)
    }
    furthest = Math.max(furthest, member.end)
    return member
  })
  return { members, retained: rangesOf(retained) }
}

function membersInOrder(old: readonly TarMember[], pairs: Pairs): ReadonlySet<number> {
  const paired = pairs.flatMap((pair, i) =>
    pair === undefined ? [] : [{ i, place: pair.member, weight: sizeOf(old[pair.member] as TarMember) }],
  )
  const chosen = heaviestAscending(paired, old.length)
  return new Set(paired.filter((_, at) => chosen.has(at)).map(({ i }) => i))
}

function sizeOf({ headerStart, end }: TarMember): number {
  return end - headerStart
}

/** Ascending, without overlap; neighbours as one. */
function rangesOf(members: readonly TarMember[]): readonly Range[] {
  const sorted = [...members].sort((a, b) => a.headerStart - b.headerStart)
  const ranges: { start: number; end: number }[] = []
  for (const { headerStart, end } of sorted) {
    const last = ranges.at(-1)
    if (last !== undefined && headerStart <= last.end) last.end = Math.max(last.end, end)
    else ranges.push({ start: headerStart, end })
  }
  return ranges
}

function segmentsOf(old: Survey, next: Survey, sources: Sources['members']): readonly Segment[] {
  const segments: Segment[] = []
  /** New files have no old header; the one used last is like it in most. */
  let lastHeader: Range | undefined
  for (const [i, member] of next.members.entries()) {
    const source = sources[i]
    if (source !== undefined) lastHeader = { start: source.headerStart, end: source.contentStart }
    segments.push({
      kind: 'header',
      member: i,
      next: { start: member.headerStart, end: member.contentStart },
      old: lastHeader,
      padding: noPadding,
    })
    const body = source === undefined ? undefined : { start: source.contentStart, end: source.end }
    const padding = { next: paddingIn(member), old: source === undefined ? 0 : paddingIn(source) }
    segments.push({ kind: 'body', member: i, next: { start: member.contentStart, end: member.end }, old: body, padding })
  }
  const ends = { old: (old.members.at(-1) as TarMember).end, next: (next.members.at(-1) as TarMember).end }
  segments.push({
    kind: 'body',
    member: undefined,
    next: { start: ends.next, end: next.side.size },
    old: { start: ends.old, end: old.side.size },
    padding: noPadding,
  })
  return segments.filter(({ next: range }) => range.end > range.start)
}

function paddingIn({ contentStart, contentSize, end }: TarMember): number {
  return end - contentStart - contentSize
}
