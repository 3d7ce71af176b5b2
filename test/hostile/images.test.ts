import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, emptyBytes } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { matchImage } from '../../src/engine/delta/image/encode.ts'
import { findReferences } from '../../src/engine/delta/image/find.ts'
import { hasBit, kindOf, placeOf } from '../../src/engine/delta/image/image.ts'
import { imageMemory } from '../../src/engine/delta/image/memory.ts'
import { imageModels } from '../../src/engine/delta/image/models.ts'
import { rangeDecoder, rangeEncoder } from '../../src/engine/delta/image/range-coder.ts'
import { kinds, widthOf } from '../../src/engine/delta/image/reference.ts'
import { walkImage } from '../../src/engine/delta/image/walk.ts'
import { survey } from '../../src/engine/delta/survey.ts'
import { encodeBatchHead, endOfBatches, streamNames } from '../../src/format/delta-batch.ts'
import { encodeDeltaFront } from '../../src/format/delta.ts'
import { readElf } from '../../src/format/elf.ts'
import { byteWriter, zigzag } from '../../src/format/varint.ts'
import { deltaOf, patched, refusals, refusedOrRight, refusedWith, sourceOf } from '../helpers/delta.ts'
import { layouts, link, linkWithMap, machines, randomProgram } from '../helpers/executable.ts'
import { codedImage } from '../helpers/coded-image.ts'
import { noise } from '../helpers/noise.ts'
import { numbers } from '../helpers/numbers.ts'
import { cases, isWholeSuite } from '../helpers/whole-suite.ts'
import type { ErrorCode } from '../../src/base/error.ts'
import type { Image } from '../../src/engine/delta/image/image.ts'
import type { StreamName } from '../../src/format/delta-batch.ts'

const usual = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false } as const

const samples = [
  randomProgram(usual, 45, 1),
  randomProgram({ ...usual, layout: 'openbsd', isFixed: true, isGo: true }, 45, 2),
  randomProgram({ ...usual, machine: 'aarch64', isGo: true }, 45, 3),
].map((program) => ({ good: link(program), other: link({ ...program, functions: program.functions.slice(1) }) }))

/** Whatever the file, what is found lies in it, apart from each other, and means something in the image. */
function findsInBounds(bytes: Uint8Array): Image | undefined {
  const image = findReferences(bytes)
  if (image === undefined) return undefined
  const { references, numbered, span, targets, bases, jumpTables } = image
  let free = 0
  for (let i = 0; i < references.count; i++) {
    const [packed, target] = [references.packed[i] as number, numbered.addresses[references.numbers[i] as number] as number]
    assert.ok(kindOf(packed) !== kinds.none && placeOf(packed) >= free)
    free = placeOf(packed) + widthOf(kindOf(packed))
    assert.ok(target <= span && hasBit(targets, target))
  }
  assert.ok(free <= bytes.length)
  for (const base of bases) assert.ok(Number.isInteger(base) && base >= 0 && base <= span && hasBit(targets, base))
  for (let i = 1; i < jumpTables.length; i++) assert.ok((jumpTables[i] as number) >= (jumpTables[i - 1] as number))
  return image
}

/** As in one long delta, what one image taught serves the next. */
const models = { coder: imageModels(), decoder: imageModels() }

/** Coded and decoded at once, without a delta around it; false where a writer would not. */
function comesBack(old: Uint8Array, next: Uint8Array): boolean {
  const matched = matchImage(old, next)
  if (matched === undefined) return false
  const coders = { main: rangeEncoder(), changes: rangeEncoder() }
  walkImage({ coders, models: models.coder, old: matched.old, next: next.slice(), plan: matched.plan, plainLiterals: undefined })
  const decoders = { main: rangeDecoder(coders.main.take()), changes: rangeDecoder(coders.changes.take()) }
  const made = new Uint8Array(next.length)
  walkImage({
    coders: decoders,
    models: models.decoder,
    old: findReferences(old) as Image,
    next: made,
    plan: undefined,
    plainLiterals: undefined,
  })
  decoders.main.finish()
  decoders.changes.finish()
  assert.equal(sha256(made), sha256(next))
  return true
}

type Field = readonly [at: number, width: number]

