import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { kindOf, placeOf } from '../src/engine/delta/image/image.ts'
import { findReferences } from '../src/engine/delta/image/find.ts'
import { kinds } from '../src/engine/delta/image/reference.ts'
import { readElf } from '../src/format/elf.ts'
import { linkWithMap, randomProgram } from './helpers/executable.ts'
import { needs } from './helpers/programs.ts'
import type { Image } from '../src/engine/delta/image/image.ts'
import type { Program } from './helpers/executable.ts'

const kindNames = Object.keys(kinds) as (keyof typeof kinds)[]

/** The code lies at 0x1000 of the file and of the image, data at 0x2000; all is 0x4000 bytes in memory. */
const codeAt = 0x1000
const dataAt = 0x2000

type Bare = {
  readonly machine: 'x86-64' | 'aarch64'
  readonly base?: number
  readonly code?: readonly number[]
  readonly data?: readonly number[]
}

/** A file with three segments and no section headers; fixed where it has a base. */
function bare({ machine, base = 0, code = [], data = [] }: Bare): Uint8Array {
  const bytes = new Uint8Array(0x2800)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  for (const [at, value] of [
    [16, base === 0 ? 3 : 2],
    [18, machine === 'x86-64' ? 62 : 183],
    [32, 64],
    [54, 56],
    [56, 3],
  ] as const)
    view.setUint16(at, value, true)
  const segments = [
    [4, 0, 0x1000, 0x1000],
    [5, codeAt, 0x1000, 0x1000],
    [4, dataAt, 0x800, 0x2000],
  ] as const
  for (const [i, [flags, offset, size, memory]] of segments.entries()) {
    const at = 64 + 56 * i
    view.setUint32(at, 1, true)
    view.setUint32(at + 4, flags, true)
    for (const [place, value] of [
      [8, offset],
      [16, base + offset],
      [32, size],
      [40, memory],
    ] as const)
      view.setBigUint64(at + place, BigInt(value), true)
  }
  bytes.set(code, codeAt)
  bytes.set(data, dataAt)
  return bytes
}

/** What is found from `start` on: `place: kind -> target`, in hexadecimal, places from `start`. */
function found(image: Image, start: number, end: number): readonly string[] {
  const {
    references: { count, packed, numbers },
    numbered,
  } = image
  const list: string[] = []
  for (let i = 0; i < count; i++) {
    const [at, kind] = [placeOf(packed[i] as number), kindOf(packed[i] as number)]
    if (at < start || at >= end) continue
    const name = kind >= kinds.based ? `based ${kind - kinds.based}` : (kindNames.find((one) => kinds[one] === kind) as string)
    list.push(`${(at - start).toString(16)}: ${name} -> ${(numbered.addresses[numbers[i] as number] as number).toString(16)}`)
  }
  return list
}

const le32 = (value: number): readonly number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255]

/** Of one instruction at 0x1000; in `text` two digits a byte, `D` a displacement to 0x2010, `A` the address of it. */
function x86(text: string, isFixed = false): readonly string[] {
  const base = isFixed ? 0x40_0000 : 0
  const words = text.split(' ')
  const size = words.reduce((sum, word) => sum + (word === 'D' || word === 'A' ? 4 : 1), 0)
  const code = words.flatMap((word) => {
    if (word === 'D') return le32(dataAt + 0x10 - codeAt - size)
    return word === 'A' ? le32(base + dataAt + 0x10) : [Number.parseInt(word, 16)]
  })
  const image = findReferences(bare({ machine: 'x86-64', base, code: [...code, ...Array.from({ length: 64 }, () => 0x90)] })) as Image
  return found(image, codeAt, dataAt)
}

