import { fromHex, fromLatin1 } from '../../src/base/bytes.ts'

/** A decoder under `make fuzz`: what it is fed with, and what an accepted input has to be. */
export type Decoder = {
  readonly name: string
  readonly samples: readonly Uint8Array[]
  /** Throws a BinderyError for what it refuses; undefined is a refusal of those that only look whether they can. */
  readonly decode: (bytes: Uint8Array) => unknown
  /** Writes what was decoded. */
  readonly encode?: (value: never) => Uint8Array | Promise<Uint8Array>
  /** There is one spelling: what is accepted is what would be written. */
  readonly isCanonical?: true
  /** Makes check sums right that a change made wrong, so that what is behind them is reached. */
  readonly mend?: (bytes: Uint8Array) => Uint8Array
}

export function decoder<T>(
  name: string,
  samples: readonly (string | Uint8Array)[],
  decode: (bytes: Uint8Array) => T | undefined | Promise<T | undefined>,
  encode?: (value: T) => Uint8Array | Promise<Uint8Array>,
): Decoder {
  const bytes = samples.map((one) => (typeof one === 'string' ? fromLatin1(one) : one))
  return { name, samples: bytes, decode, ...(encode === undefined ? {} : { encode }) }
}

export const canonical = <T>(
  name: string,
  samples: readonly (string | Uint8Array)[],
  decode: (bytes: Uint8Array) => T | undefined | Promise<T | undefined>,
  encode: (value: T) => Uint8Array | Promise<Uint8Array>,
): Decoder => ({
  ...decoder(name, samples, decode, encode),
  isCanonical: true,
})

export const digest = 'ab'.repeat(32)

export function hexBytes(text: string): Uint8Array {
  return fromHex(text) as Uint8Array
}
