import { concatBytes, equalBytes } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { checkSizeOf, readXz, sizedBlockHead, xzEnd, xzHeader, xzHeaderSize } from '../../../format/xz.ts'
import { byteWriter, readByte, readVarint } from '../../../format/varint.ts'
import type { XzBlock, XzStream } from '../../../format/xz.ts'
import type { Xz, XzOptions } from '../../../port/xz.ts'
import type { Cursor } from '../../../format/varint.ts'
import type { Opened } from './methods.ts'

/**
 * xz files of one stream, made again by liblzma from the preset, the check and the size of the blocks. Whether the very
 * bytes come out is tried when the delta is made.
 */

type Recipe = XzOptions & {
  /** Of each block's head where these tell sizes; 0 where they do not, and there is one block. */
  readonly headSize: number
  /** Content of each block but the last. */
  readonly blockSize: number
}

export function openXz(bytes: Uint8Array, content: Uint8Array, xz: Xz): Opened | undefined {
  const stream = readXz(bytes)
  const blockSize = stream && blockSizeOf(stream, content.length)
  if (stream === undefined || blockSize === undefined) return undefined
  const headSize = stream.sized ? 4 * ((bytes[xzHeaderSize] as number) + 1) : 0
  for (const { preset, isExtreme } of likelyPresets(stream.dictionary)) {
    const recipe = { preset, isExtreme, check: stream.check, headSize, blockSize }
    if (!madeAgain(bytes, content, recipe, xz)) continue
    const blocks = stream.sized ? `, ${stream.blocks.length} ${stream.blocks.length === 1 ? 'block' : 'blocks'}` : ''
    return { content, recipe: encodeRecipe(recipe), by: `xz -${preset}${isExtreme ? 'e' : ''}${blocks}` }
  }
  return undefined
}

/** Undefined where blocks are not all of one size. */
function blockSizeOf({ blocks, sized }: XzStream, size: number): number | undefined {
  const first = (blocks[0] as XzBlock).contentSize
  if (!sized && blocks.length > 1) return undefined
  if (blocks.some(({ contentSize }, i) => contentSize !== (i < blocks.length - 1 ? first : size - i * first))) return undefined
  return first
}

const presets: readonly { readonly dictionary: number; readonly presets: readonly number[] }[] = [
  { dictionary: 256 << 10, presets: [0] },
  { dictionary: 1 << 20, presets: [1] },
  { dictionary: 2 << 20, presets: [2] },
  { dictionary: 4 << 20, presets: [4, 3] },
  { dictionary: 8 << 20, presets: [6, 5] },
  { dictionary: 16 << 20, presets: [7] },
  { dictionary: 32 << 20, presets: [8] },
  { dictionary: 64 << 20, presets: [9] },
]

/** Those of this size of the dictionary: nothing else of the preset is in the file. */
function likelyPresets(dictionary: number): readonly Pick<XzOptions, 'preset' | 'isExtreme'>[] {
  const found = presets.find((row) => row.dictionary === dictionary)?.presets ?? []
  return [false, true].flatMap((isExtreme) => found.map((preset) => ({ preset, isExtreme })))
}

/** What is compared before all of it is made. */
const trialSize = 256 << 10

function madeAgain(bytes: Uint8Array, content: Uint8Array, recipe: Recipe, xz: Xz): boolean {
  const trial = Math.min(trialSize, recipe.blockSize)
  if (content.length > trial && !beginsAlike(bytes, xz.compress(content.subarray(0, trial), recipe), recipe)) return false
  const made = attemptClose(content, recipe, bytes.length, xz)
  return made !== undefined && equalBytes(made, bytes)
}

/** The first chunks are the same whatever comes behind: an encoder looks a few kilobytes ahead. */
const lookAhead = 16 << 10

function beginsAlike(bytes: Uint8Array, trial: Uint8Array | undefined, { headSize }: Recipe): boolean {
  if (trial === undefined) return false
  const head = blockHeadSize(trial)
  const start = xzHeaderSize + (headSize || head)
  // A chunk begins with its sizes, which are known when it ends.
  const size = Math.min(trial.length - xzHeaderSize - head - lookAhead, mostChunk)
  return (
    size <= chunkHead ||
    equalBytes(bytes.subarray(start + chunkHead, start + size), trial.subarray(xzHeaderSize + head + chunkHead, xzHeaderSize + head + size))
  )
}

