import { concatBytes, emptyBytes } from '../../src/base/bytes.ts'
import { streamNames } from '../../src/format/delta-batch.ts'
import { fieldNames, joinDelta, openDelta, streamOf, varint, withDigestsOf, withStream } from './delta-parts.ts'
import { numbers } from './numbers.ts'
import type { StreamName } from '../../src/format/delta-batch.ts'
import type { BatchParts, DeltaParts, FieldName } from './delta-parts.ts'
import type { Sample } from './delta-samples.ts'
import type { Numbers } from './numbers.ts'

/** A sample whose delta somebody has changed. */
export type Damaged = {
  readonly sample: Sample
  readonly how: string
  readonly delta: Uint8Array
  /** The same with the digests of `next`, where the damage lies behind the front. */
  repaired?(next: Uint8Array): Uint8Array
}

type Subject = { readonly sample: Sample; readonly parts: DeltaParts; readonly others: readonly Opened[] } & Numbers
type Opened = { readonly sample: Sample; readonly parts: DeltaParts }

/** `seed` alone decides what is done to which of the samples. */
export function damagedDelta(samples: readonly Opened[], seed: number): Damaged {
  const random = numbers(seed)
  const damage = random.of(kinds)
  return damage({ ...random.of(samples), others: samples, ...random })
}

export const openSamples = (samples: readonly Sample[]): readonly Opened[] =>
  samples.map((sample) => ({ sample, parts: openDelta(sample.delta) }))

type Damage = (subject: Subject) => Damaged

const flipped: Damage = ({ sample, ...random }) => ({ sample, how: 'bits flipped', delta: withFlips(sample.delta, random) })

const flippedInFront: Damage = ({ sample, parts, ...random }) => {
  const name = random.of(fieldNames)
  return { sample, how: `bits flipped in ${name}`, delta: joinDelta(parts, { [name]: withFlips(parts.fields[name], random) }) }
}

const editedField: Damage = ({ sample, parts, others, ...random }) => {
  const name = random.of(fieldNames)
  const value = random.of([
    (): Uint8Array => varint(anyNumber(random)),
    (): Uint8Array => random.of(others).parts.fields[name],
    (): Uint8Array => parts.fields[name].subarray(0, random.below(parts.fields[name].length + 1)),
    (): Uint8Array => Uint8Array.of(random.below(256)),
    (): Uint8Array => neighbour(parts.fields[name], random),
  ])()
  return { sample, how: `another ${name}`, delta: joinDelta(parts, { [name]: value }) }
}

/** One more, or one less. */
function neighbour(bytes: Uint8Array, { below }: Numbers): Uint8Array {
  return bytes.length === 0 ? bytes : bytes.with(0, (bytes[0] as number) + (below(2) === 0 ? 1 : -1))
}

const cut: Damage = ({ sample, below }) => ({ sample, how: 'cut', delta: sample.delta.subarray(0, below(sample.delta.length)) })

const spliced: Damage = ({ sample, others, ...random }) => {
  const donor = random.of([sample, random.of(others).sample]).delta
  const [start, from] = [random.below(sample.delta.length), random.below(donor.length)]
  const size = random.of([0, 1, 4, 16, 200])
  const rest = random.of([start, start + size])
  const delta = concatBytes([sample.delta.subarray(0, start), donor.subarray(from, from + size), sample.delta.subarray(rest)])
  return { sample, how: 'spliced', delta }
}

/** What is done to the batches can be repaired. */
function ofBatch(how: string, change: (batch: BatchParts, subject: Subject) => BatchParts): Damage {
  return (subject) => {
    const { sample, parts, below } = subject
    if (parts.batches.length === 0) return flipped(subject)
    const which = below(parts.batches.length)
    return ofBatches(sample, how, { ...parts, batches: parts.batches.map((batch, i) => (i === which ? change(batch, subject) : batch)) })
  }
}

function ofBatches(sample: Sample, how: string, parts: DeltaParts): Damaged {
  return { sample, how, delta: joinDelta(parts), repaired: (next) => joinDelta(withDigestsOf(parts, next)) }
}

function ofStream(how: string, change: (bytes: Uint8Array, subject: Subject) => Uint8Array): Damage {
  return ofBatch(how, (batch, subject) => {
    const name = streamNames[subject.of(batch.streams).number] as StreamName
    return withStream(batch, name, change(streamOf(batch, name), subject))
  })
}

