import { createHash } from 'node:crypto'
import { equalBytes, fromHex } from '../../base/bytes.ts'
import type { Hash } from 'node:crypto'
import type { DeltaSide } from '../../format/delta.ts'

/**
 * Checks one side of a delta block by block. A block's digest is that of everything up to its end, so that one pass of
 * sha256 serves the blocks and the whole.
 */
export type BlockHash = {
  update(bytes: Uint8Array): void
  /** Whether the bytes up to the end of block `index` are the right ones. */
  isRight(index: number): boolean
}

/** Of a side that somebody has checked as a whole. */
export const checkedBefore: BlockHash = { update: () => {}, isRight: () => true }

/** `digests`: of all blocks but the last, whose digest is the whole side's. */
export function blockHash(side: DeltaSide, digests: Uint8Array, digestSize: number): BlockHash {
  const hash = createHash('sha256')
  const inner = digests.length / digestSize
  return {
    update: (bytes) => void hash.update(bytes),
    isRight: (index) => {
      const expected = index < inner ? digests.subarray(index * digestSize, (index + 1) * digestSize) : (fromHex(side.sha256) as Uint8Array)
      return equalBytes(sumSoFar(hash).subarray(0, expected.length), expected)
    },
  }
}

export function sumSoFar(hash: Hash): Uint8Array {
  return hash.copy().digest()
}
