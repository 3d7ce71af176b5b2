import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, emptyBytes, fromHex, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { applyDelta, readDeltaInfo } from '../src/engine/delta/apply.ts'
import { survey } from '../src/engine/delta/survey.ts'
import { encodeBatchHead, endOfBatches, streamNames } from '../src/format/delta-batch.ts'
import { encodeDeltaFront } from '../src/format/delta.ts'
import { byteWriter, zigzag } from '../src/format/varint.ts'
import {
  arbitraryPair,
  chunked,
  deltaOf,
  patched,
  refusals,
  refusedOrRight,
  refusedWith,
  smallLimits,
  sourceOf,
  whole,
} from './helpers/delta.ts'
import { noise } from './helpers/noise.ts'
import { cases } from './helpers/whole-suite.ts'
import type { Codec, StreamName } from '../src/format/delta-batch.ts'
import type { DeltaHeader } from '../src/format/delta.ts'

/** A small delta with every kind of stream and several blocks and batches. */
const old = noise(20_000, 1).content
const next = concatBytes([
  old.subarray(0, 9000),
  utf8('something new '.repeat(40)),
  changed(old.subarray(9000, 14_000)),
  old.subarray(17_000),
  old.subarray(18_000, 19_000),
])
const delta = await deltaOf(old, next, { window: 32 << 10, batchLimit: 400, blockSize: 4096 })

function changed(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (i % 100 === 0 ? byte + 3 : byte))
}

test('the sample is what it is meant to be', async () => {
  assert.deepEqual(await patched(delta, old, { chunk: 1 }), next)
  assert.ok(delta.length < 800, `${delta.length} bytes`)
})

test("the specification's example is one", async () => {
  const spec = readFileSync(join(import.meta.dirname, '../doc/spec/delta.md'), 'utf8')
  const lines = spec.slice(spec.indexOf('```\n62696e64') + 4).split('\n```')[0] as string
  const example = fromHex(
    lines
      .split('\n')
      .map((line) => (line.split('   ')[0] as string).replaceAll(' ', ''))
      .join(''),
  ) as Uint8Array
  const [fox, cat] = ['The quick brown fox jumps over the lazy dog.\n', 'The quick brown cat jumps over the lazy dog!\nTwice.\n'].map(
    utf8,
  ) as [Uint8Array, Uint8Array]
  assert.deepEqual(await patched(example, fox), cat)
  assert.deepEqual(await deltaOf(fox, cat), example)
})

test('a delta that ends early is refused, wherever it ends', async () => {
  for (let end = 0; end < delta.length; end++) await refusedWith(patched(delta.subarray(0, end), old), 'bad-format')
})

test('a delta that goes on behind its end is refused', async () => {
  await refusedWith(patched(concatBytes([delta, Uint8Array.of(0)]), old), 'bad-format')
  await refusedWith(patched(concatBytes([delta, delta]), old), 'bad-format')
})

test('every flipped bit is refused, or harmless', async () => {
  const counts = { refused: 0, right: 0 }
  for (let bit = 0; bit < delta.length * 8; bit++) {
    const damaged = delta.slice()
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    counts[await refusedOrRight(damaged, old, next)]++
  }
  // Spare bits of the codecs.
  assert.ok(counts.right < delta.length * 8 * 0.05, JSON.stringify(counts))
})

test('bytes overwritten, left out and put in: refused, or exact', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: delta.length - 1 }),
      fc.nat({ max: 40 }),
      fc.uint8Array({ maxLength: 40 }),
      async (at, length, bytes) => {
        await refusedOrRight(concatBytes([delta.subarray(0, at), bytes, delta.subarray(at + length)]), old, next)
      },
    ),
    { numRuns: cases(2000) },
  )
})

test('noise is no delta', async () => {
  for (const bytes of [emptyBytes, utf8('x'), utf8('BSDIFF40'), noise(1000, 2).content])
    await refusedWith(readDeltaInfo(bytes), 'bad-format')
})

test('a wrong base is refused before any byte made from the wrong block comes out', async () => {
  for (const at of [0, 5000, 8191, 8192, 19_999]) {
    const wrong = old.slice()
    wrong[at] = (wrong[at] as number) ^ 1
    const made: Uint8Array[] = []
    await refusedWith(collect(applyDelta(stream(delta), chunked(wrong, 700)), made), 'wrong-base')
    const got = concatBytes(made)
    assert.deepEqual(got, next.subarray(0, got.length))
    assert.ok(got.length <= at - (at % 4096) + 4096)
  }
})

test('a base that is shorter or longer is a wrong one', async () => {
  for (const size of [0, 1, 4096, 8192, old.length - 1]) await refusedWith(patched(delta, old.subarray(0, size)), 'wrong-base')
  await refusedWith(patched(delta, concatBytes([old, Uint8Array.of(0)])), 'wrong-base')
  await refusedWith(patched(delta, concatBytes([old, old])), 'wrong-base')
  await refusedWith(patched(delta, next), 'wrong-base')
})

