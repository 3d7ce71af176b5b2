import { readVarint } from '../../src/format/varint.ts'
import { joinDelta, openDelta, streamOf, varint, withStream } from '../../test/helpers/delta-parts.ts'
import type { StreamName } from '../../src/format/delta-batch.ts'
import type { BatchParts, Fields } from '../../test/helpers/delta-parts.ts'
import type { Sample } from '../../test/helpers/delta-samples.ts'

export type Bad = Pick<Sample, 'name' | 'what' | 'old' | 'delta'>
export type SampleOf = (name: string) => Sample
export type Change = Partial<Fields>

/** Collects samples with something wrong in them. */
export type BadMaker = {
  readonly made: readonly Bad[]
  readonly sampleOf: SampleOf
  /** Fields of the front as they are given. */
  front(sample: string, what: string, change: Change): void
  whole(name: string, sample: string, what: string, delta: Uint8Array, old?: Uint8Array): void
  /** Each batch, and fields of the front. */
  batch(name: string, sample: string, what: string, change: (batch: BatchParts) => BatchParts, given?: Change): void
  stream(name: string, sample: string, what: string, stream: StreamName, change: (bytes: Uint8Array) => Uint8Array): void
  /** Number `at` of an image's section, or of a gzip file's behind a plain one. */
  section(name: string, sample: string, what: string, at: number, value: number): void
}

export function badMaker(sampleOf: SampleOf): BadMaker {
  const made: Bad[] = []
  const names = new Set<string>()
  const whole: BadMaker['whole'] = (name, sample, what, delta, old = sampleOf(sample).old) => {
    let unique = `bad-${name}`
    for (let i = 2; names.has(unique); i++) unique = `bad-${name}-${i}`
    names.add(unique)
    made.push({ name: unique, what, old, delta })
  }
  const batch: BadMaker['batch'] = (name, sample, what, change, given = {}) => {
    const parts = openDelta(sampleOf(sample).delta)
    whole(name, sample, what, joinDelta({ ...parts, fields: { ...parts.fields, ...given }, batches: parts.batches.map(change) }))
  }
  const stream: BadMaker['stream'] = (name, sample, what, stream, change) => {
    batch(name, sample, what, (batch) => withStream(batch, stream, change(streamOf(batch, stream))))
  }
  return {
    made,
    sampleOf,
    front: (sample, what, change) => {
      whole(Object.keys(change).join('-'), sample, what, joinDelta(openDelta(sampleOf(sample).delta), change))
    },
    whole,
    batch,
    stream,
    section: (name, sample, what, at, value) => {
      stream(name, sample, what, 'sections', (bytes) => {
        const list = numbersIn(bytes)
        return varint(...list.with(list[0] === 0 ? 2 + at : at, value))
      })
    },
  }
}

export function numbersIn(bytes: Uint8Array): readonly number[] {
  const cursor = { bytes, at: 0 }
  const list: number[] = []
  while (cursor.at < bytes.length) list.push(readVarint(cursor))
  return list
}
