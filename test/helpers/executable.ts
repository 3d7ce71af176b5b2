import { utf8 } from '../../src/base/bytes.ts'
import { codeOf, hasSwitch, tableName } from './executable-code.ts'
import { goSections } from './executable-go.ts'
import { numbers } from './numbers.ts'
import type { FunctionLiteral } from './executable-code.ts'

/**
 * A small linker: programs as lists of functions and data that refer to each other by name, made into ELF-64 executables. Put a
 * function in, leave one out, let one grow: link again, and everything behind it has other addresses.
 */
export type Program = {
  readonly machine: 'x86-64' | 'aarch64'
  /** Where segments lie: as GNU ld puts them for Linux, or lld for OpenBSD. */
  readonly layout: 'linux' | 'openbsd'
  /** At an address of its own, with absolute addresses in its code. */
  readonly isFixed: boolean
  /** As a kernel may be: no section headers, in the upper half of the addresses. */
  readonly isBare: boolean
  /** With the tables of Go's run-time system. */
  readonly isGo: boolean
  readonly functions: readonly FunctionLiteral[]
  readonly data: readonly DataLiteral[]
}

/** Eight bytes each: the address of something, or a number. */
export type DataLiteral = { readonly name: string; readonly words: readonly (string | number)[]; readonly isConstant: boolean }

/** Bytes with addresses to be filled in. */
export type Piece = { readonly name: string; readonly bytes: Uint8Array; readonly fixes: readonly Fix[] }

/** An address at `at` of a piece, that of `to` and `plus` bytes more. What is not there is the first function. */
export type Fix = {
  readonly at: number
  readonly kind: 'next' | 'here' | 'back' | 'from' | 'from64' | 'abs32' | 'abs64' | 'b26' | 'b19' | 'b14' | 'adrp' | 'low' | 'low8'
  readonly to: string
  readonly plus?: number
  /** What the value counts from. */
  readonly from?: string
  /** Bytes of the instruction behind its operand. */
  readonly behind?: number
}

type Access = 'r' | 'rx' | 'rw' | 'none'

export type Section = {
  readonly name: string
  readonly type: number
  readonly access: Access
  readonly align: number
  readonly pieces: readonly Piece[]
}

export function link(program: Program): Uint8Array {
  return linkWithMap(program).bytes
}

/** `offsetOf`: where in the file what has a name is. */
export function linkWithMap(program: Program): { readonly bytes: Uint8Array; offsetOf(name: string): number } {
  const placed = place(program, [...sectionsOf(program), ...(program.isGo ? goSections(program) : [])])
  const file = new Uint8Array(placed.end + (program.isBare ? 0 : 64 * (placed.sections.length + 2) + 512))
  const pieces = placed.sections.flatMap((section) => section.pieces)
  for (const piece of pieces) file.set(piece.bytes, piece.offset)
  for (const piece of pieces) for (const fix of piece.fixes) fillIn(file, piece, fix, placed)
  writeHeaders(file, program, placed)
  const offsets = new Map([...placed.sections, ...pieces].map(({ name, offset }) => [name, offset]))
  return { bytes: file, offsetOf: (name) => offsets.get(name) ?? Number.NaN }
}

export const machines: readonly Program['machine'][] = ['x86-64', 'aarch64']
export const layouts: readonly Program['layout'][] = ['linux', 'openbsd']

/** `count` functions that call each other and use `data`, the same for the same seed. */
export function randomProgram(kind: Omit<Program, 'functions' | 'data'>, count: number, seed: number): Program {
  const random = numbers(seed)
  const dataNames = Array.from({ length: count >> 2 }, (_, i) => `d${i}`)
  const functionNames = Array.from({ length: count }, (_, i) => `f${i}`)
  const some = (names: readonly string[], most: number): readonly string[] =>
    Array.from({ length: random.below(most + 1) }, () => random.of(names))
  const functions = functionNames.map((name) => ({
    name,
    seed: random.below(1 << 20),
    size: 40 + random.below(160),
    uses: [...some(functionNames, 5), ...some(dataNames, 3)],
  }))
  const data = dataNames.map((name) => ({
    name,
    words: Array.from({ length: 1 + random.below(5) }, () => (random.below(3) === 0 ? random.below(1000) : random.of(functionNames))),
    isConstant: random.below(2) === 0,
  }))
  return { ...kind, functions, data }
}

