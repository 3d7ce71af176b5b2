import { concatBytes } from '../../src/base/bytes.ts'
import { numbers } from './numbers.ts'
import type { Fix, Piece, Program } from './executable.ts'
import type { Numbers } from './numbers.ts'

/** The body is a function of `seed`, `size` and `uses` alone; names that begin with `f` are functions. */
export type FunctionLiteral = { readonly name: string; readonly seed: number; readonly size: number; readonly uses: readonly string[] }

export const hasSwitch = ({ seed }: FunctionLiteral): boolean => seed % 3 === 0
export const tableName = ({ name }: FunctionLiteral): string => `table of ${name}`

export function codeOf(one: FunctionLiteral, { machine, isFixed }: Program): Piece {
  return machine === 'x86-64' ? body(one, x86Filling, (to, random) => x86Use(to, random, isFixed)) : body(one, arm64Filling, arm64Use)
}

type Code = { readonly bytes: readonly number[]; readonly fixes: readonly Fix[] }

/** Instructions that refer to something, and between them some that do not. */
function body(one: FunctionLiteral, filling: (random: Numbers) => readonly number[], use: (to: string, random: Numbers) => Code): Piece {
  const random = numbers(one.seed)
  const uses = [...one.uses, ...(hasSwitch(one) ? [tableName(one)] : [])]
  const parts: Uint8Array[] = []
  const fixes: Fix[] = []
  let size = 0
  const put = (bytes: readonly number[]): void => {
    parts.push(Uint8Array.from(bytes))
    size += bytes.length
  }
  for (let i = 0; size < one.size || i < uses.length; i++) {
    for (let count = random.below(4); count >= 0; count--) put(filling(random))
    const to = uses[i]
    if (to === undefined) continue
    const code = use(to, random)
    fixes.push(...code.fixes.map((fix) => ({ ...fix, at: fix.at + size })))
    put(code.bytes)
  }
  return { name: one.name, bytes: concatBytes(parts), fixes }
}

function x86Filling(random: Numbers): readonly number[] {
  const [a, b, immediate] = [random.below(8), random.below(8), random.below(256)]
  return random.of([
    [0x48, 0x89, 0xc0 | (a << 3) | b],
    [0x48, 0x83, 0xc0 | b, immediate],
    [0x8b, 0x45 | (a << 3), immediate],
    [0x0f, 0xb6, 0xc0 | (a << 3) | b],
    [0x50 | a],
    [0xc5, 0xf8, 0x28, 0xc0 | (a << 3) | b],
    [0xb8 | a, immediate, 0, 0, 0],
  ])
}

function x86Use(to: string, random: Numbers, isFixed: boolean): Code {
  const operand = (bytes: readonly number[], behind: readonly number[] = []): Code => ({
    bytes: [...bytes, 0, 0, 0, 0, ...behind],
    fixes: [{ at: bytes.length, kind: 'next', to, behind: behind.length }],
  })
  const calls = [operand([0xe8]), operand([0xe9]), operand([0x0f, 0x84 | random.below(8)]), operand([0x48, 0x8d, 0x3d])]
  if (to.startsWith('f')) return random.of(calls)
  if (isFixed && random.below(2) === 0) return { bytes: [0xbf, 0, 0, 0, 0], fixes: [{ at: 1, kind: 'abs32', to }] }
  const address = operand([0x48, 0x8d, 0x05])
  if (to.startsWith('table')) return address
  return random.of([address, operand([0x48, 0x8b, 0x0d]), operand([0x80, 0x3d], [0]), operand([0xc7, 0x05], [1, 0, 0, 0])])
}

function arm64Filling(random: Numbers): readonly number[] {
  const [a, b] = [random.below(31), random.below(31)]
  return word(
    random.of([
      0xaa00_03e0 | (a << 16) | b,
      0x8b00_0000 | (a << 16) | b,
      0xd280_0000 | (random.below(256) << 5) | b,
      0xf840_0400 | (a << 5) | b,
    ]),
  )
}

function arm64Use(to: string, random: Numbers): Code {
  const single = (value: number, kind: Fix['kind']): Code => ({ bytes: word(value), fixes: [{ at: 0, kind, to }] })
  const calls = [
    single(0x9400_0000, 'b26'),
    single(0x1400_0000, 'b26'),
    single(0x5400_0001, 'b19'),
    single(0xb400_0003, 'b19'),
    single(0x3600_0002, 'b14'),
  ]
  if (to.startsWith('f')) return random.of(calls)
  const register = random.below(31)
  const isLoad = random.below(2) === 0
  return {
    bytes: [...word(0x9000_0000 | register), ...word((isLoad ? 0xf940_0000 : 0x9100_0000) | (register << 5) | register)],
    fixes: [
      { at: 0, kind: 'adrp', to },
      { at: 4, kind: isLoad ? 'low8' : 'low', to },
    ],
  }
}

function word(value: number): readonly number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]
}