test('x86-64: what each instruction refers to', () => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    // Calls and jumps.
    'e8 D': ['1: branch -> 2010'],
    'e9 D': ['1: branch -> 2010'],
    '0f 84 D': ['2: branch -> 2010'],
    'f2 e9 D': ['2: branch -> 2010'],
    '48 e8 D': ['2: branch -> 2010'],
    'eb 10': [],
    '74 10': [],
    'e8 ff ff ff 7f': [],
    'e8 00 00 00 f0': [],
    // From the instruction pointer, with what is behind.
    '48 8d 05 D': ['3: data -> 2010'],
    '48 8b 0d D': ['3: data -> 2010'],
    'ff 15 D': ['2: data -> 2010'],
    'ff 25 D': ['2: data -> 2010'],
    '80 3d D 07': ['2: data1 -> 2010'],
    '83 3d D 07': ['2: data1 -> 2010'],
    '48 c7 05 D 01 00 00 00': ['3: data4 -> 2010'],
    '66 c7 05 D 01 00': ['3: data2 -> 2010'],
    'f6 05 D 01': ['2: data1 -> 2010'],
    'f7 05 D 01 00 00 00': ['2: data4 -> 2010'],
    'f7 15 D': ['2: data -> 2010'],
    '69 05 D 01 00 00 00': ['2: data4 -> 2010'],
    '0f b6 05 D': ['3: data -> 2010'],
    '0f ba 25 D 03': ['3: data1 -> 2010'],
    '66 0f 70 05 D 1b': ['4: data1 -> 2010'],
    'f2 0f 10 05 D': ['4: data -> 2010'],
    '66 0f 38 00 05 D': ['5: data -> 2010'],
    '66 0f 3a 0f 05 D 08': ['5: data1 -> 2010'],
    '64 48 8b 05 D': ['4: data -> 2010'],
    // Not from the instruction pointer.
    '48 8b 45 08': [],
    '48 8b 84 24 D': [],
    '48 8b 04 25 D': [],
    '48 b8 D 00 00 00 00': [],
    // VEX and EVEX.
    'c5 f8 28 05 D': ['4: data -> 2010'],
    'c4 e2 79 18 05 D': ['5: data -> 2010'],
    'c4 e3 79 0f 05 D 04': ['5: data1 -> 2010'],
    'c5 f9 70 05 D 1b': ['4: data1 -> 2010'],
    '62 f1 7c 48 28 05 D': ['6: data -> 2010'],
    '62 f2 7d 48 18 05 D': ['6: data -> 2010'],
    '62 f3 7d 48 25 05 D ff': ['6: data1 -> 2010'],
    'c5 f8 77': [],
  }
  for (const [text, expected] of Object.entries(cases)) assert.deepEqual(x86(text), expected, text)
})

test('x86-64: what stands behind an instruction is found, whatever the instruction is', () => {
  const call = ['e8', ...le32(0x40).map((byte) => byte.toString(16))].join(' ')
  const instructions = `
    90; c3; 50; c9; 31 c0; 48 89 e5; 48 83 ec 08; 66 81 c1 01 02; 81 c1 01 02 03 04; c2 08 00; c8 10 00 00;
    48 b8 01 02 03 04 05 06 07 08; b8 01 02 03 04; 66 b8 01 02; b0 01; a0 01 02 03 04 05 06 07 08; f6 c1 01; f6 d1;
    f7 c1 01 02 03 04; f7 d1; 0f 05; 0f a2; 0f 0b; 0f c8; 0f 1f 44 00 00; 66 0f 1f 84 00 00 00 00 00; 48 8b 44 24 08;
    48 8b 84 c8 01 02 03 04; 48 8b 04 25 01 02 03 04; 0f ba e0 03; 0f a4 c0 04; 66 0f 73 d8 08; 0f c6 c0 1b; d1 e0; c1 e0 04;
    c5 f8 77; c5 f1 ef c9; c4 e2 f9 f7 c1; c4 e3 fd 00 c0 1b; 62 f1 7d 48 6f 00; 62 f3 75 48 1f c2 00; c5 f9 c5 c0 01;
    6a 01; 68 01 02 03 04; 6b c0 08; e3 02; cd 80; d9 e8; f3 a4; 2e 66 0f 1f 84 00 00 00 00 00; f0 48 0f b1 0a`
  for (const before of instructions.trim().split(/;\s*/)) {
    const size = before.split(' ').length
    const expected = `${(size + 1).toString(16)}: branch -> ${(codeAt + size + 5 + 0x40).toString(16)}`
    assert.deepEqual(x86(`${before} ${call}`), [expected], before)
  }
})

test('x86-64: absolute addresses, where the image is not to be moved', () => {
  assert.deepEqual(x86('bf A', true), ['1: absolute -> 2010'])
  assert.deepEqual(x86('48 c7 c0 A', true), ['3: absolute -> 2010'])
  assert.deepEqual(x86('8b 04 25 A', true), ['3: absolute -> 2010'])
  assert.deepEqual(x86('8b 04 cd A', true), ['3: absolute -> 2010'])
  assert.deepEqual(x86('8b 80 A', true), ['2: absolute -> 2010'])
  assert.deepEqual(x86('81 fb A', true), ['2: absolute -> 2010'])
  assert.deepEqual(x86('48 c7 05 D 10 20 40 00', true), ['3: data4 -> 2010', '7: absolute -> 2010'])
  assert.deepEqual(x86('bf 08 00 40 00', true), [])
  assert.deepEqual(x86('bf A'), [])
})

