/**
 * Numbers in tar headers: octal digits with a NUL behind them (POSIX ustar) as long as they fit, else base-256 (GNU):
 * big endian two's complement, the first byte 0x80 for what is not negative and 0xff for what is.
 */

/** Whether `value` fits the octal form of a field of `width` bytes. */
export function fitsOctal(value: number, width: number): boolean {
  return value >= 0 && value < 8 ** (width - 1)
}

/** Writes a safe integer into `block` at `at`. */
export function encodeNumber(block: Uint8Array, at: number, width: number, value: number): void {
  if (fitsOctal(value, width)) return encodeOctal(block, at, width, value)
  block[at] = value < 0 ? 0xff : 0x80
  let rest = BigInt(value)
  for (let i = at + width - 1; i > at; i--) {
    block[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
}

function encodeOctal(block: Uint8Array, at: number, width: number, value: number): void {
  let rest = value
  for (let i = at + width - 2; i >= at; i--) {
    block[i] = 0x30 + (rest % 8)
    rest = Math.floor(rest / 8)
  }
}

/** Reads what any tar writes: blanks before, blanks or NULs after. Undefined for all else, and past 53 bits. */
export function decodeNumber(block: Uint8Array, at: number, width: number): number | undefined {
  const first = block[at] as number
  return first >= 0x80 ? decodeBase256(block, at, width) : decodeOctal(block, at, width)
}

function decodeOctal(block: Uint8Array, at: number, width: number): number | undefined {
  let i = at
  const end = at + width
  while (i < end && block[i] === 0x20) i++
  let value = 0
  for (; i < end && isOctalDigit(block[i] as number); i++) value = value * 8 + (block[i] as number) - 0x30
  for (; i < end; i++) if (block[i] !== 0 && block[i] !== 0x20) return undefined
  return Number.isSafeInteger(value) ? value : undefined
}

function isOctalDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x37
}

function decodeBase256(block: Uint8Array, at: number, width: number): number | undefined {
  if (block[at] !== 0x80 && block[at] !== 0xff) return undefined
  let value = block[at] === 0xff ? -1n : 0n
  for (let i = at + 1; i < at + width; i++) value = (value << 8n) | BigInt(block[i] as number)
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}

const checksumAt = 148
const checksumWidth = 8

/** The sum of a header's bytes, its own field counted as blanks. */
export function checksum(block: Uint8Array): number {
  let sum = checksumWidth * 0x20
  for (let i = 0; i < 512; i++) sum += block[i] as number
  for (let i = checksumAt; i < checksumAt + checksumWidth; i++) sum -= block[i] as number
  return sum
}

/** Six octal digits, NUL, blank: as every tar writes it. */
export function writeChecksum(block: Uint8Array): void {
  encodeOctal(block, checksumAt, 7, checksum(block))
  block[checksumAt + 6] = 0
  block[checksumAt + 7] = 0x20
}

export function hasGoodChecksum(block: Uint8Array): boolean {
  return decodeNumber(block, checksumAt, checksumWidth) === checksum(block)
}
