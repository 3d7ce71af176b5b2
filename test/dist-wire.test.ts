import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import { collectBytes, concatBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { compress, decompress, listFrames } from '../src/engine/dist/wire.ts'
import { decodeFrames, encodeFrames } from '../src/format/frames.ts'
import { noise } from './helpers/noise.ts'
import { needs } from './helpers/programs.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { ErrorCode } from '../src/base/error.ts'

const mib = 1 << 20

async function bytesOf(stream: ByteStream): Promise<Uint8Array> {
  return (await collectBytes(stream, 256 * mib)) as Uint8Array
}

/** In chunks of `size` bytes, so that every boundary is met. */
async function* chunks(bytes: Uint8Array, size: number): ByteStream {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const unpack = (bytes: Uint8Array, chunk = 70_000, limit?: number): Promise<Uint8Array> => bytesOf(decompress(chunks(bytes, chunk), limit))

async function assertUnpacks(packed: Uint8Array, plain: Uint8Array): Promise<void> {
  for (const chunk of packed.length > 2 * mib ? [70_000, packed.length] : [70_000, 13]) {
    assert.equal(sha256(await unpack(packed, chunk)), sha256(plain))
  }
}

function refused(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(isBinderyError(error), String(error))
    assert.equal(error.code, code, error.message)
    return true
  })
}

/** Half text, half noise: 9.5 MiB make three frames. */
const sample = concatBytes([noise(5 * mib, 1).content, utf8('all work and no play '.repeat(225_000))])

const zstd = (args: readonly string[], input: Uint8Array): Uint8Array =>
  new Uint8Array(execFileSync('zstd', ['-q', '-c', ...args], { input, maxBuffer: 64 * mib }))

for (const codec of ['none', 'zstd', 'gzip'] as const) {
  test(`${codec}: what goes in comes out, whatever the chunks, and always as the same bytes`, async () => {
    for (const input of [new Uint8Array(0), utf8('x'), sample]) {
      const packed = await bytesOf(compress(chunks(input, 1_000_003), codec))
      assert.equal(sha256(await bytesOf(compress(chunks(input, 65_536), codec))), sha256(packed))
      assert.equal(sha256(await unpack(packed)), sha256(input))
    }
  })
}

test('for a reader that keeps nothing, what comes out gives its memory back when the next is asked for', async () => {
  for (const codec of ['none', 'zstd', 'gzip'] as const) {
    const packed = await bytesOf(compress(oneChunk(sample), codec))
    const seen: Uint8Array[] = []
    const copies: Uint8Array[] = []
    for await (const bytes of decompress(givenAway(packed), undefined, { reuse: true })) {
      seen.push(bytes)
      copies.push(new Uint8Array(bytes))
    }
    assert.equal(sha256(concatBytes(copies)), sha256(sample), codec)
    const large = seen.filter((_, i) => (copies[i] as Uint8Array).length >= 64 << 10)
    assert.equal(large.length > 0 && large.every(({ length }) => length === 0), codec !== 'gzip', codec)
  }
})

/** In memory of their own; the first ones small, as a pipe may have them. */
async function* givenAway(bytes: Uint8Array): ByteStream {
  for await (const part of chunks(bytes.subarray(0, 12), 4)) yield part.slice()
  for await (const part of chunks(bytes.subarray(12), 70_000)) yield part.slice()
}

test('zstd -d reads our frames as one stream, gzip -d our member', needs('zstd', 'gzip'), async () => {
  const zst = await bytesOf(compress(oneChunk(sample), 'zstd', 1))
  assert.equal(sha256(zstd(['-d'], zst)), sha256(sample))
  const gz = await bytesOf(compress(oneChunk(sample), 'gzip', 1))
  assert.equal(sha256(new Uint8Array(execFileSync('gzip', ['-dc'], { input: gz, maxBuffer: 64 * mib }))), sha256(sample))
  assert.deepEqual([...gz.subarray(3, 8)], [0, 0, 0, 0, 0], 'no name, no time')
  assert.equal(gz[9], 255, 'no operating system')
})

