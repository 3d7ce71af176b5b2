/**
 * Where the contents of a zip archive lie (APPNOTE.TXT 6.3, jar files too). Nothing is trusted: what is no archive whose
 * central directory and local headers agree has no entries. For finding contents; nothing found here may be unpacked.
 */
export type ZipEntry = {
  /** One char per byte: not safe to use as a path on a disk. */
  readonly name: string
  readonly method: 'stored' | 'deflated' | 'other'
  /** Of its bytes as they lie there, behind the local header; a data descriptor is not among them. */
  readonly start: number
  readonly end: number
  readonly contentSize: number
  /** Of its local header. */
  readonly headerStart: number
}

export type Zip = { readonly entries: readonly ZipEntry[]; readonly directoryStart: number }

const endMagic = 0x06054b50
const endSize = 22
const longestComment = 0xffff
const directoryMagic = 0x02014b50
const directorySize = 46
const localMagic = 0x04034b50
const localSize = 30
const zip64EndMagic = 0x06064b50
const zip64EndSize = 56
const zip64LocatorMagic = 0x07064b50
const zip64LocatorSize = 20
const zip64Extra = 1
const encrypted = 1
const mostEntries = 1 << 18

export function isZip(start: Uint8Array): boolean {
  return start[0] === 0x50 && start[1] === 0x4b && start[2] === 3 && start[3] === 4
}

/** Bytes that are enough for `endsAsZip`. */
export const zipEndSize: number = endSize

/** An archive with something else in front, a program that unpacks it as a rule; where it has no comment. */
export function endsAsZip(end: Uint8Array): boolean {
  const at = end.length - endSize
  return at >= 0 && end[at] === 0x50 && end[at + 1] === 0x4b && end[at + 2] === 5 && end[at + 3] === 6
}

/** Entries by their place. Undefined for what is no archive, a damaged one, or one whose entries overlap. */
export function readZip(bytes: Uint8Array): Zip | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = findEnd(view)
  if (end === undefined) return undefined
  // In front of an archive that unpacks itself stands a program, and places count from behind it.
  const shift = end.endsAt - end.size - end.start
  if (shift < 0) return undefined
  const entries: ZipEntry[] = []
  let at = end.start + shift
  const directoryStart = at
  for (let i = 0; i < end.count; i++) {
    const found = entryAt(view, bytes, at, shift, end.endsAt)
    if (found === undefined || found.entry.end > directoryStart) return undefined
    entries.push(found.entry)
    at = found.next
  }
  if (at !== end.endsAt) return undefined
  entries.sort((a, b) => a.start - b.start)
  return entries.some((entry, i) => i > 0 && entry.start < (entries[i - 1] as ZipEntry).end) ? undefined : { entries, directoryStart }
}

/** What the end of the archive says of its directory; `endsAt`: where that ends. */
type End = { readonly count: number; readonly size: number; readonly start: number; readonly endsAt: number }

function findEnd(view: DataView): End | undefined {
  const last = view.byteLength - endSize
  for (let at = last; at >= Math.max(0, last - longestComment); at--) {
    if (view.getUint32(at, true) !== endMagic || at + endSize + view.getUint16(at + 20, true) !== view.byteLength) continue
    return longEnd(view, at) ?? checkedEnd(view.getUint16(at + 10, true), view.getUint32(at + 12, true), view.getUint32(at + 16, true), at)
  }
  return undefined
}

/** The end of an archive with more than 65,535 entries or 4 GiB, in front of the usual one. */
function longEnd(view: DataView, end: number): End | undefined {
  const locator = end - zip64LocatorSize
  const at = locator - zip64EndSize
  if (at < 0 || view.getUint32(locator, true) !== zip64LocatorMagic || view.getUint32(at, true) !== zip64EndMagic) return undefined
  return checkedEnd(long(view, at + 32), long(view, at + 40), long(view, at + 48), at)
}

function checkedEnd(count: number, size: number, start: number, endsAt: number): End | undefined {
  return count <= mostEntries && size >= count * directorySize && start + size <= endsAt ? { count, size, start, endsAt } : undefined
}

function entryAt(
  view: DataView,
  bytes: Uint8Array,
  at: number,
  shift: number,
  limit: number,
): { readonly entry: ZipEntry; readonly next: number } | undefined {
  if (at + directorySize > limit || view.getUint32(at, true) !== directoryMagic) return undefined
  const [nameSize, extraSize, commentSize] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)]
  const nameEnd = at + directorySize + nameSize
  const next = nameEnd + extraSize + commentSize
  if (next > limit) return undefined
  const sizes = longSizes(view, nameEnd, nameEnd + extraSize, {
    contentSize: view.getUint32(at + 24, true),
    size: view.getUint32(at + 20, true),
    local: view.getUint32(at + 42, true),
  })
  if (sizes === undefined) return undefined
  const local = sizes.local + shift
  if (local + localSize > limit || view.getUint32(local, true) !== localMagic) return undefined
  const start = local + localSize + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + at + directorySize, nameSize).toString('latin1')
  const method = (view.getUint16(at + 8, true) & encrypted) === 0 ? methodOf(view.getUint16(at + 10, true)) : 'other'
  return { entry: { name, method, start, end: start + sizes.size, contentSize: sizes.contentSize, headerStart: local }, next }
}

function methodOf(number: number): ZipEntry['method'] {
  return number === 0 ? 'stored' : number === 8 ? 'deflated' : 'other'
}

type Sizes = { readonly contentSize: number; readonly size: number; readonly local: number }

/** Numbers of 32 bits that are all ones stand in the extra field, in this order, those of them alone. */
function longSizes(view: DataView, start: number, end: number, short: Sizes): Sizes | undefined {
  if (Math.max(short.contentSize, short.size, short.local) < 0xffff_ffff) return short
  for (let at = start; at + 4 <= end; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== zip64Extra) continue
    let place = at + 4
    const longer = (value: number): number => {
      if (value < 0xffff_ffff) return value
      place += 8
      return place <= end ? long(view, place - 8) : Infinity
    }
    const sizes = { contentSize: longer(short.contentSize), size: longer(short.size), local: longer(short.local) }
    return Number.isSafeInteger(sizes.contentSize + sizes.size + sizes.local) ? sizes : undefined
  }
  return undefined
}

function long(view: DataView, at: number): number {
  return view.getUint32(at, true) + 2 ** 32 * view.getUint32(at + 4, true)
}
