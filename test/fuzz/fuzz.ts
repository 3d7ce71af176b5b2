import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { equalBytes, fromHex, hex } from '../../src/base/bytes.ts'
import { BinderyError, isBinderyError } from '../../src/base/error.ts'
import { numbers } from '../helpers/numbers.ts'
import { inputOf, randomRecipe, recipes } from './recipe.ts'
import type { Decoder } from './decoder.ts'
import type { Recipe } from './recipe.ts'

/** Valid samples, changed as the format would not expect it, and what is made of the answer. */

export type Verdict = 'accepted' | 'refused'

/** In milliseconds of processor time, and KiB: no decoder needs anything like it for inputs of a few kilobytes. */
const limits = { time: 1000, memory: 256 << 10 }

/** The most that the process has taken so far, so that what was given back behind an input counts, too. */
let peak = process.resourceUsage().maxRSS

/** Throws an Error that says what is wrong: no BinderyError, too long, too much memory, or something that was taken and is not written again. */
export async function judge(decoder: Decoder, input: Uint8Array): Promise<Verdict> {
  const verdict = await judgeTaken(decoder, input)
  lookAtMemory()
  return verdict
}

/** Of what was decoded since the last look. */
function lookAtMemory(): void {
  const before = peak
  peak = process.resourceUsage().maxRSS
  if (peak - before > limits.memory) throw new Error(`took ${peak - before} KiB of memory`)
}

async function judgeTaken(decoder: Decoder, input: Uint8Array): Promise<Verdict> {
  const { value, time } = await timed(decoder, input)
  // The first time, it was compiled.
  if (time > limits.time && (await timed(decoder, input)).time > limits.time) throw new Error(`took ${time.toFixed(0)} ms`)
  if (value === refused || value === undefined) return 'refused'
  await checkAgain(decoder, input, value)
  return 'accepted'
}

async function timed(decoder: Decoder, input: Uint8Array): Promise<{ readonly value: unknown; readonly time: number }> {
  const started = process.cpuUsage()
  const value = await decoded(decoder, input)
  const { user, system } = process.cpuUsage(started)
  return { value, time: (user + system) / 1000 }
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
  const written = await writtenOf(encode, value)
  if (written === undefined && isCanonical !== true) return
  if (written === undefined) throw new Error('was accepted, and is too much to be written')
  if (isCanonical === true && !equalBytes(written, input)) throw new Error('was accepted, and is not what is written')
  const again = await decoded(decoder, written)
  if (again === refused || again === undefined) throw new Error('was accepted, and is refused when it is written')
  if (!equalBytes(await encode(again as never), written)) throw new Error('is written otherwise the second time')
}

/** Undefined of what comes to more than may be written, because a spelling became longer. */
async function writtenOf(encode: NonNullable<Decoder['encode']>, value: unknown): Promise<Uint8Array | undefined> {
  try {
    return await encode(value as never)
  } catch (error) {
    if (isBinderyError(error, 'over-limit')) return undefined
    throw error
  }
}

const folder = join(import.meta.dirname, 'corpus')

/** Inputs that were judged wrong once, a line of hex digits each. */
export function corpusOf({ name }: Pick<Decoder, 'name'>): readonly Uint8Array[] {
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
  readonly bad?: Bad
}

export type Bad = { readonly input: Uint8Array; readonly why: string }

export type Round = {
  readonly count: number
  readonly seed: number
  /** Is given each input before it is judged, so that somebody else can tell which one does not end. */
  readonly watch?: (input: Uint8Array) => void
}

/** Until `count` inputs, or the first that is bad, which is made as small as it can be. */
export async function fuzz(decoder: Decoder, { count, seed, watch }: Round): Promise<Fuzzed> {
  const seen = { accepted: 0, refused: 0 }
  const random = numbers(seed)
  for (let i = 0; i < count; i++) {
    const recipe = randomRecipe(decoder, random)
    const input = inputOf(decoder, recipe)
    watch?.(input)
    try {
      seen[await judgeTaken(decoder, input)]++
      // Looking costs as much as most decoders, so that one of eight is judged to have taken it.
      if (i % 8 === 7) lookAtMemory()
      // zlib gives back what it has taken in a turn of the event loop of its own, and promises alone make none.
      if (i % 1024 === 1023) await setImmediate()
    } catch (error) {
      return { ...seen, bad: (await smallest(decoder, recipe)) ?? { input, why: messageOf(error) } }
    }
  }
  return seen
}

/** fast-check's: generating them there would take ten times what most decoders do. Undefined of what is not wrong a second time. */
async function smallest(decoder: Decoder, recipe: Recipe): Promise<Bad | undefined> {
  const property = fc.asyncProperty(recipes(decoder), async (one) => void (await judge(decoder, inputOf(decoder, one))))
  const { failed, counterexample, errorInstance } = await fc.check(property, { numRuns: 1, examples: [[recipe]] })
  return failed ? { input: inputOf(decoder, (counterexample as [Recipe])[0]), why: messageOf(errorInstance) } : undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** So that the next run begins with it; answers the file. */
export function keep({ name }: Pick<Decoder, 'name'>, { input, why }: Bad): string {
  const file = join(folder, `${name}.hex`)
  appendFileSync(file, `# ${why.slice(0, 200).replaceAll(/\s+/g, ' ')}\n# make fuzz ARGS='--only ${name} --count 0'\n${hex(input)}\n`)
  return file
}