// Where everything lies.

type PlacedPiece = Piece & { readonly offset: number; readonly address: number }
type PlacedSection = Section & {
  readonly pieces: readonly PlacedPiece[]
  readonly offset: number
  readonly address: number
  readonly size: number
}
type Placed = {
  readonly sections: readonly PlacedSection[]
  readonly addressOf: (name: string) => number
  /** All addresses are from here. */
  readonly base: bigint
  readonly end: number
}

const page = 4096
const accesses: readonly Access[] = ['r', 'rx', 'rw', 'none']
const fixedBases = { linux: 0x40_0000n, openbsd: 0x20_0000n }
const kernelBase = 0xffff_ffff_8100_0000n
const headersSize = 64 + 56 * 4

function place(program: Program, sections: readonly Section[]): Placed {
  const addresses = new Map<string, number>()
  const placed: PlacedSection[] = []
  let offset = headersSize
  let shift = 0
  for (const access of accesses) {
    // GNU ld begins a segment on a page of the file, lld goes on in the file and begins another page of addresses.
    if (access === 'r' || access === 'none') shift += 0
    else if (program.layout === 'linux') offset = Math.ceil(offset / page) * page
    else shift += page
    for (const section of sections.filter((one) => one.access === access)) {
      offset = Math.ceil(offset / section.align) * section.align
      const start = offset
      addresses.set(section.name, start + shift)
      const pieces = section.pieces.map((piece): PlacedPiece => {
        const at = offset
        offset += piece.bytes.length
        addresses.set(piece.name, at + shift)
        return { ...piece, offset: at, address: at + shift }
      })
      placed.push({ ...section, pieces, offset: start, address: start + shift, size: offset - start })
      addresses.set(`end of ${section.name}`, offset + shift)
    }
  }
  const first = addresses.get(program.functions[0]?.name ?? '') ?? 0
  const base = program.isBare ? kernelBase : program.isFixed ? fixedBases[program.layout] : 0n
  return { sections: placed, addressOf: (name) => addresses.get(name) ?? first, base, end: offset }
}

function fillIn(file: Uint8Array, piece: PlacedPiece, fix: Fix, { addressOf, base }: Placed): void {
  const { at, kind, to, plus = 0, from, behind = 0 } = fix
  const view = new DataView(file.buffer)
  const [place, here, target] = [piece.offset + at, piece.address + at, addressOf(to) + plus]
  const start = from === undefined ? 0 : addressOf(from)
  const bits = (mask: number, value: number): void => view.setInt32(place, (view.getInt32(place, true) & ~mask) | (value & mask), true)
  switch (kind) {
    case 'next':
      return view.setInt32(place, target - here - 4 - behind, true)
    case 'here':
      return view.setInt32(place, target - here, true)
    case 'back':
      return view.setInt32(place, here - target, true)
    case 'from':
      return view.setInt32(place, target - start, true)
    case 'from64':
      return view.setBigInt64(place, BigInt(target - start), true)
    case 'abs32':
      return view.setInt32(place, Number(BigInt.asIntN(32, base + BigInt(target))), true)
    case 'abs64':
      return view.setBigUint64(place, base + BigInt(target), true)
    case 'b26':
      return bits(0x3ff_ffff, (target - here) >> 2)
    case 'b19':
      return bits(0xff_ffe0, ((target - here) >> 2) << 5)
    case 'b14':
      return bits(0x7_ffe0, ((target - here) >> 2) << 5)
    case 'adrp': {
      const pages = Math.floor(target / page) - Math.floor(here / page)
      return bits(0x60ff_ffe0, ((pages & 3) << 29) | (((pages >> 2) & 0x7_ffff) << 5))
    }
    case 'low':
      return bits(0x3f_fc00, (target & 4095) << 10)
    case 'low8':
      return bits(0x3f_fc00, ((target & 4095) >> 3) << 10)
  }
}

