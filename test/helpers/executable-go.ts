import { utf8 } from '../../src/base/bytes.ts'
import type { Fix, Piece, Program, Section } from './executable.ts'

/** Tables as Go's linker writes them (runtime/symtab.go, 1.20): of functions, of types, and the record of the module. */
export function goSections(program: Program): readonly Section[] {
  const names = program.functions.map(({ name }) => name)
  const section = (name: string, access: Section['access'], pieces: readonly Piece[]): Section => ({
    name,
    type: 1,
    access,
    align: 32,
    pieces,
  })
  return [
    section('.gopclntab', 'r', functionTable(names)),
    section('.typelink', 'r', [typeLinks()]),
    section('.go.rodata', 'r', [...types(), ...functionData(names), index(program)]),
    section('.noptrdata', 'rw', [moduleRecord()]),
  ]
}

type Fields = {
  readonly name: string
  readonly size: number
  readonly numbers?: readonly (readonly [at: number, value: number])[]
  readonly fixes?: readonly Fix[]
}

function piece({ name, size, numbers = [], fixes = [] }: Fields): Piece {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  for (const [at, value] of numbers) view.setUint32(at, value, true)
  return { name, bytes, fixes }
}

const table = '.gopclntab'

function functionTable(names: readonly string[]): readonly Piece[] {
  const header = piece({
    name: 'go header',
    size: 72,
    numbers: [
      [0, 0xffff_fff1],
      [4, 0x0801_0000],
      [8, names.length],
      [16, 1],
    ],
    fixes: [
      { at: 24, kind: 'abs64', to: '.text' },
      ...['go names', 'go units', 'go files', 'go tables', 'go functions'].map((to, i): Fix => ({
        at: 32 + 8 * i,
        kind: 'from64',
        to,
        from: table,
      })),
    ],
  })
  const entries = names.map((name, i) => functionEntry(name, i))
  const pairs = names.flatMap((name, i): readonly Fix[] => [
    { at: 8 * i, kind: 'from', to: name, from: '.text' },
    { at: 8 * i + 4, kind: 'from', to: `go entry ${name}`, from: 'go functions' },
  ])
  const functions = piece({
    name: 'go functions',
    size: 8 * names.length + 8,
    fixes: [...pairs, { at: 8 * names.length, kind: 'from', to: 'end of .text', from: '.text' }],
  })
  return [
    header,
    piece({ name: 'go names', size: 0 }),
    ...names.map((name) => ({ name: `go name ${name}`, bytes: utf8(`main.${name}\0`), fixes: [] })),
    piece({ name: 'go units', size: 8, fixes: [{ at: 4, kind: 'from', to: 'go file', from: 'go files' }] }),
    piece({ name: 'go files', size: 0 }),
    { name: 'go file', bytes: utf8('main.go\0'), fixes: [] },
    piece({ name: 'go tables', size: 1 }),
    ...names.map((name, i) => ({ name: `go table ${name}`, bytes: Uint8Array.of(2, i + 1, 4, 8 + (i % 50), 0), fixes: [] })),
    functions,
    ...entries,
  ]
}

function functionEntry(name: string, i: number): Piece {
  return piece({
    name: `go entry ${name}`,
    size: 44 + 4 * 2 + 4 * 4,
    numbers: [
      [28, 2],
      [36, 10 + i],
      [40, 0x0400_0000],
      [52, 0xffff_ffff],
      [56, 0xffff_ffff],
    ],
    fixes: [
      { at: 0, kind: 'from', to: name, from: '.text' },
      { at: 4, kind: 'from', to: `go name ${name}`, from: 'go names' },
      { at: 16, kind: 'from', to: `go table ${name}`, from: 'go tables' },
      { at: 44, kind: 'from', to: `go table ${name}`, from: 'go tables' },
      { at: 60, kind: 'from', to: 'go data', from: 'go data' },
      { at: 64, kind: 'from', to: `go tree ${name}`, from: 'go data' },
    ],
  })
}

/** Arguments of all, and for each function two calls that were inlined. */
function functionData(names: readonly string[]): readonly Piece[] {
  const call = (at: number, to: string): Fix => ({ at: at + 4, kind: 'from', to: `go name ${to}`, from: 'go names' })
  return [
    piece({ name: 'go data', size: 16, numbers: [[0, 0x1001_0001]] }),
    ...names.map((name, i) =>
      piece({ name: `go tree ${name}`, size: 32, fixes: [call(0, names[(i + 1) % names.length] as string), call(16, names[0] as string)] }),
    ),
  ]
}

const typeNames = ['Reader', 'Writer', 'Closer']

/** Descriptions of structures with a method each, and of an interface. */
function types(): readonly Piece[] {
  const from = 'go types'
  const name = (at: number, to: string): Fix => ({ at, kind: 'from', to: `go name of ${to}`, from })
  const common = [
    [0, 24],
    [16, 0x1234_5678],
  ] as const
  return [
    piece({ name: 'go types', size: 8 }),
    ...typeNames.map((to) => ({ name: `go name of ${to}`, bytes: utf8(`\u0001\u0006${to}`), fixes: [] })),
    piece({ name: 'go gap', size: 32 }),
    ...typeNames.map((to) =>
      piece({
        name: `go type ${to}`,
        size: 48 + 32 + 16 + 16,
        numbers: [...common, [20, 0x1908_0801], [84, 0x0001_0001], [88, 16]],
        fixes: [
          name(40, to),
          name(80, to),
          name(96, to),
          { at: 100, kind: 'from', to: `go type ${to}`, from },
          { at: 104, kind: 'from', to: 'f1', from: '.text' },
          { at: 108, kind: 'from', to: 'f2', from: '.text' },
        ],
      }),
    ),
    piece({
      name: 'go type interface',
      size: 80 + 8,
      numbers: [...common, [20, 0x1408_0802], [64, 1], [72, 1]],
      fixes: [
        name(40, 'Reader'),
        { at: 56, kind: 'abs64', to: 'go type interface', plus: 80 },
        name(80, 'Writer'),
        { at: 84, kind: 'from', to: 'go type Reader', from },
      ],
    }),
  ]
}

function typeLinks(): Piece {
  const fixes = typeNames.map((to, i): Fix => ({ at: 4 * i, kind: 'from', to: `go type ${to}`, from: 'go types' }))
  return piece({ name: 'go links', size: 4 * fixes.length, fixes })
}

/** A bucket of 20 bytes for every 4096 of code. */
function index({ functions }: Program): Piece {
  const count = Math.ceil(functions.reduce((sum, { size }) => sum + size, 0) / 4096)
  return piece({ name: 'go index', size: 20 * count, numbers: Array.from({ length: count }, (_, i) => [20 * i, i] as const) })
}

function moduleRecord(): Piece {
  const word = (number: number, to: string): Fix => ({ at: 8 * number, kind: 'abs64', to })
  const fixes = [
    word(0, table),
    word(1, 'go names'),
    word(19, 'go index'),
    word(37, 'go types'),
    word(38, 'end of .go.rodata'),
    word(40, 'go data'),
  ]
  return piece({ name: 'go module', size: 8 * 50, fixes })
}
