import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, emptyBytes, fromHex, latin1, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { applyBsdiff, makeBsdiff, streamBsdiff } from '../src/engine/delta/bsdiff.ts'
import { bsdiffFormat, decodeBsdiff, encodeBsdiff } from '../src/format/bsdiff.ts'
import { bzip2 } from '../src/format/bzip2-encode.ts'
import { arbitraryPair, sourceOf, whole } from './helpers/delta.ts'
import { noise } from './helpers/noise.ts'
import { needs } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
import { cases } from './helpers/whole-suite.ts'
import type { ErrorCode } from '../src/base/error.ts'

type Pair = { readonly old: Uint8Array; readonly next: Uint8Array }

const big = noise(300_000, 1).content
const pairs: Readonly<Record<string, Pair>> = {
  equal: { old: big, next: big },
  changed: { old: big, next: big.map((byte, i) => (i % 997 === 0 ? byte + 1 : byte)) },
  moved: { old: big, next: concatBytes([big.subarray(200_000), big.subarray(0, 200_000)]) },
  'put in and left out': {
    old: big,
    next: concatBytes([utf8('front'), big.subarray(0, 100_000), noise(5000, 2).content, big.subarray(150_000), utf8('back')]),
  },
  unrelated: { old: big, next: noise(100_000, 3).content },
  short: { old: utf8('a'), next: utf8('b') },
}

async function tool(program: 'bsdiff' | 'bspatch', a: Uint8Array, b: Uint8Array): Promise<Uint8Array> {
  return await inTemporary(async (folder) => {
    const [old, next, patch] = ['old', 'new', 'patch'].map((name) => join(folder, name)) as [string, string, string]
    writeFileSync(old, a)
    writeFileSync(program === 'bsdiff' ? next : patch, b)
    const { status, stderr } = spawnSync(program, [old, next, patch])
    assert.equal(status, 0, stderr.toString())
    return new Uint8Array(readFileSync(program === 'bsdiff' ? patch : next))
  })
}

for (const [name, { old, next }] of Object.entries(pairs)) {
  test(`bspatch applies our patches, and we bsdiff's: ${name}`, needs('bsdiff', 'bspatch'), async () => {
    const ours = makeBsdiff(old, next)
    const theirs = await tool('bsdiff', old, next)
    assert.deepEqual(await tool('bspatch', old, ours), next)
    assert.deepEqual(applyBsdiff(theirs, old), next)
    assert.ok(ours.length <= theirs.length * 1.02 + 40, `${ours.length} bytes for ${theirs.length}`)
  })
}

test('what goes in comes out, whole and as a stream, empty files too', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPair, async ({ old, next }) => {
      const patch = makeBsdiff(old, next)
      assert.deepEqual(applyBsdiff(patch, old), next)
      assert.deepEqual(await whole(streamBsdiff(patch, sourceOf(old))), next)
    }),
    { numRuns: cases(100) },
  )
  for (const [old, next] of [
    [emptyBytes, emptyBytes],
    [emptyBytes, utf8('new')],
    [utf8('old'), emptyBytes],
  ] as const) {
    assert.deepEqual(applyBsdiff(makeBsdiff(old, next), old), next)
  }
})

test('a patch that bsdiff 4.3 made is read, one of ours has its header', () => {
  const theirs = fromHex(
    '42534449464634302b0000000000000025000000000000001700000000000000425a683931415926535962c234f700000860004a804000200030cd00' +
      'c1a18c931f17724538509062c234f7425a68393141592653597efb36b9000000400048002000210082831772453850907efb36b9425a683931415926' +
      '535991802c10000002518000104000360591802000229a6d26d3210340d014d02d03f4daad17724538509091802c10',
  ) as Uint8Array
  assert.deepEqual(applyBsdiff(theirs, utf8('hello, world\n')), utf8('hello, brave new world\n'))
  const ours = encodeBsdiff({ newSize: 3, steps: [{ copy: 1, extra: 2, seek: 0 }], difference: Uint8Array.of(1), extra: utf8('yz') })
  assert.equal(latin1(ours.subarray(0, 8)), 'BSDIFF40')
  assert.equal(latin1(ours.subarray(24, 32)), '\x03\0\0\0\0\0\0\0')
  assert.deepEqual(applyBsdiff(ours, utf8('w')), utf8('xyz'))
})

/** BSDIFF43: one bzip2 stream, for each step its numbers, its differences, its extra bytes. */
function patch43(
  newSize: number,
  ...steps: readonly { readonly numbers: readonly [number, number, number]; readonly bytes: Uint8Array }[]
): Uint8Array {
  const body = concatBytes(steps.flatMap(({ numbers, bytes }) => [...numbers.map(integer), bytes]))
  return concatBytes([utf8('ENDSLEY/BSDIFF43'), integer(newSize), bzip2(body)])
}

function integer(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.abs(value)) | (value < 0 || Object.is(value, -0) ? 1n << 63n : 0n), true)
  return bytes
}

test('BSDIFF43 is read', () => {
  const bytes = concatBytes([Uint8Array.of(0, 0, 1), utf8('!!')])
  const patch = patch43(9, { numbers: [3, 2, -3], bytes }, { numbers: [4, 0, 0], bytes: new Uint8Array(4) })
  assert.deepEqual(applyBsdiff(patch, utf8('abcdef')), utf8('abd!!abcd'))
})

