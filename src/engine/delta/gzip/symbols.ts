/** The alphabets of deflate (RFC 1951, 3.2.5 to 3.2.7), and how a token is held in one number. */

export const endOfBlock = 256
export const literalCodes = 286
export const distanceCodes = 30
export const lengthCodes = 19

export const shortestMatch = 3
export const longestMatch = 258
export const windowSize = 32768

/** The order in which the lengths of the code length code are sent. */
export const lengthOrder = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

/** Bits that follow a code: of a length (by code - 257), of a distance, of a code length. */
export const lengthExtra = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0)
export const distanceExtra = Uint8Array.from({ length: distanceCodes }, (_, code) => Math.max(0, (code >> 1) - 1))
export const repeatExtra = Uint8Array.from({ length: lengthCodes }, (_, code) => [2, 3, 7][code - 16] ?? 0)

export const lengthBase = Uint16Array.from({ length: 29 }, (_, code) =>
  code === 28 ? longestMatch : baseOf(lengthExtra, code) + shortestMatch,
)
export const distanceBase = Uint16Array.from({ length: distanceCodes }, (_, code) => baseOf(distanceExtra, code) + 1)

function baseOf(extra: Uint8Array, code: number): number {
  return extra.subarray(0, code).reduce((sum, bits) => sum + 2 ** bits, 0)
}

/** Length -> code - 257. */
export const lengthCode = new Uint8Array(longestMatch + 1)
for (let code = 0; code < 29; code++) lengthCode.fill(code, lengthBase[code])

/** Distance - 1 below 256, or 256 + (distance - 1 >> 7) -> code. */
const distanceCodeTable = new Uint8Array(512)
for (let code = 0; code < distanceCodes; code++) {
  const first = (distanceBase[code] as number) - 1
  if (code < 16) distanceCodeTable.fill(code, first, 256)
  else distanceCodeTable.fill(code, 256 + (first >> 7))
}

export function distanceCode(distance: number): number {
  return distanceCodeTable[distance <= 256 ? distance - 1 : 256 + ((distance - 1) >> 7)] as number
}

export const fixedLiteralLengths = new Uint8Array(288).fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280)
export const fixedDistanceLengths = new Uint8Array(distanceCodes).fill(5)

/** A token: length × 2^16 + distance. A literal is of length 1 and distance 0; which byte it is, the content says. */
export const literal = 0x1_0000

export function tokenOf(length: number, distance: number): number {
  return (length << 16) | distance
}

export function lengthOf(token: number): number {
  return token >>> 16
}

export function distanceOf(token: number): number {
  return token & 0xffff
}

/** Codes of up to 15 bits as they are written, lowest bit first: canonical (RFC 1951, 3.2.2), reversed. */
export function canonicalCodes(lengths: Uint8Array): Uint16Array {
  const next = new Uint16Array(17)
  for (const length of lengths) if (length > 0) (next[length + 1] as number)++
  for (let bits = 1; bits <= 16; bits++) next[bits] = 2 * ((next[bits - 1] as number) + (next[bits] as number))
  const codes = new Uint16Array(lengths.length)
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol] as number
    if (length > 0) codes[symbol] = reversed((next[length] as number)++, length)
  }
  return codes
}

function reversed(code: number, length: number): number {
  let bits = ((code & 0x5555) << 1) | ((code >> 1) & 0x5555)
  bits = ((bits & 0x3333) << 2) | ((bits >> 2) & 0x3333)
  bits = ((bits & 0x0f0f) << 4) | ((bits >> 4) & 0x0f0f)
  return (((bits & 0xff) << 8) | (bits >> 8)) >> (16 - length)
}
