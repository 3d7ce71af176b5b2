import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { comparePaths, joinPath, parentPath, parseRelPath, rootPath } from '../base/path.ts'
import { parseSha256 } from '../base/digest.ts'
import { checkManifest, manifestLimits } from './manifest-check.ts'
import { unvis } from './mtree-vis.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Entry, EntryMeta, Manifest, Timestamp } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'

/**
 * Reads mtree(5) files of other programs, for comparing only: NetBSD's, FreeBSD's, OpenBSD's mtree and libarchive, relative
 * and full-path form, /set and /unset (doc/spec/manifest.md, "Other dialects"). Names are literal, never patterns.
 */

/** What at least one entry does not say, so that nothing can be said of any: `digest` leaves the size to compare. */
export type MtreeGap = 'digest' | 'content' | 'target' | 'device' | 'links' | 'mode' | 'owner' | 'mtime' | 'flags' | 'xattrs'

export type MtreeFile = { readonly manifest: Manifest; readonly gaps: ReadonlySet<MtreeGap> }

type Fields = ReadonlyMap<string, string>

const unknownDigest = '0'.repeat(64) as Sha256

/** `bad-format`, `hostile` or `over-limit` with the line. Missing values are zeros: look at `gaps`. */
export function decodeMtree(bytes: Uint8Array): MtreeFile {
  if (bytes.length > manifestLimits.bytes)
    throw new BinderyError('over-limit', `an mtree file of more than ${manifestLimits.bytes >> 20} MiB`)
  const listed = readLines(latin1(bytes))
  const gaps = new Set<MtreeGap>(['links', 'xattrs'])
  const entries = [...listed].map(([path, { fields, line }]) => entryOf(path, fields, gaps, line))
  const manifest = { entries: entries.sort((a, b) => comparePaths(a.path, b.path)) }
  checkManifest(manifest)
  return { manifest, gaps }
}

type Listed = Map<RelPath, { readonly fields: Fields; readonly line: number }>

function readLines(text: string): Listed {
  const listed: Listed = new Map()
  const defaults = new Map<string, string>()
  let dir = rootPath
  let number = 0
  for (const line of logicalLines(text)) {
    number = line.number
    const [name = '', ...words] = line.text.split(/[ \t]+/)
    if (name === '/set') for (const [key, value] of keywords(words)) defaults.set(key, value)
    else if (name === '/unset') unset(defaults, words)
    else if (name === '..') dir = parentPath(dir)
    else {
      const fields = new Map([...defaults, ...keywords(words)])
      const path = pathOf(name, dir, number)
      if (listed.has(path)) throw failure('listed twice', number)
      if (listed.size >= manifestLimits.entries) throw failure('too many entries', number, 'over-limit')
      listed.set(path, { fields, line: number })
      if (!name.slice(1).includes('/') && fields.get('type') === 'dir') dir = path
    }
  }
  if (listed.size === 0) throw failure('no entries', number)
  return listed
}

function unset(defaults: Map<string, string>, keys: readonly string[]): void {
  if (keys.includes('all')) defaults.clear()
  for (const key of keys) defaults.delete(key)
}

type Line = { readonly text: string; readonly number: number }

/** Without comments and blank lines; a backslash before a newline continues the line. */
function* logicalLines(text: string): Generator<Line> {
  let pending = ''
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    if (pending.length + line.length > 2 * manifestLimits.line) throw failure('line too long', i + 1, 'over-limit')
    // A program in C would read the line up to there.
    if (line.includes('\0')) throw failure('a NUL', i + 1)
    if (pending === '' && /^[ \t]*#/.test(line)) continue
    const whole = pending + line
    pending = whole.endsWith('\\') ? `${whole.slice(0, -1)} ` : ''
    const trimmed = whole.trim()
    if (pending === '' && trimmed !== '') yield { text: trimmed, number: i + 1 }
  }
  if (pending !== '') throw new BinderyError('bad-format', 'the last line is cut off')
}

function failure(message: string, line: number, code: 'bad-format' | 'hostile' | 'over-limit' = 'bad-format'): BinderyError {
  return new BinderyError(code, message, { subject: `mtree line ${line}` })
}

/** Keywords without a value (`optional`, `nochange`, `ignore`) count as empty; those of no interest stay in the map unread. */
function keywords(words: readonly string[]): [string, string][] {
  return words.map((word) => {
    const equals = word.indexOf('=')
    return equals < 0 ? [word, ''] : [word.slice(0, equals), word.slice(equals + 1)]
  })
}