const fieldsAt = (start: number, widths: readonly number[]): readonly Field[] => {
  let at = start
  return widths.map((width) => [(at += width) - width, width] as const)
}

/** Every field of the header, of the program headers and of the section headers. */
function fieldsOf(bytes: Uint8Array): readonly Field[] {
  const view = new DataView(bytes.buffer)
  const sections = Array.from({ length: view.getUint16(60, true) }, (_, i) => Number(view.getBigUint64(40, true)) + 64 * i)
  return [
    ...fieldsAt(16, [2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2]),
    ...[0, 1, 2].flatMap((i) => fieldsAt(64 + 56 * i, [4, 4, 8, 8, 8, 8, 8, 8])),
    ...sections.flatMap((at) => fieldsAt(at, [4, 4, 8, 8, 8, 8, 4, 4, 8, 8])),
  ]
}

function withField(bytes: Uint8Array, [at, width]: Field, value: bigint): Uint8Array {
  const copy = bytes.slice()
  for (let i = 0; i < width; i++) copy[at + i] = Number((value >> BigInt(8 * i)) & 255n)
  return copy
}

const lies = [
  0n,
  1n,
  2n,
  5n,
  0x1000n,
  0x3fff_ffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 52n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
]

test('every field of every header lies: what is found is in bounds, and every pair comes back', () => {
  let images = 0
  let turn = 0
  for (const { good, other } of samples) {
    const random = numbers(good.length)
    for (const field of fieldsOf(good)) {
      for (const value of [...lies, BigInt(good.length), BigInt(random.below(1 << 30))]) {
        const liar = withField(good, field, value)
        findsInBounds(liar)
        if (turn++ % 41 !== 0) continue
        if (comesBack(liar, other)) images++
        if (comesBack(other, liar)) images++
        if (comesBack(liar, withField(good, field, 3n))) images++
      }
    }
  }
  assert.ok(images > 200, `${images}`)
})

test('several fields lie at once', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 2 }),
      fc.array(fc.record({ field: fc.nat(), value: fc.oneof(fc.constantFrom(...lies), fc.bigInt({ min: 0n, max: 0x6000n })) }), {
        minLength: 1,
        maxLength: 6,
      }),
      (which, list) => {
        const { good, other } = samples[which] as (typeof samples)[number]
        const fields = fieldsOf(good)
        const liar = list.reduce((bytes, { field, value }) => withField(bytes, fields[field % fields.length] as Field, value), good)
        findsInBounds(liar)
        if (list.length % 3 === 0) comesBack(liar, other)
      },
    ),
    { numRuns: cases(400) },
  )
})

test('tables that lie: bytes overwritten anywhere behind the headers', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 2 }),
      fc.array(
        fc.tuple(
          fc.nat(),
          fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 24 }), fc.constantFrom(new Uint8Array(8).fill(255), new Uint8Array(40))),
        ),
      ),
      (which, list) => {
        const { good, other } = samples[which] as (typeof samples)[number]
        const liar = good.slice()
        for (const [at, bytes] of list) liar.set(bytes, 300 + (at % (liar.length - 400)))
        findsInBounds(liar)
        comesBack(liar, other)
      },
    ),
    { numRuns: cases(150) },
  )
})

test("Go's tables with counts and places that lie", () => {
  const { bytes, offsetOf } = linkWithMap(randomProgram({ ...usual, isGo: true, isFixed: true }, 45, 2))
  const places: readonly Field[] = [
    ...fieldsAt(offsetOf('go header'), [4, 4, 8, 8, 8, 8, 8, 8, 8, 8]),
    ...fieldsAt(offsetOf('go functions'), [4, 4, 4, 4]),
    ...fieldsAt(offsetOf('go entry f0'), [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 1, 1, 1, 1, 4, 4, 4, 4, 4, 4]),
    ...fieldsAt(offsetOf('go tree f0'), [4, 4, 4, 4]),
    ...[0, 1, 2, 19, 37, 38, 40].map((word) => [offsetOf('go module') + 8 * word, 8] as const),
    ...fieldsAt(offsetOf('go type Reader'), [8, 8, 4, 1, 1, 1, 1, 8, 8, 4, 4]),
    ...fieldsAt(offsetOf('go type Reader') + 80, [4, 2, 2, 4, 4]),
    ...fieldsAt(offsetOf('go type interface') + 56, [8, 8, 8]),
  ]
  for (const field of places) for (const value of [...lies, 0x40_2000n, 0xffffn, 4096n]) findsInBounds(withField(bytes, field, value))
})