test('an old side that was checked before is not checked again, and makes nothing wrong', async () => {
  const made: Uint8Array[] = []
  const checked = markVerified({ size: old.length, sha256: sha256(old) })
  assert.deepEqual(await patched(delta, old, { checked }), next)
  const wrong = old.with(9500, (old[9500] as number) ^ 1)
  await refusedWith(collect(applyDelta(stream(delta), chunked(wrong, 700), { checked }), made), 'bad-digest')
  assert.deepEqual(concatBytes(made), next.subarray(0, 8192))
  // Never looked at by this delta.
  assert.deepEqual(await patched(delta, old.with(15_000, (old[15_000] as number) ^ 1), { checked }), next)
  for (const other of [
    { size: next.length, sha256: sha256(next) },
    { size: wrong.length, sha256: sha256(wrong) },
  ])
    await refusedWith(patched(delta, wrong, { checked: markVerified(other) }), 'wrong-base')
})

test('the last block waits until all of old was seen to be right', async () => {
  const end = concatBytes([old, noise(9000, 3).content])
  const unused = await deltaOf(end, old, smallLimits)
  const made: Uint8Array[] = []
  await refusedWith(collect(applyDelta(stream(unused), chunked(end.subarray(0, -1), 500)), made), 'wrong-base')
  assert.ok(concatBytes([...made, emptyBytes]).length < old.length)
})

test('errors of the streams themselves come through, and both are closed', async () => {
  const closed: string[] = []
  async function* failing(name: string, bytes: Uint8Array, fails: boolean): AsyncGenerator<Uint8Array> {
    try {
      yield bytes.subarray(0, 1000)
      if (fails) throw new Error(`${name} failed`)
      yield bytes.subarray(1000)
    } finally {
      closed.push(name)
    }
  }
  await assert.rejects(whole(applyDelta(failing('delta', delta, false), failing('old', old, true))), /old failed/)
  assert.deepEqual(closed.splice(0).sort(), ['delta', 'old'])
  for await (const _ of applyDelta(failing('delta', delta, false), failing('old', old, false))) break
  assert.deepEqual(closed.sort(), ['delta', 'old'])
})

test('a delta that takes more memory than granted is refused before anything is read', async () => {
  const { memory } = await readDeltaInfo(delta)
  let asked = false
  async function* watched(): AsyncGenerator<Uint8Array> {
    asked = true
    yield old
  }
  await refusedWith(whole(applyDelta(stream(delta), watched(), { memory: memory - 1 })), 'over-limit')
  assert.equal(asked, false)
  assert.deepEqual(await patched(delta, old, { memory }), next)
})

async function collect(made: AsyncIterable<Uint8Array>, into: Uint8Array[]): Promise<void> {
  for await (const bytes of made) into.push(bytes.slice())
}

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Deltas by hand; changes are pairs (gap, change). */
type Run = readonly [copied: number, literal: number, seek: number]

type Batch = {
  readonly newSize?: number
  readonly runs: readonly Run[]
  readonly changes?: readonly (readonly [number, number])[]
  readonly literals?: Uint8Array
  readonly sections?: readonly number[]
  readonly codec?: Codec
}

const numbers = (values: readonly number[]): Uint8Array => {
  const out = byteWriter()
  for (const value of values) out.varint(value)
  return out.take()
}

const pack = {
  raw: (bytes: Uint8Array) => bytes,
  zstd: (bytes: Uint8Array) => zstdCompressSync(bytes),
  brotli: (bytes: Uint8Array) => brotliCompressSync(bytes),
}

function batchBytes({ newSize, runs, changes = [], literals = emptyBytes, sections = [], codec = 'raw' }: Batch): Uint8Array {
  const streams: Readonly<Record<StreamName, Uint8Array>> = {
    sections: numbers(sections),
    copies: numbers(runs.map(([copy]) => copy)),
    literalRuns: numbers(runs.map(([, literal]) => literal)),
    seeks: numbers(runs.map(([, , seek]) => zigzag(seek))),
    gaps: numbers(changes.map(([gap]) => gap)),
    residuals: numbers(changes.map(([, change]) => zigzag(change))),
    literals,
    images: emptyBytes,
    imageChanges: emptyBytes,
    recipes: emptyBytes,
  }
  const present = streamNames.filter((name) => streams[name].length > 0)
  const coded = present.map((name) => pack[codec](streams[name]))
  const heads = present.map((name, i) => ({ name, codec, size: streams[name].length, codedSize: (coded[i] as Uint8Array).length }))
  return concatBytes([
    encodeBatchHead({ newSize: newSize ?? runs.reduce((sum, [copy, literal]) => sum + copy + literal, 0), streams: heads }),
    ...coded,
  ])
}

