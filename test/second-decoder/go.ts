import { isCode, isWritable, placeOf } from './elf.ts'
import type { Finder } from './finder.ts'
import type { Section } from './elf.ts'

const none = 0xffff_ffff

/** Go's table of functions: places of its parts, and of the tables that its module tells. */
type Table = {
  readonly section: Section
  readonly end: number
  readonly functions: number
  readonly count: number
  readonly hasModule: boolean
}

export function markGo(finder: Finder): void {
  const { file, sections, bases, layout } = finder
  const isTable = ({ isLoaded, flags, size, offset }: Section): boolean =>
    isLoaded &&
    (flags & isCode.section) === 0 &&
    size > 72 &&
    [0xffff_fff0, 0xffff_fff1].includes(file.u32(offset)) &&
    file.u8(offset + 7) === 8
  const section = sections.find(isTable)
  if (!section) return
  const { offset, size, address } = section
  const field = (at: number): number => file.i64(offset + at)
  const [count, text, names, units, files, lines, functions] = [
    field(8),
    field(24) - layout.base,
    field(32),
    field(40),
    field(48),
    field(56),
    field(64),
  ]
  if (names < 0 || names > units || units > files || files > lines || lines > functions || count < 0 || functions + 8 * count + 4 > size)
    return
  finder.done.add(section)
  for (const [n, at] of [
    [3, names],
    [5, units],
    [10, files],
    [4, lines],
    [2, functions],
    [11, functions],
  ] as const)
    bases[n] = address + at
  const isText = text > 0 && text < layout.span
  bases[1] = isText ? text : (sections.find((one) => one.isLoaded && one.name === '.text')?.address ?? 0)
  const hasModule = readModule(finder, section, address + names)
  for (let at = offset + units; at + 4 <= offset + files; at += 4) finder.markUnless(none, at, 30)
  const table = { section, end: offset + size, functions: offset + functions, count, hasModule }
  const pieces = markFunctions(finder, table)
  if (!hasModule) return
  markTrees(finder, table, pieces)
  markTypes(finder)
  const links = sections.find((one) => one.name === '.typelink')
  if (!links) return
  for (let at = links.offset; at + 4 <= links.offset + links.size; at += 4) finder.mark(at, 26)
  finder.done.add(links)
}

function readModule(finder: Finder, table: Section, names: number): boolean {
  const { file, sections, bases, layout } = finder
  for (const { isLoaded, flags, offset, size } of sections) {
    if (!isLoaded || (flags & isWritable.section) === 0) continue
    for (let at = Math.ceil(offset / 8) * 8; at + 352 <= offset + size; at += 8) {
      const word = (n: number): number => file.i64(at + 8 * n) - layout.base
      if (word(0) !== table.address || word(1) !== names) continue
      const found = [word(19), word(37), word(37) < word(38) && word(38) <= layout.span ? word(40) : word(43)] as const
      if (!found.every((address) => address > 0 && address < layout.span)) return false
      bases[6] = found[1]
      bases[7] = found[2]
      markIndex(finder, placeOf(layout, found[0]))
      return true
    }
  }
  return false
}

function markIndex(finder: Finder, start: number): void {
  const text = finder.sections.find((one) => one.name === '.text')
  for (let i = 0; start >= 0 && i < (text?.size ?? 0) / 4096; i++)
    if (start + 20 * i < finder.marks.length - 4) finder.mark(start + 20 * i, 31)
}

/** Where the entry of a function begins, and the places of its two lists of words. */
function entryOf(
  { file }: Finder,
  { section, functions, end }: Table,
  i: number,
): { at: number; lines: number; data: number; dataCount: number } | undefined {
  const at = functions + file.u32(functions + 8 * i + 4)
  if (at + 44 > end || at < section.offset) return undefined
  const lines = at + 44
  return { at, lines, data: lines + 4 * Math.min(16, file.u32(at + 28)), dataCount: file.u8(at + 43) }
}

