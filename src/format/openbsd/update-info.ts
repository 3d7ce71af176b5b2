import { latin1 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'

/**
 * What the head of a packing list says of updates (doc/spec/packing-list.md): names and versions, dependencies, libraries, options,
 * paths in the ports tree. Of a list that pkg_create wrote this is the beginning, so that reading stops long before the files.
 */
export type UpdateInfo = {
  /** Every `@name`; a sound list has one. */
  readonly names: readonly string[]
  /** Every `@version`, as it is written. */
  readonly versions: readonly string[]
  readonly depends: readonly Dependency[]
  readonly wantlibs: readonly string[]
  readonly libsets: readonly string[]
  readonly conflicts: readonly string[]
  /** Where the package was before: `@pkgpath`. */
  readonly formerPaths: readonly string[]
  readonly options: readonly string[]
  readonly arch: string | undefined
  readonly url: string | undefined
  /** Where the package is in the ports tree: FULLPKGPATH of `@comment pkgpath=`. */
  readonly pkgpath: string | undefined
}

/** `@depend pkgpath:pattern:default`. */
export type Dependency = { readonly pkgpath: string; readonly pattern: string; readonly default: string }

export type HeadOfList =
  | { readonly kind: 'whole'; readonly info: UpdateInfo }
  /** The bytes end before the head does: more of them are needed. */
  | { readonly kind: 'partial' }

/** No list of OpenBSD comes near: a line holds a path or a command, a head some thousand libraries. */
export const maxPackingListLine: number = 64 << 10
export const maxPackingListHead: number = 4 << 20

/** Throws `bad-format` with the number of the line, and `over-limit`. */
export function readUpdateInfo(list: Uint8Array): UpdateInfo {
  return parseHead(headOf(list) ?? textOf(list, maxPackingListHead + 1))
}

/** For what arrives piece by piece: the same, as soon as the head is there. */
export function readUpdateInfoSoFar(part: Uint8Array): HeadOfList {
  const head = headOf(part)
  if (head !== undefined) return { kind: 'whole', info: parseHead(head) }
  if (part.length > maxPackingListHead) throw new BinderyError('over-limit', `has no end of its head in ${maxPackingListHead} bytes`)
  return { kind: 'partial' }
}

/** Most heads are shorter, and the files behind them never become text. */
const firstLook = 4096

function headOf(list: Uint8Array): string | undefined {
  const first = upToStop(textOf(list, firstLook))
  return first === undefined && list.length > firstLook ? upToStop(textOf(list, maxPackingListHead + 1)) : first
}

function textOf(list: Uint8Array, limit: number): string {
  return latin1(list.subarray(0, limit))
}

const stops = ['\n@cwd', '\n@newgroup', '\n@newuser'] as const

/** The lines before the first `@cwd`, `@newgroup` or `@newuser`. */
function upToStop(text: string): string | undefined {
  const ends = stops.flatMap((stop) => keywordAt(text, stop) ?? [])
  return ends.length === 0 ? undefined : text.slice(0, Math.min(...ends) + 1)
}

function keywordAt(text: string, stop: string): number | undefined {
  for (let at = text.indexOf(stop); at >= 0; at = text.indexOf(stop, at + 1)) {
    // A longer word is another keyword; at the end of a part nothing is known yet.
    const next = text.charCodeAt(at + stop.length)
    if (next === 10 || next === 32 || next === 9) return at
  }
  return undefined
}

type Collected = {
  readonly name: string[]
  readonly version: string[]
  readonly depend: Dependency[]
  readonly wantlib: string[]
  readonly libset: string[]
  readonly conflict: string[]
  readonly pkgpath: string[]
  readonly option: string[]
  readonly arch: string[]
  readonly url: string[]
  readonly comment: string[]
}

function parseHead(head: string): UpdateInfo {
  if (head.length > maxPackingListHead) throw new BinderyError('over-limit', `has a head of more than ${maxPackingListHead} bytes`)
  const found = collect(head)
  return {
    names: found.name,
    versions: found.version,
    depends: found.depend,
    wantlibs: found.wantlib,
    libsets: found.libset,
    conflicts: found.conflict,
    formerPaths: found.pkgpath,
    options: found.option,
    arch: found.arch[0],
    url: found.url[0],
    pkgpath: found.comment[0],
  }
}

function collect(text: string): Collected {
  // Asked once for all lines; which one it is, is only looked for where there is one.
  if (text.includes('\r') || text.includes('\0')) throw controlCharacter(text)
  const found: Collected = {
    name: [],
    version: [],
    depend: [],
    wantlib: [],
    libset: [],
    conflict: [],
    pkgpath: [],
    option: [],
    arch: [],
    url: [],
    comment: [],
  }
  let number = 0
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf('\n', at)
    const end = newline < 0 ? text.length : newline
    number++
    // A file's line says nothing here, and costs nothing.
    if (text.charCodeAt(at) === 64) takeLine(found, text, at + 1, end, number)
    at = end + 1
  }
  return found
}

function controlCharacter(text: string): BinderyError {
  const line = text.split('\n').findIndex((one) => /[\r\0]/.test(one)) + 1
  return new BinderyError('bad-format', `line ${line} holds a control character`)
}

/** The line without its `@` is text[start, end). */
function takeLine(found: Collected, text: string, start: number, end: number, number: number): void {
  if (end - start > maxPackingListLine) throw new BinderyError('over-limit', `line ${number} has more than ${maxPackingListLine} bytes`)
  // Nearly all lines of a head are these two.
  if (text.startsWith('wantlib ', start)) found.wantlib.push(valueOf(text, start + 8, end))
  else if (text.startsWith('depend ', start)) found.depend.push(readDependency(valueOf(text, start + 7, end), number))
  else takeRareLine(found, text.slice(start, end), number)
}

function valueOf(text: string, start: number, end: number): string {
  const value = text.slice(start, end)
  return value.charCodeAt(0) > 32 ? value : value.trimStart()
}

function takeRareLine(found: Collected, line: string, number: number): void {
  // Of the package's own files.
  if (line.startsWith('sha ') || line.startsWith('size ')) return
  const space = line.search(/\s/)
  const wordEnd = space < 0 ? line.length : space
  const keyword = line.slice(0, wordEnd)
  if (!Object.hasOwn(found, keyword)) return
  const value = line.slice(wordEnd).trimStart()
  if (keyword === 'depend') found.depend.push(readDependency(value, number))
  else if (keyword === 'comment') found.comment.push(...pathOfComment(value))
  else found[keyword as Exclude<keyof Collected, 'depend'>].push(value)
}

export function readDependency(value: string, line: number): Dependency {
  const first = value.indexOf(':')
  const second = value.indexOf(':', first + 1)
  if (first < 0 || second < 0 || second === value.length - 1 || value.includes(':', second + 1))
    throw new BinderyError('bad-format', `line ${line}: @depend is not pkgpath:pattern:default`)
  return { pkgpath: value.slice(0, first), pattern: value.slice(first + 1, second), default: value.slice(second + 1) }
}

/** `subdir=` is what it was called before 5.0. */
function pathOfComment(value: string): readonly string[] {
  const path = /^(?:pkgpath|subdir)=([^ ]+)/.exec(value)?.[1]
  return path === undefined ? [] : [path]
}