const chunkHead = 6
const mostChunk = 32 << 10

function blockHeadSize(stream: Uint8Array): number {
  return 4 * ((stream[xzHeaderSize] as number) + 1)
}

export function closeXz(content: Uint8Array, recipe: Uint8Array, size: number, xz: Xz): Uint8Array {
  const made = attemptClose(content, decodeRecipe(recipe), size, xz)
  if (made === undefined) throw bad('an xz file of the delta cannot be made')
  return made
}

function attemptClose(content: Uint8Array, recipe: Recipe, size: number, xz: Xz): Uint8Array | undefined {
  const { headSize, check, blockSize } = recipe
  if (headSize === 0) return xz.compress(content, recipe)
  const parts = [xzHeader(check)]
  const blocks: XzBlock[] = []
  let made = 0
  for (let at = 0; at < content.length; at += blockSize) {
    const part = content.subarray(at, at + blockSize)
    const stream = xz.compress(part, recipe)
    const block = stream && sizedBlock(stream, part.length, recipe)
    if (block === undefined || (made += block.bytes.length) > size) return undefined
    parts.push(block.bytes)
    blocks.push({ unpadded: block.unpadded, contentSize: part.length })
  }
  parts.push(xzEnd({ check, blocks }))
  return concatBytes(parts)
}

/** The block of a stream of one, with the head that an encoder with threads gives it. */
function sizedBlock(
  stream: Uint8Array,
  contentSize: number,
  recipe: Recipe,
): { readonly bytes: Uint8Array; readonly unpadded: number } | undefined {
  const { headSize, check } = recipe
  const [block] = readXz(stream)?.blocks ?? []
  if (stream.length < xzHeaderSize || block === undefined) return undefined
  const head = blockHeadSize(stream)
  const compressed = block.unpadded - head - checkSizeOf(check)
  const body = stream.subarray(xzHeaderSize + head, xzHeaderSize + head + 4 * Math.ceil(compressed / 4) + checkSizeOf(check))
  const sized = sizedBlockHead(stream.subarray(xzHeaderSize, xzHeaderSize + head), headSize, compressed, contentSize)
  return sized && { bytes: concatBytes([sized, body]), unpadded: headSize + compressed + checkSizeOf(check) }
}

/** Size, flags, two sizes, filter, check sum. */
const leastSizedHead = 12
const mostHead = 1024

const extremeBit = 16

function encodeRecipe({ preset, isExtreme, check, headSize, blockSize }: Recipe): Uint8Array {
  const writer = byteWriter()
  writer.byte(preset + (isExtreme ? extremeBit : 0))
  writer.byte(check)
  writer.byte(headSize / 4)
  if (headSize > 0) writer.varint(blockSize)
  return writer.take()
}

function decodeRecipe(bytes: Uint8Array): Recipe {
  const cursor: Cursor = { bytes, at: 0 }
  const [level, check, head] = [readByte(cursor), readByte(cursor), readByte(cursor)]
  const preset = level & ~extremeBit
  const headSize = 4 * head
  if (preset > 9 || check > 15) throw bad('the recipe of an xz file is damaged')
  const blockSize = headSize > 0 ? readVarint(cursor) : Infinity
  if (blockSize === 0 || headSize > mostHead || (headSize > 0 && headSize < leastSizedHead) || cursor.at < bytes.length)
    throw bad('the recipe of an xz file is damaged')
  return { preset, isExtreme: (level & extremeBit) !== 0, check, headSize, blockSize }
}

/** By preset, in MiB: what liblzma's encoder says it takes. */
const encoderMemory = [3, 9, 17, 32, 48, 94, 94, 186, 370, 674] as const

/** What the encoder takes, by the first byte of a recipe. */
export function xzMemory(recipe: Uint8Array): number {
  return (encoderMemory[(recipe[0] ?? 0) & ~extremeBit] ?? Infinity) * 2 ** 20
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', message)
}
