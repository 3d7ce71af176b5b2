import { endOfBatches } from '../../format/delta-batch.ts'
import type { Codec, StreamName } from '../../format/delta-batch.ts'
import type { TarMember } from '../../format/tar-members.ts'
import type { FileKind } from './file-kind.ts'
import type { ReferenceTally } from './image/references.ts'
import type { PairedBy } from './pair.ts'
import type { Coding, DeltaWatch, WatchedPlan } from './watch.ts'

/** What a delta consists of, in bytes of the delta. */
export type DeltaAccount = {
  /** All of it. */
  readonly size: number
  /** Header and digests of blocks. */
  readonly front: number
  /** Heads of batches, their sections, and the end. */
  readonly frame: number
  readonly streams: readonly StreamAccount[]
  /** In the order of the new side; what is behind the last member, or all of a side that is no tar, has no path. */
  readonly members: readonly MemberAccount[]
}

export type StreamAccount = {
  readonly name: StreamName
  /** Before compression. */
  readonly size: number
  readonly codedSize: number
  /** How many batches have it in each. */
  readonly codecs: Readonly<Partial<Record<Codec, number>>>
}

export type MemberAccount = {
  readonly path: string | undefined
  /** Of its content, or of all there is. */
  readonly size: number
  readonly from: { readonly path: string; readonly size: number; readonly by: PairedBy } | undefined
  /** There is an old one that the reader no longer has, or not yet, when the new one is made. */
  readonly isOutOfReach: boolean
  /** Undefined where there is no content. */
  readonly coding: Coding | undefined
  readonly kind: FileKind
  readonly references: ReferenceTally | undefined
  /**
   * Estimates: the bytes of a compressed stream are divided among those that wrote it by how much each of them did, whatever
   * of it could be compressed; and a member's last numbers may be written with those of the next.
   */
  readonly cost: number
  /** The part of it that its header takes. */
  readonly header: number
  readonly streams: Readonly<Partial<Record<StreamName, number>>>
}

type Mutable = { -readonly [Key in keyof MemberAccount]: MemberAccount[Key] } & { streams: Partial<Record<StreamName, number>> }

/** Who wrote a stream up to `end`: part of a member, by its number. */
type Written = { readonly member: number; readonly isHeader: boolean; readonly end: number }

/** A batch's part of a stream: of so many bytes, as so many. */
type Part = { readonly size: number; readonly codedSize: number; readonly codec: Codec }

export type DeltaAccountant = DeltaWatch & {
  /** Once the delta is complete. */
  account(): DeltaAccount
}

export function deltaAccountant(newSize: number): DeltaAccountant {
  const members: Mutable[] = []
  const written = new Map<StreamName, Written[]>()
  const parts = new Map<StreamName, Part[]>()
  let size = 0
  let front = 0
  /** Whose the rest of each stream is: numbers in hand are written when all is done. */
  let last: Written = { member: 0, isHeader: false, end: Infinity }
  const wrote = (name: StreamName, one: Written): void => {
    const list = entryOf(written, name)
    if (one.end > (list.at(-1)?.end ?? 0)) list.push(one)
  }
  return {
    planned: (plan) => {
      front = plan.frontSize
      size = plan.frontSize
      const sized = plan.next.reduce((end, member) => Math.max(end, member.end), 0)
      for (const [i, member] of plan.next.entries()) members.push(newMember(member.path, member.contentSize, fromOf(plan, i)))
      members.push(newMember(undefined, newSize - sized, undefined))
    },
    coded: (segment, { coding, kind, references }, sizes) => {
      const number = segment.member ?? members.length - 1
      const member = members[number] as Mutable
      const isHeader = segment.kind === 'header'
      if (!isHeader) Object.assign(member, { coding, kind, references, isOutOfReach: member.from !== undefined && coding === 'new' })
      last = { member: number, isHeader, end: Infinity }
      for (const [name, end] of Object.entries(sizes)) wrote(name as StreamName, { member: number, isHeader, end })
    },
    compressed: ({ streams }, batchSize) => {
      size += batchSize
      for (const stream of streams) entryOf(parts, stream.name).push(stream)
    },
    account: () => {
      for (const [name, list] of written) divide(members, name, parts.get(name) ?? [], [...list, last])
      const streams = [...parts].map(([name, list]) => streamAccount(name, list)).sort((a, b) => b.codedSize - a.codedSize)
      const inMembers = streams.reduce((sum, { name, codedSize }) => sum + (written.has(name) ? codedSize : 0), 0)
      const whole = size + endOfBatches.length
      return { size: whole, front, frame: whole - front - inMembers, streams, members }
    },
  }
}

function newMember(path: string | undefined, size: number, from: MemberAccount['from']): Mutable {
  const nothing = { isOutOfReach: false, coding: undefined, kind: 'other', references: undefined, cost: 0, header: 0 } as const
  return { path, size, from, ...nothing, streams: {} }
}

function fromOf({ old, pairs }: WatchedPlan, number: number): MemberAccount['from'] {
  const pair = pairs[number]
  if (pair === undefined) return undefined
  const { path, contentSize } = old[pair.member] as TarMember
  return { path, size: contentSize, by: pair.by }
}

function entryOf<T>(map: Map<StreamName, T[]>, name: StreamName): T[] {
  const list = map.get(name) ?? []
  map.set(name, list)
  return list
}

/** Each byte of a stream costs what a byte of its batch's part of it costs on average. */
function divide(members: readonly Mutable[], name: StreamName, parts: readonly Part[], written: readonly Written[]): void {
  let at = 0
  let index = 0
  for (const part of parts) {
    const end = at + part.size
    while (at < end) {
      while ((written[index] as Written).end <= at) index++
      const { member, isHeader, end: writtenEnd } = written[index] as Written
      const to = Math.min(end, writtenEnd)
      charge(members[member] as Mutable, name, isHeader, ((to - at) * part.codedSize) / part.size)
      at = to
    }
  }
}

function charge(member: Mutable, name: StreamName, isHeader: boolean, cost: number): void {
  member.cost += cost
  if (isHeader) member.header += cost
  member.streams[name] = (member.streams[name] ?? 0) + cost
}

function streamAccount(name: StreamName, parts: readonly Part[]): StreamAccount {
  const codecs: Partial<Record<Codec, number>> = {}
  for (const { codec } of parts) codecs[codec] = (codecs[codec] ?? 0) + 1
  const sum = (key: 'size' | 'codedSize'): number => parts.reduce((whole, part) => whole + part[key], 0)
  return { name, size: sum('size'), codedSize: sum('codedSize'), codecs }
}