test('AArch64: what each instruction refers to', () => {
  const arm64 = (...words: readonly number[]): readonly string[] =>
    found(findReferences(bare({ machine: 'aarch64', code: words.flatMap(le32) })) as Image, codeAt, codeAt + 4 * words.length)
  assert.deepEqual(arm64(0x9400_0404), ['0: branch26 -> 2010'])
  assert.deepEqual(arm64(0x1400_0404), ['0: branch26 -> 2010'])
  assert.deepEqual(arm64(0x17ff_ffff), ['0: branch26 -> ffc'])
  assert.deepEqual(arm64(0x1400_0000 | 0x100_0000), [])
  assert.deepEqual(arm64(0x5400_0000 | (0x404 << 5) | 1), ['0: branch19 -> 2010'])
  assert.deepEqual(arm64(0xb400_0000 | (0x404 << 5) | 3), ['0: branch19 -> 2010'])
  assert.deepEqual(arm64(0x3500_0000 | (0x404 << 5) | 3), ['0: branch19 -> 2010'])
  assert.deepEqual(arm64(0x3600_0000 | (0x404 << 5) | 3), ['0: branch14 -> 2010'])
  assert.deepEqual(arm64(0xb7f8_0000 | (0x404 << 5) | 3), ['0: branch14 -> 2010'])
  // ADRP of the next page, x1, with what is behind it.
  const page = 0xb000_0001
  const nop = 0xd503_201f
  const add = 0x9100_0000 | (0x18 << 10) | (1 << 5) | 1
  const load = (size: number): number => (0x3940_0000 | (size << 30) | (2 << 10) | (1 << 5) | 7) >>> 0
  const quad = 0x3dc0_0000 | (2 << 10) | (1 << 5) | 7
  assert.deepEqual(arm64(page, add), ['0: page -> 2018', '4: low -> 2018'])
  assert.deepEqual(arm64(page, nop, nop, add), ['0: page -> 2018', 'c: low -> 2018'])
  assert.deepEqual(arm64(page, ...Array.from({ length: 6 }, () => nop), add), ['0: page -> 2000'])
  assert.deepEqual(arm64(page, load(0)), ['0: page -> 2002', '4: low -> 2002'])
  assert.deepEqual(arm64(page, load(1)), ['0: page -> 2004', '4: low1 -> 2004'])
  assert.deepEqual(arm64(page, load(2)), ['0: page -> 2008', '4: low2 -> 2008'])
  assert.deepEqual(arm64(page, load(3)), ['0: page -> 2010', '4: low3 -> 2010'])
  assert.deepEqual(arm64(page, quad), ['0: page -> 2020', '4: low4 -> 2020'])
  assert.deepEqual(arm64(page, load(3), add), ['0: page -> 2010', '4: low3 -> 2010', '8: low -> 2018'])
  // Another register; one that was overwritten; two pages by turns.
  assert.deepEqual(arm64(page, add + 32), ['0: page -> 2000'])
  assert.deepEqual(arm64(page, add, add), ['0: page -> 2018', '4: low -> 2018'])
  assert.deepEqual(arm64(page, page + 1, add, add + 33), ['0: page -> 2018', '4: page -> 2018', '8: low -> 2018', 'c: low -> 2018'])
  assert.deepEqual(arm64(nop, 0xd280_0000, 0x9140_0000 | (1 << 5)), [])
})

test('data: pointers where they are aligned, jump tables where code points', () => {
  const words = (...values: readonly number[]): readonly number[] => values.flatMap(le32)
  const image = (code: readonly number[], data: readonly number[], base = 0): readonly string[] =>
    found(
      findReferences(bare({ machine: 'x86-64', code: [...code, ...Array.from({ length: 32 }, () => 0x90)], data, base })) as Image,
      dataAt,
      dataAt + 0x100,
    )
  const fixed = 0x40_0000
  assert.deepEqual(image([], words(fixed + 0x1234, 0, 7, 0, fixed + 0x3fff, 0), fixed), ['0: pointer -> 1234', '10: pointer -> 3fff'])
  // On the first page, behind the end, not aligned.
  assert.deepEqual(image([], words(fixed + 0xfff, 0, fixed + 0x4000, 0, 0, fixed + 0x1234, 0), fixed), [])
  // lea rax, [rip + table]: four entries, of which the last is no code.
  const lea = [0x48, 0x8d, 0x05, ...le32(dataAt + 8 - codeAt - 7)]
  const table = words(0, 0, codeAt - dataAt - 8, codeAt - dataAt, codeAt - dataAt + 8, 5)
  assert.deepEqual(image(lea, table), ['8: table -> 1000', 'c: table -> 1008', '10: table -> 1010'])
  assert.deepEqual(image([], table), [])
  // It ends where the next one begins; one entry is no table.
  const second = [...lea, 0x48, 0x8d, 0x05, ...le32(dataAt + 0x10 - codeAt - 14)]
  assert.deepEqual(image(second, table), ['8: table -> 1000', 'c: table -> 1008'])
})