function writeHeaders(file: Uint8Array, { machine, isFixed, isBare }: Program, { sections, base, end }: Placed): void {
  const view = new DataView(file.buffer)
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  const segments = accesses.slice(0, 3).map((access) => sections.filter((section) => section.access === access))
  const numbers16 = [isFixed || isBare ? 2 : 3, machine === 'x86-64' ? 62 : 183]
  for (const [i, value] of numbers16.entries()) view.setUint16(16 + 2 * i, value, true)
  view.setUint32(20, 1, true)
  view.setBigUint64(32, 64n, true)
  for (const [i, value] of [64, 56, segments.length, 64].entries()) view.setUint16(52 + 2 * i, value, true)
  for (const [i, held] of segments.entries()) {
    const [first, last] = [held[0], held.at(-1)]
    if (first === undefined || last === undefined) continue
    const [offset, address] = i === 0 ? [0, 0] : [first.offset, first.address]
    const size = last.offset + last.size - offset
    writeNumbers(
      view,
      64 + 56 * i,
      [1, [4, 5, 6][i] as number],
      [offset, base + BigInt(address), base + BigInt(address), size, i === 2 ? size + 3000 : size, page],
    )
  }
  if (!isBare) writeSectionHeaders(file, view, sections, base, end)
}

const flags = { r: 2, rx: 6, rw: 3, none: 0 }

function writeSectionHeaders(file: Uint8Array, view: DataView, sections: readonly PlacedSection[], base: bigint, end: number): void {
  const names = utf8(`\0${[...sections.map(({ name }) => name), '.shstrtab'].join('\0')}\0`)
  const nameAt = (name: string): number => new TextDecoder().decode(names).indexOf(`\0${name}\0`) + 1
  const start = Math.ceil((end + names.length) / 8) * 8
  file.set(names, end)
  view.setBigUint64(40, BigInt(start), true)
  view.setUint16(60, sections.length + 2, true)
  view.setUint16(62, sections.length + 1, true)
  for (const [i, { name, type, access, offset, address, size, align }] of sections.entries()) {
    const loaded = access === 'none' ? 0n : base + BigInt(address)
    writeNumbers(view, start + 64 * (i + 1), [nameAt(name), type], [flags[access], loaded, offset, size, 0, align, 0])
  }
  writeNumbers(view, start + 64 * (sections.length + 1), [nameAt('.shstrtab'), 3], [0, 0, end, names.length, 0, 1, 0])
}

function writeNumbers(view: DataView, at: number, words: readonly number[], longs: readonly (number | bigint)[]): void {
  for (const [i, value] of words.entries()) view.setUint32(at + 4 * i, value, true)
  for (const [i, value] of longs.entries()) view.setBigUint64(at + 4 * words.length + 8 * i, BigInt(value), true)
}

// What is in the file.

function sectionsOf(program: Program): readonly Section[] {
  const { functions, data, isFixed } = program
  const names = functions.map(({ name }) => name)
  const exported = names.slice(0, 8)
  const isReadOnly = ({ isConstant }: DataLiteral): boolean => isConstant && isFixed
  const section = (name: string, type: number, access: Access, align: number, pieces: readonly Piece[]): Section => ({
    name,
    type,
    access,
    align,
    pieces,
  })
  return [
    section('.dynsym', 11, 'r', 8, symbols('dynamic', exported)),
    section('.dynstr', 3, 'r', 1, [plain('names', utf8(`\0${exported.join('\0')}\0`))]),
    section('.gnu.hash', 0x6fff_fff6, 'r', 8, [hashTable(exported.length)]),
    section('.rela.dyn', 4, 'r', 8, isFixed ? [] : data.flatMap(relocations)),
    section('.rodata', 1, 'r', 8, [
      ...functions.filter(hasSwitch).map(jumpTable),
      ...data.filter(isReadOnly).map(words),
      plain('text', text),
    ]),
    section('.eh_frame_hdr', 1, 'r', 4, [frameIndex(names)]),
    section('.eh_frame', 1, 'r', 8, frames(functions)),
    section(
      '.text',
      1,
      'rx',
      16,
      functions.map((one) => codeOf(one, program)),
    ),
    section('.init_array', 14, 'rw', 8, [words({ name: 'first', words: names.slice(0, 2), isConstant: false })]),
    section('.data', 1, 'rw', 8, data.filter((one) => !isReadOnly(one)).map(words)),
    section('.symtab', 2, 'none', 8, symbols('static', names)),
  ].filter(({ pieces }) => pieces.length > 0)
}