/** The addresses of pieces. */
function markFunctions(finder: Finder, table: Table): ReadonlySet<number> {
  const pieces = new Set<number>()
  for (let i = 0; i < table.count; i++) {
    finder.mark(table.functions + 8 * i, 21)
    finder.mark(table.functions + 8 * i + 4, 22)
    const entry = entryOf(finder, table, i)
    if (!entry) continue
    finder.mark(entry.at, 21)
    finder.mark(entry.at + 4, 23)
    for (const at of [16, 20, 24]) finder.markUnless(0, entry.at + at, 24)
    finder.mark(entry.at + 32, 25)
    for (let at = entry.lines; at < entry.data && at + 4 <= table.end; at += 4) finder.markUnless(0, at, 24)
    for (let n = 0, at = entry.data; table.hasModule && n < Math.min(16, entry.dataCount) && at + 4 <= table.end; n++, at += 4)
      if (finder.markUnless(none, at, 27)) pieces.add(finder.targetAt(at, 27))
  }
  finder.mark(table.functions + 8 * table.count, 21)
  return pieces
}

function markTrees(finder: Finder, table: Table, pieces: ReadonlySet<number>): void {
  const { file, marks, bases, layout } = finder
  const first = placeOf(layout, bases[7] as number)
  for (let i = 0; i < table.count && first >= 0; i++) {
    const entry = entryOf(finder, table, i)
    if (!entry || entry.dataCount <= 3 || entry.data + 16 > table.end) continue
    const tree = file.u32(entry.data + 12)
    for (let at = tree; at === tree || !pieces.has((bases[7] as number) + at); at += 16) {
      const place = first + at
      if (place + 16 > marks.length || file.u32(place) > 63 || marks[place + 4] !== 0 || finder.mark(place + 4, 23) === undefined) break
    }
  }
}

function markTypes(finder: Finder): void {
  const { file, sections, bases, layout } = finder
  const start = placeOf(layout, bases[6] as number)
  const section = sections.find(({ offset, size }) => start >= offset && start < offset + size)
  if (!section) return
  const end = section.offset + section.size
  const isAddress = (at: number): boolean => {
    const address = file.i64(at) - layout.base
    return file.i64(at) === 0 || (address >= 0x1000 && address < layout.span)
  }
  const isType = (at: number): boolean => {
    const [kind, alignments] = [file.u8(at + 23) & 31, [file.u8(at + 21), file.u8(at + 22)]]
    if (kind < 1 || kind > 26 || file.u8(at + 20) > 63 || !alignments.every((one) => [1, 2, 4, 8, 16].includes(one))) return false
    if (file.u32(at + 16) === 0 || file.u32(at + 40) === 0 || file.u32(at + 4) !== 0 || file.u32(at + 12) !== 0) return false
    return file.u32(at + 8) <= file.u32(at) && isAddress(at + 24) && isAddress(at + 32)
  }
  for (let at = Math.ceil(start / 8) * 8; at + 48 <= end; at += 8) if (isType(at)) markType(finder, at, end)
}

const methodsAt: Readonly<Record<number, readonly number[]>> = {
  17: [72],
  18: [64],
  19: [56],
  20: [80],
  22: [56],
  23: [56],
  25: [80],
  21: [88, 104, 112],
}

function markType(finder: Finder, at: number, end: number): void {
  const { file, marks, layout } = finder
  const isName = (place: number): boolean => finder.markUnless(0, place, 26)
  isName(at + 40)
  isName(at + 44)
  const kind = file.u8(at + 23) & 31
  if (kind === 20 && at + 80 <= end) {
    const [place, count] = [placeOf(layout, file.i64(at + 56) - layout.base), file.i64(at + 64)]
    const fits = place >= 0 && count >= 1 && count <= 4096 && place + 8 * count <= end
    for (let pair = place; fits && pair < place + 8 * count && marks[pair] === 0 && isName(pair); pair += 8) isName(pair + 4)
  }
  if ((file.u8(at + 20) & 1) === 0) return
  const methods = (start: number): number => start + file.u32(start + 8)
  const fits = (start: number): boolean => {
    if (start + 16 > end || file.u16(start + 4) > 4096 || file.u16(start + 6) > file.u16(start + 4) || file.u32(start + 12) !== 0)
      return false
    return methods(start) >= start + 16 && methods(start) + 16 * file.u16(start + 4) <= end
  }
  const start = (methodsAt[kind] ?? [48]).map((offset) => at + offset).find(fits)
  if (start === undefined) return
  isName(start)
  const methodsEnd = methods(start) + 16 * file.u16(start + 4)
  for (let one = methods(start); one < methodsEnd && marks[one] === 0 && isName(one); one += 16) {
    isName(one + 4)
    finder.markUnless(none, one + 8, 21)
    finder.markUnless(none, one + 12, 21)
  }
}
