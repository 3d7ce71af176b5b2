import { kinds } from './reference.ts'
import type { CodeRange, Found } from './image.ts'

/**
 * References in x86-64 code, by a linear sweep that knows the length of each instruction and nothing else of it (Intel 64
 * and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2 and appendix A). Data between the code puts it
 * out of step for some bytes, and it falls into step again.
 */

/** What follows an opcode: a ModRM byte, an immediate of one, two, or two or four bytes, a 32-bit displacement. */
const modRm = 1
const byteImmediate = 2
const wordImmediate = 4
const fullImmediate = 8
const relative = 16
/** An immediate only of the first two operations of the group (`TEST` of F6 and F7). */
const testImmediate = 32

/** Opcodes by map: one byte, 0F, 0F 38, 0F 3A. */
const attributes = [oneByteMap(), twoByteMap(), new Uint8Array(256).fill(modRm), new Uint8Array(256).fill(modRm | byteImmediate)] as const

function oneByteMap(): Uint8Array {
  const map = new Uint8Array(256)
  const set = (first: number, last: number, value: number): void => void map.fill(value, first, last + 1)
  for (let row = 0; row < 0x40; row += 8) {
    set(row, row + 3, modRm)
    set(row + 4, row + 4, byteImmediate)
    set(row + 5, row + 5, fullImmediate)
  }
  set(0x63, 0x63, modRm)
  set(0x68, 0x68, fullImmediate)
  set(0x69, 0x69, modRm | fullImmediate)
  set(0x6a, 0x6a, byteImmediate)
  set(0x6b, 0x6b, modRm | byteImmediate)
  set(0x70, 0x7f, byteImmediate)
  set(0x80, 0x83, modRm | byteImmediate)
  set(0x81, 0x81, modRm | fullImmediate)
  set(0x84, 0x8f, modRm)
  set(0xa8, 0xa8, byteImmediate)
  set(0xa9, 0xa9, fullImmediate)
  set(0xb0, 0xb7, byteImmediate)
  set(0xb8, 0xbf, fullImmediate)
  set(0xc0, 0xc1, modRm | byteImmediate)
  set(0xc2, 0xc2, wordImmediate)
  set(0xc6, 0xc6, modRm | byteImmediate)
  set(0xc7, 0xc7, modRm | fullImmediate)
  set(0xc8, 0xc8, wordImmediate | byteImmediate)
  set(0xca, 0xca, wordImmediate)
  set(0xcd, 0xcd, byteImmediate)
  set(0xd0, 0xd3, modRm)
  set(0xd8, 0xdf, modRm)
  set(0xe0, 0xe7, byteImmediate)
  set(0xe8, 0xe9, relative)
  set(0xeb, 0xeb, byteImmediate)
  set(0xf6, 0xf6, modRm | testImmediate | byteImmediate)
  set(0xf7, 0xf7, modRm | testImmediate | fullImmediate)
  set(0xfe, 0xff, modRm)
  return map
}

function twoByteMap(): Uint8Array {
  const map = new Uint8Array(256).fill(modRm)
  const set = (first: number, last: number, value: number): void => void map.fill(value, first, last + 1)
  set(0x05, 0x09, 0)
  set(0x0b, 0x0b, 0)
  set(0x30, 0x37, 0)
  set(0x77, 0x77, 0)
  set(0x80, 0x8f, relative)
  set(0xa0, 0xa2, 0)
  set(0xa8, 0xaa, 0)
  set(0xc8, 0xcf, 0)
  for (const opcode of [0x0f, 0xa4, 0xac, 0xba, 0xc2]) set(opcode, opcode, modRm | byteImmediate)
  set(0x70, 0x73, modRm | byteImmediate)
  set(0xc4, 0xc6, modRm | byteImmediate)
  return map
}

const isPrefix = Uint8Array.from({ length: 256 }, (_, byte) => (/^(?:66|67|f0|f2|f3|2e|36|3e|26|64|65)$/.test(byte.toString(16)) ? 1 : 0))
const mostPrefixes = 14

