import { collectBytes } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { RelPath } from '../../base/path.ts'
import type { DiskReader } from '../../port/disk.ts'

/** Trying all bits takes the square of the size: a second or two at this one. */
const maxBytes = 1 << 14

/** The bytes that have the digest, where one bit of a small file has flipped: the digest says which. Undefined where it is more than that. */
export async function mendedBit(
  disk: DiskReader,
  path: RelPath,
  wanted: { readonly sha256: Sha256; readonly size: number },
): Promise<Uint8Array | undefined> {
  const bytes = (await collectBytes(disk.read(path), maxBytes))?.slice()
  if (bytes?.length !== wanted.size) return undefined
  for (const [at, byte] of bytes.entries()) {
    for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
      bytes[at] = byte ^ bit
      if (sha256(bytes) === wanted.sha256) return bytes
    }
    bytes[at] = byte
  }
  return undefined
}
