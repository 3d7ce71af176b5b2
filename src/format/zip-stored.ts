import { concatBytes } from '../base/bytes.ts'
import { readZip } from './zip.ts'
import type { ZipEntry } from './zip.ts'

/** The content of a deflated entry; undefined where it is damaged, or larger than `size`. */
type Inflate = (bytes: Uint8Array, size: number) => Uint8Array | undefined

const directorySize = 46
const endSize = 22
const descriptorFlag = 8
const most = 0xffff_ffff

/**
 * The same archive with its entries stored, in the order of their places; their headers say the same but for that. Undefined
 * for what is no such archive, for a program in front, for one with more than 4 GiB, and where an entry is damaged.
 */
export function storedZip(bytes: Uint8Array, inflate: Inflate): Uint8Array | undefined {
  const zip = readZip(bytes)
  if (zip === undefined) return undefined
  const parts: Uint8Array[] = []
  /** Where an entry's header was, and is now. */
  const places = new Map<number, Stored>()
  let size = 0
  for (const entry of zip.entries) {
    const stored = storedEntry(bytes, entry, size, inflate)
    if (stored === undefined) return undefined
    places.set(stored.before, stored)
    parts.push(stored.header, stored.content)
    size += stored.header.length + stored.content.length
  }
  const end = size > most ? undefined : endOf(bytes, zip.directoryStart, places, size)
  return end && concatBytes([...parts, end])
}

type Stored = {
  readonly before: number
  readonly now: number
  readonly header: Uint8Array
  readonly content: Uint8Array
}

function storedEntry(
  bytes: Uint8Array,
  { method, start, end, contentSize, headerStart }: ZipEntry,
  now: number,
  inflate: Inflate,
): Stored | undefined {
  const packed = bytes.subarray(start, end)
  const content = method === 'deflated' ? inflate(packed, contentSize) : packed
  const header = bytes.slice(headerStart, start)
  const view = new DataView(header.buffer)
  if (content === undefined || content.length !== contentSize || contentSize >= most) return undefined
  if (method === 'deflated') view.setUint16(8, 0, true)
  return { before: headerStart, now, header, content }
}

/** Directory and end. Sizes that stood behind an entry stand in its header now. */
function endOf(bytes: Uint8Array, from: number, places: ReadonlyMap<number, Stored>, directoryStart: number): Uint8Array | undefined {
  const end = bytes.slice(from)
  const view = new DataView(end.buffer)
  let at = 0
  for (let i = 0; i < places.size; i++) {
    const stored = places.get(view.getUint32(at + 42, true))
    if (stored === undefined) return undefined
    const { header, content, now } = stored
    const local = new DataView(header.buffer)
    const flags = view.getUint16(at + 8, true) & ~descriptorFlag
    for (const [one, shift] of [
      [view, at + 2],
      [local, 0],
    ] as const) {
      one.setUint16(shift + 6, flags, true)
      one.setUint16(shift + 8, local.getUint16(8, true), true)
      one.setUint32(shift + 14, view.getUint32(at + 16, true), true)
      one.setUint32(shift + 18, content.length, true)
      one.setUint32(shift + 22, content.length, true)
    }
    view.setUint32(at + 42, now, true)
    at += directorySize + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
  }
  if (at + endSize > end.length || view.getUint32(at, true) !== 0x06054b50) return undefined
  view.setUint32(at + 16, directoryStart, true)
  return end
}