const text = utf8('some text of the program\0'.repeat(9))

function plain(name: string, bytes: Uint8Array): Piece {
  return { name, bytes, fixes: [] }
}

function words({ name, words: values }: DataLiteral): Piece {
  const bytes = new Uint8Array(8 * values.length)
  const view = new DataView(bytes.buffer)
  const fixes: Fix[] = []
  for (const [i, value] of values.entries()) {
    if (typeof value === 'number') view.setUint32(8 * i, value, true)
    else fixes.push({ at: 8 * i, kind: 'abs64', to: value })
  }
  return { name, bytes, fixes }
}

function relocations(data: DataLiteral): readonly Piece[] {
  return words(data).fixes.map(({ at, to }) => ({
    name: `relocation of ${data.name} ${at}`,
    bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, at % 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    fixes: [
      { at: 0, kind: 'abs64', to: data.name, plus: at },
      { at: 16, kind: 'abs64', to },
    ],
  }))
}

function symbols(table: string, names: readonly string[]): readonly Piece[] {
  const entries = names.map((name, i): Piece => {
    const bytes = new Uint8Array(24)
    bytes.set([1 + i, 0, 0, 0, 0x12])
    return { name: `${table} symbol ${name}`, bytes, fixes: [{ at: 8, kind: 'abs64', to: name }] }
  })
  return [plain(`${table} nothing`, new Uint8Array(24)), ...entries]
}

/** Two buckets, symbols from the first one on, one word of filter, hashes. */
function hashTable(count: number): Piece {
  const bytes = new Uint8Array(16 + 8 + 8 + 4 * count)
  const view = new DataView(bytes.buffer)
  for (const [i, value] of [2, 1, 1, 6, 0x1234, 0x5678, 1, 1 + (count >> 1)].entries()) view.setUint32(4 * i, value, true)
  return plain('hashes', bytes)
}

function jumpTable(one: FunctionLiteral): Piece {
  const from = tableName(one)
  const fixes = Array.from({ length: 4 + (one.seed % 5) }, (_, i): Fix => ({ at: 4 * i, kind: 'from', to: one.name, plus: 4 * i, from }))
  return { name: from, bytes: new Uint8Array(4 * fixes.length), fixes }
}

function frameIndex(names: readonly string[]): Piece {
  const bytes = new Uint8Array(12 + 8 * names.length)
  bytes.set([1, 0x1b, 3, 0x3b])
  new DataView(bytes.buffer).setUint32(8, names.length, true)
  const from = '.eh_frame_hdr'
  const pairs = names.flatMap((to, i): Fix[] => [
    { at: 12 + 8 * i, kind: 'from', to, from },
    { at: 16 + 8 * i, kind: 'from', to: `frame of ${to}`, from },
  ])
  return { name: 'frame index', bytes, fixes: [{ at: 4, kind: 'here', to: '.eh_frame' }, ...pairs] }
}

function frames(functions: readonly FunctionLiteral[]): readonly Piece[] {
  const common = [20, 0, 0, 0, 0, 0, 0, 0, 1, 0x7a, 0x52, 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0]
  return [
    plain('common frame', Uint8Array.from(common)),
    ...functions.map(({ name, size, seed }): Piece => {
      const bytes = new Uint8Array(24 + 8 * (seed % 2))
      const view = new DataView(bytes.buffer)
      view.setUint32(0, bytes.length - 4, true)
      view.setUint32(12, size, true)
      bytes[17] = 0x41 + (seed % 7)
      const fixes: readonly Fix[] = [
        { at: 4, kind: 'back', to: 'common frame' },
        { at: 8, kind: 'here', to: name },
      ]
      return { name: `frame of ${name}`, bytes, fixes }
    }),
  ]
}
