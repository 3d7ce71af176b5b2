import { concatBytes, fromLatin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { checkEntry } from './manifest-check.ts'
import { encodePax, encodePaxTime, maxPaxBytes } from './pax.ts'
import { encodeNumber, fitsOctal, writeChecksum } from './tar-numbers.ts'
import type { EntryHeader } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { PaxRecords } from './pax.ts'

/**
 * The headers of a dist's members (doc/spec/dist.md): ustar, with long names in `L` and `K` members, as raw bytes, and
 * all else that ustar cannot hold in pax records. One header has one encoding; `tar-decode.ts` refuses every other.
 */
export const blockSize = 512

/** Two blocks of zeros. */
export const endOfArchive: Uint8Array = new Uint8Array(2 * blockSize)

const typeFlags = { file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', dir: '5', fifo: '6' } as const

/** Bytes between the end of a content and the next block. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

/** The blocks before the content: `L`, `K` and `x` members where they are needed, then the ustar header. */
export function encodeHeader(header: EntryHeader): Uint8Array {
  checkEntry(header)
  const name = memberName(header)
  const link = linkName(header)
  const split = splitName(name)
  const records = paxRecords(header)
  const main = mainBlock(header, split ?? { prefix: '', name: withoutTrailing(name.slice(0, nameWidth), '/') }, link.slice(0, nameWidth))
  if (split !== undefined && link.length <= nameWidth && records.size === 0) return main
  return concatBytes([
    ...(split === undefined ? [extension('L', fromLatin1(`${name}\0`))] : []),
    ...(link.length > nameWidth ? [extension('K', fromLatin1(`${link}\0`))] : []),
    ...(records.size === 0 ? [] : [extension('x', boundedPax(records, header.path))]),
    main,
  ])
}

// --- the ustar block

export const nameWidth = 100
export const prefixWidth = 155
export const ownerWidth = 32

export const fields = {
  mode: { at: 100, width: 8 },
  uid: { at: 108, width: 8 },
  gid: { at: 116, width: 8 },
  size: { at: 124, width: 12 },
  mtime: { at: 136, width: 12 },
  flag: { at: 156, width: 1 },
  link: { at: 157, width: nameWidth },
  magic: { at: 257, width: 8 },
  uname: { at: 265, width: ownerWidth },
  gname: { at: 297, width: ownerWidth },
  major: { at: 329, width: 8 },
  minor: { at: 337, width: 8 },
  prefix: { at: 345, width: prefixWidth },
} as const

type SplitName = { readonly prefix: string; readonly name: string }

function mainBlock(header: EntryHeader, split: SplitName, link: string): Uint8Array {
  if (header.kind === 'socket') throw new BinderyError('not-supported', 'a tar cannot hold a socket', { subject: showPath(header.path) })
  const block = Buffer.allocUnsafe(blockSize).fill(0)
  const number = (field: { at: number; width: number }, value: number): void => encodeNumber(block, field.at, field.width, value)
  block.write(split.name, 0, 'latin1')
  number(fields.mode, header.mode)
  number(fields.uid, header.uid)
  number(fields.gid, header.gid)
  number(fields.size, header.kind === 'file' ? header.size : 0)
  number(fields.mtime, header.mtime.sec)
  block.write(typeFlags[header.kind], fields.flag.at, 'latin1')
  block.write(link, fields.link.at, 'latin1')
  block.write('ustar\x0000', fields.magic.at, 'latin1')
  block.write((header.uname ?? '').slice(0, ownerWidth - 1), fields.uname.at, 'latin1')
  block.write((header.gname ?? '').slice(0, ownerWidth - 1), fields.gname.at, 'latin1')
  number(fields.major, 'major' in header ? header.major : 0)
  number(fields.minor, 'minor' in header ? header.minor : 0)
  block.write(split.prefix, fields.prefix.at, 'latin1')
  writeChecksum(block)
  return block
}

/** The whole member around an extension's body: fixed fields, so that it says nothing but its body. */
export function extension(flag: 'L' | 'K' | 'x' | 'g', body: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(blockSize + body.length + paddingOf(body.length))
  bytes.write(flag === 'g' ? 'pax_global_header' : flag === 'x' ? '././@PaxHeader' : '././@LongLink', 0, 'latin1')
  for (const field of [fields.uid, fields.gid, fields.mtime, fields.major, fields.minor]) encodeNumber(bytes, field.at, field.width, 0)
  encodeNumber(bytes, fields.mode.at, fields.mode.width, 0o644)
  encodeNumber(bytes, fields.size.at, fields.size.width, body.length)
  bytes.write(flag, fields.flag.at, 'latin1')
  bytes.write('ustar\x0000', fields.magic.at, 'latin1')
  writeChecksum(bytes)
  bytes.set(body, blockSize)
  return bytes
}

/** A directory ends with a slash, the root is `./`. */
function memberName(header: EntryHeader): string {
  return header.kind === 'dir' ? `${header.path}/` : header.path
}

function linkName(header: EntryHeader): string {
  return header.kind === 'symlink' ? header.target : header.kind === 'hardlink' ? header.leader : ''
}

/** At the first slash that leaves at most 100 bytes; undefined where no prefix is short enough. */
function splitName(name: string): SplitName | undefined {
  if (name.length <= nameWidth) return { prefix: '', name }
  const slash = name.indexOf('/', name.length - nameWidth - 1)
  return slash <= 0 || slash > prefixWidth || slash === name.length - 1
    ? undefined
    : { prefix: name.slice(0, slash), name: name.slice(slash + 1) }
}

// --- what ustar cannot hold

export const xattrKeyword = 'SCHILY.xattr.'
export const flagsKeyword = 'SCHILY.fflags'

/** In byte order of the keywords. */
function paxRecords(header: EntryHeader): PaxRecords {
  const records: [string, string][] = []
  for (const [name, value] of header.xattrs ?? []) records.push([xattrKeyword + escapeKeyword(name), value])
  if (header.flags !== undefined && header.flags.length > 0) records.push([flagsKeyword, header.flags.toSorted().join(',')])
  if (!fitsOctal(header.gid, fields.gid.width)) records.push(['gid', String(header.gid)])
  if (!fitsOctal(header.uid, fields.uid.width)) records.push(['uid', String(header.uid)])
  if (header.kind === 'file' && !fitsOctal(header.size, fields.size.width)) records.push(['size', String(header.size)])
  if (header.mtime.nsec !== 0 || !fitsOctal(header.mtime.sec, fields.mtime.width)) records.push(['mtime', encodePaxTime(header.mtime)])
  if (header.uname !== undefined && header.uname.length >= ownerWidth) records.push(['uname', header.uname])
  if (header.gname !== undefined && header.gname.length >= ownerWidth) records.push(['gname', header.gname])
  return new Map(records.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** GNU tar's way to keep `=` out of a keyword. */
function escapeKeyword(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D')
}

function boundedPax(records: PaxRecords, path: RelPath): Uint8Array {
  const body = encodePax(records)
  if (body.length <= maxPaxBytes) return body
  throw new BinderyError('over-limit', `has ${body.length} bytes of extended attributes`, { subject: showPath(path) })
}
