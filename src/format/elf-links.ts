/**
 * What an ELF file wants of the run-time linker (System V ABI, "gABI" 4.1 chapter 5): 32 and 64 bits, either byte order.
 * Read piece by piece, since only a few kilobytes of a large file matter. Nothing in it is trusted: what does not fit makes
 * no sense, and what makes no sense wants nothing.
 */
export type ElfLinks = {
  /** Names of shared libraries, as they stand in the file. */
  readonly needed: readonly string[]
  /** The name under which others need it. */
  readonly soname?: string
  /** The path of the run-time linker that it asks for. */
  readonly interpreter?: string
}

/** Bytes of the file that are to be read next; fewer come where the file ends. */
export type ElfRange = { readonly start: number; readonly end: number }

/** A conversation: asks for ranges, is given their bytes, answers at the end; undefined for what is no ELF file. */
export type ElfReading = Generator<ElfRange, ElfLinks | undefined, Uint8Array>

type Header = {
  readonly view: DataView
  readonly isWide: boolean
  readonly isLittle: boolean
  readonly segments: { readonly start: number; readonly count: number }
}
type Segment = { readonly type: number; readonly offset: number; readonly address: number; readonly size: number }

const headSize = 4096
const longestName = 1024
const mostSegments = 256
const mostDynamic = 1 << 16
const mostNeeded = 1024

const segmentTypes = { load: 1, dynamic: 2, interpreter: 3 } as const
const tags = { needed: 1, strings: 5, soname: 14, auxiliary: 0x7fff_fffd, filter: 0x7fff_ffff } as const

export function* readElfLinks(): ElfReading {
  const header = headerOf(yield { start: 0, end: headSize })
  if (header === undefined) return undefined
  const segments = yield* readSegments(header)
  const interpreter = segments.find(({ type }) => type === segmentTypes.interpreter)
  const path = interpreter === undefined ? undefined : yield* readName(interpreter.offset)
  const dynamic = segments.find(({ type }) => type === segmentTypes.dynamic)
  const links = dynamic === undefined ? { needed: [] } : yield* readDynamic(header, segments, dynamic)
  return { ...links, ...(path === undefined ? {} : { interpreter: path }) }
}

function headerOf(head: Uint8Array): Header | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  if (view.byteLength < 52 || view.getUint32(0, false) !== 0x7f45_4c46) return undefined
  const [width, byteOrder] = [view.getUint8(4), view.getUint8(5)]
  if ((width !== 1 && width !== 2) || (byteOrder !== 1 && byteOrder !== 2)) return undefined
  const [isWide, isLittle] = [width === 2, byteOrder === 1]
  if (isWide && view.byteLength < 64) return undefined
  const [start, size, count] = isWide
    ? [wideAt(view, 32, isLittle), view.getUint16(54, isLittle), view.getUint16(56, isLittle)]
    : [view.getUint32(28, isLittle), view.getUint16(42, isLittle), view.getUint16(44, isLittle)]
  if (size !== (isWide ? 56 : 32) || start === undefined || count > mostSegments) return undefined
  return { view, isWide, isLittle, segments: { start, count } }
}

function* readSegments(header: Header): Generator<ElfRange, readonly Segment[], Uint8Array> {
  const size = header.isWide ? 56 : 32
  const { start, count } = header.segments
  const end = start + count * size
  const view =
    end <= header.view.byteLength
      ? new DataView(header.view.buffer, header.view.byteOffset + start, count * size)
      : viewOf(yield { start, end })
  const segments: Segment[] = []
  for (let at = 0; at + size <= view.byteLength; at += size) {
    const segment = segmentAt(view, at, header)
    if (segment !== undefined) segments.push(segment)
  }
  return segments
}

function segmentAt(view: DataView, at: number, { isWide, isLittle }: Header): Segment | undefined {
  const type = view.getUint32(at, isLittle)
  if (!isWide) {
    const [offset, address, size] = [view.getUint32(at + 4, isLittle), view.getUint32(at + 8, isLittle), view.getUint32(at + 16, isLittle)]
    return { type, offset, address, size }
  }
  const [offset, address, size] = [wideAt(view, at + 8, isLittle), wideAt(view, at + 16, isLittle), wideAt(view, at + 32, isLittle)]
  return offset === undefined || address === undefined || size === undefined ? undefined : { type, offset, address, size }
}

type Named = { readonly needed: readonly number[]; readonly soname: number | undefined; readonly strings: number | undefined }

function* readDynamic(
  header: Header,
  segments: readonly Segment[],
  { offset, size }: Segment,
): Generator<ElfRange, Omit<ElfLinks, 'interpreter'>, Uint8Array> {
  const named = namedBy(header, viewOf(yield { start: offset, end: offset + Math.min(size, mostDynamic) }))
  const strings = named.strings === undefined ? undefined : offsetOf(segments, named.strings)
  if (strings === undefined) return { needed: [] }
  const needed: string[] = []
  for (const at of named.needed) {
    const name = yield* readName(strings + at)
    if (name !== undefined) needed.push(name)
  }
  const soname = named.soname === undefined ? undefined : yield* readName(strings + named.soname)
  return { needed, ...(soname === undefined ? {} : { soname }) }
}

function namedBy({ isWide, isLittle }: Header, view: DataView): Named {
  const width = isWide ? 8 : 4
  const valueAt = (at: number): number | undefined => (isWide ? wideAt(view, at, isLittle) : view.getUint32(at, isLittle))
  const needed = new Set<number>()
  let [soname, strings]: (number | undefined)[] = []
  for (let at = 0; at + 2 * width <= view.byteLength; at += 2 * width) {
    const [tag, value] = [valueAt(at), valueAt(at + width)]
    if (tag === 0) break
    if (value === undefined) continue
    if (tag === tags.strings) strings ??= value
    else if (tag === tags.soname) soname ??= value
    else if ((tag === tags.needed || tag === tags.auxiliary || tag === tags.filter) && needed.size < mostNeeded) needed.add(value)
  }
  return { needed: [...needed], soname, strings }
}

/** Where in the file an address of the loaded program lies. */
function offsetOf(segments: readonly Segment[], address: number): number | undefined {
  const holder = segments.find((one) => one.type === segmentTypes.load && address >= one.address && address < one.address + one.size)
  return holder === undefined ? undefined : holder.offset + (address - holder.address)
}

/** Undefined where it is empty, or does not end. */
function* readName(start: number): Generator<ElfRange, string | undefined, Uint8Array> {
  if (!Number.isSafeInteger(start + longestName)) return undefined
  const bytes = yield { start, end: start + longestName }
  const end = bytes.indexOf(0)
  return end <= 0 ? undefined : Buffer.from(bytes.subarray(0, end)).toString('latin1')
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Undefined beyond what a double holds exactly: no file is so large. */
function wideAt(view: DataView, at: number, isLittle: boolean): number | undefined {
  const value = view.getBigUint64(at, isLittle)
  return value > 0x1f_ffff_ffff_ffffn ? undefined : Number(value)
}
