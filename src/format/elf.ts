/**
 * The layout of an ELF file (System V ABI, "gABI" 4.1 chapters 4 and 5; ELF-64 Object File Format 1.5), as far as finding
 * references takes it: 64-bit, little-endian, x86-64 and AArch64. Nothing in it is trusted: what does not fit the file is
 * left out, and a file that makes no sense has no layout.
 */
export type ElfLayout = {
  readonly machine: 'x86-64' | 'aarch64'
  /** Not to be moved by the run-time linker: code may hold absolute addresses. */
  readonly isFixed: boolean
  /** The lowest address of a segment; signed, so that those of kernels are exact. All other addresses count from here. */
  readonly base: number
  /** The first address behind all segments, from `base`. */
  readonly span: number
  readonly segments: readonly ElfSegment[]
  readonly sections: readonly ElfSection[]
}

/** No two claim the same bytes of the file. */
export type ElfSegment = {
  readonly offset: number
  readonly fileSize: number
  readonly address: number
  readonly memorySize: number
  readonly isCode: boolean
  readonly isWritable: boolean
}

/** Only those with bytes in the file. */
export type ElfSection = {
  readonly name: string
  readonly type: number
  readonly offset: number
  readonly size: number
  /** From `base`; meaningless where it is not loaded. */
  readonly address: number
  /** It lies within a segment, in the file and in memory alike. */
  readonly isLoaded: boolean
  readonly isCode: boolean
  readonly isWritable: boolean
}

export const sectionTypes = {
  programBits: 1,
  symbols: 2,
  rela: 4,
  dynamic: 6,
  noBits: 8,
  dynamicSymbols: 11,
  initArray: 14,
  preinitArray: 16,
  relr: 19,
} as const

/** Of the header of the file. */
export const elfHeaderSize = 64
const segmentSize = 56
const sectionSize = 64
/** The type of a segment. */
const loadable = 1
const machines: Readonly<Record<number, ElfLayout['machine']>> = { 62: 'x86-64', 183: 'aarch64' }
const mostSegments = 16
const mostSections = 4096
/** A gap of nothing costs a reader memory: an image may be so much larger in memory than in its file. */
const mostSpan = (fileSize: number): number => Math.min(2 ** 30, 8 * fileSize + (4 << 20))
/** Beyond it, sums of addresses would not be exact in a double. */
const mostAddress = 2 ** 52

/** Enough of a file's beginning for `readSegments`: program headers that end behind it are not looked for. */
export const elfHeadSize = 4096

export function readElf(bytes: Uint8Array): ElfLayout | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const machine = machineOf(view)
  if (machine === undefined) return undefined
  const segments = readSegments(bytes, bytes.length)
  if (segments === undefined) return undefined
  return {
    machine,
    isFixed: view.getUint16(16, true) === 2,
    ...segments,
    sections: readSections(view, segments.base, segments.segments),
  }
}

/** Of a file's beginning; undefined for what is no executable of a kind that is read here. */
export function machineOfElf(head: Uint8Array): ElfLayout['machine'] | undefined {
  return machineOf(new DataView(head.buffer, head.byteOffset, head.length))
}

function machineOf(view: DataView): ElfLayout['machine'] | undefined {
  if (view.byteLength < elfHeaderSize || view.getUint32(0, false) !== 0x7f45_4c46 || view.getUint16(4, true) !== 0x0102) return undefined
  return machines[view.getUint16(18, true)]
}