/** How many numbers are read through views while `work` runs. */
function readsOf(work: () => void): number {
  const prototype = DataView.prototype as unknown as Record<string, (this: DataView, ...rest: unknown[]) => unknown>
  const names = ['getUint8', 'getUint16', 'getUint32', 'getInt32'] as const
  const originals = names.map((name) => prototype[name] as (typeof prototype)[string])
  let count = 0
  for (const [i, name] of names.entries())
    prototype[name] = function (...rest) {
      count++
      return (originals[i] as (typeof prototype)[string]).apply(this, rest)
    }
  try {
    work()
  } finally {
    for (const [i, name] of names.entries()) prototype[name] = originals[i] as (typeof prototype)[string]
  }
  return count
}

type FakeSection = { readonly type: number; readonly flags: number; readonly name?: string; readonly offset: number; readonly size: number }

/** A file of one segment, all of it readable, writable and code or not, with these sections behind `content` at 0x1000. */
function fake(content: Uint8Array, sections: readonly FakeSection[], segmentFlags = 6): Uint8Array {
  const names = ['.gnu.hash', '.hash', '.eh_frame', '.eh_frame_hdr', '.typelink', '.dynstr', '.text']
  const table = Buffer.from(`\0${names.join('\0')}\0`)
  const start = 0x1000 + Math.ceil(content.length / 8) * 8
  const bytes = new Uint8Array(start + 64 * (sections.length + 1) + table.length)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  for (const [at, value] of [
    [16, 3],
    [18, 62],
    [54, 56],
    [56, 1],
    [58, 64],
    [60, sections.length + 1],
    [62, sections.length],
  ] as const)
    view.setUint16(at, value, true)
  const long = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true)
  long(32, 64)
  long(40, start)
  view.setUint32(64, 1, true)
  view.setUint32(68, segmentFlags, true)
  long(96, bytes.length)
  long(104, bytes.length)
  bytes.set(content, 0x1000)
  for (const [i, { type, flags, name, offset, size }] of sections.entries()) {
    const at = start + 64 * i
    view.setUint32(at, name === undefined ? 0 : table.indexOf(`\0${name}\0`) + 1, true)
    view.setUint32(at + 4, type, true)
    for (const [place, value] of [
      [8, flags],
      [16, offset],
      [24, offset],
      [32, size],
    ] as const)
      long(at + place, value)
  }
  const last = start + 64 * sections.length
  long(last + 24, last + 64)
  bytes.set(table, last + 64)
  return bytes
}

test('thousands of sections over the same bytes cost what a few would', () => {
  const content = noise(200_000, 5).content
  for (const section of [
    { type: 1, flags: 2 },
    { type: 1, flags: 3 },
    { type: 1, flags: 6 },
    { type: 2, flags: 2 },
    { type: 4, flags: 2 },
    { type: 11, flags: 2 },
    { type: 14, flags: 3 },
    { type: 19, flags: 2 },
    { type: 1, flags: 2, name: '.gnu.hash' },
    { type: 1, flags: 2, name: '.hash' },
    { type: 1, flags: 2, name: '.eh_frame' },
    { type: 1, flags: 2, name: '.eh_frame_hdr' },
  ]) {
    const bytes = fake(
      content,
      Array.from({ length: 4000 }, () => ({ ...section, offset: 0x1000, size: content.length })),
    )
    const reads = readsOf(() => void findReferences(bytes))
    assert.ok(reads < 8 * bytes.length, `${reads} reads in ${bytes.length} bytes of ${JSON.stringify(section)}`)
    findsInBounds(bytes)
  }
})