const kind = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: true } as const

test('tables of ELF files', () => {
  const program: Program = {
    ...randomProgram({ ...kind, isGo: false }, 50, 5),
    data: [{ name: 'd0', words: ['f1', 7, 'f2'], isConstant: false }],
  }
  const { bytes, offsetOf } = linkWithMap(program)
  const image = findReferences(bytes) as Image
  const addressOf = (name: string): string => {
    const { offset, address } = image.layout.segments.find(
      (one) => offsetOf(name) >= one.offset && offsetOf(name) < one.offset + one.fileSize,
    ) as Image['layout']['segments'][0]
    return (offsetOf(name) - offset + address).toString(16)
  }
  const at = (name: string, size: number): readonly string[] => found(image, offsetOf(name), offsetOf(name) + size)
  // So close to zero, in data, numbers are seldom addresses.
  assert.deepEqual(at('d0', 24), [])
  assert.deepEqual(at('relocation of d0 16', 24), [
    `0: pointer -> ${(offsetOf('d0') + 16).toString(16)}`,
    `c: based 8 -> ${addressOf('dynamic symbol f0')}`,
    `10: pointer -> ${addressOf('f2')}`,
  ])
  assert.deepEqual(at('dynamic symbol f3', 24), [
    `0: based 9 -> ${(offsetOf('.dynstr') + 4).toString(16)}`,
    `8: pointer -> ${addressOf('f3')}`,
  ])
  assert.deepEqual(at('static symbol f9', 24), [`8: pointer -> ${addressOf('f9')}`])
  assert.deepEqual(at('hashes', 40), [
    `18: based 8 -> ${addressOf('dynamic symbol f0')}`,
    `1c: based 8 -> ${addressOf('dynamic symbol f4')}`,
  ])
  assert.deepEqual(at('frame index', 20), [
    `4: here -> ${addressOf('common frame')}`,
    `c: based 0 -> ${addressOf('f0')}`,
    `10: based 0 -> ${addressOf('frame of f0')}`,
  ])
  assert.deepEqual(at('frame of f7', 24), [`4: back -> ${addressOf('common frame')}`, `8: here -> ${addressOf('f7')}`])
})

test("tables of Go's run-time system", () => {
  const { bytes, offsetOf } = linkWithMap(randomProgram({ ...kind, isFixed: true }, 50, 5))
  const image = findReferences(bytes) as Image
  const inCode = (name: string): string => offsetOf(name).toString(16)
  const at = (name: string, size: number): readonly string[] => found(image, offsetOf(name), offsetOf(name) + size)
  assert.deepEqual(at('first', 16), [`0: pointer -> ${inCode('f0')}`, `8: pointer -> ${inCode('f1')}`])
  assert.deepEqual(at('go functions', 16), [
    `0: based 1 -> ${inCode('f0')}`,
    `4: based 2 -> ${inCode('go entry f0')}`,
    `8: based 1 -> ${inCode('f1')}`,
    `c: based 2 -> ${inCode('go entry f1')}`,
  ])
  assert.deepEqual(at('go entry f3', 68), [
    `0: based 1 -> ${inCode('f3')}`,
    `4: based 3 -> ${inCode('go name f3')}`,
    `10: based 4 -> ${inCode('go table f3')}`,
    `20: based 5 -> ${inCode('go units')}`,
    `2c: based 4 -> ${inCode('go table f3')}`,
    `3c: based 7 -> ${inCode('go data')}`,
    `40: based 7 -> ${inCode('go tree f3')}`,
  ])
  assert.deepEqual(at('go tree f3', 32), [`4: based 3 -> ${inCode('go name f4')}`, `14: based 3 -> ${inCode('go name f0')}`])
  assert.deepEqual(at('go units', 8), [`0: based 10 -> ${inCode('go files')}`, `4: based 10 -> ${inCode('go file')}`])
  assert.deepEqual(
    at('go links', 12),
    ['Reader', 'Writer', 'Closer'].map((name, i) => `${4 * i}: based 6 -> ${inCode(`go type ${name}`)}`),
  )
  assert.deepEqual(at('go type Writer', 112), [
    `28: based 6 -> ${inCode('go name of Writer')}`,
    `50: based 6 -> ${inCode('go name of Writer')}`,
    `60: based 6 -> ${inCode('go name of Writer')}`,
    `64: based 6 -> ${inCode('go type Writer')}`,
    `68: based 1 -> ${inCode('f1')}`,
    `6c: based 1 -> ${inCode('f2')}`,
  ])
  assert.deepEqual(at('go type interface', 88), [
    `28: based 6 -> ${inCode('go name of Reader')}`,
    `38: pointer -> ${(offsetOf('go type interface') + 80).toString(16)}`,
    `50: based 6 -> ${inCode('go name of Writer')}`,
    `54: based 6 -> ${inCode('go type Reader')}`,
  ])
  assert.deepEqual(at('go index', 4), [`0: based 11 -> ${inCode('go functions')}`])
})