/** A name with a slash after its first character is a full path, others are relative to the current directory. */
function pathOf(name: string, dir: RelPath, line: number): RelPath {
  const text = unvis(name)
  if (text === undefined) throw failure('bad escape in a name', line)
  if (text === '.') return rootPath
  const full = name.slice(1).includes('/')
  const path = full ? parseRelPath(text.replace(/^\.\//, '')) : text.includes('/') ? undefined : parseRelPath(text)
  if (path === undefined || path === rootPath) throw failure('unsafe path', line, 'hostile')
  return full ? path : checkedPath(joinPath(dir, path), line)
}

function checkedPath(path: RelPath, line: number): RelPath {
  if (parseRelPath(path) === undefined) throw failure('unsafe path', line, 'hostile')
  return path
}

function entryOf(path: RelPath, fields: Fields, gaps: Set<MtreeGap>, line: number): Entry {
  const meta = metaOf(path, fields, gaps)
  const type = fields.get('type')
  switch (type) {
    case 'dir':
    case 'fifo':
    case 'socket':
      return { ...meta, kind: type }
    case 'file':
      return { ...meta, kind: type, ...fileContent(fields, gaps) }
    case 'link': {
      const target = unvis(fields.get('link') ?? '')
      if (target === undefined || target === '') gaps.add('target')
      return { ...meta, mode: 0o777, kind: 'symlink', target: target === undefined || target === '' ? '?' : target }
    }
    case 'char':
    case 'block':
      return { ...meta, kind: type, ...deviceNumbers(fields, gaps) }
    default:
      throw failure(type === undefined ? 'no type' : `unknown type '${type}'`, line)
  }
}

function metaOf(path: RelPath, fields: Fields, gaps: Set<MtreeGap>): EntryMeta {
  const mode = fields.get('type') === 'link' ? 0o777 : wholeNumber(fields.get('mode'), 8)
  const uid = wholeNumber(fields.get('uid'), 10)
  const gid = wholeNumber(fields.get('gid'), 10)
  const mtime = timeOf(fields.get('time'))
  const flags = fields.get('flags')
  if (mode === undefined) gaps.add('mode')
  if (uid === undefined || gid === undefined) gaps.add('owner')
  if (mtime === undefined) gaps.add('mtime')
  if (flags === undefined) gaps.add('flags')
  const names = flags === undefined || flags === 'none' || flags === '' ? [] : [...new Set(flags.split(','))].sort()
  return {
    path,
    mode: mode ?? 0,
    uid: uid ?? 0,
    gid: gid ?? 0,
    mtime: mtime ?? { sec: 0, nsec: 0 },
    ...(names.length === 0 ? {} : { flags: names }),
  }
}

function fileContent(fields: Fields, gaps: Set<MtreeGap>): { readonly size: number; readonly sha256: Sha256 } {
  const size = wholeNumber(fields.get('size'), 10)
  const digest = fields.get('sha256') ?? fields.get('sha256digest')
  const sha256 = digest === undefined ? undefined : parseSha256(digest.replace(/^0x/, ''))
  if (sha256 === undefined) gaps.add('digest')
  if (size === undefined) gaps.add('content')
  return { size: size ?? 0, sha256: sha256 ?? unknownDigest }
}

/** `FORMAT,MAJOR,MINOR`; a bare number is packed in a way that only its own system knows. */
function deviceNumbers(fields: Fields, gaps: Set<MtreeGap>): { readonly major: number; readonly minor: number } {
  const [, first, second, more] = (fields.get('device') ?? '').split(',')
  const major = wholeNumber(first, 10)
  const minor = wholeNumber(second, 10)
  if (major !== undefined && minor !== undefined && more === undefined) return { major, minor }
  gaps.add('device')
  return { major: 0, minor: 0 }
}

/** Undefined where there is none, or in a form (`u=rw,go=r`) that is not read. */
function wholeNumber(text: string | undefined, base: 8 | 10): number | undefined {
  return text !== undefined && (base === 8 ? /^[0-7]{1,7}$/ : /^[0-9]{1,16}$/).test(text) ? parseInt(text, base) : undefined
}

/** The fraction is a count of nanoseconds, not a decimal fraction: `.5` is 5 ns. */
function timeOf(text: string | undefined): Timestamp | undefined {
  const match = /^(-?[0-9]{1,16})(?:\.([0-9]{1,9}))?$/.exec(text ?? '')
  return match === null ? undefined : { sec: Number(match[1]) + 0, nsec: Number(match[2] ?? 0) }
}