test('jump tables over everything, frames that ask for each other, in one look', () => {
  // Code refers to every fourth byte, which might be an entry of a table: an address of code.
  const size = 120_000
  const content = new Uint8Array(2 * size)
  const view = new DataView(content.buffer)
  for (let at = 0; at + 7 <= size; at += 7) {
    content.set([0x48, 0x8d, 0x05], at)
    view.setInt32(at + 3, size + Math.floor((4 * at) / 7) - at - 7, true)
  }
  for (let at = size; at + 4 <= 2 * size; at += 4) view.setInt32(at, -size, true)
  const code = { type: 1, flags: 6, offset: 0x1000, size }
  const tables = fake(
    content,
    [code, { type: 1, flags: 2, offset: 0x1000 + size, size }, { type: 1, flags: 2, offset: 0x1000 + size + 8, size: size - 8 }],
    5,
  )
  assert.ok(readsOf(() => void findReferences(tables)) < 8 * tables.length)
  findsInBounds(tables)
  // Each of its own CIE far away, and of ever another one.
  const frames = new Uint8Array(size)
  const frameView = new DataView(frames.buffer)
  for (let at = 0, i = 0; at + 24 <= size; at += 24, i++) {
    frameView.setUint32(at, 20, true)
    frameView.setUint32(at + 4, i % 2 === 0 ? 0 : at + 4 - 48 * ((i * 7919) % Math.max(1, i >> 1)), true)
    frames.set(i % 2 === 0 ? [1, 0x7a, 0x4c, 0x52, 0x50, 0x53, 0x42, 0x47, 0x41] : [0, 0, 0, 0, 0, 0, 0, 0, 4], at + 8)
  }
  const unwound = fake(frames, [{ type: 1, flags: 2, name: '.eh_frame', offset: 0x1000, size }])
  assert.ok(readsOf(() => void findReferences(unwound)) < 8 * unwound.length)
  findsInBounds(unwound)
})

test("Go's types that all claim the same methods, functions that all have the same entry, in one look", () => {
  const { bytes, offsetOf } = linkWithMap(randomProgram({ ...usual, isGo: true, isFixed: true }, 2000, 9))
  const usualReads = readsOf(() => void findReferences(bytes))
  const view = new DataView(bytes.buffer)
  const entry = view.getUint32(offsetOf('go functions') + 4, true)
  for (let i = 0; i < 2000; i++) view.setUint32(offsetOf('go functions') + 8 * i + 4, entry, true)
  // An endless tree of calls in every piece of data, and types every 24 bytes over them.
  const start = offsetOf('go tree f0')
  const end = offsetOf('go index')
  for (let at = start - (start % 8) + 8; at + 24 <= end; at += 24) {
    view.setUint32(at, 0x40_1000, true)
    view.setUint32(at + 4, 0, true)
    view.setUint32(at + 8, 0x40_0000 + start, true)
    view.setUint32(at + 12, 0, true)
    view.setUint32(at + 16, 4096, true)
    bytes.set([1, 8, 8, 20], at + 20)
  }
  assert.ok(readsOf(() => void findReferences(bytes)) < 3 * usualReads)
  findsInBounds(bytes)
})

test('an image that claims more memory than its file may need has no references', () => {
  const bytes = link(randomProgram(usual, 45, 1))
  const grown = (memorySize: bigint): Uint8Array => withField(bytes, [64 + 56 * 2 + 40, 8], memorySize)
  assert.ok(readElf(grown(4n << 20n)))
  assert.equal(readElf(grown(64n << 20n)), undefined)
  assert.equal(readElf(grown(1n << 31n)), undefined)
})

// Deltas that lie.

const [{ other: old, good: next }] = samples as [(typeof samples)[0]]
const delta = await deltaOf(old, next)

test('flipped bits in a delta of an image: refused, or harmless', async () => {
  const counts = { refused: 0, right: 0 }
  for (let bit = 0; bit < delta.length * 8; bit += isWholeSuite ? 5 : 19)
    counts[await refusedOrRight(withField(delta, [bit >> 3, 1], BigInt((delta[bit >> 3] as number) ^ (1 << (bit & 7)))), old, next)]++
  assert.ok(counts.right < (counts.right + counts.refused) * 0.05, JSON.stringify(counts))
})

