import { mkdirSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { sha256 } from '../../src/base/digest.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { deltaSamples } from '../../test/helpers/delta-samples.ts'
import { patched } from '../../test/helpers/delta.ts'
import { badBatches } from './bad-batches.ts'
import { badFronts } from './bad-fronts.ts'
import { badSections } from './bad-sections.ts'
import { badMaker } from './bad.ts'
import { otherGood } from './good.ts'
import type { Sample } from '../../test/helpers/delta-samples.ts'
import type { Bad } from './bad.ts'

/**
 * Writes test/vectors/delta.jsonl (doc/spec/delta.md, Vectors) anew, from inputs that are all generated. Needed when the format
 * changes; a change of the writer alone leaves old deltas as good as they were.
 */
async function main(): Promise<void> {
  const samples = await deltaSamples()
  const sampleOf = (name: string): Sample => {
    const sample = samples.find((one) => one.name === name)
    if (sample === undefined) throw new Error(`no sample ${name}`)
    return sample
  }
  const maker = badMaker(sampleOf)
  for (const make of [badFronts, badBatches, badSections]) make(maker)
  const good = [...samples, ...otherGood(sampleOf)]
  const sides = new Map<string, { readonly side: number; readonly bytes: Uint8Array }>()
  const sideOf = (bytes: Uint8Array): number => {
    const known = sides.get(sha256(bytes)) ?? { side: sides.size, bytes }
    sides.set(sha256(bytes), known)
    return known.side
  }
  const lines: object[] = good.map(({ name, what, old, next, delta }) => ({
    name,
    what,
    old: sideOf(old),
    new: sideOf(next),
    delta: hex(delta),
  }))
  for (const bad of maker.made)
    lines.push({ name: bad.name, what: bad.what, old: sideOf(bad.old), refused: await refusal(bad), delta: hex(bad.delta) })
  const stored = [...sides].map(([digest, { side, bytes }]) => ({ side, sha256: digest, gzip: gzipSync(bytes).toString('base64') }))
  mkdirSync('test/vectors', { recursive: true })
  writeFileSync('test/vectors/delta.jsonl', [...stored, ...lines].map((line) => `${JSON.stringify(line)}\n`).join(''))
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

async function refusal({ name, delta, old }: Bad): Promise<string> {
  try {
    await patched(delta, old)
  } catch (error) {
    if (isBinderyError(error)) return error.code
    throw error
  }
  throw new Error(`${name} is applied`)
}

await main()
