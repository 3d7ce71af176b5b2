/** The frame of a gzip member (RFC 1952, 2.3). */
export type Header = {
  readonly flags: number
  readonly time: number
  /** XFL: 2 where the compressor did its best, 4 where it was fast. */
  readonly effort: number
  readonly system: number
  /** FEXTRA, FNAME, FCOMMENT and FHCRC, as they stand. */
  readonly optional: Uint8Array
}

const fixedSize = 10
export const trailerSize = 8
/** Of a file that is opened: a gigabyte in blocks of 64 KiB, as bgzip makes them, and nobody can keep us busy with empty ones. */
export const mostMembers: number = 1 << 14
const flag = { headerCrc: 2, extra: 4, name: 8, comment: 16 } as const
const reservedFlags = 0xe0

/** Undefined where no member begins here. */
export function readHeader(bytes: Uint8Array, at: number): Header | undefined {
  if (bytes.length - at < fixedSize || bytes[at] !== 0x1f || bytes[at + 1] !== 0x8b || bytes[at + 2] !== 8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, fixedSize)
  const flags = view.getUint8(3)
  const end = optionalEnd(bytes, at + fixedSize, flags)
  if (end === undefined) return undefined
  const optional = bytes.subarray(at + fixedSize, end)
  return { flags, time: view.getUint32(4, true), effort: view.getUint8(8), system: view.getUint8(9), optional }
}

export function headerSize({ optional }: Header): number {
  return fixedSize + optional.length
}

export function headerBytes({ flags, time, effort, system, optional }: Header): Uint8Array {
  const bytes = new Uint8Array(fixedSize + optional.length)
  bytes.set([0x1f, 0x8b, 8, flags, time, time >>> 8, time >>> 16, time >>> 24, effort, system])
  bytes.set(optional, fixedSize)
  return bytes
}

/** Where the fields that `flags` announces end; undefined where they do not, or where a flag is not known. */
export function optionalEnd(bytes: Uint8Array, start: number, flags: number): number | undefined {
  if ((flags & reservedFlags) !== 0) return undefined
  let at = start
  if (flags & flag.extra) at += 2 + ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8))
  for (const text of [flag.name, flag.comment]) {
    if ((flags & text) === 0) continue
    const end = bytes.indexOf(0, at)
    if (end < 0) return undefined
    at = end + 1
  }
  if (flags & flag.headerCrc) at += 2
  return at <= bytes.length ? at : undefined
}
