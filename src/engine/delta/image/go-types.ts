import { numberAt } from '../../../format/elf.ts'
import { offsetOf } from './image.ts'
import { markBased } from './marking.ts'
import { bases, kinds } from './reference.ts'
import type { Marked } from './image.ts'

/**
 * References in Go's descriptions of types (Go source, internal/abi/type.go): offsets of names, types and methods. Nobody
 * says where each description is, so every eighth byte is looked at for what can only be one.
 */

const typeSize = 48
/** Of the description of a kind, before what a type with methods has behind it; of the others 48. */
const sizes: Readonly<Record<number, number>> = { 17: 72, 18: 64, 19: 56, 20: 80, 22: 56, 23: 56, 25: 80 }
const kindOf = { map: 21, interface: 20 } as const
/** Maps are larger since Go 1.24. */
const mapSizes = [88, 104, 112]
const hasMethods = 1
const mostMethods = 4096

export function findGoTypes(image: Marked, view: DataView): void {
  const start = offsetOf(image.layout.segments, image.bases[bases.goTypes] as number)
  const section = image.layout.sections.find(({ offset, size }) => start >= offset && start < offset + size)
  if (section === undefined) return
  const end = section.offset + section.size
  for (let at = start + (-start & 7); at + typeSize <= end; at += 8) if (isType(image, view, at)) findInType(image, view, at, end)
}

function isType(image: Marked, view: DataView, at: number): boolean {
  const kind = view.getUint8(at + 23) & 31
  if (kind === 0 || kind > 26 || view.getUint8(at + 20) > 63) return false
  if (!isAlignment(view.getUint8(at + 21)) || !isAlignment(view.getUint8(at + 22))) return false
  if (view.getUint32(at + 16, true) === 0 || view.getUint32(at + 40, true) === 0) return false
  if (view.getUint32(at + 4, true) !== 0 || view.getUint32(at + 12, true) !== 0 || view.getUint32(at + 8, true) > view.getUint32(at, true))
    return false
  return isAddressOrNone(image, view, at + 24) && isAddressOrNone(image, view, at + 32)
}

function isAlignment(value: number): boolean {
  return value === 1 || value === 2 || value === 4 || value === 8 || value === 16
}

function isAddressOrNone(image: Marked, view: DataView, at: number): boolean {
  const value = numberAt(view, at)
  return value === 0 || (value - image.base >= 0x1000 && value - image.base < image.span)
}

function findInType(image: Marked, view: DataView, at: number, end: number): void {
  markName(image, view, at + 40)
  markName(image, view, at + 44)
  const kind = view.getUint8(at + 23) & 31
  if (kind === kindOf.interface && at + 80 <= end) findInterfaceMethods(image, view, at, end)
  if ((view.getUint8(at + 20) & hasMethods) === 0) return
  for (const size of kind === kindOf.map ? mapSizes : [sizes[kind] ?? typeSize]) if (findMethods(image, view, at + size, end)) return
}

/** Pairs of name and type, up to the first that has no name or is known: many types may claim the same ones. */
function findInterfaceMethods(image: Marked, view: DataView, at: number, end: number): void {
  const start = offsetOf(image.layout.segments, numberAt(view, at + 56) - image.base)
  const count = numberAt(view, at + 64)
  if (start < 0 || !(count > 0 && count <= mostMethods) || start + count * 8 > end) return
  for (let method = start; method < start + count * 8 && isNew(image, method) && markName(image, view, method); method += 8)
    markName(image, view, method + 4)
}

/** Path of the package, how many methods, of which exported, where; each method is name, type and two addresses of code. */
function findMethods(image: Marked, view: DataView, at: number, end: number): boolean {
  if (at + 16 > end) return false
  const [count, exported, start] = [view.getUint16(at + 4, true), view.getUint16(at + 6, true), at + view.getUint32(at + 8, true)]
  if (exported > count || count > mostMethods || start < at + 16 || start + count * 16 > end || view.getUint32(at + 12, true) !== 0)
    return false
  markName(image, view, at)
  for (let method = start; method < start + count * 16 && isNew(image, method) && markName(image, view, method); method += 16) {
    markName(image, view, method + 4)
    for (const place of [method + 8, method + 12])
      if (view.getUint32(place, true) !== 0xffff_ffff) markBased(image, view, place, bases.goText)
  }
  return true
}

function isNew({ marks }: Marked, at: number): boolean {
  return marks[at] === kinds.none
}

/** Answers whether there is one. */
function markName(image: Marked, view: DataView, at: number): boolean {
  return view.getUint32(at, true) !== 0 && markBased(image, view, at, bases.goTypes)
}
