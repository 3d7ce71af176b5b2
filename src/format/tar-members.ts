import { emptyBytes, fromLatin1, latin1 } from '../base/bytes.ts'
import { isBinderyError } from '../base/error.ts'
import { decodePax, maxPaxBytes } from './pax.ts'
import { blockSize, fields, nameWidth, paddingOf, prefixWidth } from './tar.ts'
import { decodeNumber, hasGoodChecksum } from './tar-numbers.ts'
import type { PaxRecords } from './pax.ts'

/**
 * Where the members of any tar lie: v7, ustar, pax, GNU with its long names and sparse files. For finding what two
 * archives have in common; nothing that is found here may be unpacked (`tar-decode.ts` is for that).
 */
export type TarMember = {
  /** Of its first header block, extension headers included. */
  readonly headerStart: number
  readonly contentStart: number
  readonly contentSize: number
  /** After the padding: the next member's `headerStart`. */
  readonly end: number
  /** Bytes as latin1, as the archive says it: not safe to use as a path on a disk. */
  readonly path: string
  /** The type flag, one character (`0` file, `5` directory…). */
  readonly type: string
}

/** What listing needs of an archive: a `ByteSource`. */
export type RandomAccess = { readonly size: number; read(start: number, end: number): Promise<Uint8Array> }

/** What follows the last of these is as opaque as what follows the last header that was understood. */
const maxMembers = 2_000_000

/** Never fails on garbage: answers what was understood before it. Errors of the source itself are passed on. */
export async function listMembers(source: RandomAccess): Promise<readonly TarMember[]> {
  const look = windowOn(source)
  const members: TarMember[] = []
  let at = 0
  while (members.length < maxMembers) {
    const member = await memberAt(look, source.size, at)
    if (member === undefined) break
    members.push(member)
    at = member.end
  }
  return members
}

/** The bytes [start, start + count), fewer at the end of the source. */
type Look = (start: number, count: number) => Promise<Uint8Array>

/** Headers of small files come in one read, contents of large ones in none. */
function windowOn(source: RandomAccess): Look {
  let bytes = emptyBytes
  let offset = 0
  return async (start, count) => {
    if (start < offset || start + count > offset + bytes.length) {
      offset = start
      bytes = await source.read(start, Math.min(source.size, start + Math.max(count, windowSize)))
    }
    return bytes.subarray(start - offset, start - offset + count)
  }
}

const windowSize = 64 << 10

/** What extension headers have said about the member to come. */
type Said = { readonly path?: string; readonly size?: number }

async function memberAt(look: Look, size: number, headerStart: number): Promise<TarMember | undefined> {
  let said: Said = {}
  for (let at = headerStart; at + blockSize <= size;) {
    const block = await look(at, blockSize)
    if (!hasGoodChecksum(block)) return undefined
    const type = typeOf(block)
    const number = decodeNumber(block, fields.size.at, fields.size.width)
    if (number === undefined || number < 0) return undefined
    if (!extensions.has(type)) return await memberOf(look, { said, type, size: said.size ?? number, headerStart, at, end: size })
    if (number > maxPaxBytes) return undefined
    said = { ...said, ...saidBy(type, await look(at + blockSize, number)) }
    at += blockSize + number + paddingOf(number)
  }
  return undefined
}

/** pax `x` and `g`, Solaris `X`, GNU `L` and `K`. */
const extensions: ReadonlySet<string> = new Set(['x', 'g', 'X', 'L', 'K'])

function saidBy(type: string, body: Uint8Array): Said {
  if (type === 'L') return { path: upToNul(latin1(body)) }
  if (type !== 'x' && type !== 'X') return {}
  const records = recordsOf(body)
  const path = records.get('GNU.sparse.name') ?? records.get('path')
  const size = records.get('size')
  return { ...(path === undefined ? {} : { path }), ...(size !== undefined && /^[0-9]{1,15}$/.test(size) ? { size: Number(size) } : {}) }
}

function recordsOf(body: Uint8Array): PaxRecords {
  try {
    return decodePax(body)
  } catch (error) {
    if (isBinderyError(error, 'bad-format')) return new Map()
    throw error
  }
}

type Found = {
  readonly said: Said
  readonly type: string
  readonly size: number
  readonly headerStart: number
  readonly at: number
  readonly end: number
}

/** Undefined where the content would not fit into the archive. */
async function memberOf(look: Look, found: Found): Promise<TarMember | undefined> {
  const block = await look(found.at, blockSize)
  const contentStart = found.at + blockSize + (found.type === 'S' ? await sparseMapSize(look, block, found.at + blockSize) : 0)
  const contentSize = (await hasContent(look, found, contentStart)) ? found.size : 0
  const end = contentStart + contentSize + paddingOf(contentSize)
  if (contentStart + contentSize > found.end) return undefined
  return {
    headerStart: found.headerStart,
    contentStart,
    contentSize,
    end: Math.min(end, found.end),
    path: ownText(found.said.path ?? nameOf(block)),
    type: found.type,
  }
}

/** Links, devices, directories and FIFOs have none, whatever their size says. */
async function hasContent(look: Look, found: Found, contentStart: number): Promise<boolean> {
  if (found.size === 0 || /[2-6]/.test(found.type)) return false
  if (found.type !== '1') return true
  // Old archives tell the file's size with a hard link and have no content; `pax -o linkdata` has both.
  const next = await look(contentStart, blockSize)
  return next.length === blockSize && !hasGoodChecksum(next)
}

/** GNU's old sparse format: more of the map in blocks behind the header, each saying whether another follows. */
async function sparseMapSize(look: Look, block: Uint8Array, start: number): Promise<number> {
  let size = 0
  for (let more = block[482] === 1; more; size += blockSize) {
    const next = await look(start + size, blockSize)
    if (next.length < blockSize) return size
    more = next[504] === 1
  }
  return size
}

function typeOf(block: Uint8Array): string {
  const type = String.fromCharCode(block[fields.flag.at] as number)
  return type === '\0' ? '0' : type
}

function nameOf(block: Uint8Array): string {
  const text = latin1(block)
  const name = upToNul(text.slice(0, nameWidth))
  // GNU's own magic, `ustar` and two blanks, has other fields where the prefix would be.
  const prefix = text.startsWith('ustar\0', fields.magic.at) ? upToNul(text.slice(fields.prefix.at, fields.prefix.at + prefixWidth)) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

/** A piece of a string keeps the whole string: for each of thousands of short paths a block. */
function ownText(text: string): string {
  return latin1(fromLatin1(text))
}

function upToNul(text: string): string {
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}