test('a frame can be fetched and decoded alone', async () => {
  const packed = await bytesOf(compress(oneChunk(sample), 'zstd'))
  const frames = await listFrames(chunks(packed, 100_000))
  assert.deepEqual(
    frames.map(({ start, length }) => [start, length]),
    [
      [0, 4 * mib],
      [4 * mib, 4 * mib],
      [8 * mib, sample.length - 8 * mib],
    ],
  )
  for (const { offset, size, sha256: digest, start, length } of frames) {
    const frame = packed.subarray(offset, offset + size)
    assert.equal(sha256(frame), digest)
    assert.equal(sha256(await unpack(frame)), sha256(sample.subarray(start, start + length)))
  }
  assert.equal((frames.at(-1)?.offset ?? 0) + (frames.at(-1)?.size ?? 0), packed.length)
  assert.deepEqual(decodeFrames(encodeFrames(frames)), frames)
})

test('zstd as others write it: one huge frame, unknown size, long windows, checksums, concatenated, skippable', needs('zstd'), async () => {
  await assertUnpacks(zstd(['-3'], sample), sample)
  await assertUnpacks(zstd(['-3', '--no-check', '--no-content-size'], sample), sample)
  await assertUnpacks(zstd(['-9', '--long=27'], sample), sample)
  await assertUnpacks(zstd(['-1', '--single-thread'], utf8('')), utf8(''))
  const skippable = Uint8Array.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5])
  const half = zstd(['-1'], sample.subarray(0, 6 * mib))
  const rest = new Uint8Array(zstdCompressSync(sample.subarray(6 * mib)))
  await assertUnpacks(concatBytes([skippable, half, skippable, zstd(['-1'], utf8('')), rest, skippable]), sample)
  await assertUnpacks(
    concatBytes(Array.from({ length: 300 }, (_, i) => new Uint8Array(zstdCompressSync(sample.subarray(i * 1000, i * 1000 + 1000))))),
    sample.subarray(0, 300_000),
  )
})

test('foreign frames can be indexed, too', needs('zstd'), async () => {
  const packed = concatBytes([
    zstd(['-1', '--no-content-size'], sample),
    Uint8Array.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]),
    zstd(['-1'], utf8('end')),
  ])
  const frames = await listFrames(oneChunk(packed))
  assert.deepEqual(
    frames.map(({ start, length }) => [start, length]),
    [
      [0, sample.length],
      [sample.length, 3],
    ],
  )
  assert.deepEqual(decodeFrames(encodeFrames(frames)), frames)
})

test('zstd: windows over the limit, dictionaries, damage, ends and leftovers', needs('zstd'), async () => {
  const wide = spawnSync('zstd', ['-q', '-c', '-1', '--long=28', '--no-content-size'], { input: utf8('x'), maxBuffer: mib }).stdout
  await refused(unpack(wide), 'over-limit')
  await refused(listFrames(oneChunk(wide)), 'over-limit')
  const packed = await bytesOf(compress(oneChunk(sample.subarray(0, 300_000)), 'zstd'))
  for (const end of [1, 3, 4, 5, 8, 100, packed.length - 5, packed.length - 1]) {
    // Fewer than four bytes are no magic: they come out as they are.
    if (end < 4) assert.equal((await unpack(packed.subarray(0, end))).length, end)
    else await refused(unpack(packed.subarray(0, end)), 'bad-format')
  }
  for (const more of ['garbage', '\0\0\0\0', '(']) await refused(unpack(concatBytes([packed, utf8(more)])), 'bad-format')
  let found = 0
  // The header has a bit that means nothing, and windows may be larger than needed.
  for (let at = 20; at < packed.length; at += 997) {
    const damaged = packed.slice()
    damaged[at] = (damaged[at] as number) ^ 0x10
    await refused(unpack(damaged), 'bad-format').then(() => found++)
  }
  assert.ok(found > 100)
  const descriptor = packed.slice()
  descriptor[4] = (descriptor[4] as number) | 1
  await refused(unpack(descriptor), 'not-supported')
})