test('numbers are signs and magnitudes: there is a negative zero', () => {
  assert.deepEqual(applyBsdiff(patch43(2, { numbers: [2, 0, -0], bytes: new Uint8Array(2) }), utf8('ab')), utf8('ab'))
  assert.deepEqual(applyBsdiff(patch43(2, { numbers: [2, -0, 0], bytes: new Uint8Array(2) }), utf8('ab')), utf8('ab'))
})

test('where there is no old byte, before the first and behind the last, the difference is the new byte', async () => {
  const difference = utf8('01234567')
  const patch = patch43(8, { numbers: [0, 0, -2], bytes: emptyBytes }, { numbers: [8, 0, 0], bytes: difference })
  const expected = difference.map((byte, i) => (i >= 2 && i < 5 ? byte + 1 : byte))
  assert.deepEqual(applyBsdiff(patch, Uint8Array.of(1, 1, 1)), expected)
  assert.deepEqual(await whole(streamBsdiff(patch, sourceOf(Uint8Array.of(1, 1, 1)))), expected)
})

function refuses(patch: Uint8Array, code: ErrorCode, limit?: number): void {
  assert.throws(
    () => applyBsdiff(patch, utf8('abcdef'), limit),
    (error) => isBinderyError(error, code),
  )
}

test('numbers that lie are refused', () => {
  const step = (copy: number, extra: number, seek: number, bytes: Uint8Array = new Uint8Array(20)): Parameters<typeof patch43>[1] => ({
    numbers: [copy, extra, seek],
    bytes,
  })
  refuses(patch43(5, step(-1, 0, 0)), 'bad-format')
  refuses(patch43(5, step(0, -1, 0)), 'bad-format')
  refuses(patch43(5, step(6, 0, 0)), 'bad-format')
  refuses(patch43(5, step(3, 3, 0)), 'bad-format')
  refuses(patch43(5, step(5, 0, 0, new Uint8Array(4))), 'bad-format')
  refuses(patch43(5, step(5, 0, 0, new Uint8Array(6))), 'bad-format')
  refuses(patch43(5, step(5, 0, 0, new Uint8Array(5)), step(0, 0, 0, emptyBytes)), 'bad-format')
  refuses(patch43(-1), 'bad-format')
  refuses(patch43(5, ...Array.from({ length: 100 }, () => step(0, 0, 1, emptyBytes))), 'bad-format')
  refuses(patch43(2 ** 40, step(1, 0, 0, new Uint8Array(1))), 'over-limit', 1000)
})

test('steps that make nothing come to an end, whatever the header promises', () => {
  const steps = Array.from({ length: 1_001_000 }, () => ({ copy: 0, extra: 0, seek: 1 }))
  const reader = decodeBsdiff(encodeBsdiff({ newSize: 2 ** 40, steps, difference: emptyBytes, extra: emptyBytes }))
  assert.throws(() => {
    for (let step = reader.step(); step !== undefined; step = reader.step());
  }, /does not come to an end/)
})

test('headers that lie are refused', () => {
  const good = makeBsdiff(utf8('abcdef'), utf8('abcxef'))
  for (const [at, bytes] of [
    [8, '0000000000000080'],
    [8, '0100000000000080'],
    [8, 'ffffffffffffff7f'],
    [16, 'ffffff0000000000'],
    [16, '0100000000000080'],
    [24, '0600000000000080'],
    [24, '0700000000000000'],
    [24, '0500000000000000'],
    [24, '0000000000002000'],
  ] as const) {
    const bad = good.slice()
    bad.set(fromHex(bytes) as Uint8Array, at)
    refuses(bad, 'bad-format')
  }
  for (let end = 0; end < good.length; end++) refuses(good.subarray(0, end), 'bad-format')
  refuses(concatBytes([good, Uint8Array.of(0)]), 'bad-format')
})

test('relatives are told by name', () => {
  for (const name of ['BSDF2...', 'BSDIFN40', 'BSDIFF41']) {
    assert.throws(
      () => bsdiffFormat(utf8(`${name}${'\0'.repeat(24)}`)),
      (error) => isBinderyError(error, 'not-supported') && error.message.includes(name.replaceAll('.', '')),
    )
  }
  assert.equal(bsdiffFormat(utf8('bindelta')), undefined)
  assert.equal(bsdiffFormat(utf8('ENDSLEY/BSDIFF4')), undefined)
})

test('flipped bits: refused, or some bytes', () => {
  const { old, next } = { old: noise(2000, 4).content, next: noise(2000, 4).content.map((byte, i) => (i % 100 === 0 ? byte + 1 : byte)) }
  const patch = makeBsdiff(old, next)
  for (let bit = 0; bit < patch.length * 8; bit++) {
    const damaged = patch.slice()
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    try {
      applyBsdiff(damaged, old, 1 << 20)
    } catch (error) {
      assert.ok(isBinderyError(error) && ['bad-format', 'over-limit', 'not-supported'].includes(error.code), String(error))
    }
  }
})
