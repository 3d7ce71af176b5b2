/** A delta that is not one, or not for this old side. */
export class Refused extends Error {}

export function need(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Refused(what)
}

export const mod = (value: number, by: number): number => ((value % by) + by) % by

/** Little-endian numbers by their place. */
export class ByteView {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  u8 = (at: number): number => this.#view.getUint8(at)
  u16 = (at: number): number => this.#view.getUint16(at, true)
  u32 = (at: number): number => this.#view.getUint32(at, true)
  i32 = (at: number): number => this.#view.getInt32(at, true)
  /** Past 2^53 rounded, which no comparison here can tell. */
  i64 = (at: number): number => this.i32(at + 4) * 2 ** 32 + this.u32(at)
  setWord = (at: number, word: number): void => this.#view.setInt32(at, word, true)
}

/** Fields one behind the other. */
export class Fields {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(size: number): Uint8Array {
    need(size <= this.left, 'it ends early')
    return this.#bytes.subarray(this.#at, (this.#at += size))
  }

  byte(): number {
    need(this.left > 0, 'it ends early')
    return this.#bytes[this.#at++] as number
  }

  varint(): number {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = this.byte()
      value += (byte & 127) * scale
      need(value <= Number.MAX_SAFE_INTEGER && scale <= 2 ** 49 && (byte !== 0 || scale === 1), 'not a varint')
      if (byte < 128) return value
    }
  }

  signed(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

type Unpack = (bytes: Uint8Array, options: { readonly info: true; readonly maxOutputLength: number }) => unknown

/** `used`: so many of the packed bytes. */
export function unpacked(
  unpack: Unpack,
  packed: Uint8Array,
  options: { readonly maxOutputLength: number; readonly params?: Readonly<Record<number, number>> },
): { bytes: Uint8Array; used: number } {
  try {
    const { buffer, engine } = unpack(packed, { ...options, info: true }) as { buffer: Uint8Array; engine: { bytesWritten: number } }
    return { bytes: buffer, used: engine.bytesWritten }
  } catch {
    throw new Refused('packed bytes that are damaged, or too many')
  }
}
