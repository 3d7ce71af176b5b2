import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import type { DirEntry, Entry, HardlinkEntry, Timestamp, Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'

/**
 * What a journal says of a path: an entry that stands for itself. A name of a hard-link group is a file like any
 * other here; that it shares its inode is a matter of what lies in the slots.
 */
export type Node = Exclude<Entry, HardlinkEntry>

/** Everything that a rename can put in the place of something else. */
export type Leaf = Exclude<Node, DirEntry>

/**
 * One word of a journal line: what sh would take apart, and everything that is not printable ASCII, is `\ooo`, so that
 * `printf %b` and `printf` alike give the bytes back.
 */
export function escapeWord(value: string): string {
  return value.replaceAll(/[^A-Za-z0-9._/@^~+-]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

/** Undefined for what `escapeWord` would not have written. */
export function unescapeWord(text: string): string | undefined {
  const value = text.replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
  return escapeWord(value) === text ? value : undefined
}

/** `KIND,MODE,UID,GID,SEC.NSEC` and what the kind adds, then `f=FLAG+FLAG` and `x=NAME=VALUE` for each attribute. */
export function encodeNode(node: Node): string {
  const mtime = `${node.mtime.sec}.${String(node.mtime.nsec).padStart(9, '0')}`
  const flags = node.flags === undefined ? [] : [`f=${node.flags.map(escapeWord).join('+')}`]
  const xattrs = [...(node.xattrs ?? [])]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `x=${escapeWord(name)}=${escapeWord(value)}`)
  const fields = [node.kind, node.mode.toString(8).padStart(4, '0'), node.uid, node.gid, mtime, ...ownFields(node), ...flags, ...xattrs]
  return fields.join(',')
}

function ownFields(node: Node): readonly (string | number)[] {
  switch (node.kind) {
    case 'file':
      return [node.size, node.sha256]
    case 'symlink':
      return [escapeWord(node.target)]
    case 'char':
    case 'block':
      return [node.major, node.minor]
    default:
      return []
  }
}

/** Throws `bad-format`. */
export function decodeNode(text: string, path: RelPath): Node {
  const fields = text.split(',')
  const take = (): string => fields.shift() ?? fail('a field is missing')
  const kind = take()
  const meta = { path, mode: number(take(), 8, 0o7777), uid: number(take()), gid: number(take()), mtime: timestamp(take()) }
  const own = decodeOwn(kind, take)
  const node = { ...meta, ...own, ...decodeExtras(fields) } as Node
  if (encodeNode(node) !== text) fail('is not in its one form')
  return node
}

function decodeOwn(kind: string, take: () => string): object {
  switch (kind) {
    case 'file':
      return { kind, size: number(take()), sha256: parseSha256(take()) ?? fail('bad digest') }
    case 'symlink':
      return { kind, target: word(take()) }
    case 'char':
    case 'block':
      return { kind, major: number(take()), minor: number(take()) }
    case 'dir':
    case 'fifo':
    case 'socket':
      return { kind }
    default:
      return fail(`no kind '${kind}'`)
  }
}

function decodeExtras(fields: readonly string[]): { flags?: readonly string[]; xattrs?: Xattrs } {
  const flags = fields.find((field) => field.startsWith('f='))
  const xattrs = fields.filter((field) => field.startsWith('x=')).map(decodeXattr)
  return {
    ...(flags === undefined ? {} : { flags: flags.slice(2).split('+').map(word) }),
    ...(xattrs.length === 0 ? {} : { xattrs: new Map(xattrs) }),
  }
}

function decodeXattr(field: string): readonly [string, string] {
  const [, name, value] = field.split('=')
  if (name === undefined || value === undefined) return fail('bad attribute')
  return [word(name), word(value)]
}

function timestamp(text: string): Timestamp {
  const match = /^(-?[0-9]{1,16})\.([0-9]{9})$/.exec(text)
  return match === null ? fail('bad time') : { sec: Number(match[1]), nsec: Number(match[2]) }
}

function word(text: string): string {
  return unescapeWord(text) ?? fail('bad escape')
}

function number(text: string, radix = 10, max = Number.MAX_SAFE_INTEGER): number {
  const value = /^[0-9]{1,16}$/.test(text) ? parseInt(text, radix) : NaN
  return value <= max ? value : fail('bad number')
}

function fail(message: string): never {
  throw new BinderyError('bad-format', message)
}