test('a delta of an image that ends early, or has bytes put in, overwritten or left out', async () => {
  for (let end = 0; end < delta.length; end += 3) await refusedWith(patched(delta.subarray(0, end), old), ...refusals)
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: delta.length - 1 }),
      fc.nat({ max: 20 }),
      fc.uint8Array({ maxLength: 20 }),
      async (at, length, bytes) => {
        await refusedOrRight(concatBytes([delta.subarray(0, at), bytes, delta.subarray(at + length)]), old, next)
      },
    ),
    { numRuns: cases(300) },
  )
})

type Crafted = {
  /** Numbers of the stream `sections`. */
  readonly sections: readonly number[]
  readonly images?: Uint8Array
  readonly imageChanges?: Uint8Array
  readonly literals?: Uint8Array
  readonly memory?: number
  readonly window?: number
  readonly from?: Uint8Array
}

/** One batch that makes what has the digest of `next`, whatever is in it. */
async function crafted({
  sections,
  images = emptyBytes,
  imageChanges = emptyBytes,
  literals = emptyBytes,
  memory = 64 << 20,
  window = 1 << 20,
  from = old,
}: Crafted): Promise<Uint8Array> {
  const [a, b] = [await survey(sourceOf(from), 1 << 20, 16, undefined), await survey(sourceOf(next), 1 << 20, 16, undefined)]
  const header = {
    oldName: '',
    newName: '',
    blockSize: 1 << 20,
    digestSize: 16,
    window,
    batchLimit: 1 << 20,
    retained: [],
    codingMemory: memory,
  }
  const numbersOf = byteWriter()
  for (const value of sections) numbersOf.varint(value)
  const streams: Partial<Record<StreamName, Uint8Array>> = { sections: numbersOf.take(), literals, images, imageChanges }
  const present = streamNames.filter((name) => (streams[name]?.length ?? 0) > 0)
  const heads = present.map((name) => ({
    name,
    codec: 'raw' as const,
    size: (streams[name] as Uint8Array).length,
    codedSize: (streams[name] as Uint8Array).length,
  }))
  return concatBytes([
    encodeDeltaFront({ ...header, old: a.side, new: b.side }, { old: a.digests, new: b.digests }),
    encodeBatchHead({ newSize: next.length, streams: heads }),
    ...present.map((name) => streams[name] as Uint8Array),
    endOfBatches,
  ])
}

const streams = codedImage(old, next, 'modelled')
const plainStreams = codedImage(old, next, 'plain')

test('a section of an image, field by field', async () => {
  const good = [1, next.length, zigzag(0), old.length]
  assert.deepEqual(await patched(await crafted({ sections: good, ...streams }), old), next)
  const bad = async (change: Partial<Crafted>, ...codes: readonly ErrorCode[]): Promise<void> =>
    await refusedWith(patched(await crafted({ sections: good, ...streams, ...change }), old), ...codes)
  const size = next.length
  for (const coding of [2, 3, 4, 2 ** 40]) await bad({ sections: [coding, size, 0, old.length] }, 'bad-format')
  for (const other of [0, 1, size - 1, size + 1, 2 ** 52]) await bad({ sections: [1, other, 0, old.length] }, 'bad-format')
  for (const seek of [1, -1, 64, 4096, -old.length, 2 ** 51, -(2 ** 51)])
    await bad({ sections: [1, size, zigzag(seek), old.length] }, 'bad-format')
  for (const oldSize of [0, 1, 64, 4095, old.length + 1, 2 ** 31, 2 ** 52]) await bad({ sections: [1, size, 0, oldSize] }, 'bad-format')
  await bad({ sections: [1, size, 0, old.length - 1] }, 'bad-format', 'bad-digest')
  await bad({ sections: [1, size, zigzag(4), old.length - 4] }, 'bad-format')
  await bad({ sections: [1, size, 0] }, 'bad-format')
  await bad({ sections: [1, 4096, 0, old.length, 1, size - 4096, zigzag(-old.length), old.length] }, 'bad-format', 'bad-digest')
  await bad({ sections: [1, 4095, 0, old.length, 1, size - 4095, zigzag(-old.length), old.length] }, 'bad-format')
  await bad({ window: 4096 }, 'bad-format')
  await bad({ images: emptyBytes }, 'bad-format', 'bad-digest')
  await bad({ imageChanges: emptyBytes }, 'bad-format', 'bad-digest')
  await bad({ images: emptyBytes, imageChanges: emptyBytes }, 'bad-format')
  await bad({ images: concatBytes([streams.images, new Uint8Array(5)]) }, 'bad-format')
  await bad({ imageChanges: concatBytes([streams.imageChanges, new Uint8Array(5)]) }, 'bad-format')
  // Literals beside the image: all of them, and no more.
  const { length } = plainStreams.literals
  const plain = { sections: [3, ...good.slice(1), length], ...plainStreams }
  for (const count of [0, length - 1, length + 1, size, 2 ** 52])
    await bad({ ...plain, sections: [3, ...good.slice(1), count] }, 'bad-format')
  await bad({ ...plain, sections: [3, ...good.slice(1)] }, 'bad-format')
  assert.ok(plainStreams.literals.length > 8)
  assert.deepEqual(await patched(await crafted(plain), old), next)
  await bad({ ...plain, literals: plainStreams.literals.subarray(1) }, 'bad-format')
  await bad({ ...plain, literals: concatBytes([plainStreams.literals, Uint8Array.of(0)]) }, 'bad-format')
  await bad({ ...plain, literals: plainStreams.literals.map((byte) => byte ^ 1) }, 'bad-digest')
  // Data of images without an image.
  await bad({ sections: [0, size] }, 'bad-format')
})