/** With the right digests for `made`, so that only the form is in question. */
async function handMade(made: Uint8Array, batches: readonly Batch[], overrides: Partial<DeltaHeader> = {}): Promise<Uint8Array> {
  const base = {
    oldName: '',
    newName: '',
    blockSize: 4096,
    digestSize: 16,
    window: 4096,
    batchLimit: 1 << 20,
    retained: [],
    codingMemory: 0,
  }
  const [a, b] = [await survey(sourceOf(old), 4096, 16, undefined), await survey(sourceOf(made), 4096, 16, undefined)]
  const front = encodeDeltaFront({ ...base, old: a.side, new: b.side, ...overrides }, { old: a.digests, new: b.digests })
  return concatBytes([front, ...batches.map(batchBytes), endOfBatches])
}

const at = (start: number, length: number): Uint8Array => old.subarray(start, start + length)

test('what the specification allows, and a step beyond it', async () => {
  const good = async (made: Uint8Array, batches: readonly Batch[], overrides?: Partial<DeltaHeader>): Promise<void> =>
    assert.deepEqual(await patched(await handMade(made, batches, overrides), old), made)
  const bad = async (made: Uint8Array, batches: readonly Batch[], overrides?: Partial<DeltaHeader>): Promise<void> =>
    await refusedWith(patched(await handMade(made, batches, overrides), old), 'bad-format')

  // The window is behind the furthest byte used: 10,000.
  const far = [9990, 10] as const
  await good(concatBytes([at(...far), at(5904, 20)]), [
    {
      runs: [
        [10, 0, 9990],
        [20, 0, 5904 - 10_000],
      ],
    },
  ])
  await bad(concatBytes([at(...far), at(5903, 20)]), [
    {
      runs: [
        [10, 0, 9990],
        [20, 0, 5903 - 10_000],
      ],
    },
  ])
  // Behind it only what is retained, within one range, and not beyond what was read.
  const behind = [
    {
      runs: [
        [10, 0, 9990],
        [20, 0, 5000 - 10_000],
      ],
    },
  ] as const
  await good(concatBytes([at(...far), at(5000, 20)]), behind, { retained: [{ start: 5000, end: 5020 }] })
  await good(concatBytes([at(...far), at(5000, 20)]), behind, {
    retained: [
      { start: 17, end: 20 },
      { start: 4000, end: 9000 },
      { start: 19_000, end: 20_000 },
    ],
  })
  await bad(concatBytes([at(...far), at(5000, 20)]), behind, { retained: [{ start: 5001, end: 5020 }] })
  await bad(concatBytes([at(...far), at(5000, 20)]), behind, {
    retained: [
      { start: 5000, end: 5010 },
      { start: 5010, end: 5020 },
    ],
  })
  // A long copy slides the window along.
  await good(concatBytes([at(...far), at(5904, 14_000)]), [
    {
      runs: [
        [10, 0, 9990],
        [14_000, 0, 5904 - 10_000],
      ],
    },
  ])
  // From the first old byte to the last one.
  await good(at(0, 20_000), [{ runs: [[20_000, 0, 0]] }])
  await bad(at(1, 19_999), [{ runs: [[20_000, 0, 1]], newSize: 20_000 }])
  await bad(at(0, 5), [{ runs: [[5, 0, -1]] }])

  // Residuals: four bytes at once with their carries, single ones at the end of a copy, across runs and blocks.
  const word = at(100, 8).slice()
  new DataView(word.buffer).setInt32(2, new DataView(old.buffer).getInt32(102, true) - 70_000, true)
  await good(word, [{ runs: [[8, 0, 100]], changes: [[2, -70_000]] }])
  const single = at(100, 6).slice()
  single[3] = (single[3] as number) + 5
  single[5] = (single[5] as number) - 6
  await good(single, [
    {
      runs: [[6, 0, 100]],
      changes: [
        [3, 5],
        [1, -6],
      ],
    },
  ])
  const across = at(0, 5000).slice()
  new DataView(across.buffer).setInt32(4094, new DataView(old.buffer).getInt32(4094, true) + 1, true)
  await good(across, [{ runs: [[5000, 0, 0]], changes: [[4094, 1]] }])
  await good(
    concatBytes([at(0, 3), at(50, 3)]).map((byte, i) => (i === 4 ? byte + 1 : byte)),
    [
      {
        runs: [
          [3, 0, 0],
          [3, 0, 47],
        ],
        changes: [[4, 1]],
      },
    ],
  )
  await bad(at(0, 8), [{ runs: [[8, 0, 0]], changes: [[2, 2 ** 31]] }])

  // Sections: none said is a plain one; runs do not reach from one to the next; images are made from executables.
  await good(at(0, 10), [
    {
      newSize: 10,
      runs: [
        [4, 0, 0],
        [6, 0, 0],
      ],
      sections: [0, 4, 0, 6],
    },
  ])
  await bad(at(0, 10), [{ runs: [[10, 0, 0]], sections: [0, 4, 0, 6] }])
  await bad(at(0, 10), [{ newSize: 10, runs: [[4, 0, 0]], sections: [0, 4, 1, 6, 0, 6] }])
  await bad(at(0, 10), [{ newSize: 10, runs: [[4, 0, 0]], sections: [0, 4, 2, 6] }])
  await bad(at(0, 10), [{ runs: [[10, 0, 0]], sections: [0, 9] }])
  await bad(at(0, 10), [{ runs: [[10, 0, 0]], sections: [0, 0, 0, 10] }])

  // What does not add up.
  await bad(at(0, 10), [
    {
      runs: [
        [10, 0, 0],
        [0, 0, 5],
      ],
    },
  ])
  await bad(at(0, 10), [{ runs: [[11, 0, 0]], newSize: 10 }])
  await bad(at(0, 10), [{ runs: [[9, 0, 0]], newSize: 10 }])
  await bad(at(0, 10), [{ runs: [[10, 0, 0]], literals: utf8('x') }])
  await bad(at(0, 10), [{ runs: [[10, 0, 0]], changes: [[10, 1]] }])
  await bad(utf8('ab'), [{ runs: [[0, 2, 0]], literals: utf8('a') }])
  await bad(at(0, 10), [{ runs: [[10, 0, 0]] }, { runs: [[10, 0, 0]] }])
  await bad(at(0, 10), [{ runs: [[9, 0, 0]] }])
  await bad(at(0, 10), [])
  await good(utf8('new'), [{ runs: [[0, 3, 5]], literals: utf8('new') }])
})

