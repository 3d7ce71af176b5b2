/** What the first bytes of a file say it is, as far as that matters for a delta: the rest is `other`. */
export type FileKind = 'ELF' | 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'zip' | 'other'

const magics: readonly (readonly [FileKind, string])[] = [
  ['ELF', '\x7fELF'],
  ['gzip', '\x1f\x8b'],
  ['xz', '\xfd7zXZ\0'],
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['bzip2', 'BZh'],
  ['zip', 'PK\x03\x04'],
]

/** Bytes that are enough to tell. */
export const fileKindSize = 6

export function fileKindOf(start: Uint8Array): FileKind {
  const text = Buffer.from(start.subarray(0, fileKindSize)).toString('latin1')
  return magics.find(([, magic]) => text.startsWith(magic))?.[0] ?? 'other'
}
