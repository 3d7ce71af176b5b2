import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, emptyBytes, equalBytes, fromHex, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { bunzip2, bunzip2Pieces } from '../src/format/bzip2-decode.ts'
import { bzip2 } from '../src/format/bzip2-encode.ts'
import { suffixArray } from '../src/format/suffix-array.ts'
import { noise } from './helpers/noise.ts'
import { needs } from './helpers/programs.ts'
import type { ErrorCode } from '../src/base/error.ts'

const judge = (args: readonly string[], input: Uint8Array): Uint8Array => {
  const { status, stdout, stderr } = spawnSync('bzip2', [...args], { input, maxBuffer: 1 << 28 })
  assert.equal(status, 0, stderr.toString())
  return new Uint8Array(stdout)
}

function refuses(bytes: Uint8Array, code: ErrorCode = 'bad-format', limit = 1 << 26): void {
  assert.throws(
    () => bunzip2(bytes, limit),
    (error) => isBinderyError(error, code),
  )
}

/** From what is hard on a sorter to what is hard on a model; blocks end within runs. */
const samples: Readonly<Record<string, Uint8Array>> = {
  nothing: emptyBytes,
  'one byte': utf8('a'),
  'two equal bytes': utf8('aa'),
  'four equal bytes': utf8('aaaa'),
  'a run of 255 and one more': new Uint8Array(256).fill(7),
  'a repeated word': utf8('abcabcabc'),
  'a power': utf8('ab'.repeat(200_000)),
  zeros: new Uint8Array(2_500_000),
  'all bytes': Uint8Array.from({ length: 70_000 }, (_, i) => i),
  noise: noise(1_000_000, 1).content,
  'few values': noise(300_000, 2).content.map((byte) => byte & 1),
  'runs of all lengths': concatBytes(Array.from({ length: 600 }, (_, i) => new Uint8Array(i).fill(i))),
  text: utf8('how much wood would a woodchuck chuck '.repeat(30_000)),
  'many blocks': concatBytes([noise(899_990, 3).content, new Uint8Array(600).fill(9), noise(500_000, 4).content]),
}

/** One text again and again: which of its rotations comes first, bzip2 leaves to its sorting. */
const periodic: readonly string[] = ['two equal bytes', 'four equal bytes', 'a repeated word', 'a power', 'zeros', 'all bytes', 'text']

for (const [name, sample] of Object.entries(samples)) {
  test(`bzip2 reads ours and we read bzip2's: ${name}`, needs('bzip2'), () => {
    const ours = bzip2(sample)
    assert.deepEqual(judge(['-dc'], ours), sample)
    const theirs = judge(['-9c'], sample)
    assert.deepEqual(bunzip2(theirs, sample.length), sample)
    if (periodic.includes(name)) assert.equal(ours.length, theirs.length)
    else assert.ok(equalBytes(ours, theirs), 'the very bytes')
  })
}

test('every level, and streams one behind the other', needs('bzip2'), () => {
  const text = samples['text'] as Uint8Array
  const prose = new Uint8Array(readFileSync('node_modules/typescript/lib/lib.dom.d.ts').subarray(0, 250_000))
  assert.ok(equalBytes(bzip2(prose, 1), judge(['-1', '-c'], prose)))
  for (const level of ['-1', '-5']) assert.deepEqual(bunzip2(judge([level, '-c'], text), text.length), text)
  assert.deepEqual(bunzip2(concatBytes([bzip2(utf8('one ')), bzip2(emptyBytes), bzip2(utf8('two'))]), 100), utf8('one two'))
})

test('what goes in comes out', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => assert.deepEqual(bunzip2(bzip2(bytes), bytes.length), bytes)))
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 1), { maxLength: 500 }).map((bits) => Uint8Array.from(bits)),
      (bytes) => assert.deepEqual(bunzip2(bzip2(bytes), bytes.length), bytes),
    ),
  )
})

test('suffixes come in their order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 1, 2, 255), { maxLength: 60 }).map((values) => Uint8Array.from(values)),
      (text) => {
        const naive = [...text.keys()].sort((a, b) => Buffer.compare(text.subarray(a), text.subarray(b)))
        assert.deepEqual([...suffixArray(text)], naive)
      },
    ),
    { numRuns: 1000 },
  )
})

test('memory is bounded by a piece, whatever comes out', () => {
  for (const piece of bunzip2Pieces(bzip2(new Uint8Array(20_000_000)))) assert.ok(piece.length <= 1 << 18)
})

test('what ends early, is damaged or goes on is refused', () => {
  const packed = bzip2(concatBytes([utf8('some text, some more text, '.repeat(20)), noise(100, 5).content]))
  for (let end = 0; end < packed.length; end++) refuses(packed.subarray(0, end))
  refuses(concatBytes([packed, Uint8Array.of(0)]))
  refuses(utf8('BZh0'), 'bad-format')
  refuses(packed, 'over-limit', 100)
  for (let bit = 0; bit < packed.length * 8; bit++) {
    const damaged = packed.slice()
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    try {
      bunzip2(damaged, 1 << 24)
      // Only what fills the last byte has no meaning; the level only limits the block.
      assert.ok(bit >= packed.length * 8 - 8 || bit >> 3 === 3, `bit ${bit}`)
    } catch (error) {
      assert.ok(isBinderyError(error, 'bad-format') || isBinderyError(error, 'over-limit'), String(error))
    }
  }
})

test('noise behind a block magic comes to an end', () => {
  const start = fromHex('425a6839314159265359') as Uint8Array
  for (let seed = 1; seed < 300; seed++) refuses(concatBytes([start, noise(3000, seed).content]))
})