test('streams: each codec, and one that holds more or less than it says', async () => {
  const text = utf8('again and again and again and again and again and again '.repeat(3))
  for (const codec of ['raw', 'zstd', 'brotli'] as const) {
    const batch = { runs: Array.from({ length: 60 }, (): Run => [0, 2, 0]).concat([[0, text.length - 120, 0]]), literals: text, codec }
    assert.deepEqual(await patched(await handMade(text, [batch]), old), text)
  }
  const front = (await handMade(text, [])).subarray(0, -1)
  const tail = (size: number, coded: Uint8Array): Uint8Array => {
    const streams = (['copies', 'literalRuns', 'seeks'] as const).map((name) => ({
      name,
      codec: 'raw' as const,
      size: name === 'literalRuns' ? 2 : 1,
      codedSize: 1,
    }))
    const head = encodeBatchHead({
      newSize: text.length,
      streams: [...streams, { name: 'literals', codec: 'zstd', size, codedSize: coded.length }],
    })
    return concatBytes([front, head, numbers([0, text.length, 0]), coded, endOfBatches])
  }
  assert.deepEqual(await patched(tail(text.length, zstdCompressSync(text)), old), text)
  for (const coded of [
    zstdCompressSync(concatBytes([text, text])),
    zstdCompressSync(text.subarray(1)),
    concatBytes([zstdCompressSync(text), Uint8Array.of(0)]),
    concatBytes([zstdCompressSync(text.subarray(0, 60)), zstdCompressSync(text.subarray(60))]),
    brotliCompressSync(text),
  ]) {
    await refusedWith(patched(tail(text.length, coded), old), 'bad-format')
  }
})

test('a wrong result is never handed out', async () => {
  const made = at(0, 10)
  await refusedWith(patched(await handMade(made, [{ runs: [[10, 0, 1]] }]), old), 'bad-digest')
  const long = at(0, 9000).map((byte, i) => (i === 8000 ? byte + 1 : byte))
  const got: Uint8Array[] = []
  await refusedWith(collect(applyDelta(stream(await handMade(long, [{ runs: [[9000, 0, 0]] }])), chunked(old, 999)), got), 'bad-digest')
  assert.deepEqual(concatBytes(got), long.subarray(0, 4096))
})

test('damaged deltas between arbitrary files: refused, or exact', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPair, fc.nat(), fc.integer({ min: 1, max: 255 }), async (pair, pick, mask) => {
      const damaged = await deltaOf(pair.old, pair.next, smallLimits)
      damaged[pick % damaged.length] = (damaged[pick % damaged.length] as number) ^ mask
      try {
        assert.deepEqual(await patched(damaged, pair.old), pair.next)
      } catch (error) {
        assert.ok(isBinderyError(error) && refusals.includes(error.code), String(error))
      }
    }),
    { numRuns: cases(1000) },
  )
})
