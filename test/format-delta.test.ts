import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, hex, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { codecs, decodeBatchHead, encodeBatchHead, streamNames } from '../src/format/delta-batch.ts'
import {
  decodeDeltaHeader,
  decodeDeltaPrefix,
  decodeDigestTable,
  deltaChecksumSize,
  deltaPrefixSize,
  digestCount,
  digestTableSize,
  encodeDeltaFront,
  memoryNeed,
} from '../src/format/delta.ts'
import { byteWriter, readVarint, unzigzag, zigzag } from '../src/format/varint.ts'
import type { BatchHead } from '../src/format/delta-batch.ts'
import type { BlockDigests, DeltaHeader } from '../src/format/delta.ts'
import type { ErrorCode } from '../src/base/error.ts'

const side = (text: string): DeltaHeader['old'] => ({ size: text.length, sha256: sha256(utf8(text)) })

const simple: DeltaHeader = {
  oldName: 'base-1.0-20260101-amd64',
  newName: 'base-1.1-20260201-amd64',
  old: side('old'),
  new: side('newer'),
  blockSize: 4096,
  digestSize: 16,
  window: 64,
  batchLimit: 1000,
  retained: [],
  codingMemory: 0,
}

function emptyTable(header: DeltaHeader): BlockDigests {
  const table = (size: number): Uint8Array => new Uint8Array(digestCount(size, header.blockSize) * header.digestSize).fill(7)
  return { old: table(header.old.size), new: table(header.new.size) }
}

function decoded(front: Uint8Array): { header: DeltaHeader; digests: BlockDigests } {
  const end = deltaPrefixSize + decodeDeltaPrefix(front.subarray(0, deltaPrefixSize))
  const header = decodeDeltaHeader(front.subarray(deltaPrefixSize, end))
  const tableEnd = end + digestTableSize(header)
  assert.equal(tableEnd + deltaChecksumSize, front.length)
  return { header, digests: decodeDigestTable(header, front.subarray(0, tableEnd), front.subarray(tableEnd)) }
}

function refuses(work: () => unknown, ...codes: readonly ErrorCode[]): void {
  assert.throws(work, (error) => isBinderyError(error) && codes.includes(error.code))
}

const name = fc.oneof(fc.constant(''), fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,60}$/))
const size = fc.oneof(fc.nat({ max: 100 }), fc.nat({ max: 1 << 27 }))
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => hex(bytes) as DeltaHeader['old']['sha256'])
const sides = fc.record({ size, sha256: digest }, { noNullPrototype: true })

const header: fc.Arbitrary<DeltaHeader> = fc
  .record(
    {
      oldName: name,
      newName: name,
      old: sides,
      new: sides,
      blockSize: fc.integer({ min: 12, max: 26 }).map((bits) => 2 ** bits),
      digestSize: fc.integer({ min: 16, max: 32 }),
      window: fc.integer({ min: 64, max: 2 ** 31 }),
      batchLimit: fc.integer({ min: 0, max: 2 ** 28 }),
      codingMemory: fc.integer({ min: 0, max: 2 ** 40 }),
      cuts: fc.uniqueArray(fc.nat({ max: 1000 }), { maxLength: 20 }),
    },
    { noNullPrototype: true },
  )
  .map(({ cuts, ...rest }) => ({ ...rest, retained: rangesIn(rest.old.size, cuts) }))
  .filter(({ old, new: next, blockSize }) => Math.max(old.size, next.size) / blockSize <= 0x10000)

function rangesIn(oldSize: number, cuts: readonly number[]): DeltaHeader['retained'] {
  const sorted = [...cuts].sort((a, b) => a - b).filter((cut) => cut <= oldSize)
  return Array.from({ length: sorted.length >> 1 }, (_, i) => ({ start: sorted[2 * i] as number, end: sorted[2 * i + 1] as number }))
}