test('a frame that says another size than it holds is refused', async () => {
  const lying = new Uint8Array(zstdCompressSync(new Uint8Array(1000)))
  const at = 5
  for (const change of [1, -1]) {
    const other = lying.slice()
    other[at] = (other[at] as number) + change
    await refused(unpack(other), 'bad-format')
  }
})

test('gzip: any number of members, names and comments, zeros behind; damage is refused', needs('gzip', 'sh'), async () => {
  const text = utf8('hello '.repeat(50_000))
  const named = execFileSync('sh', ['-c', 'cd "$(mktemp -d)" && cat > name.txt && gzip -9 -c name.txt && rm -r "$PWD"'], { input: text })
  assert.equal(named[3], 8, 'FNAME')
  const commented = concatBytes([
    Uint8Array.from([0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 3]),
    utf8('a comment\0'),
    new Uint8Array(gzipSync(text)).subarray(10),
  ])
  await assertUnpacks(concatBytes([named, commented, new Uint8Array(gzipSync(''))]), concatBytes([text, text]))
  await assertUnpacks(concatBytes([commented, new Uint8Array(100_000)]), text)
  const packed = new Uint8Array(gzipSync(text))
  for (const end of [9, 30, packed.length - 8, packed.length - 1]) await refused(unpack(packed.subarray(0, end)), 'bad-format')
  await refused(unpack(concatBytes([packed, utf8('garbage')])), 'bad-format')
  const wrongSum = packed.slice()
  wrongSum[packed.length - 8] = (wrongSum[packed.length - 8] as number) ^ 1
  await refused(unpack(wrongSum), 'bad-format')
})

test('a limit holds for bombs of every sort', async () => {
  const zeros = new Uint8Array(40 * mib)
  for (const packed of [
    new Uint8Array(zstdCompressSync(zeros)),
    await bytesOf(compress(oneChunk(zeros), 'zstd')),
    new Uint8Array(gzipSync(zeros)),
    zeros,
  ]) {
    assert.equal((await unpack(packed, 70_000, zeros.length)).length, zeros.length)
    await refused(unpack(packed, 70_000, zeros.length - 1), 'over-limit')
    await refused(unpack(packed, 70_000, 1000), 'over-limit')
  }
})

test('other compressions are named, with what to do', needs('xz', 'bzip2'), async () => {
  for (const tool of ['xz', 'bzip2']) {
    for (const input of ['hello', '']) {
      const packed = new Uint8Array(execFileSync(tool, ['-c'], { input }))
      await assert.rejects(
        unpack(packed),
        (error) => isBinderyError(error, 'not-supported') && error.message.includes(tool) && error.hint === `pipe it through ${tool} -dc`,
      )
    }
  }
  assert.equal((await unpack(utf8('BZhaving nothing to do with bzip2'))).length, 33)
})

test('errors of the input come through, and a reader may leave', async () => {
  for (const codec of ['zstd', 'gzip'] as const) {
    const failing = async function* (bytes: Uint8Array): ByteStream {
      yield bytes
      throw new Error('the line was cut')
    }
    await assert.rejects(bytesOf(compress(failing(sample), codec)), /the line was cut/)
    const packed = await bytesOf(compress(oneChunk(sample), codec))
    await assert.rejects(bytesOf(decompress(failing(packed.subarray(0, 1_000_000)))), /the line was cut/)
    let closed = false
    const watched = async function* (): ByteStream {
      try {
        yield* chunks(packed, 10_000)
      } finally {
        closed = true
      }
    }
    for await (const bytes of decompress(watched())) if (bytes.length > 0) break
    assert.ok(closed)
    for await (const bytes of compress(chunks(sample, 10_000), codec)) if (bytes.length > 0) break
  }
})

test('what we gzip, node unpacks', async () => {
  assert.equal(sha256(new Uint8Array(gunzipSync(await bytesOf(compress(oneChunk(sample), 'gzip', 9))))), sha256(sample))
})
