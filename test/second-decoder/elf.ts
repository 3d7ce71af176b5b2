import type { ByteView } from './bytes.ts'

/** Addresses are counted from the base. */
export type Segment = { readonly flags: number; readonly offset: number; readonly address: number; readonly size: number }
export type Layout = { readonly base: number; readonly span: number; readonly headersEnd: number; readonly segments: readonly Segment[] }
export type Section = Segment & { readonly name: string; readonly type: number; readonly isLoaded: boolean }

export const isCode = { segment: 1, section: 4 }
export const isWritable = { segment: 2, section: 1 }

export function readLayout(file: ByteView, fileSize: number): Layout | undefined {
  const magic = Buffer.from(file.bytes.subarray(0, 6)).toString('hex')
  if (file.bytes.length < 64 || magic !== '7f454c460201' || ![62, 183].includes(file.u16(18))) return undefined
  const [start, count] = [file.i64(32), Math.min(16, file.u16(56))]
  const headersEnd = start + 56 * count
  if (start < 64 || file.u16(54) !== 56 || headersEnd > Math.min(4096, file.bytes.length)) return undefined
  const segments: (Segment & { readonly memory: number })[] = []
  for (let at = start; at < headersEnd; at += 56) {
    const [offset, address, size, memory] = [file.i64(at + 8), file.i64(at + 16), file.i64(at + 32), file.i64(at + 40)]
    if (file.u32(at) !== 1 || offset < 0 || size < 0 || memory < size || offset + size > fileSize || Math.abs(address) > 2 ** 52) continue
    if (segments.some((other) => offset < other.offset + other.size && other.offset < offset + size)) continue
    segments.push({ flags: file.u32(at + 4), offset, address, size, memory })
  }
  const base = Math.min(...segments.map(({ address }) => address))
  const span = Math.max(...segments.map(({ address, memory }) => address + memory)) - base
  if (!(span >= 1 && span <= Math.min(2 ** 30, 8 * fileSize + 2 ** 22))) return undefined
  return { base, span, headersEnd, segments: segments.map((one) => ({ ...one, address: one.address - base })) }
}

export function readSections(file: ByteView, { base, segments }: Layout): readonly Section[] {
  const [start, count, names, fileSize] = [file.i64(40), file.u16(60), file.u16(62), file.bytes.length]
  if (start < 64 || file.u16(58) !== 64 || count > 4096 || start + 64 * count > fileSize) return []
  const namesAt = names < count ? file.i64(start + 64 * names + 24) : fileSize
  const sections: Section[] = []
  for (let at = start, total = 0; at < start + 64 * count; at += 64) {
    const [type, flags, offset, size] = [file.u32(at + 4), file.u32(at + 8), file.i64(at + 24), file.i64(at + 32)]
    if (type === 0 || type === 8 || offset < 0 || size <= 0 || offset + size > fileSize) continue
    if ((total += size) > 2 * fileSize) break
    const address = file.i64(at + 16) - base
    const holds = (one: Segment): boolean =>
      offset >= one.offset && offset + size <= one.offset + one.size && address - one.address === offset - one.offset
    const isLoaded = (flags & 2) !== 0 && segments.some(holds)
    sections.push({ name: textAt(file, namesAt + file.u32(at), 32), type, flags, address, offset, size, isLoaded })
  }
  return sections
}

/** Up to a zero byte. */
export function textAt(file: ByteView, at: number, most: number): string {
  if (!(at >= 0 && at < file.bytes.length)) return ''
  const bytes = file.bytes.subarray(at, at + most)
  const end = bytes.indexOf(0)
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1')
}

export function addressOf({ segments, span }: Layout, place: number): number {
  const segment = segments.find(({ offset, size }) => place >= offset && place < offset + size)
  return segment ? place - segment.offset + segment.address : span + place
}

export function placeOf({ segments }: Layout, address: number): number {
  const segment = segments.find((one) => address >= one.address && address < one.address + one.size)
  return segment ? address - segment.address + segment.offset : -1
}
