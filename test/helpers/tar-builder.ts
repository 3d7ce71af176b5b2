import { concatBytes, fromLatin1 } from '../../src/base/bytes.ts'
import { encodePax } from '../../src/format/pax.ts'
import { writeChecksum } from '../../src/format/tar-numbers.ts'

/** Tars as an attacker would make them: every field free, nothing checked. Texts are bytes as latin1. */
export type Fields = {
  readonly name?: string
  /** The type flag. */
  readonly type?: string
  readonly link?: string
  /** Numbers are written as octal; texts as they are. */
  readonly mode?: number | string
  readonly uid?: number | string
  readonly gid?: number | string
  readonly size?: number | string
  readonly mtime?: number | string
  readonly major?: number | string
  readonly minor?: number | string
  readonly magic?: string
  readonly uname?: string
  readonly gname?: string
  readonly prefix?: string
  /** In the last twelve bytes, which nobody reads. */
  readonly rest?: string
  /** Instead of the right one. */
  readonly checksum?: string
}

const places = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
  rest: [500, 12],
} as const

const usual = { type: '0', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 1_700_000_000, major: 0, minor: 0, magic: 'ustar\x0000' } as const

export function header(fields: Fields): Uint8Array {
  const block = Buffer.alloc(512)
  for (const [key, value] of Object.entries({ ...usual, ...fields })) {
    if (key === 'checksum') continue
    const [at, width] = places[key as keyof typeof places]
    block.write(typeof value === 'number' ? value.toString(8).padStart(width - 1, '0') : value, at, width, 'latin1')
  }
  writeChecksum(block)
  if (fields.checksum !== undefined) block.write(fields.checksum, 148, 'latin1')
  return block
}

export function padded(content: string): Uint8Array {
  const bytes = Buffer.alloc(Math.ceil(content.length / 512) * 512)
  bytes.write(content, 'latin1')
  return bytes
}

/** A whole member: header, content, padding. */
export function member(fields: Fields, content = ''): Uint8Array {
  return concatBytes([header({ size: content.length, ...fields }), padded(content)])
}

export const directory = (name: string, fields: Fields = {}): Uint8Array => header({ name: `${name}/`, type: '5', mode: 0o755, ...fields })
export const file = (name: string, content = '', fields: Fields = {}): Uint8Array => member({ name, ...fields }, content)
export const symlink = (name: string, link: string, fields: Fields = {}): Uint8Array =>
  header({ name, link, type: '2', mode: 0o777, ...fields })
export const hardlink = (name: string, link: string, fields: Fields = {}): Uint8Array => header({ name, link, type: '1', ...fields })

/** An extension member as a dist has it, around any body. */
export function extension(type: 'x' | 'g' | 'L' | 'K' | 'X', body: string, fields: Fields = {}): Uint8Array {
  const name = type === 'g' ? 'pax_global_header' : type === 'L' || type === 'K' ? '././@LongLink' : '././@PaxHeader'
  return concatBytes([header({ name, type, mtime: 0, size: body.length, ...fields }), padded(body)])
}

export function pax(records: Readonly<Record<string, string>>): Uint8Array {
  return extension('x', Buffer.from(encodePax(new Map(Object.entries(records)))).toString('latin1'))
}

export const nameHeader: Uint8Array = extension('g', '58 comment=bindery dist 1 order=1 base-1.0-20260101-amd64\n')
export const root: Uint8Array = directory('.')
export const end: Uint8Array = new Uint8Array(1024)

/** A dist of these members: name header and root before them, the end behind. */
export function dist(...members: readonly Uint8Array[]): Uint8Array {
  return concatBytes([nameHeader, root, ...members, end])
}

export const raw = fromLatin1
