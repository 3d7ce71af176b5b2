import { numberAt } from '../../../format/elf.ts'
import { hasBit, offsetOf, setBit } from './image.ts'
import { markBased } from './marking.ts'
import { bases, kinds } from './reference.ts'
import { findGoTypes } from './go-types.ts'
import type { ElfSection } from '../../../format/elf.ts'
import type { Marked } from './image.ts'

/**
 * References in the tables that Go's run-time system keeps of its functions (Go source, runtime/symtab.go and
 * debug/gosym/pclntab.go; versions 1.18 and 1.20 of the table, as Go 1.18 to 1.26 write them).
 */

const magics: ReadonlySet<number> = new Set([0xffff_fff0, 0xffff_fff1])
const headerSize = 72
/** Of the entry of a function, before its variable part. */
const functionSize = 44
const mostTables = 16

/** Marks what it finds; answers the sections that need no other look. */
export function findInGoTables(image: Marked): readonly ElfSection[] {
  const view = new DataView(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length)
  const isTable = ({ isLoaded, isCode, size, offset }: ElfSection): boolean =>
    isLoaded && !isCode && size > headerSize && magics.has(view.getUint32(offset, true)) && view.getUint8(offset + 7) === 8
  const { sections } = image.layout
  const table = sections.find(isTable)
  if (table === undefined) return []
  const [names, units, files, tables, functions] = [32, 40, 48, 56, 64].map((at) => numberAt(view, table.offset + at)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  const count = numberAt(view, table.offset + 8)
  const isSound = 0 <= names && names <= units && units <= files && files <= tables && tables <= functions && 0 <= count
  if (!isSound || functions + count * 8 + 4 > table.size) return []
  for (const [base, at] of [
    [bases.goNames, names],
    [bases.goUnits, units],
    [bases.goFiles, files],
    [bases.goTables, tables],
    [bases.goFunctions, functions],
    [bases.goIndex, functions],
  ] as const) {
    image.bases[base] = table.address + at
  }
  const module = findModule(image, view, table.address, table.address + names)
  const text = numberAt(view, table.offset + 24) - image.base
  image.bases[bases.goText] = isWithin(image, text)
    ? text
    : (sections.find(({ name, isLoaded }) => name === '.text' && isLoaded)?.address ?? 0)
  if (module !== undefined) {
    image.bases[bases.goTypes] = module.types
    image.bases[bases.goFuncData] = module.functionData
    markIndex(image, view, module.index)
  }
  for (let at = table.offset + units; at + 4 <= table.offset + files; at += 4)
    if (view.getUint32(at, true) !== 0xffff_ffff) markBased(image, view, at, bases.goFiles)
  const entries = { start: table.offset + functions, count, end: table.offset + table.size }
  findInFunctions(image, view, entries)
  if (module !== undefined) {
    findInlined(image, view, entries)
    findGoTypes(image, view)
  }
  const links = module === undefined ? undefined : sections.find(({ name }) => name === '.typelink')
  if (links === undefined) return [table]
  for (let at = links.offset; at + 4 <= links.offset + links.size; at += 4) markBased(image, view, at, bases.goTypes)
  return [table, links]
}

type GoModule = { readonly types: number; readonly functionData: number; readonly index: number }

/** The record of the module begins with the addresses of the table and of the names in it; more of its words follow by number. */
const moduleWords = { index: 19, types: 37, endOfTypes: 38, functionData: 40, functionDataSince126: 43 } as const

function findModule(image: Marked, view: DataView, table: number, names: number): GoModule | undefined {
  const wordAt = (at: number): number => numberAt(view, at) - image.base
  for (const { offset, size, isLoaded, isWritable } of image.layout.sections) {
    if (!isLoaded || !isWritable) continue
    for (let at = offset + (-offset & 7); at + 352 <= offset + size; at += 8) {
      if (wordAt(at) !== table || wordAt(at + 8) !== names) continue
      const word = (number: number): number => wordAt(at + 8 * number)
      const isOlder = word(moduleWords.endOfTypes) > word(moduleWords.types) && word(moduleWords.endOfTypes) <= image.span
      const functionData = word(isOlder ? moduleWords.functionData : moduleWords.functionDataSince126)
      const found = { types: word(moduleWords.types), functionData, index: word(moduleWords.index) }
      return Object.values(found).every((address) => isWithin(image, address)) ? found : undefined
    }
  }
  return undefined
}

function isWithin({ span }: Marked, address: number): boolean {
  return address > 0 && address < span
}

/** A bucket for every 4096 bytes of code: the number of a function, then 16 bytes. */
function markIndex(image: Marked, view: DataView, address: number): void {
  const start = offsetOf(image.layout.segments, address)
  const code = image.layout.sections.find(({ name }) => name === '.text')
  if (start < 0 || code === undefined) return
  const end = Math.min(image.bytes.length - 4, start + Math.ceil(code.size / 4096) * 20)
  for (let at = start; at < end; at += 20) markBased(image, view, at, bases.goIndex)
}

/** Where the table of functions begins, of pairs of code and entry, and where its section ends. */
type GoFunctions = { readonly start: number; readonly count: number; readonly end: number }

function findInFunctions(image: Marked, view: DataView, { start, count, end }: GoFunctions): void {
  for (let at = start; at < start + count * 8; at += 8) {
    markBased(image, view, at, bases.goText)
    markBased(image, view, at + 4, bases.goFunctions)
    const entry = start + view.getUint32(at + 4, true)
    if (entry + functionSize <= end) findInFunction(image, view, entry, end)
  }
  markBased(image, view, start + count * 8, bases.goText)
}

function findInFunction(image: Marked, view: DataView, at: number, end: number): void {
  markBased(image, view, at, bases.goText)
  markBased(image, view, at + 4, bases.goNames)
  for (const place of [16, 20, 24]) if (view.getUint32(at + place, true) !== 0) markBased(image, view, at + place, bases.goTables)
  markBased(image, view, at + 32, bases.goUnits)
  const tables = tablesOf(view, at)
  let next = at + functionSize
  for (let i = 0; i < tables && next + 4 <= end; i++, next += 4)
    if (view.getUint32(next, true) !== 0) markBased(image, view, next, bases.goTables)
  const data = image.bases[bases.goFuncData] === 0 ? 0 : Math.min(mostTables, view.getUint8(at + 43))
  for (let i = 0; i < data && next + 4 <= end; i++, next += 4) {
    const piece = view.getUint32(next, true)
    if (piece !== 0xffff_ffff && markBased(image, view, next, bases.goFuncData)) setBit(image.targets, pieceAddress(image, piece))
  }
}

function tablesOf(view: DataView, at: number): number {
  return Math.min(mostTables, view.getUint32(at + 28, true))
}

function pieceAddress(image: Marked, piece: number): number {
  return (image.bases[bases.goFuncData] as number) + piece
}

/** Which piece of a function's data is the tree of the calls that were inlined. */
const treeIndex = 3

function findInlined(image: Marked, view: DataView, { start, count, end }: GoFunctions): void {
  const first = offsetOf(image.layout.segments, image.bases[bases.goFuncData] as number)
  if (first < 0) return
  for (let at = start; at < start + count * 8; at += 8) {
    const entry = start + view.getUint32(at + 4, true)
    if (entry + functionSize > end || view.getUint8(entry + 43) <= treeIndex) continue
    const tree = entry + functionSize + 4 * (tablesOf(view, entry) + treeIndex)
    if (tree + 4 <= end) findInTree(image, view, first, view.getUint32(tree, true))
  }
}

/** Of an inlined call: kind, three bytes of nothing, name, place, line. */
const callSize = 16

/** A tree ends at the latest where other data begin, and where somebody was before. */
function findInTree(image: Marked, view: DataView, first: number, tree: number): void {
  for (let piece = tree; piece === tree || !hasBit(image.targets, pieceAddress(image, piece)); piece += callSize) {
    const at = first + piece
    if (at + callSize > image.bytes.length || view.getUint32(at, true) > 63 || image.marks[at + 4] !== kinds.none) return
    if (!markBased(image, view, at + 4, bases.goNames)) return
  }
}
