import fc from 'fast-check'
import { concatBytes, fromLatin1, latin1 } from '../../src/base/bytes.ts'
import type { Numbers } from '../helpers/numbers.ts'
import type { Decoder } from './decoder.ts'

/** How an input comes of a sample: flips, cuts, doubles and exchanges of bytes, lines, words and numbers. */
export type Recipe = {
  readonly sample: number
  readonly changes: readonly Change[]
  /** Check sums are made right behind the changes, where the format has some. */
  readonly isMended: boolean
}

type Change = { readonly kind: number; readonly at: number; readonly size: number; readonly piece: Uint8Array }

const repeated = 11
const most = { changes: 4, at: 0xffff, size: 64, piece: 128 }

/** What formats stumble over. */
const pieces = [
  '\n|\r|\r\n|\0| |\t|\\|\\040|.|..|../|/|//|-|-1|+1|0|00|1|255|256|65536|4294967296|9007199254740993|1e3|0x1|=|;|:|,|"|\'|{|}|[|]|#|%00|%2e',
  '\x01|\x7f|\xff|\x80|\xc3\xa9|\xed\xa0\x80|\xef\xbb\xbf|\0\0\0\0|\xff\xff|\xff\xff\xff\xff|\xff\xff\xff\x7f|\0\0\0\x80|null|true|__proto__',
].flatMap((some) => some.split('|').map(fromLatin1))

/** The words of a format's samples, which stand at the place of others now and then. */
const words = new WeakMap<Decoder, readonly Uint8Array[]>()

function wordsOf(decoder: Decoder): readonly Uint8Array[] {
  const known = words.get(decoder)
  if (known !== undefined) return known
  const found = decoder.samples.flatMap((sample) => latin1(sample.subarray(0, 1 << 16)).match(/[\w.+/-]{1,128}|[^\w\s]/g) ?? [])
  const made = [...new Set(found)].map(fromLatin1)
  words.set(decoder, made.length === 0 ? pieces : made)
  return made.length === 0 ? pieces : made
}

export function randomRecipe(decoder: Decoder, random: Numbers): Recipe {
  const changes: Change[] = []
  for (let left = random.below(most.changes); left >= 0; left--)
    changes.push({
      // What is many times longer finds what takes the square of that, and costs accordingly.
      kind: random.below(100) === 0 ? repeated : random.below(repeated),
      at: random.below(most.at + 1),
      size: random.below(most.size + 1),
      piece: randomPiece(decoder, random),
    })
  return { sample: random.below(decoder.samples.length), changes, isMended: random.below(4) > 0 }
}

function randomPiece(decoder: Decoder, random: Numbers): Uint8Array {
  const which = random.below(4)
  if (which < 2) return random.of(pieces)
  if (which === 2) return random.of(wordsOf(decoder))
  const bytes = new Uint8Array(random.below(9))
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256)
  return bytes
}

/** All of them, for fast-check to make one smaller. */
export function recipes({ samples }: Decoder): fc.Arbitrary<Recipe> {
  const change = fc.record({
    kind: fc.nat(repeated),
    at: fc.nat(most.at),
    size: fc.nat(most.size),
    piece: fc.uint8Array({ maxLength: most.piece }),
  })
  return fc.record({ sample: fc.nat(samples.length - 1), changes: fc.array(change, { maxLength: most.changes }), isMended: fc.boolean() })
}

export function inputOf({ samples, mend }: Decoder, { sample, changes, isMended }: Recipe): Uint8Array {
  const made = changes.reduce(changed, samples[sample] as Uint8Array)
  return isMended && mend !== undefined && changes.length > 0 ? mend(made.slice()) : made
}

function changed(bytes: Uint8Array, { kind, at, size, piece }: Change): Uint8Array {
  const from = bytes.length === 0 ? 0 : at % bytes.length
  const [before, after] = [bytes.subarray(0, from), bytes.subarray(from)]
  const [start, end] = lineAt(bytes, from)
  switch (kind) {
    case 0:
      return bytes.length === 0 ? bytes : bytes.with(from, (bytes[from] as number) ^ (1 << (size % 8)))
    case 1:
      return concatBytes([before, after.subarray(size)])
    case 2:
      return concatBytes([before, piece, after])
    case 3:
      return concatBytes([before, piece, after.subarray(piece.length)])
    case 4:
      return concatBytes([bytes.subarray(0, end), bytes.subarray(start)])
    case 5:
      return concatBytes([bytes.subarray(0, start), bytes.subarray(end)])
    case 6:
      return before
    case 7:
      return exchanged(bytes, from, piece, isDigit)
    case 8:
      return exchanged(bytes, from, piece, isOfWord)
    case 9:
      return concatBytes([bytes.subarray(0, end), piece, fromLatin1('\n'), bytes.subarray(end)])
    case repeated:
      return concatBytes([before, ...Array.from({ length: size * 64 }, () => piece), after])
    default:
      return bytes.length === 0 ? bytes : bytes.with(from, size < 33 ? (bytes[from] as number) + (size % 2 === 0 ? 1 : 255) : size * 4)
  }
}

function lineAt(bytes: Uint8Array, at: number): readonly [start: number, end: number] {
  const end = bytes.indexOf(0x0a, at)
  return [at === 0 ? 0 : bytes.lastIndexOf(0x0a, at - 1) + 1, end < 0 ? bytes.length : end + 1]
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39
const isOfWord = (byte: number): boolean =>
  isDigit(byte) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2d

/** The number or word at or behind `at` becomes the piece. */
function exchanged(bytes: Uint8Array, at: number, piece: Uint8Array, isPart: (byte: number) => boolean): Uint8Array {
  let start = at
  while (start < bytes.length && !isPart(bytes[start] as number)) start++
  if (start === bytes.length) return bytes
  let end = start
  while (end < bytes.length && isPart(bytes[end] as number)) end++
  return concatBytes([bytes.subarray(0, start), piece, bytes.subarray(end)])
}