const streamDamages = [
  ofStream('bits of a stream flipped', (bytes, random) => withFlips(bytes, random)),
  ofStream('a number of a stream changed', (bytes, random) => withNumber(bytes, random)),
  ofStream('a number of a stream changed a little', (bytes, { below }) =>
    bytes.length === 0 ? bytes : nudged(bytes, below(bytes.length), below(2) * 4 - 2),
  ),
  ofStream('a stream cut', (bytes, { below }) => bytes.subarray(0, below(bytes.length + 1))),
  ofStream('a stream that goes on', (bytes, { below }) => concatBytes([bytes, new Uint8Array(1 + below(6)).fill(below(256))])),
  ofStream('a stream of another delta', (_, { others, of }) => anyStream(of(others), of)),
  ofStream('a stream with a part of another', (bytes, { others, of, below }) => {
    const donor = anyStream(of(others), of)
    const [at, from] = [below(bytes.length + 1), below(donor.length + 1)]
    return concatBytes([bytes.subarray(0, at), donor.subarray(from, from + 1 + below(20)), bytes.subarray(at + below(3))])
  }),
]

function anyStream({ parts }: Opened, of: Numbers['of']): Uint8Array {
  if (parts.batches.length === 0) return emptyBytes
  const batch = of(parts.batches)
  return streamOf(batch, streamNames[of(batch.streams).number] as StreamName)
}

function nudged(bytes: Uint8Array, at: number, by: number): Uint8Array {
  return bytes.with(at, (bytes[at] as number) + by)
}

const batchDamages = [
  ofBatch('another size of a batch', (batch, random) => ({ ...batch, newSize: near(batch.newSize, random) })),
  ofBatch('a stream in the place of another', (batch, { of }) => {
    const [a, b] = [of(batch.streams), of(batch.streams)]
    return {
      ...batch,
      streams: batch.streams.map((one) => (one === a ? { ...b, number: a.number } : one === b ? { ...a, number: b.number } : one)),
    }
  }),
  ofBatch('another size of a stream', (batch, { of, below }) => {
    const stream = of(batch.streams)
    return { ...batch, streams: batch.streams.map((one) => (one === stream ? { ...one, size: near(one.size, { of, below }) } : one)) }
  }),
  ofBatch('another codec', (batch, { of, below }) => {
    const stream = of(batch.streams)
    return { ...batch, streams: batch.streams.map((one) => (one === stream ? { ...one, codec: below(4) } : one)) }
  }),
  ofBatch('a stream is gone', (batch, { of }) => {
    const stream = of(batch.streams)
    return { ...batch, streams: batch.streams.filter((one) => one !== stream) }
  }),
]

const otherBatches: Damage = ({ sample, parts, others, of, below }) => {
  const donor = of(others).parts.batches
  const more = below(2) === 0 || donor.length === 0 ? parts.batches : [of(donor)]
  const batches = of([[...parts.batches, ...more], [...more, ...parts.batches], more, parts.batches.slice(1), parts.batches.toReversed()])
  return ofBatches(sample, 'other batches', { ...parts, batches })
}

/** Of all that one header, or the limits of both sides, can say. */
const otherSide: Damage = ({ sample, parts, others, of }) => {
  const { fields } = of(others).parts
  const names: readonly FieldName[] = of([
    ['window', 'batchLimit', 'codingMemory'],
    ['retained'],
    ['blockSize', 'newBlocks', 'oldBlocks'],
    ['newSize', 'newDigest'],
  ])
  const changed = { ...parts.fields, ...Object.fromEntries(names.map((name) => [name, fields[name]])) }
  return ofBatches(sample, `${names.join(', ')} of another delta`, { ...parts, fields: changed })
}

const kinds: readonly Damage[] = [
  flipped,
  flippedInFront,
  editedField,
  editedField,
  cut,
  spliced,
  ...streamDamages,
  ...streamDamages,
  ...batchDamages,
  otherBatches,
  otherSide,
]

/** One bit to four. */
function withFlips(bytes: Uint8Array, { below }: Numbers): Uint8Array {
  const changed = bytes.slice()
  for (let count = 1 + below(4); count > 0 && bytes.length > 0; count--) {
    const bit = below(8 * bytes.length)
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
  }
  return changed
}

/** Another varint in the place of one. */
function withNumber(bytes: Uint8Array, random: Numbers): Uint8Array {
  if (bytes.length === 0) return bytes
  let start = random.below(bytes.length)
  while (start > 0 && (bytes[start - 1] as number) > 127) start--
  let end = start
  while (end < bytes.length - 1 && (bytes[end] as number) > 127) end++
  return concatBytes([bytes.subarray(0, start), varint(anyNumber(random)), bytes.subarray(end + 1)])
}

function anyNumber({ of, below }: Numbers): number {
  return of([
    0,
    1,
    2,
    3,
    63,
    64,
    127,
    128,
    4095,
    4096,
    65_535,
    65_536,
    2 ** 28,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 40,
    2 ** 53 - 1,
    below(64),
    below(1 << 16),
  ])
}

function near(size: number, random: Numbers): number {
  return random.of([Math.max(0, size - 1), size + 1, 2 * size, size >> 1, anyNumber(random)])
}
