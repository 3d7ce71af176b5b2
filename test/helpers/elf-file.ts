/** A small ELF file that wants something of the run-time linker, and does nothing. */
export type ElfFile = {
  readonly needed?: readonly string[]
  readonly soname?: string
  readonly interpreter?: string
  /** 64 bits and little-endian when not told. */
  readonly isWide?: boolean
  readonly isLittle?: boolean
}

const page = 0x1000
const loadAddress = 0x40_0000

export function elfFile({ needed = [], soname, interpreter, isWide = true, isLittle = true }: ElfFile): Uint8Array {
  const bytes = new Uint8Array(2 * page)
  const view = new DataView(bytes.buffer)
  const word = (at: number, value: number): void =>
    isWide ? view.setBigUint64(at, BigInt(value), isLittle) : view.setUint32(at, value, isLittle)
  const half = (at: number, value: number): void => view.setUint16(at, value, isLittle)
  const [headSize, segmentSize, width] = isWide ? [64, 56, 8] : [52, 32, 4]
  bytes.set([0x7f, 0x45, 0x4c, 0x46, isWide ? 2 : 1, isLittle ? 1 : 2, 1])
  word(isWide ? 32 : 28, headSize)
  half(isWide ? 54 : 42, segmentSize)
  half(isWide ? 56 : 44, interpreter === undefined ? 2 : 3)

  const strings = [...needed, ...(soname === undefined ? [] : [soname]), ...(interpreter === undefined ? [] : [interpreter])]
  const places = new Map<string, number>()
  let end = 1
  for (const name of strings) {
    places.set(name, end)
    bytes.set(Buffer.from(name, 'latin1'), page + 1024 + end)
    end += name.length + 1
  }
  const dynamic: (readonly [number, number])[] = [
    ...needed.map((name) => [1, places.get(name) as number] as const),
    ...(soname === undefined ? [] : [[14, places.get(soname) as number] as const]),
    [5, loadAddress + page + 1024],
    [0, 0],
  ]
  for (const [i, [tag, value]] of dynamic.entries()) {
    word(page + 2 * i * width, tag)
    word(page + (2 * i + 1) * width, value)
  }
  const segments = [
    { type: 1, offset: 0, size: bytes.length },
    { type: 2, offset: page, size: 2 * dynamic.length * width },
    { type: 3, offset: page + 1024 + (places.get(interpreter ?? '') ?? 0), size: (interpreter?.length ?? 0) + 1 },
  ].slice(0, interpreter === undefined ? 2 : 3)
  for (const [i, { type, offset, size }] of segments.entries()) {
    const at = headSize + i * segmentSize
    view.setUint32(at, type, isLittle)
    word(at + (isWide ? 8 : 4), offset)
    word(at + (isWide ? 16 : 8), loadAddress + offset)
    word(at + (isWide ? 32 : 16), size)
  }
  return bytes
}
