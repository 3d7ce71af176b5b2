/**
 * What a linker does to a program in which two functions have grown, as far as a benchmark needs it: the code behind
 * each moves, and calls, jumps and addresses that lead across the gaps are mended where they are easily found. The
 * result has the sections of the input (the last bytes of code are lost) and would not run.
 */
export function moveCode(program: Uint8Array): Uint8Array {
  const moved = Uint8Array.from(program)
  const text = sectionsOf(program).find((section) => section.kind === progbits && section.isCode && section.size > 65536)
  if (text === undefined) throw new Error('no code in it')
  const gaps = [
    { at: functionStart(program, text, text.size >> 2), length: 48 },
    { at: functionStart(program, text, (text.size >> 1) + 4321), length: 80 },
  ]
  /** Where the byte at an offset of the old code is in the new one. */
  const place = (offset: number): number => gaps.reduce((to, gap) => (gap.at <= offset ? to + gap.length : to), offset)
  layCode(program, moved, text, place)
  mendOperands(program, moved, text, place)
  mendRelocations(program, moved, text, place)
  return moved
}

type Section = {
  readonly kind: number
  readonly isCode: boolean
  readonly address: number
  readonly offset: number
  readonly size: number
}

const progbits = 1
const rela = 4

/** Of a 64-bit little-endian ELF file. */
function sectionsOf(program: Uint8Array): readonly Section[] {
  const view = viewOf(program)
  const table = Number(view.getBigUint64(0x28, true))
  const size = view.getUint16(0x3a, true)
  return Array.from({ length: view.getUint16(0x3c, true) }, (_, index) => {
    const at = table + index * size
    return {
      kind: view.getUint32(at + 4, true),
      isCode: (view.getUint32(at + 8, true) & 4) !== 0,
      address: Number(view.getBigUint64(at + 16, true)),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
    }
  })
}

/** The first aligned place from `offset` on that stands behind a return or padding. */
function functionStart(program: Uint8Array, text: Section, offset: number): number {
  let at = (offset + 15) & ~15
  while (program[text.offset + at - 1] !== 0xc3 && program[text.offset + at - 1] !== 0xcc) at += 16
  return at
}

function layCode(program: Uint8Array, moved: Uint8Array, text: Section, place: (offset: number) => number): void {
  moved.fill(0xcc, text.offset, text.offset + text.size)
  for (let at = 0; at < text.size && place(at) < text.size; at++) {
    moved[text.offset + place(at)] = program[text.offset + at] as number
  }
}

/** Of x86-64: call and jmp with 32 bits, lea and mov relative to the next instruction. */
function mendOperands(program: Uint8Array, moved: Uint8Array, text: Section, place: (offset: number) => number): void {
  const from = viewOf(program)
  const to = viewOf(moved)
  for (let at = 0; at + 7 <= text.size && place(at) + 7 <= text.size; at++) {
    const length = operandLength(program, text.offset + at)
    if (length === 0) continue
    const operand = from.getInt32(text.offset + at + length - 4, true)
    const target = at + length + operand
    if (target < -(1 << 24) || target > 1 << 24) continue
    const isInside = target >= 0 && target < text.size
    to.setInt32(text.offset + place(at) + length - 4, operand + (isInside ? place(target) - target : 0) - (place(at) - at), true)
    at += length - 1
  }
}

/** Length of an instruction that ends in a relative operand; 0 for all others. */
function operandLength(program: Uint8Array, at: number): number {
  const [first = 0, second = 0, third = 0] = program.subarray(at, at + 3)
  if (first === 0xe8 || first === 0xe9) return 5
  return (first & 0xf8) === 0x48 && (second === 0x8d || second === 0x8b) && (third & 0xc7) === 0x05 ? 7 : 0
}

function mendRelocations(program: Uint8Array, moved: Uint8Array, text: Section, place: (offset: number) => number): void {
  const view = viewOf(moved)
  for (const section of sectionsOf(program).filter(({ kind }) => kind === rela)) {
    for (let at = section.offset; at < section.offset + section.size; at += 24) {
      const target = Number(view.getBigInt64(at + 16, true)) - text.address
      if (target >= 0 && target < text.size) view.setBigInt64(at + 16, BigInt(text.address + place(target)), true)
    }
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
