import { equalBytes, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath, rootPath, showPath } from '../base/path.ts'
import { decodePax, decodePaxTime, maxPaxBytes } from './pax.ts'
import { blockSize, encodeHeader, fields, flagsKeyword, nameWidth, ownerWidth, paddingOf, prefixWidth, xattrKeyword } from './tar.ts'
import { decodeNumber, hasGoodChecksum } from './tar-numbers.ts'
import type { EntryHeader, EntryMeta, Timestamp, Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { PaxRecords } from './pax.ts'

/** Reads the blocks of one member, as `extensionSize` delimits them. Whatever `encodeHeader` would not write is refused. */
export function decodeHeader(blocks: Uint8Array): EntryHeader {
  const header = headerOf(splitGroup(blocks))
  // One comparison stands against every second meaning: overlong numbers, smuggled or repeated records, hidden bytes.
  if (!equalBytes(encodeHeader(header), blocks)) throw bad('the header is not in its canonical form', header.path)
  return header
}

/** The padded size of what follows a header block before its member's own header; undefined for the member's own header. */
export function extensionSize(block: Uint8Array): number | undefined {
  if (!hasGoodChecksum(block)) throw bad('a header has a wrong checksum')
  const flag = flagOf(block)
  if (flag !== 'L' && flag !== 'K' && flag !== 'x') return undefined
  const size = decodeNumber(block, fields.size.at, fields.size.width)
  if (size === undefined || size === 0) throw bad('an extension header has no size')
  if (size > maxPaxBytes) throw new BinderyError('over-limit', `an extension header of ${size} bytes`)
  return size + paddingOf(size)
}

type Group = { readonly longName?: string; readonly longLink?: string; readonly records: PaxRecords; readonly block: Uint8Array }

function splitGroup(blocks: Uint8Array): Group {
  let group: Omit<Group, 'block'> = { records: new Map() }
  let at = 0
  for (;;) {
    const block = blocks.subarray(at, at + blockSize)
    if (block.length < blockSize) throw bad('a header is cut off')
    const size = extensionSize(block)
    if (size === undefined) return { ...group, block }
    const body = blocks.subarray(at + blockSize, at + blockSize + (decodeNumber(block, fields.size.at, fields.size.width) as number))
    group = withExtension(group, flagOf(block), body)
    at += blockSize + size
  }
}

function withExtension(group: Omit<Group, 'block'>, flag: string, body: Uint8Array): Omit<Group, 'block'> {
  switch (flag) {
    case 'L':
      return { ...group, longName: textOf(body, 0, body.length) }
    case 'K':
      return { ...group, longLink: textOf(body, 0, body.length) }
    default:
      return { ...group, records: decodePax(body) }
  }
}

function flagOf(block: Uint8Array): string {
  return String.fromCharCode(block[fields.flag.at] as number)
}

/** Up to the first NUL. */
function textOf(block: Uint8Array, at: number, width: number): string {
  const text = latin1(block.subarray(at, at + width))
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

function headerOf(group: Group): EntryHeader {
  const flag = flagOf(group.block)
  const link = group.longLink ?? textOf(group.block, fields.link.at, nameWidth)
  const meta = metaOf(group, flag)
  switch (flag) {
    case '0':
      return { ...meta, kind: 'file', size: numberOf(group, 'size') }
    case '1':
      return { ...meta, kind: 'hardlink', leader: safePath(link) }
    case '2':
      return { ...meta, kind: 'symlink', target: link }
    case '3':
    case '4':
      return { ...meta, kind: flag === '3' ? 'char' : 'block', major: fieldOf(group, 'major'), minor: fieldOf(group, 'minor') }
    case '5':
      return { ...meta, kind: 'dir' }
    case '6':
      return { ...meta, kind: 'fifo' }
    default:
      throw bad(`members of type ${JSON.stringify(flag)} are not allowed`, meta.path)
  }
}

function metaOf(group: Group, flag: string): EntryMeta {
  const uname = group.records.get('uname') ?? textOf(group.block, fields.uname.at, ownerWidth)
  const gname = group.records.get('gname') ?? textOf(group.block, fields.gname.at, ownerWidth)
  const flags = group.records.get(flagsKeyword)
  const xattrs = xattrsOf(group.records)
  return {
    path: pathOf(group, flag),
    mode: fieldOf(group, 'mode'),
    uid: numberOf(group, 'uid'),
    gid: numberOf(group, 'gid'),
    mtime: timeOf(group),
    ...(uname === '' ? {} : { uname }),
    ...(gname === '' ? {} : { gname }),
    ...(flags === undefined ? {} : { flags: flags.split(',') }),
    ...(xattrs.size === 0 ? {} : { xattrs }),
  }
}

function pathOf(group: Group, flag: string): RelPath {
  const prefix = textOf(group.block, fields.prefix.at, prefixWidth)
  const short = textOf(group.block, 0, nameWidth)
  const name = group.longName ?? (prefix === '' ? short : `${prefix}/${short}`)
  const path = safePath(flag === '5' ? name.replace(/\/$/, '') : name)
  if (path === rootPath && flag !== '5') throw new BinderyError('hostile', 'the root is no directory', { subject: '.' })
  return path
}

/** Absolute paths, `..`, empty components and the like never become paths of ours. */
function safePath(name: string): RelPath {
  const path = parseRelPath(name)
  if (path === undefined) throw new BinderyError('hostile', 'an unsafe path in a tar', { subject: showPath(name.slice(0, 200)) })
  return path
}

function fieldOf(group: Group, name: 'mode' | 'uid' | 'gid' | 'size' | 'mtime' | 'major' | 'minor'): number {
  const value = decodeNumber(group.block, fields[name].at, fields[name].width)
  if (value === undefined) throw bad(`a header's ${name} is no number`)
  return value
}

function numberOf(group: Group, name: 'uid' | 'gid' | 'size'): number {
  const text = group.records.get(name)
  if (text === undefined) return fieldOf(group, name)
  if (!/^[0-9]{1,16}$/.test(text)) throw bad(`a pax header has a bad ${name}`)
  return Number(text)
}

function timeOf(group: Group): Timestamp {
  const text = group.records.get('mtime')
  if (text === undefined) return { sec: fieldOf(group, 'mtime'), nsec: 0 }
  const time = decodePaxTime(text)
  if (time === undefined) throw bad('a pax header has a bad mtime')
  return time
}

function xattrsOf(records: PaxRecords): Xattrs {
  const found = new Map<string, string>()
  for (const [keyword, value] of records) {
    if (keyword.startsWith(xattrKeyword)) found.set(unescapeKeyword(keyword.slice(xattrKeyword.length)), value)
  }
  return found
}

function unescapeKeyword(keyword: string): string {
  return keyword.replaceAll('%3D', '=').replaceAll('%25', '%')
}

function bad(message: string, path?: RelPath): BinderyError {
  return new BinderyError('bad-format', message, { subject: path === undefined ? 'tar' : showPath(path) })
}