test('a header reads as it was written, and its front writes as it was read', () => {
  fc.assert(
    fc.property(header, (value) => {
      const front = encodeDeltaFront(value, emptyTable(value))
      const { header: read, digests } = decoded(front)
      assert.deepEqual(read, value)
      assert.deepEqual(digests, emptyTable(value))
      assert.deepEqual(encodeDeltaFront(read, digests), front)
    }),
  )
})

test('the front of a small delta is the bytes of the specification', () => {
  const front = encodeDeltaFront(
    { ...simple, oldName: '', newName: '', old: side(''), new: side('a') },
    { old: new Uint8Array(0), new: new Uint8Array(0) },
  )
  assert.equal(
    hex(front),
    '62696e64656c7461' +
      '01' +
      '4c00' +
      '00' +
      '0000' +
      '00e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' +
      '01ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb' +
      '0c10' +
      '40e8070000' +
      hex(front.subarray(-4)),
  )
})

test('every bit of the front counts', () => {
  const front = encodeDeltaFront(
    { ...simple, old: { ...simple.old, size: 9000 }, retained: [{ start: 5, end: 900 }] },
    emptyTable({ ...simple, old: { ...simple.old, size: 9000 } }),
  )
  for (let bit = 0; bit < front.length * 8; bit++) {
    const damaged = front.slice()
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.throws(
      () => decoded(damaged),
      (error) => isBinderyError(error) || error instanceof assert.AssertionError,
      `bit ${bit}`,
    )
  }
})

/** A header around the fields that come after the sides. */
function headerWith(...tail: readonly number[]): Uint8Array {
  const out = byteWriter()
  out.bytes(Uint8Array.of(0, 0, 0))
  for (let i = 0; i < 2; i++) {
    out.varint(100_000)
    out.bytes(new Uint8Array(32))
  }
  for (const number of tail) out.varint(number)
  return out.take()
}

test('fields out of their limits are refused by their codes', () => {
  decodeDeltaHeader(headerWith(12, 16, 64, 1000, 0, 0))
  const cases: [ErrorCode, number[]][] = [
    ['bad-format', [11, 16, 64, 1000, 0, 0]],
    ['bad-format', [27, 16, 64, 1000, 0, 0]],
    ['bad-format', [12, 15, 64, 1000, 0, 0]],
    ['bad-format', [12, 33, 64, 1000, 0, 0]],
    ['bad-format', [12, 16, 63, 1000, 0, 0]],
    ['bad-format', [12, 16, 2 ** 31 + 1, 1000, 0, 0]],
    ['over-limit', [12, 16, 64, 2 ** 28 + 1, 0, 0]],
    ['over-limit', [12, 16, 64, 1000, 2 ** 40 + 1, 0]],
    ['over-limit', [12, 16, 64, 1000, 0, 2049]],
    ['bad-format', [12, 16, 64, 1000, 0, 1]],
    ['bad-format', [12, 16, 64, 1000, 0, 1, 5, 0]],
    ['bad-format', [12, 16, 64, 1000, 0, 1, 5, 99_996]],
    ['bad-format', [12, 16, 64, 1000, 0, 0, 0]],
  ]
  for (const [code, tail] of cases) refuses(() => decodeDeltaHeader(headerWith(...tail)), code)
})

test('too many blocks, flags, names that are none, other versions', () => {
  const huge = { ...simple, old: { ...simple.old, size: 4096 * 65_536 + 1 } }
  refuses(() => decoded(encodeDeltaFront(huge, emptyTable(huge))), 'over-limit')
  for (const oldName of ['../x', '.x', '-x', 'a b', 'a/b', 'x'.repeat(256)])
    refuses(() => encodeDeltaFront({ ...simple, oldName }, emptyTable(simple)), 'bad-format')
  const front = encodeDeltaFront(simple, emptyTable(simple))
  const changedAt = (at: number, value: number): Uint8Array => front.map((byte, i) => (i === at ? value : byte))
  refuses(() => decoded(changedAt(8, 2)), 'bad-format')
  refuses(() => decoded(changedAt(11, 1)), 'bad-format')
  refuses(() => decoded(changedAt(13, 0x2f)), 'bad-format')
  refuses(() => decodeDeltaPrefix(front.subarray(0, 10)), 'bad-format')
})

