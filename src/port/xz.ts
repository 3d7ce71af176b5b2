/** xz, as liblzma has it: what is made of a content depends on nothing but it and the options. */
export type Xz = {
  /** A stream of one block. Undefined where there is no memory for the preset. */
  compress(content: Uint8Array, options: XzOptions): Uint8Array | undefined
  /** What a .xz or .lzma file holds; undefined where it is damaged, or holds more than `limit` bytes. */
  decompress(bytes: Uint8Array, limit: number): Uint8Array | undefined
}

/** `preset`: 0 to 9; `check`: its number in the format. */
export type XzOptions = { readonly preset: number; readonly isExtreme: boolean; readonly check: number }

/** Loads it where it is needed; undefined where it is not installed. */
export type LoadXz = () => Promise<Xz | undefined>
