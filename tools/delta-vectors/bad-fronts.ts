import { concatBytes, utf8 } from '../../src/base/bytes.ts'
import { openDelta, varint } from '../../test/helpers/delta-parts.ts'
import type { BadMaker } from './bad.ts'

const named = (name: string): Uint8Array => concatBytes([Uint8Array.of(name.length), utf8(name)])
const digest = new Uint8Array(32).fill(7)

/** Every field of the front. */
export function badFronts(maker: BadMaker): void {
  badPrefixes(maker)
  badSides(maker)
  badLimits(maker)
  badTables(maker)
}

function badPrefixes({ front }: BadMaker): void {
  front('fox', 'another magic', { magic: utf8('bindeltb') })
  front('fox', 'a later version', { version: Uint8Array.of(2) })
  front('fox', 'a header that is longer than its fields', { headerLength: Uint8Array.of(82, 0) })
  front('fox', 'a header that ends within its fields', { headerLength: Uint8Array.of(80, 0) })
  front('fox', 'no header', { headerLength: Uint8Array.of(0, 0) })
  front('fox', 'flags of a later version', { flags: varint(1) })
  front('fox', 'flags not in the shortest form', { flags: Uint8Array.of(0x80, 0) })
  for (const name of ['.hidden', 'a/b', '-a', 'a b', 'ä']) front('fox', `a name that is none: ${name}`, { oldName: named(name) })
  front('fox', 'a name that ends behind the header', { newName: Uint8Array.of(255) })
}

function badSides({ front }: BadMaker): void {
  front('fox', 'another size of old', { oldSize: varint(44) })
  front('fox', 'a size of old over 65,536 blocks', { oldSize: varint(2 ** 52) })
  front('fox', 'a size of old over 2^53 - 1', { oldSize: Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 31) })
  front('fox', 'a size of old of nine bytes', { oldSize: Uint8Array.of(129, 128, 128, 128, 128, 128, 128, 128, 1) })
  front('fox', 'another digest of old', { oldDigest: digest })
  front('fox', 'a smaller size of new', { newSize: varint(51) })
  front('fox', 'a larger size of new', { newSize: varint(53) })
  front('fox', 'a size of new not in the shortest form', { newSize: Uint8Array.of(0xb4, 0) })
  front('fox', 'another digest of new', { newDigest: digest })
}

function badLimits({ front }: BadMaker): void {
  for (const bits of [0, 11, 27, 255]) front('fox', `blocks of 2^${bits}`, { blockSize: Uint8Array.of(bits) })
  for (const size of [0, 15, 33]) front('fox', `digests of ${size}`, { digestSize: Uint8Array.of(size) })
  for (const window of [0, 63, 2 ** 31 + 1]) front('fox', `a window of ${window}`, { window: varint(window) })
  front('fox', 'a batch limit over 2^28', { batchLimit: varint(2 ** 28 + 1) })
  front('fox', 'a batch limit that the batch passes', { batchLimit: varint(15) })
  front('fox', 'more memory than a reader grants', { batchLimit: varint(2 ** 28) })
  front('fox', 'coding memory over 2^40', { codingMemory: varint(2 ** 40 + 1) })
  front('fox', 'a coding memory that a reader does not grant', { codingMemory: varint(2 ** 40) })
}

function badTables({ front, sampleOf }: BadMaker): void {
  const blocks = openDelta(sampleOf('many-blocks').delta).fields.newBlocks
  front('fox', 'too many retained ranges', { retained: varint(2049, ...new Array<number>(2049 * 2).fill(1)) })
  front('fox', 'a retained range that is empty', { retained: varint(1, 0, 0) })
  front('fox', 'a retained range that leaves old', { retained: varint(1, 40, 6) })
  front('fox', 'fewer retained ranges than it says', { retained: varint(2, 1, 1) })
  front('many-blocks', 'a copy from behind the window, no longer retained', { retained: varint(0) })
  front('many-blocks', 'another digest of a block of old', { oldBlocks: new Uint8Array(32) })
  front('many-blocks', 'another digest of a block of new', { newBlocks: new Uint8Array(blocks.length) })
  front('many-blocks', 'a digest too few', { newBlocks: blocks.subarray(16) })
  front('fox', 'a check sum of something else', { checksum: Uint8Array.of(1, 2, 3, 4) })
}
