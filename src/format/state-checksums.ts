import { fromLatin1, latin1 } from '../base/bytes.ts'
import { parseSha256, sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath } from '../base/path.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Timestamp } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { LinesFormat } from './lines.ts'

/** `checksums` (doc/spec/client-state.md): what files of the state were when a verb had ended that knew them. */
export type Checksum = {
  /** Below the state folder. */
  readonly path: RelPath
  readonly size: number
  readonly mtime: Timestamp
  readonly inode: bigint
  readonly sha256: Sha256
}

export const maxChecksumsBytes = 64 << 20
const format: LinesFormat = { firstLine: 'bindery-checksums 1', maxBytes: maxChecksumsBytes, maxLines: 400_000 }

export function encodeChecksums(list: readonly Checksum[]): Uint8Array {
  const lines = list.map((one) => ({ key: 'file', value: textOf(one) }))
  const body = encodeLines(format, lines)
  return encodeLines(format, [...lines, { key: 'end', value: sha256(body) }])
}

function textOf({ path, size, mtime, inode, sha256: digest }: Checksum): string {
  return `${digest} ${size} ${mtime.sec}.${String(mtime.nsec).padStart(9, '0')} ${inode} ${path}`
}

/** Throws `bad-format` for whatever it was not when it was written, `over-limit`, `not-supported`. */
export function decodeChecksums(bytes: Uint8Array): readonly Checksum[] {
  const lines = decodeLines(format, bytes)
  const end = lines.at(-1)
  const body = fromLatin1(latin1(bytes).slice(0, -`end ${'0'.repeat(64)}\n`.length))
  if (end?.key !== 'end' || end.value !== sha256(body)) throw new BinderyError('bad-format', 'is torn or changed')
  return lines.slice(0, -1).map(({ key, value }) => (key === 'file' ? decodeFile(value) : refuse(value)))
}

const pattern = /^([0-9a-f]{64}) (0|[1-9][0-9]{0,15}) (-?[0-9]{1,16})\.([0-9]{9}) (0|[1-9][0-9]{0,19}) (.+)$/s

function decodeFile(value: string): Checksum {
  const [, digest = '', size, sec, nsec, inode = '', name = ''] = pattern.exec(value) ?? []
  const [parsed, path] = [parseSha256(digest), parseRelPath(name)]
  if (parsed === undefined || path === undefined || path === '.') return refuse(value)
  return { path, sha256: parsed, size: Number(size), mtime: { sec: Number(sec), nsec: Number(nsec) }, inode: BigInt(inode) }
}

function refuse(value: string): never {
  throw new BinderyError('bad-format', `'${value}' is no checksum of a file`)
}
