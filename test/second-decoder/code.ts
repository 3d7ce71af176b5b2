import type { ByteView } from './bytes.ts'
import type { Finder } from './finder.ts'

const hex = (list: string): readonly number[] =>
  list.split(' ').flatMap((range) => {
    const [first, last] = range.split('-').map((digits) => Number.parseInt(digits, 16)) as [number, number?]
    return Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i)
  })

function operandTable(usual: string, rows: Readonly<Record<string, string>>): readonly string[] {
  const table = new Array<string>(256).fill(usual)
  for (const [operands, opcodes] of Object.entries(rows)) for (const opcode of hex(opcodes)) table[opcode] = operands.replace('-', '')
  return table
}

const oneByte = operandTable('', {
  M: '00-03 08-0b 10-13 18-1b 20-23 28-2b 30-33 38-3b 63 84-8f d0-d3 d8-df fe ff',
  B: '04 0c 14 1c 24 2c 34 3c 6a 70-7f a8 b0-b7 cd e0-e7 eb',
  F: '05 0d 15 1d 25 2d 35 3d 68 a9 b8-bf',
  MB: '6b 80 82 83 c0 c1 c6',
  MF: '69 81 c7',
  W: 'c2 ca',
  WB: 'c8',
  R: 'e8 e9',
  MTB: 'f6',
  MTF: 'f7',
})
const twoBytes = operandTable('M', { '-': '05-09 0b 30-37 77 a0-a2 a8-aa c8-cf', R: '80-8f', MB: '0f 70-73 a4 ac ba c2 c4-c6' })
const prefixes = new Set(hex('66 67 f0 f2 f3 2e 36 3e 26 64 65'))

/** `at`: behind the opcode. `full`: bytes of an immediate F. */
type Opcode = { readonly at: number; readonly operands: string; readonly full: number }

function readOpcode(file: ByteView, start: number, end: number): Opcode | undefined {
  let at = start
  while (at < end && at - start < 14 && prefixes.has(file.u8(at))) at++
  if (end - at < 8) return undefined
  const full = file.bytes.subarray(start, at).includes(0x66) ? 2 : 4
  const rex = (file.u8(at) & 0xf0) === 0x40 ? file.u8(at++) : 0
  const first = file.u8(at++)
  const second = file.u8(at)
  if (first === 0x0f) {
    if (second === 0x38 || second === 0x3a) return { at: at + 2, operands: second === 0x38 ? 'M' : 'MB', full }
    return { at: at + 1, operands: twoBytes[second] as string, full }
  }
  if (first === 0xc5 || first === 0xc4 || first === 0x62) {
    const map = first === 0xc5 ? 1 : second & (first === 0xc4 ? 31 : 7)
    at += first === 0xc5 ? 1 : first === 0xc4 ? 2 : 3
    const opcode = file.u8(at++)
    if (map === 1 && opcode === 0x77) return { at, operands: '', full }
    return { at, operands: map === 3 || (map === 1 && twoBytes[opcode]?.includes('B') === true) ? 'MB' : 'M', full }
  }
  if (first >= 0xa0 && first <= 0xa3) at += 8
  return { at, operands: oneByte[first] as string, full: first >= 0xb8 && first <= 0xbf && (rex & 8) !== 0 ? 8 : full }
}

export function sweepX86(finder: Finder, start: number, end: number): void {
  const { file } = finder
  for (let next: number | undefined = start; next !== undefined && next < end;) {
    const opcode = readOpcode(file, next, end)
    if (opcode?.operands === 'R') finder.mark(opcode.at, 1)
    next = !opcode ? undefined : opcode.operands === 'R' ? opcode.at + 4 : markOperands(finder, opcode, end)
  }
}

/** The end of the instruction, undefined if that is behind the range. */
function markOperands(finder: Finder, opcode: Opcode, end: number): number | undefined {
  const { file } = finder
  let { at, operands } = opcode
  let displacement: number | undefined
  let isRelative = false
  if (operands.includes('M')) {
    const [mode, middle, low] = [file.u8(at) >> 6, (file.u8(at) >> 3) & 7, file.u8(at++) & 7]
    if (operands.includes('T') && middle >= 2) operands = 'M'
    const base = mode !== 3 && low === 4 ? file.u8(at++) & 7 : low
    isRelative = mode === 0 && low === 5
    if (mode === 2 || (mode === 0 && base === 5)) displacement = at
    at += displacement !== undefined ? 4 : mode === 1 ? 1 : 0
  }
  const immediate = at
  at += (operands.includes('B') ? 1 : 0) + (operands.includes('W') ? 2 : 0) + (operands.includes('F') ? opcode.full : 0)
  if (at > end) return undefined
  if (displacement !== undefined && isRelative) {
    const target = finder.mark(displacement, [2, 3, 4][at - immediate] ?? 5)
    if (target !== undefined && target % 4 === 0) finder.pointedAt.add(target)
  } else if (displacement !== undefined && finder.isFixed) finder.mark(displacement, 8)
  if (finder.isFixed && at - immediate === 4) finder.mark(immediate, 8)
  return at
}

const is = (word: number, mask: number, value: number): boolean => (word & mask) >>> 0 === value

export function scanArm64(finder: Finder, start: number, end: number): void {
  for (let at = start; at + 4 <= end; at += 4) {
    const word = finder.file.u32(at)
    if (is(word, 0x7c00_0000, 0x1400_0000)) finder.mark(at, 11)
    else if (is(word, 0xff00_0010, 0x5400_0000) || is(word, 0x7e00_0000, 0x3400_0000)) finder.mark(at, 18)
    else if (is(word, 0x7e00_0000, 0x3600_0000)) finder.mark(at, 19)
    else if (is(word, 0x9f00_0000, 0x9000_0000) && finder.mark(at, 12) !== undefined) markLowBits(finder, at, word & 31, end)
  }
}

/** Of the page that the ADRP at `start` gives to `register`. */
function markLowBits(finder: Finder, start: number, register: number, end: number): void {
  for (let at = start + 4; at <= start + 24 && at + 4 <= end; at += 4) {
    const word = finder.file.u32(at)
    if (is(word, 0x9f00_001f, 0x9000_0000 + register)) return
    const kind = lowBitsKind(word)
    if (((word >>> 5) & 31) !== register || kind === undefined) continue
    finder.marks[at] = kind
    if ((word & 31) === register && (kind === 13 || (word & 0x40_0000) !== 0)) return
  }
}

function lowBitsKind(word: number): number | undefined {
  if (is(word, 0xffc0_0000, 0x9100_0000)) return 13
  if (!is(word, 0x3b00_0000, 0x3900_0000)) return undefined
  return is(word, 0x0480_0000, 0x0480_0000) ? 17 : 13 + (word >>> 30)
}
