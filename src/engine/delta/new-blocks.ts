import { BinderyError } from '../../base/error.ts'
import { blockHash } from './block-hash.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { BlockDigests, DeltaHeader } from '../../format/delta.ts'

/**
 * The new side as a decoder makes it: it writes to `bytes` at `filled` while there is `room`; a full block is verified
 * before anybody else sees it.
 */
export type NewBlocks = {
  bytes: Uint8Array
  filled: number
  /** Where the block in hand ends; a residual of four bytes may reach past it. */
  size: number
  /** Verifies the block in hand and hands it out; `bad-digest` where it came out wrong. */
  take(): Uint8Array
}

/** Bytes that a residual may write behind the end of a block: they belong to the next. */
export const overhang = 4

type NewFront = { readonly header: Pick<DeltaHeader, 'new' | 'blockSize' | 'digestSize'>; readonly digests: Pick<BlockDigests, 'new'> }

/** `reuse`: two buffers take turns, so that a block is gone when the next but one is begun. */
export function newBlocks({ header, digests }: NewFront, reuse: boolean): NewBlocks {
  const hash = blockHash(header.new, digests.new, header.digestSize)
  let left = header.new.size
  let index = 0
  const bufferSize = Math.min(header.blockSize, left) + overhang
  let spare: Uint8Array | undefined
  const blocks: NewBlocks = {
    bytes: new Uint8Array(bufferSize),
    filled: 0,
    size: Math.min(header.blockSize, left),
    take: () => {
      const block = blocks.bytes.subarray(0, blocks.size)
      const rest = blocks.bytes.subarray(blocks.size, blocks.filled)
      hash.update(block)
      if (!hash.isRight(index++))
        throw new BinderyError('bad-digest', 'what the delta makes is not what it should be', { hint: 'the delta is damaged' })
      left -= block.length
      blocks.size = Math.min(header.blockSize, left)
      const buffer = (reuse ? spare : undefined) ?? new Uint8Array(reuse ? bufferSize : blocks.size + overhang)
      spare = blocks.bytes
      blocks.bytes = buffer
      blocks.bytes.set(rest)
      blocks.filled = rest.length
      return block
    },
  }
  return blocks
}

/** Bytes that are made as a whole. */
export async function* putWhole(made: Uint8Array, out: NewBlocks): ByteStream {
  for (let done = 0; done < made.length;) {
    if (out.filled >= out.size) yield out.take()
    const count = Math.min(made.length - done, out.size - out.filled)
    out.bytes.set(made.subarray(done, done + count), out.filled)
    out.filled += count
    done += count
  }
}
