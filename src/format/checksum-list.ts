import { fromBase64, fromHex, fromLatin1, hex, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/**
 * The checksum lists of the BSDs' sha256(1), `SHA256 (name) = digest`, as signify -C reads them (doc/spec/signify.md).
 * Names are one char per byte.
 */
export type Checksum = { readonly file: string; readonly algorithm: 'SHA256' | 'SHA512'; readonly digest: Uint8Array }

const digestSizes = { SHA256: 32, SHA512: 64 } as const
const maxBytes = 16 << 20

export function encodeChecksumList(list: readonly Checksum[]): Uint8Array {
  for (const { file } of list)
    if (/[\n\0]/.test(file)) throw new BinderyError('bad-format', 'a name with a line end cannot stand in a checksum list')
  return fromLatin1(list.map(({ file, algorithm, digest }) => `${algorithm} (${file}) = ${hex(digest)}\n`).join(''))
}

/** Digests in hex or base64, as `sha256` and `sha256 -b` print them. Throws `bad-format` with the number of the line. */
export function decodeChecksumList(bytes: Uint8Array): readonly Checksum[] {
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const text = latin1(bytes)
  if (!text.endsWith('\n')) throw new BinderyError('bad-format', 'is no list of checksums: its last line has no end')
  return text.slice(0, -1).split('\n').map(decodeLine)
}

function decodeLine(line: string, index: number): Checksum {
  const match = /^(SHA256|SHA512) \(([^\0]+)\) = ([0-9A-Za-z+/]+={0,2})$/.exec(line)
  if (match === null) throw new BinderyError('bad-format', `line ${index + 1} is no 'SHA256 (name) = digest'`)
  const [, algorithm, file, encoded] = match as unknown as [string, Checksum['algorithm'], string, string]
  const size = digestSizes[algorithm]
  const digest = encoded.length === 2 * size ? fromHex(encoded) : fromBase64(encoded)
  if (digest?.length !== size) throw new BinderyError('bad-format', `line ${index + 1} holds no digest of ${size} bytes`)
  return { file, algorithm, digest }
}
