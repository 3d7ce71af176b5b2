import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { concatBytes, equalBytes, fromHex, hex } from '../../src/base/bytes.ts'
import { BinderyError } from '../../src/base/error.ts'
import type { Decoder } from './decoders.ts'

/** Valid samples, changed as the format would not expect it, and what is made of the answer. */

export type Verdict = 'accepted' | 'refused'

/** In milliseconds and bytes: no decoder needs anything like it for inputs of a few kilobytes. */
const limits = { time: 1000, memory: 256 << 20 }

/** Throws an Error that says what is wrong: no BinderyError, too long, too much memory, or something that was taken and is not written again. */
export async function judge(decoder: Decoder, input: Uint8Array): Promise<Verdict> {
  const [started, memory] = [performance.now(), process.memoryUsage().rss]
  const value = await decoded(decoder, input)
  const [time, more] = [performance.now() - started, process.memoryUsage().rss - memory]
  if (time > limits.time) throw new Error(`took ${time.toFixed(0)} ms`)
  if (more > limits.memory) throw new Error(`took ${more} bytes of memory`)
  if (value === refused || value === undefined) return 'refused'
  await checkAgain(decoder, input, value)
  return 'accepted'
}

const refused = Symbol('refused')

async function decoded({ decode }: Decoder, input: Uint8Array): Promise<unknown> {
  try {
    return await decode(input.slice())
  } catch (error) {
    if (error instanceof BinderyError) return refused
    throw error
  }
}

/** What is written of it is the same, or at least says the same: it is taken, and written as it was. */
async function checkAgain(decoder: Decoder, input: Uint8Array, value: unknown): Promise<void> {
  const { encode, isCanonical } = decoder
  if (encode === undefined) return
  const written = encode(value as never)
  if (isCanonical === true && !equalBytes(written, input)) throw new Error('was accepted, and is not what is written')
  const again = await decoded(decoder, written)
  if (again === refused || again === undefined) throw new Error('was accepted, and is refused when it is written')
  if (!equalBytes(encode(again as never), written)) throw new Error('is written otherwise the second time')
}

/** Flips, cuts, doubles and exchanges of bytes, lines and words; numbers and names that formats stumble over. */
type Change = { readonly kind: number; readonly at: number; readonly size: number; readonly piece: Uint8Array }

const pieces = [
  '\n',
  '\r',
  '\0',
  ' ',
  '\\',
  '\\040',
  '..',
  '../',
  '/',
  '//',
  '-1',
  '0',
  '00',
  '4294967296',
  '9007199254740993',
  '1e3',
  '\xff',
  '\x80',
  '=',
  ';',
  '"',
  '{',
  '%00',
]

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.nat(7),
  at: fc.nat(0xffff),
  size: fc.nat(64),
  piece: fc.oneof(
    fc.constantFrom(...pieces).map((text) => new Uint8Array(Buffer.from(text, 'latin1'))),
    fc.uint8Array({ maxLength: 8 }),
  ),
})

export function inputsOf({ samples }: Decoder): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.constantFrom(...samples), fc.array(change, { minLength: 0, maxLength: 4 }))
    .map(([sample, changes]) => changes.reduce(changed, sample))
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
    default:
      return withoutNumber(bytes, from, piece)
  }
}

function lineAt(bytes: Uint8Array, at: number): readonly [start: number, end: number] {
  const end = bytes.indexOf(0x0a, at)
  return [bytes.lastIndexOf(0x0a, at - 1) + 1, end < 0 ? bytes.length : end + 1]
}

/** The digits at or behind `at` become the piece. */
function withoutNumber(bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39
  const start = bytes.findIndex((byte, i) => i >= at && isDigit(byte))
  if (start < 0) return bytes
  const length = bytes.subarray(start).findIndex((byte) => !isDigit(byte))
  return concatBytes([bytes.subarray(0, start), piece, length < 0 ? bytes.subarray(0, 0) : bytes.subarray(start + length)])
}

const folder = join(import.meta.dirname, 'corpus')

/** Inputs that were judged wrong once, a line of hex digits each. */
export function corpusOf({ name }: Decoder): readonly Uint8Array[] {
  const file = join(folder, `${name}.hex`)
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => fromHex(line) as Uint8Array)
}

export type Fuzzed = {
  readonly accepted: number
  readonly refused: number
  readonly bad?: { readonly input: Uint8Array; readonly why: string }
}

/** Until `count` inputs, or the first that is bad, which is made as small as it can be. */
export async function fuzz(decoder: Decoder, { count, seed }: { readonly count: number; readonly seed: number }): Promise<Fuzzed> {
  const seen = { accepted: 0, refused: 0 }
  const property = fc.asyncProperty(inputsOf(decoder), async (input) => void seen[await judge(decoder, input)]++)
  const { failed, counterexample, errorInstance } = await fc.check(property, { numRuns: count, seed })
  if (!failed) return seen
  const [input] = counterexample as [Uint8Array]
  return { ...seen, bad: { input, why: errorInstance instanceof Error ? errorInstance.message : String(errorInstance) } }
}

/** So that the next run begins with it; answers the file. */
export function keep({ name }: Decoder, input: Uint8Array, why: string): string {
  const file = join(folder, `${name}.hex`)
  appendFileSync(file, `# ${why}\n# make fuzz ARGS='--only ${name} --count 0'\n${hex(input)}\n`)
  return file
}
