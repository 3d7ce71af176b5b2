import { fromHex, fromLatin1, hex, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath, rootPath } from '../base/path.ts'
import { parseSha256 } from '../base/digest.ts'
import { checkManifest, manifestLimits } from './manifest-check.ts'
import { escapeWord, unescapeWord } from './mtree-text.ts'
import type { Entry, EntryMeta, Manifest, Timestamp, Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'

/**
 * A manifest as mtree(5), in the one form that NetBSD's mtree and bsdtar both read and that says everything about an
 * entry (doc/spec/manifest.md). Canonical: `encodeManifest(decodeManifest(b))` is `b`, and any other bytes are refused.
 * What mtree has no keyword for stands in `#bindery` lines, which are comments to the others.
 */

const firstLine = '#mtree'
const secondLine = '#bindery manifest 1'
/** Bytes of an attribute's value on one line. */
const xattrPiece = 16_384

const typeOfKind = { file: 'file', dir: 'dir', symlink: 'link', fifo: 'fifo', socket: 'socket', char: 'char', block: 'block' } as const

/** `bad-format` or `over-limit` for a manifest that breaks the promises of its type. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  checkManifest(manifest)
  return write(manifest)
}

/** `bad-format` with the line, `hostile` for an unsafe path, `over-limit`. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > manifestLimits.bytes) throw new BinderyError('over-limit', `a manifest of more than ${manifestLimits.bytes >> 20} MiB`)
  const manifest = new ManifestReader(latin1(bytes)).read()
  checkManifest(manifest)
  checkCanonical(bytes, write(manifest))
  return manifest
}

/** Whether these are the first bytes (64 are enough) of a manifest of ours, as opposed to another mtree file. */
export function isManifest(head: Uint8Array): boolean {
  return latin1(head).startsWith(`${firstLine}\n${secondLine}\n`)
}

function write({ entries }: Manifest): Uint8Array {
  const users = nameTable(entries, 'uid', 'uname')
  const groups = nameTable(entries, 'gid', 'gname')
  const byPath = new Map<RelPath, Entry>()
  const lines = [firstLine, secondLine, ...tableLines('user', users), ...tableLines('group', groups)]
  for (const entry of entries) {
    byPath.set(entry.path, entry)
    const inode = entry.kind === 'hardlink' ? (byPath.get(entry.leader) as Entry) : entry
    if (entry.kind === 'hardlink') lines.push(`#bindery hardlink ${shownPath(entry.leader)}`)
    if (entry.uname !== users.get(entry.uid)) lines.push(`#bindery uname ${escapeWord(entry.uname ?? '')}`.trimEnd())
    if (entry.gname !== groups.get(entry.gid)) lines.push(`#bindery gname ${escapeWord(entry.gname ?? '')}`.trimEnd())
    if (entry.xattrs !== undefined) lines.push(...xattrLines(entry.xattrs))
    lines.push(entryLine(entry, inode))
  }
  return fromLatin1(`${lines.join('\n')}\n`)
}

/** The first name that comes with a number stands for all; the entries that differ say so themselves. */
function nameTable(entries: readonly Entry[], number: 'uid' | 'gid', name: 'uname' | 'gname'): ReadonlyMap<number, string> {
  const table = new Map<number, string>()
  for (const entry of entries) {
    const text = entry[name]
    if (text !== undefined && !table.has(entry[number])) table.set(entry[number], text)
  }
  return table
}

function tableLines(word: string, table: ReadonlyMap<number, string>): string[] {
  return [...table].sort(([a], [b]) => a - b).map(([number, name]) => `#bindery ${word} ${number} ${escapeWord(name)}`)
}

function xattrLines(xattrs: Xattrs): string[] {
  const names = [...xattrs.keys()].sort()
  return names.flatMap((name) => {
    const digits = hex(fromLatin1(xattrs.get(name) as string))
    const lines = [`#bindery xattr ${escapeWord(name)} ${digits.slice(0, 2 * xattrPiece)}`.trimEnd()]
    for (let at = 2 * xattrPiece; at < digits.length; at += 2 * xattrPiece)
      lines.push(`#bindery xattr-more ${digits.slice(at, at + 2 * xattrPiece)}`)
    return lines
  })
}

function shownPath(path: RelPath): string {
  return path === rootPath ? '.' : `./${escapeWord(path)}`
}

/** `inode` is the entry, or for a hard link its leader: to mtree, every name of a group looks the same. */
function entryLine(entry: Entry, inode: Entry): string {
  if (inode.kind === 'hardlink') throw new Error('a leader is no hard link')
  let line = `${shownPath(entry.path)} type=${typeOfKind[inode.kind]}`
  if (inode.kind !== 'symlink' || entry.mode !== 0o777) line += ` mode=${formatMode(entry.mode)}`
  line += ` uid=${entry.uid} gid=${entry.gid} time=${formatTime(entry.mtime)}`
  if (inode.kind === 'file') line += ` size=${inode.size} sha256=${inode.sha256}`
  if (inode.kind === 'symlink') line += ` link=${escapeWord(inode.target)}`
  if (inode.kind === 'char' || inode.kind === 'block') line += ` device=native,${inode.major},${inode.minor}`
  return entry.flags === undefined ? line : `${line} flags=${entry.flags.join(',')}`
}

function formatMode(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`
}

function formatTime(time: Timestamp): string {
  return `${time.sec}.${time.nsec.toString().padStart(9, '0')}`
}

/** What the lines before an entry said about it. */
type Notes = { leader?: RelPath; uname?: string | undefined; gname?: string | undefined; xattrs: Map<string, string>; lastXattr?: string }

/** Reads line by line. Lenient about order and spelling, since the canonical check afterwards is not. */
class ManifestReader {
  readonly #text: string
  #at = 0
  #line = 0
  readonly #users = new Map<number, string>()
  readonly #groups = new Map<number, string>()
  #notes: Notes = { xattrs: new Map() }

  constructor(text: string) {
    this.#text = text
  }

  read(): Manifest {
    if (this.#next() !== firstLine || this.#next() !== secondLine) throw new BinderyError('bad-format', 'this is no bindery manifest')
    const entries: Entry[] = []
    for (let line = this.#next(); line !== undefined; line = this.#next()) {
      if (line.startsWith('#')) this.#readNote(line)
      else entries.push(this.#readEntry(line))
      if (entries.length > manifestLimits.entries) throw this.#failure('too many entries', 'over-limit')
    }
    return { entries }
  }

  #next(): string | undefined {
    if (this.#at >= this.#text.length) return undefined
    this.#line++
    const end = this.#text.indexOf('\n', this.#at)
    if (end < 0) throw this.#failure('the last line is cut off')
    if (end - this.#at > manifestLimits.line) throw this.#failure('line too long', 'over-limit')
    const line = this.#text.slice(this.#at, end)
    this.#at = end + 1
    return line
  }

  #failure(message: string, code: 'bad-format' | 'hostile' | 'over-limit' = 'bad-format'): BinderyError {
    return new BinderyError(code, message, { subject: `manifest line ${this.#line}` })
  }

  #readNote(line: string): void {
    const [, word, first = '', second = ''] = line.split(' ')
    switch (word) {
      case 'user':
      case 'group':
        return void (word === 'user' ? this.#users : this.#groups).set(this.#number(first), this.#word(second))
      case 'hardlink':
        this.#notes.leader = this.#path(first)
        return
      case 'uname':
      case 'gname':
        this.#notes[word] = first === '' ? undefined : this.#word(first)
        return
      case 'xattr':
        this.#notes.lastXattr = this.#word(first)
        return void this.#notes.xattrs.set(this.#notes.lastXattr, this.#hex(second))
      case 'xattr-more':
        return this.#continueXattr(this.#hex(first))
      default:
        throw this.#failure('unknown line')
    }
  }

  #continueXattr(more: string): void {
    const { lastXattr, xattrs } = this.#notes
    if (lastXattr === undefined) throw this.#failure('continues no attribute')
    const value = (xattrs.get(lastXattr) as string) + more
    if (value.length > manifestLimits.xattrBytes) throw this.#failure('attribute too long', 'over-limit')
    xattrs.set(lastXattr, value)
  }

  #readEntry(line: string): Entry {
    const [name, ...words] = line.split(' ') as [string, ...string[]]
    const fields = new Map<string, string>()
    for (const word of words) {
      const equals = word.indexOf('=')
      if (equals < 1 || fields.has(word.slice(0, equals))) throw this.#failure('bad keyword')
      fields.set(word.slice(0, equals), word.slice(equals + 1))
    }
    const notes = this.#notes
    this.#notes = { xattrs: new Map() }
    const meta = this.#meta(this.#path(name), fields, notes)
    return notes.leader === undefined ? this.#inode(meta, fields) : { ...meta, kind: 'hardlink', leader: notes.leader }
  }

  #meta(path: RelPath, fields: ReadonlyMap<string, string>, notes: Notes): EntryMeta {
    const uid = this.#number(fields.get('uid'))
    const gid = this.#number(fields.get('gid'))
    const uname = 'uname' in notes ? notes.uname : this.#users.get(uid)
    const gname = 'gname' in notes ? notes.gname : this.#groups.get(gid)
    const mode = fields.get('type') === 'link' && !fields.has('mode') ? 0o777 : this.#number(fields.get('mode'), 8)
    return {
      path,
      mode,
      uid,
      gid,
      ...(uname === undefined ? {} : { uname }),
      ...(gname === undefined ? {} : { gname }),
      mtime: this.#time(fields.get('time')),
      ...(fields.has('flags') ? { flags: (fields.get('flags') as string).split(',') } : {}),
      ...(notes.xattrs.size === 0 ? {} : { xattrs: notes.xattrs }),
    }
  }

  #inode(meta: EntryMeta, fields: ReadonlyMap<string, string>): Entry {
    const type = fields.get('type')
    switch (type) {
      case 'dir':
      case 'fifo':
      case 'socket':
        return { ...meta, kind: type }
      case 'file': {
        const sha256 = parseSha256(fields.get('sha256') ?? '')
        if (sha256 === undefined) throw this.#failure('bad sha256')
        return { ...meta, kind: type, size: this.#number(fields.get('size')), sha256 }
      }
      case 'link':
        return { ...meta, kind: 'symlink', target: this.#word(fields.get('link') ?? '') }
      case 'char':
      case 'block': {
        const [, major, minor] = (fields.get('device') ?? '').split(',')
        return { ...meta, kind: type, major: this.#number(major), minor: this.#number(minor) }
      }
      default:
        throw this.#failure('bad type')
    }
  }

  #path(word: string): RelPath {
    const text = this.#word(word)
    if (text === '.') return rootPath
    const path = text.startsWith('./') ? parseRelPath(text.slice(2)) : undefined
    if (path === undefined || path === rootPath) throw this.#failure('unsafe path', 'hostile')
    return path
  }

  #word(word: string): string {
    const text = unescapeWord(word)
    if (text === undefined || text === '') throw this.#failure('bad word')
    return text
  }

  #hex(digits: string): string {
    const bytes = fromHex(digits)
    if (bytes === undefined) throw this.#failure('bad attribute value')
    return latin1(bytes)
  }

  #number(text: string | undefined, base: 8 | 10 = 10): number {
    if (text === undefined || !/^[0-9]{1,16}$/.test(text)) throw this.#failure('a number is missing or bad')
    return parseInt(text, base)
  }

  #time(text: string | undefined): Timestamp {
    const match = /^(-?[0-9]{1,16})\.([0-9]{9})$/.exec(text ?? '')
    if (match === null) throw this.#failure('bad time')
    return { sec: Number(match[1]), nsec: Number(match[2]) }
  }
}

/** Order of keywords, leading zeros, needless escapes, superfluous notes: all are caught here at once. */
function checkCanonical(given: Uint8Array, canonical: Uint8Array): void {
  if (Buffer.compare(given, canonical) === 0) return
  let at = 0
  while (at < given.length && given[at] === canonical[at]) at++
  const line = latin1(given.subarray(0, at)).split('\n').length
  throw new BinderyError('bad-format', 'not in canonical form', { subject: `manifest line ${line}` })
}
