import { BinderyError } from '../../../base/error.ts'

/** Bytes that are filled from the lowest bit on, as deflate wants them, and never more than `limit`. */
export type BitWriter = {
  readonly limit: number
  out: Uint8Array
  size: number
  /** Bits that do not yet make two bytes. */
  held: number
  count: number
}

export function newBitWriter(limit: number): BitWriter {
  return { limit, out: new Uint8Array(Math.min(limit, 1 << 12)), size: 0, held: 0, count: 0 }
}

/** The lowest `width` bits of `value`, at most 16; the others are clear. */
export function putBits(writer: BitWriter, value: number, width: number): void {
  writer.held |= value << writer.count
  writer.count += width
  if (writer.count < 16) return
  reserve(writer, 2)
  writer.out[writer.size++] = writer.held
  writer.out[writer.size++] = writer.held >>> 8
  writer.held >>>= 16
  writer.count -= 16
}

/** Zeros up to a whole byte. */
export function align(writer: BitWriter): void {
  reserve(writer, 2)
  for (; writer.count > 0; writer.count -= 8) {
    writer.out[writer.size++] = writer.held
    writer.held >>>= 8
  }
  writer.count = 0
}

/** Whole bytes, behind an `align`. */
export function putBytes(writer: BitWriter, part: Uint8Array): void {
  reserve(writer, part.length)
  writer.out.set(part, writer.size)
  writer.size += part.length
}

/** A little-endian number of 32 bits, behind an `align`. */
export function putWord(writer: BitWriter, value: number): void {
  putBytes(writer, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24))
}

/** A view of what is there, behind an `align`. */
export function written(writer: BitWriter): Uint8Array {
  return writer.out.subarray(0, writer.size)
}

/** Makes room for `wanted` more bytes. */
export function reserve(writer: BitWriter, wanted: number): void {
  const { out, size, limit } = writer
  if (size + wanted <= out.length) return
  if (size + wanted > limit) throw new BinderyError('over-limit', `a gzip file of more than ${limit} bytes`)
  writer.out = new Uint8Array(Math.min(limit, Math.max(2 * out.length, size + wanted)))
  writer.out.set(out.subarray(0, size))
}
