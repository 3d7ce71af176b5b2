import { fromLatin1, latin1 } from '../base/bytes.ts'
import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath } from '../base/path.ts'
import { escapeWord, unescapeWord } from './journal-node.ts'
import type { Sha256 } from '../base/digest.ts'
import type { RelPath } from '../base/path.ts'
import type { Node } from './journal-node.ts'

/**
 * Paths that releases of a channel had and that are to be there no more (doc/spec/obsolete.md): what a repository lists
 * with a release, and what a client still has to remove.
 */
export type ObsoleteList = {
  /** The sequence of the release that it belongs to; 0 for a client that has never worked through a list. */
  readonly through: number
  /** By path; one path may have been several things. */
  readonly items: readonly ObsoleteItem[]
}

/** What a path was; `last` is the sequence of the last release that had it so. */
export type ObsoleteItem = { readonly path: RelPath; readonly last: number } & ObsoleteContent

export type ObsoleteContent =
  | { readonly kind: 'file'; readonly size: number; readonly sha256: Sha256 }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'dir' }

/** What of an entry a list can hold: devices, FIFOs and sockets are the machine's. */
export function obsoleteContent(entry: Node): ObsoleteContent | undefined {
  switch (entry.kind) {
    case 'file':
      return { kind: 'file', size: entry.size, sha256: entry.sha256 }
    case 'symlink':
      return { kind: 'symlink', target: entry.target }
    case 'dir':
      return { kind: 'dir' }
    default:
      return undefined
  }
}

const firstLine = 'bindery-obsolete 1'
export const maxObsoleteBytes = 16 << 20

export function encodeObsolete({ through, items }: ObsoleteList): Uint8Array {
  const lines = items
    .map((item) => ({ path: item.path, line: obsoleteLine(item) }))
    .sort((a, b) => order(a.path, b.path) || order(a.line, b.line))
  const bytes = fromLatin1([firstLine, `through ${through}`, ...lines.map(({ line }) => line), ''].join('\n'))
  if (bytes.length > maxObsoleteBytes) throw tooLarge()
  return bytes
}

/** How many bytes an item takes in a list. */
export function obsoleteItemSize(item: ObsoleteItem): number {
  return obsoleteLine(item).length + 1
}

/** The same for two items of the same path and content. */
export function obsoleteKey(item: ObsoleteItem): string {
  return `${contentOf(item)} ${item.path}`
}

/** Without its end. */
export function obsoleteLine(item: ObsoleteItem): string {
  return `${item.last} ${contentOf(item)} ${escapeWord(item.path)}`
}

function contentOf(item: ObsoleteItem): string {
  switch (item.kind) {
    case 'file':
      return `file ${item.size} ${item.sha256}`
    case 'symlink':
      return `symlink ${escapeWord(item.target)}`
    case 'dir':
      return 'dir'
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Throws `over-limit`, `bad-format`, `hostile` for a path that leads outside, `not-supported` for another version. */
export function decodeObsolete(bytes: Uint8Array): ObsoleteList {
  if (bytes.length > maxObsoleteBytes) throw tooLarge()
  const text = latin1(bytes)
  if (!text.startsWith(`${firstLine}\n`)) {
    if (/^bindery-obsolete [0-9]{1,9}\n/.test(text)) throw new BinderyError('not-supported', 'was written by a newer bindery')
    fail(`does not begin with '${firstLine}'`)
  }
  if (!text.endsWith('\n')) fail('does not end with a line end')
  const [, through, ...lines] = text.slice(0, -1).split('\n')
  if (through?.startsWith('through ') !== true) fail(`has no 'through'`)
  const list = { through: whole(through.slice('through '.length)), items: lines.map(decodeItem) }
  // One spelling: sorted, and nothing twice.
  if (latin1(encodeObsolete(list)) !== text) fail('is not in its one form')
  lines.forEach((line, i) => {
    if (line === lines[i - 1]) fail('lists one thing twice')
  })
  return list
}

function decodeItem(line: string): ObsoleteItem {
  const words = line.split(' ')
  const take = (): string => words.shift() ?? fail('a word is missing')
  const [last, content] = [whole(take()), decodeContent(take(), take)]
  const path = parseRelPath(word(take()))
  if (path === undefined || path === '.') throw new BinderyError('hostile', 'an obsolete path leads outside of the root')
  if (words.length > 0) fail('a line has too many words')
  return { path, last, ...content }
}

function decodeContent(kind: string, take: () => string): ObsoleteContent {
  switch (kind) {
    case 'file':
      return { kind, size: whole(take()), sha256: parseSha256(take()) ?? fail('holds a bad digest') }
    case 'symlink':
      return { kind, target: word(take()) }
    case 'dir':
      return { kind }
    default:
      return fail('holds an unknown kind')
  }
}

function word(text: string): string {
  return unescapeWord(text) ?? fail('holds a bad escape')
}

function whole(text: string): number {
  return /^(?:0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : fail('holds a bad number')
}

function tooLarge(): BinderyError {
  return new BinderyError('over-limit', `is larger than ${maxObsoleteBytes} bytes`)
}

function fail(message: string): never {
  throw new BinderyError('bad-format', message)
}