test('only what is an executable of a kind that is known has references', () => {
  const good = bare({ machine: 'x86-64' })
  assert.ok(readElf(good))
  for (const [at, value] of [
    [0, 0],
    [4, 1],
    [5, 2],
    [18, 40],
    [54, 32],
    [56, 0],
    [32, 63],
    [39, 0x80],
  ] as const) {
    assert.equal(readElf(good.map((byte, i) => (i === at ? value : byte))), undefined, `${at}`)
  }
  for (const size of [0, 4, 63, 64, 200]) assert.equal(readElf(good.subarray(0, size)), undefined)
})

/** What objdump takes for operands that hold addresses: [place in the file, target]. */
function judged(path: string): ReadonlyMap<number, number> {
  const { stdout, status } = spawnSync('objdump', ['-dw', '-F', '-j', '.text', path], { maxBuffer: 1 << 30, encoding: 'latin1' })
  assert.equal(status, 0, path)
  const expected = new Map<number, number>()
  const shift = /File Offset: 0x([0-9a-f]+)/
  let offset = 0
  for (const line of stdout.split('\n')) {
    const head = /^([0-9a-f]{16}) </.exec(line)
    if (head !== null) offset = Number.parseInt(shift.exec(line)?.[1] as string, 16) - Number.parseInt(head[1] as string, 16)
    const [, place, digits, text] = /^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t(.*)/.exec(line) ?? []
    if (place === undefined || digits === undefined || text === undefined || text.includes('(bad)')) continue
    const bytes = digits
      .trim()
      .split(' ')
      .map((one) => Number.parseInt(one, 16))
    const at = Number.parseInt(place, 16)
    const target = /(?:# |(?:call|j[a-z]+|bnd jmp) +)([0-9a-f]+) /.exec(`${text} `)?.[1]
    if (target === undefined) continue
    for (let i = 1; i + 4 <= bytes.length; i++) {
      const value = new DataView(Uint8Array.from(bytes).buffer).getInt32(i, true)
      if (at + bytes.length + value === Number.parseInt(target, 16)) expected.set(at + offset + i, Number.parseInt(target, 16))
    }
  }
  return expected
}

const relativeKinds: ReadonlySet<number> = new Set([kinds.branch, kinds.data, kinds.data1, kinds.data2, kinds.data4])

test('objdump finds the same operands in programs of this system', needs('objdump'), () => {
  const programs = ['/usr/bin/bsdiff', '/usr/bin/xdelta3', '/usr/bin/openssl', '/usr/bin/zstd'].filter(existsSync)
  for (const path of programs) {
    const bytes = new Uint8Array(readFileSync(path))
    const image = findReferences(bytes)
    const code = image?.layout.sections.find(({ name }) => name === '.text')
    if (image === undefined || code === undefined || image.layout.machine !== 'x86-64') continue
    const expected = judged(path)
    const [missed, made]: [string[], string[]] = [[], []]
    for (const [place, target] of expected)
      if (target - image.base >= 0 && target - image.base < image.span && !relativeKinds.has(image.marks[place] as number))
        missed.push(place.toString(16))
    for (let at = code.offset; at < code.offset + code.size; at++)
      if (relativeKinds.has(image.marks[at] as number) && !expected.has(at)) made.push(at.toString(16))
    // The last few bytes of a section are not looked at, and nobody knows what data between code would be.
    assert.ok(
      missed.length <= 1 + expected.size / 10_000 && made.length <= expected.size / 10_000,
      `${path}: ${missed.join(' ')}; ${made.join(' ')}`,
    )
  }
})