test('an image takes the memory that the header says, or is refused', async () => {
  const sections = [1, next.length, 0, old.length]
  const need = imageMemory(old.length, next.length, (readElf(old) as NonNullable<ReturnType<typeof readElf>>).span)
  assert.deepEqual(await patched(await crafted({ sections, ...streams, memory: need }), old), next)
  await refusedWith(patched(await crafted({ sections, ...streams, memory: need - 1 }), old), 'over-limit')
  await refusedWith(patched(await crafted({ sections, ...streams, memory: 2 ** 40 }), old), 'over-limit')
})

test('an old file that is no executable, or one that lies, makes no image', async () => {
  const sections = [1, next.length, 0, old.length]
  for (const from of [noise(old.length, 7).content, old.map((byte, i) => (i === 18 ? 3 : byte)), withField(old, [64 + 40, 8], 1n << 40n)])
    await refusedWith(patched(await crafted({ sections, ...streams, from }), from), 'bad-format', 'bad-digest')
  // An address in every fourth byte would take more than the header's formula has room for.
  const dense = old.slice()
  const view = new DataView(dense.buffer)
  const { sections: list } = readElf(old) as NonNullable<ReturnType<typeof readElf>>
  const text = list.find(({ name }) => name === '.text') as (typeof list)[0]
  for (let at = text.offset; at + 5 <= text.offset + text.size; at += 5) {
    dense[at] = 0xe8
    view.setInt32(at + 1, -at + ((at * 37) % 8000), true)
  }
  await refusedWith(patched(await crafted({ sections, ...streams, from: dense }), dense), 'bad-format', 'bad-digest', 'over-limit')
})

test('random streams of images: refused', async () => {
  const sections = [1, next.length, 0, old.length]
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 600 }),
    fc.constantFrom(0, 1, 0x55, 0x80, 0xff).map((byte) => new Uint8Array(300).fill(byte)),
    fc.nat({ max: streams.images.length }).map((end) => streams.images.subarray(0, end)),
  )
  await fc.assert(
    fc.asyncProperty(bytes, bytes, async (images, imageChanges) => {
      await refusedOrRight(await crafted({ sections, images, imageChanges }), old, next)
      await refusedOrRight(await crafted({ sections, ...streams, images }), old, next)
      await refusedOrRight(await crafted({ sections, ...streams, imageChanges }), old, next)
    }),
    { numRuns: cases(150) },
  )
})

test('images of every kind, from noise that claims to be one', () => {
  for (const machine of machines) {
    for (const layout of layouts) {
      const program = link(randomProgram({ ...usual, machine, layout }, 45, 20))
      const filled = noise(program.length, 8).content
      filled.set(program.subarray(0, 300))
      findsInBounds(filled)
      comesBack(filled, program)
      comesBack(program, filled)
      comesBack(
        filled,
        filled.map((byte, i) => (i % 100 === 50 ? byte + 1 : byte)),
      )
    }
  }
})