test('the memory need counts every buffer of the reader', () => {
  const need = memoryNeed({
    ...simple,
    old: { ...simple.old, size: 1_000_000 },
    new: { ...simple.new, size: 1_000_000 },
    retained: [{ start: 1, end: 11 }],
    codingMemory: 5,
  })
  assert.equal(need, 64 + 4096 + 2 * 4096 + 10 + 2000 + 5 + (24 << 20))
  assert.equal(memoryNeed(simple), 3 + 2 * 5 + 2000 + (24 << 20))
})

const stream = (i: number): fc.Arbitrary<BatchHead['streams'][number]> =>
  fc
    .record(
      { codec: fc.constantFrom(...codecs), codedSize: fc.integer({ min: 1, max: 50 }), size: fc.integer({ min: 50, max: 100 }) },
      { noNullPrototype: true },
    )
    .map(({ codec, codedSize, size: raw }) => ({
      name: streamNames[i] as (typeof streamNames)[number],
      codec,
      size: raw,
      codedSize: codec === 'raw' ? raw : codedSize,
    }))

const batchHead: fc.Arbitrary<BatchHead> = fc
  .tuple(
    fc.integer({ min: 100, max: 2 ** 40 }),
    fc.subarray(streamNames.map((_, i) => i)),
    fc.tuple(...streamNames.map((_, i) => stream(i))),
  )
  .map(([newSize, chosen, streams]) => ({ newSize, streams: chosen.map((i) => streams[i] as BatchHead['streams'][number]) }))

/** Without its length. */
const body = (bytes: Uint8Array): Uint8Array => {
  const cursor = { bytes, at: 0 }
  assert.equal(readVarint(cursor), bytes.length - cursor.at)
  return bytes.subarray(cursor.at)
}

test('the head of a batch reads as it was written', () => {
  fc.assert(
    fc.property(batchHead, (value) => {
      assert.deepEqual(decodeBatchHead(body(encodeBatchHead(value)), 10_000), value)
    }),
  )
})

test('a batch that promises too much, or nothing, is refused before anything is read by it', () => {
  const of = (...numbers: readonly number[]): Uint8Array => {
    const out = byteWriter()
    for (const number of numbers) out.varint(number)
    return out.take()
  }
  decodeBatchHead(of(10, 0b10, 0, 80), 80)
  for (const numbers of [
    [0, 0],
    [10, 0b10, 0, 81],
    [10, 0b10, 0, 0],
    [10, 0b1000000, 0, 11],
    [10, 0b10000000],
    [10, 0b10, 3, 5, 5],
    [10, 0b10, 1, 5, 6],
    [10, 0b10, 1, 5, 0],
    [10, 0b10, 0, 5, 0],
    [10, 0b10, 0],
    [10],
  ])
    refuses(() => decodeBatchHead(of(...numbers), 80), 'bad-format')
  refuses(() => decodeBatchHead(of(10, 0b10, 0, 80), 79), 'bad-format')
})

test('numbers: every value one encoding, and nothing past 2^53', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const out = byteWriter()
      out.varint(value)
      const bytes = out.take()
      const cursor = { bytes, at: 0 }
      assert.equal(readVarint(cursor), value)
      assert.equal(cursor.at, bytes.length)
      refuses(() => readVarint({ bytes: bytes.subarray(0, -1), at: 0 }), 'bad-format')
    }),
  )
  fc.assert(fc.property(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), (value) => unzigzag(zigzag(value)) === value))
  for (const bytes of [
    [0x80, 0],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10],
    [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  ]) {
    refuses(() => readVarint({ bytes: Uint8Array.from(bytes), at: 0 }), 'bad-format')
  }
  const largest = concatBytes([new Uint8Array(7).fill(0xff), Uint8Array.of(0x0f)])
  assert.equal(readVarint({ bytes: largest, at: 0 }), Number.MAX_SAFE_INTEGER)
})
