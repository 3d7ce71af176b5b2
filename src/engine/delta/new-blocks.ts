import { emptyBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { blockHash } from './block-hash.ts'
import type { DeltaFront } from './read-front.ts'

/**
 * The new side as a decoder makes it: it writes to `bytes` at `filled` while there is room. A full block waits until whatever
 * was left to others in it is there, and is verified, in its turn, before anybody else sees it.
 */
export type NewBlocks = {
  bytes: Uint8Array
  filled: number
  /** Where the block in hand ends; a residual of four bytes may reach past it. */
  size: number
  /** Leaves the next `count` bytes of the block in hand to `fill`, which may take its time: one after the other, in order. */
  leave(count: number, fill: (room: Uint8Array) => Promise<void> | undefined): void
  /** The block in hand is full, and the next one comes to hand. */
  next(): void
  /** Full blocks that nobody has taken yet. */
  readonly waiting: number
  /** Takes the first of them and verifies it (`bad-digest`), or tells what it still waits for. */
  take(): Uint8Array | Promise<void> | undefined
  /** Nobody looks at this block any more: its memory is used again. */
  free(block: Uint8Array): void
}

/** Bytes that a residual may write behind the end of a block: they belong to the next. */
export const overhang = 4

/** What others fill in a block: the last of it, since they come one after the other. */
type Gap = { readonly done: Promise<void>; isFilled: boolean }

/** `shared`: in memory that threads can write to. */
export function newBlocks({ header, digests }: DeltaFront, shared: boolean): NewBlocks {
  const hash = blockHash(header.new, digests.new, header.digestSize)
  const spare: ArrayBufferLike[] = []
  const waiting: { readonly block: Uint8Array; readonly gap: Gap | undefined }[] = []
  let left = header.new.size
  let index = 0
  let gap: Gap | undefined
  const bufferSize = Math.min(header.blockSize, left) + overhang
  const buffer = (): ArrayBufferLike => spare.pop() ?? (shared ? new SharedArrayBuffer(bufferSize) : new ArrayBuffer(bufferSize))
  const blocks: NewBlocks = {
    bytes: new Uint8Array(buffer()),
    filled: 0,
    size: Math.min(header.blockSize, left),
    leave: (count, fill) => {
      const done = fill(blocks.bytes.subarray(blocks.filled, (blocks.filled += count)))
      if (done !== undefined) gap = gapUntil(done)
    },
    next: () => {
      const block = blocks.bytes.subarray(0, blocks.size)
      const rest = blocks.bytes.subarray(blocks.size, blocks.filled)
      waiting.push({ block, gap })
      gap = undefined
      left -= block.length
      blocks.size = Math.min(header.blockSize, left)
      blocks.bytes = left > 0 ? new Uint8Array(buffer()) : emptyBytes
      blocks.bytes.set(rest)
      blocks.filled = rest.length
    },
    get waiting() {
      return waiting.length
    },
    take: () => {
      const [first] = waiting
      if (first?.gap?.isFilled === false) return first.gap.done
      waiting.shift()
      if (first !== undefined) verify(first.block)
      return first?.block
    },
    free: (block) => void spare.push(block.buffer),
  }
  const verify = (block: Uint8Array): void => {
    hash.update(block)
    if (!hash.isRight(index++))
      throw new BinderyError('bad-digest', 'what the delta makes is not what it should be', { hint: 'the delta is damaged' })
  }
  return blocks
}

/** A failure is met by whoever waits for the block, or by nobody if another came first. */
function gapUntil(done: Promise<void>): Gap {
  const gap = { done, isFilled: false }
  done.then(
    () => (gap.isFilled = true),
    () => {},
  )
  return gap
}
