import { BinderyError } from '../../../base/error.ts'
import { byteWriter, readByte, readBytes, readVarint } from '../../../format/varint.ts'
import { optionalEnd } from '../../../format/gzip.ts'
import { readTreeHead } from './inflate.ts'
import { rulesOf } from './rules.ts'
import { longestMatch } from './symbols.ts'
import type { Kind } from './block.ts'
import type { ByteWriter, Cursor } from '../../../format/varint.ts'
import type { Header } from '../../../format/gzip.ts'
import type { TreeHead } from './inflate.ts'
import type { Rules } from './rules.ts'

/** What a gzip file says besides its content (doc/spec/gzip-recipe.md). */
export type Recipe = {
  readonly members: readonly Member[]
  /** What stands behind the last member. */
  readonly tail: Uint8Array
}

export type Member = {
  readonly header: Header
  readonly rules: Rules
  /** Bytes of its content. */
  readonly size: number
  /** CRC-32 and size, where they are not those of the content. */
  readonly trailer: Uint8Array | undefined
  readonly exceptions: readonly Exception[]
  readonly corrections: Corrections
}

/** Blocks that are not as the rules would have them. */
export type Exception = {
  /** Blocks before them that are, and how many of these there are, one after the other. */
  readonly gap: number
  readonly count: number
  readonly kind: Kind
  readonly last: boolean
  /** Tokens, or bytes of a stored block; undefined where the block ends by the rules. */
  readonly size: number | undefined
  /** The head of a dynamic block, where its trees are not those of the rules. */
  readonly head: Uint8Array | undefined
}

/** Tokens that are not as predicted, in three columns of equal height. */
export type Corrections = {
  /** Tokens before it that are. */
  readonly gaps: readonly number[]
  /** 0 for a literal, or length - 2. */
  readonly lengths: readonly number[]
  /** For matches alone: 2 × candidates that are nearer and as long, or 2 × (distance - 1) + 1. */
  readonly distances: readonly number[]
}

export const noCorrections: Corrections = { gaps: [], lengths: [], distances: [] }

const version = 1
const flag = { time: 1, trailer: 2, exceptions: 4, corrections: 8, another: 16, tail: 32 } as const
const allFlags = 63
const exceptionBit = { last: 4, size: 8, head: 16 } as const
const kinds = ['stored', 'fixed', 'dynamic'] as const
const trailerSize = 8

export function encodeRecipe({ members, tail }: Recipe): Uint8Array {
  const writer = byteWriter()
  writer.byte(version)
  for (const [i, member] of members.entries()) {
    const another = i + 1 < members.length
    writeMember(writer, member, another ? flag.another : tail.length > 0 ? flag.tail : 0)
  }
  writer.bytes(tail)
  return writer.take()
}

function writeMember(writer: ByteWriter, member: Member, what: number): void {
  const { header, rules, size, trailer, exceptions, corrections } = member
  const { flags, effort, system, time, optional } = header
  const has =
    (time === 0 ? 0 : flag.time) |
    (trailer ? flag.trailer : 0) |
    (exceptions.length > 0 ? flag.exceptions : 0) |
    (corrections.gaps.length > 0 ? flag.corrections : 0)
  for (const byte of [what | has, rules.number, flags, effort, system]) writer.byte(byte)
  if (time !== 0) writer.bytes(Uint8Array.of(time, time >>> 8, time >>> 16, time >>> 24))
  writer.bytes(optional)
  if (what & flag.another) writer.varint(size)
  if (trailer) writer.bytes(trailer)
  if (exceptions.length > 0) writeExceptions(writer, exceptions)
  if (corrections.gaps.length > 0) writeCorrections(writer, corrections)
}

function writeExceptions(writer: ByteWriter, exceptions: readonly Exception[]): void {
  writer.varint(exceptions.length)
  for (const { gap, count, kind, last, size, head } of exceptions) {
    writer.varint(gap)
    writer.varint(count - 1)
    const has = (last ? exceptionBit.last : 0) | (size === undefined ? 0 : exceptionBit.size) | (head ? exceptionBit.head : 0)
    writer.byte(kinds.indexOf(kind) | has)
    if (size !== undefined) writer.varint(size)
    if (head) {
      writer.varint(head.length)
      writer.bytes(head)
    }
  }
}