/** Also of the first bytes alone. `fileSize`: of the whole. */
export function readSegments(head: Uint8Array, fileSize: number): Pick<ElfLayout, 'base' | 'span' | 'segments'> | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  if (machineOf(view) === undefined) return undefined
  const end = programHeadersEnd(head)
  if (end > Math.min(elfHeadSize, view.byteLength)) return undefined
  const loaded: ElfSegment[] = []
  for (let at = numberAt(view, 32); at < end; at += segmentSize) {
    const segment = view.getUint32(at, true) === loadable ? segmentAt(view, at, fileSize) : undefined
    if (segment !== undefined && !loaded.some((other) => overlap(other, segment))) loaded.push(segment)
  }
  if (loaded.length === 0) return undefined
  const base = Math.min(...loaded.map(({ address }) => address))
  const span = Math.max(...loaded.map(({ address, memorySize }) => address + memorySize)) - base
  if (!(span > 0 && span <= mostSpan(fileSize))) return undefined
  return { base, span, segments: loaded.map((segment) => ({ ...segment, address: segment.address - base })) }
}

function segmentAt(view: DataView, at: number, fileSize: number): ElfSegment | undefined {
  const flags = view.getUint32(at + 4, true)
  const [offset, address, fileBytes, memorySize] = [
    numberAt(view, at + 8),
    numberAt(view, at + 16),
    numberAt(view, at + 32),
    numberAt(view, at + 40),
  ]
  if (offset < 0 || fileBytes < 0 || memorySize < fileBytes || offset + fileBytes > fileSize) return undefined
  if (Math.abs(address) > mostAddress) return undefined
  return { offset, fileSize: fileBytes, address, memorySize, isCode: (flags & 1) !== 0, isWritable: (flags & 2) !== 0 }
}

/** A byte in two segments would have two addresses. */
function overlap(a: ElfSegment, b: ElfSegment): boolean {
  return a.offset < b.offset + b.fileSize && b.offset < a.offset + a.fileSize
}

/** Where the program headers end that are looked at; Infinity where there are none behind the file's own header. */
export function programHeadersEnd(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const start = numberAt(view, 32)
  if (start < elfHeaderSize || view.getUint16(54, true) !== segmentSize) return Infinity
  return start + Math.min(view.getUint16(56, true), mostSegments) * segmentSize
}

function readSections(view: DataView, base: number, segments: readonly ElfSegment[]): readonly ElfSection[] {
  const size = view.byteLength
  const start = numberAt(view, 40)
  const count = view.getUint16(60, true)
  const nameIndex = view.getUint16(62, true)
  if (start < elfHeaderSize || view.getUint16(58, true) !== sectionSize || count > mostSections || start + count * sectionSize > size)
    return []
  const names = nameIndex < count ? numberAt(view, start + nameIndex * sectionSize + 24) : size
  const sections: ElfSection[] = []
  let listed = 0
  for (let i = 0; i < count; i++) {
    const at = start + i * sectionSize
    const type = view.getUint32(at + 4, true)
    const [flags, address, offset, bytes] = [
      view.getUint32(at + 8, true),
      numberAt(view, at + 16),
      numberAt(view, at + 24),
      numberAt(view, at + 32),
    ]
    if (type === 0 || type === sectionTypes.noBits || !(offset >= 0 && bytes > 0 && offset + bytes <= size)) continue
    // Sections that all claim the same bytes would make each look at them a long one.
    listed += bytes
    if (listed > 2 * size) break
    sections.push({
      name: nameAt(view, names + view.getUint32(at, true)),
      type,
      offset,
      size: bytes,
      address: address - base,
      isLoaded: (flags & 2) !== 0 && segments.some((segment) => holds(segment, offset, bytes, address - base)),
      isCode: (flags & 4) !== 0,
      isWritable: (flags & 1) !== 0,
    })
  }
  return sections
}

function holds({ offset, fileSize, address }: ElfSegment, start: number, size: number, at: number): boolean {
  return start >= offset && start + size <= offset + fileSize && at - address === start - offset
}

function nameAt(view: DataView, at: number): string {
  let name = ''
  for (let i = at; i >= 0 && i < view.byteLength && i < at + 32; i++) {
    const byte = view.getUint8(i)
    if (byte === 0) return name
    name += String.fromCharCode(byte)
  }
  return name
}

/** 64 bits, signed; what is not exact in a double is far outside of every file and image. */
export function numberAt(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)
}
