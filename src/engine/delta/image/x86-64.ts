import { kinds } from './reference.ts'
import type { CodeRange, Found } from './image.ts'

/**
 * References in x86-64 code, by a linear sweep that knows the length of each instruction and nothing else of it (Intel 64
 * and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2 and appendix A). Data between the code puts it
 * out of step for some bytes, and it falls into step again.
 */

/** What follows an opcode: a ModRM byte, an immediate of one, two, or two or four bytes (their bits count them), a 32-bit displacement. */
const modRm = 1
const byteImmediate = 2
const wordImmediate = 4
const fullImmediate = 8
const relative = 16
/** An immediate only of the first two operations of the group (`TEST` of F6 and F7). */
const testImmediate = 32
/** The opcode is in another map, or an address of eight bytes follows. */
const escape = 64

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
  set(0x0f, 0x0f, escape)
  set(0x62, 0x62, escape)
  set(0x63, 0x63, modRm)
  set(0x68, 0x68, fullImmediate)
  set(0x69, 0x69, modRm | fullImmediate)
  set(0x6a, 0x6a, byteImmediate)
  set(0x6b, 0x6b, modRm | byteImmediate)
  set(0x70, 0x7f, byteImmediate)
  set(0x80, 0x83, modRm | byteImmediate)
  set(0x81, 0x81, modRm | fullImmediate)
  set(0x84, 0x8f, modRm)
  set(0xa0, 0xa3, escape)
  set(0xa8, 0xa8, byteImmediate)
  set(0xa9, 0xa9, fullImmediate)
  set(0xb0, 0xb7, byteImmediate)
  set(0xb8, 0xbf, fullImmediate)
  set(0xc0, 0xc1, modRm | byteImmediate)
  set(0xc2, 0xc2, wordImmediate)
  set(0xc4, 0xc5, escape)
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
const isRex = new Uint8Array(256).fill(1, 0x40, 0x50)

/** What follows a ModRM byte: bytes of displacement, of which four are relative to the instruction pointer or not, and a SIB byte. */
const displacement = 7
const sib = 8
const pcRelative = 16
/** Four bytes of displacement behind a SIB byte without a base. */
const mayHaveNoBase = 32
const forms = Uint8Array.from({ length: 256 }, (_, byte) => formOf(byte >> 6, byte & 7))

function formOf(mode: number, register: number): number {
  if (mode === 3) return 0
  if (mode === 0 && register === 5) return 4 | pcRelative
  return ([0, 1, 4][mode] as number) | (register === 4 ? sib | (mode === 0 ? mayHaveNoBase : 0) : 0)
}

/** Tables and sums wherever a branch could not be foreseen: what comes next is as good as random, and this is asked for all code there is. */
export function findInX86(bytes: Uint8Array, { offset, end, address }: CodeRange, found: Found): void {
  const { marks, dataTargets, span, base, isFixed } = found
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const [oneByte, twoBytes, threeBytes38, threeBytes3a] = attributes
  /** What to add to a place in the file for its address. */
  const shift = address - offset
  for (let start = offset; start < end;) {
    let at = start
    let isWord = false
    while (at < end && isPrefix[bytes[at] as number] === 1 && at - start < mostPrefixes) {
      if (bytes[at] === 0x66) isWord = true
      at++
    }
    if (at + 8 > end) return
    const first = bytes[at] as number
    at += isRex[first] as number
    let opcode = bytes[at++] as number
    let what = oneByte[opcode] as number
    if ((what & escape) !== 0) {
      if (opcode === 0x0f) {
        opcode = bytes[at++] as number
        what = twoBytes[opcode] as number
        if (opcode === 0x38 || opcode === 0x3a) {
          at++
          what = opcode === 0x38 ? modRm : modRm | byteImmediate
        }
      } else if (opcode >= 0xa0 && opcode <= 0xa3) {
        at += 8
        what = 0
      } else {
        // VEX and EVEX: two to four bytes, the map in the first of them.
        const map = opcode === 0xc5 ? 1 : (bytes[at] as number) & (opcode === 0xc4 ? 31 : 7)
        at += opcode === 0xc5 ? 1 : opcode === 0xc4 ? 2 : 3
        opcode = bytes[at++] as number
        const attribute =
          map === 3 ? (threeBytes3a[opcode] as number) : map === 1 ? (twoBytes[opcode] as number) : (threeBytes38[opcode] as number)
        what = opcode === 0x77 && map === 1 ? 0 : modRm | (attribute & byteImmediate)
      }
    }
    if ((what & relative) !== 0) {
      // Sums past 2^31 become negative: an image is smaller.
      const target = (at + 4 + shift + view.getInt32(at, true)) | 0
      if (target >= 0 && target < span) marks[at] = kinds.branch
      start = at + 4
      continue
    }
    let form = 0
    if ((what & modRm) !== 0) {
      const byte = bytes[at++] as number
      form = forms[byte] as number
      if ((what & testImmediate) !== 0 && (byte & 0x38) >= 0x10) what = 0
      if ((form & mayHaveNoBase) !== 0 && ((bytes[at] as number) & 7) === 5) form |= 4
      at += (form & sib) >> 3
    }
    const operand = at
    at += form & displacement
    const immediateAt = at
    at += (what & (byteImmediate | wordImmediate | fullImmediate)) >> 1
    if ((what & fullImmediate) !== 0) {
      if (opcode >= 0xb8 && opcode <= 0xbf && (first & 0xf8) === 0x48) at += 4
      else if (isWord) at -= 2
    }
    if (at > end) return
    if ((form & pcRelative) !== 0) {
      const target = (at + shift + view.getInt32(operand, true)) | 0
      if (target >= 0 && target < span) {
        const behind = at - operand - 4
        marks[operand] = behind < 3 ? kinds.data + behind : kinds.data4
        if ((target & 3) === 0) dataTargets[target >>> 7] = (dataTargets[target >>> 7] as number) | (1 << ((target >>> 2) & 31))
      }
    } else if (isFixed && (form & displacement) === 4) markAbsolute(view, operand, base, span, marks)
    if (isFixed && at - immediateAt === 4) markAbsolute(view, immediateAt, base, span, marks)
    start = at
  }
}

function markAbsolute(view: DataView, at: number, base: number, span: number, marks: Uint8Array): void {
  const target = view.getInt32(at, true) - base
  if (target >= 0x1000 && target < span) marks[at] = kinds.absolute
}