function writeCorrections(writer: ByteWriter, { gaps, lengths, distances }: Corrections): void {
  writer.varint(gaps.length)
  for (const column of [gaps, lengths, distances]) for (const value of column) writer.varint(value)
}

/** `size`: bytes of the content that all members make together. */
export function decodeRecipe(bytes: Uint8Array, size: number): Recipe {
  const cursor: Cursor = { bytes, at: 0 }
  if (readByte(cursor) !== version) throw bad('this version of gzip recipes is not known')
  const members: Member[] = []
  let left = size
  for (let what = flag.another as number; what & flag.another;) {
    what = readByte(cursor)
    const member = readMember(cursor, what, left)
    left -= member.size
    members.push(member)
    if (what & flag.tail && (what & flag.another || cursor.at === bytes.length)) throw bad('a gzip recipe has no tail where it says so')
    if (what & (flag.tail | flag.another)) continue
    if (cursor.at < bytes.length) throw bad('a gzip recipe goes on behind its end')
  }
  return { members, tail: bytes.subarray(cursor.at) }
}

function readMember(cursor: Cursor, what: number, left: number): Member {
  if (what > allFlags) throw bad('a flag of a gzip recipe is not known')
  const rules = rulesOf(readByte(cursor))
  if (rules === undefined) throw bad('a gzip recipe follows rules that are not known')
  const header = readMemberHeader(cursor, what)
  const size = what & flag.another ? readVarint(cursor) : left
  if (size > left) throw bad('a gzip recipe wants more content than there is')
  const trailer = what & flag.trailer ? readBytes(cursor, trailerSize) : undefined
  const exceptions = what & flag.exceptions ? readExceptions(cursor) : []
  const corrections = what & flag.corrections ? readCorrections(cursor) : noCorrections
  return { header, rules, size, trailer, exceptions, corrections }
}

function readMemberHeader(cursor: Cursor, what: number): Header {
  const [flags, effort, system] = [readByte(cursor), readByte(cursor), readByte(cursor)]
  let time = 0
  if (what & flag.time) {
    for (const shift of [0, 8, 16, 24]) time = (time | (readByte(cursor) << shift)) >>> 0
    if (time === 0) throw bad('a gzip recipe gives no time where it says so')
  }
  const end = optionalEnd(cursor.bytes, cursor.at, flags)
  if (end === undefined) throw bad('a gzip recipe has a broken header')
  return { flags, time, effort, system, optional: readBytes(cursor, end - cursor.at) }
}

function readExceptions(cursor: Cursor): Exception[] {
  return Array.from({ length: readCount(cursor) }, () => readException(cursor))
}

/** Each takes a byte at least, so that no more are announced than there can be. */
function readCount(cursor: Cursor): number {
  const count = readVarint(cursor)
  if (count === 0 || count > cursor.bytes.length - cursor.at) throw bad('a gzip recipe announces more than it has')
  return count
}

function readException(cursor: Cursor): Exception {
  const gap = readVarint(cursor)
  const count = readVarint(cursor) + 1
  const what = readByte(cursor)
  const kind = kinds[what & 3]
  const last = (what & exceptionBit.last) !== 0
  const size = what & exceptionBit.size ? readVarint(cursor) : undefined
  const head = what & exceptionBit.head ? readBytes(cursor, readVarint(cursor)) : undefined
  if (what > 31 || kind === undefined || (head && kind !== 'dynamic')) throw bad('a gzip recipe has a block of no known kind')
  if (kind === 'stored' && size !== undefined && size > 0xffff) throw bad('a stored block is too large')
  return { gap, count, kind, last, size, head }
}

function readCorrections(cursor: Cursor): Corrections {
  const count = readCount(cursor)
  const column = (height: number): readonly number[] => Array.from({ length: height }, () => readVarint(cursor))
  const gaps = column(count)
  const lengths = column(count)
  if (lengths.some((length) => length > longestMatch - 2)) throw bad('a match is too long')
  return { gaps, lengths, distances: column(lengths.reduce((matches, length) => matches + (length > 0 ? 1 : 0), 0)) }
}

/** The trees of a block's own head. */
export function treesOf(head: Uint8Array): TreeHead {
  const trees = readTreeHead(head)
  if (trees === undefined) throw bad('the head of a dynamic block is broken')
  return trees
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', message)
}