export function findInX86(bytes: Uint8Array, { offset, end, address }: CodeRange, found: Found): void {
  const { marks, dataTargets, span, base, isFixed } = found
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const [oneByte, twoBytes, threeBytes38, threeBytes3a] = attributes
  /** What to add to a place in the file for its address. */
  const shift = address - offset
  for (let start = offset; start < end;) {
    let at = start
    let isWord = false
    let wide = false
    while (at < end && isPrefix[bytes[at] as number] === 1 && at - start < mostPrefixes) {
      if (bytes[at] === 0x66) isWord = true
      at++
    }
    if (at + 8 > end) return
    let opcode = bytes[at++] as number
    if ((opcode & 0xf0) === 0x40) {
      wide = (opcode & 8) !== 0
      opcode = bytes[at++] as number
    }
    let what: number
    let longMove = false
    if (opcode === 0x0f) {
      opcode = bytes[at++] as number
      if (opcode === 0x38) {
        at++
        what = modRm
      } else if (opcode === 0x3a) {
        at++
        what = modRm | byteImmediate
      } else what = twoBytes[opcode] as number
    } else if (opcode === 0xc5 || opcode === 0xc4 || opcode === 0x62) {
      // VEX and EVEX: two to four bytes, the map in the first of them.
      const map = opcode === 0xc5 ? 1 : (bytes[at] as number) & (opcode === 0xc4 ? 31 : 7)
      at += opcode === 0xc5 ? 1 : opcode === 0xc4 ? 2 : 3
      opcode = bytes[at++] as number
      const attribute =
        map === 3 ? (threeBytes3a[opcode] as number) : map === 1 ? (twoBytes[opcode] as number) : (threeBytes38[opcode] as number)
      what = opcode === 0x77 && map === 1 ? 0 : modRm | (attribute & byteImmediate)
    } else {
      what = oneByte[opcode] as number
      longMove = wide && opcode >= 0xb8 && opcode <= 0xbf
      if (opcode >= 0xa0 && opcode <= 0xa3) at += 8
    }
    if ((what & relative) !== 0) {
      const target = at + 4 + shift + (at + 4 <= end ? view.getInt32(at, true) : -1e12)
      if (target >= 0 && target < span) marks[at] = kinds.branch
      start = at + 4
      continue
    }
    let operand = -1
    let isPcRelative = false
    if ((what & modRm) !== 0) {
      const byte = bytes[at++] as number
      const mode = byte >> 6
      const register = byte & 7
      if ((what & testImmediate) !== 0 && (byte & 0x38) >= 0x10) what = 0
      if (mode !== 3) {
        if (register === 4) {
          const scaled = (bytes[at++] as number) & 7
          if (mode === 0 && scaled === 5) {
            operand = at
            at += 4
          }
        } else if (mode === 0 && register === 5) {
          operand = at
          isPcRelative = true
          at += 4
        }
        if (mode === 1) at++
        else if (mode === 2) {
          operand = at
          at += 4
        }
      }
    }
    const immediateAt = at
    if ((what & byteImmediate) !== 0) at++
    if ((what & wordImmediate) !== 0) at += 2
    if ((what & fullImmediate) !== 0) at += longMove ? 8 : isWord ? 2 : 4
    if (at > end) return
    if (operand >= 0) {
      const value = view.getInt32(operand, true)
      if (isPcRelative) {
        const target = at + shift + value
        if (target >= 0 && target < span) {
          const behind = at - operand - 4
          marks[operand] = behind === 0 ? kinds.data : behind === 1 ? kinds.data1 : behind === 2 ? kinds.data2 : kinds.data4
          if ((target & 3) === 0) dataTargets[target >>> 7] = (dataTargets[target >>> 7] as number) | (1 << ((target >>> 2) & 31))
        }
      } else if (isFixed && value - base >= 0x1000 && value - base < span) marks[operand] = kinds.absolute
    }
    if (isFixed && at - immediateAt === 4) {
      const target = view.getInt32(immediateAt, true) - base
      if (target >= 0x1000 && target < span) marks[immediateAt] = kinds.absolute
    }
    start = at
  }
}
