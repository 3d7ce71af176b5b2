import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeFrames, encodeFrames } from '../src/format/frames.ts'
import { decodeBlockHeader, decodeFrameHeader, isZstd } from '../src/format/zstd-frame.ts'
import type { Frame } from '../src/format/frames.ts'

const digest = sha256(utf8('frame'))

test('the index is text, a line for each frame', () => {
  const frames = [
    { offset: 0, size: 100, sha256: digest, start: 0, length: 4_194_304 },
    { offset: 113, size: 50, sha256: digest, start: 4_194_304, length: 10 },
  ]
  const text = `bindery frames 1\n0 100 4194304 ${digest}\n113 50 10 ${digest}\n`
  assert.equal(latin1(encodeFrames(frames)), text)
  assert.deepEqual(decodeFrames(utf8(text)), frames)
  assert.deepEqual(decodeFrames(encodeFrames([])), [])
})

test('frames round-trip', () => {
  const sizes = fc.array(fc.record({ gap: fc.nat({ max: 9 }), size: fc.integer({ min: 1, max: 1e9 }), length: fc.nat() }))
  fc.assert(
    fc.property(sizes, (given) => {
      const frames: Frame[] = []
      let offset = 0
      let start = 0
      for (const { gap, size, length } of given) {
        frames.push({ offset: offset + gap, size, sha256: digest, start, length })
        offset += gap + size
        start += length
      }
      assert.deepEqual(decodeFrames(encodeFrames(frames)), frames)
    }),
  )
})

test('any other text is refused', () => {
  const good = `bindery frames 1\n0 100 400 ${digest}\n`
  for (const bad of [
    '',
    'bindery frames 2\n',
    'bindery frames 1',
    `${good}x`,
    `${good}\n`,
    good.slice(0, -1),
    good.replace('\n0', '\r\n0'),
    good.replace('100', '0100'),
    good.replace('100', '0'),
    good.replace('100', '-1'),
    good.replace('100', '1e2'),
    good.replace('100', '99999999999999999'),
    good.replace('400', '9007199254740991') + `100 1 1 ${digest}\n`,
    good.replace(digest, digest.toUpperCase()),
    `${good}99 1 1 ${digest}\n`,
    `${good.slice(0, -1)} x\n`,
    `${good}\xff`,
  ]) {
    assert.throws(
      () => decodeFrames(Uint8Array.from(bad, (c) => c.charCodeAt(0))),
      (error) => isBinderyError(error, 'bad-format'),
      JSON.stringify(bad),
    )
  }
})

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const magic = [0x28, 0xb5, 0x2f, 0xfd] as const

/** RFC 8878, 3.1.1.1. */
test('zstd frame headers, as the RFC lays them out', () => {
  const header = (...rest: number[]): unknown => {
    const { headerSize, windowSize, contentSize, hasChecksum } = decodeFrameHeader(bytes(...magic, ...rest)) as never as Record<
      string,
      unknown
    >
    return [headerSize, windowSize, contentSize, hasChecksum]
  }
  assert.deepEqual(header(0x20, 9), [6, 9, 9, false])
  assert.deepEqual(header(0x24, 0), [6, 0, 0, true])
  assert.deepEqual(header(0x60, 0, 1), [7, 512, 512, false])
  assert.deepEqual(header(0x40, 0, 5, 0), [8, 1024, 261, false])
  assert.deepEqual(header(0x00, 0x00), [6, 1024, undefined, false])
  assert.deepEqual(header(0x84, 0x58, 0, 0, 0x40, 0), [10, 2 * 1024 * 1024, 4 * 1024 * 1024, true])
  assert.deepEqual(header(0x00, (17 << 3) | 0), [6, 1 << 27, undefined, false])
  assert.deepEqual(decodeFrameHeader(bytes(0x5f, 0x2a, 0x4d, 0x18, 1, 0, 0, 0)), { kind: 'skippable', headerSize: 8, size: 1 })
  assert.ok(
    isZstd(bytes(...magic)) &&
      isZstd(bytes(0x50, 0x2a, 0x4d, 0x18)) &&
      !isZstd(bytes(0x60, 0x2a, 0x4d, 0x18)) &&
      !isZstd(bytes(...magic.slice(0, 3))),
  )
})

test('zstd frame headers that are refused', () => {
  const refused = (code: 'bad-format' | 'over-limit' | 'not-supported', ...rest: number[]): void =>
    assert.throws(
      () => decodeFrameHeader(bytes(...rest)),
      (error) => isBinderyError(error, code),
      rest.join(),
    )
  refused('bad-format')
  refused('bad-format', ...magic)
  refused('bad-format', ...magic, 0x20)
  refused('bad-format', ...magic, 0x84, 0x58, 0)
  refused('bad-format', 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0)
  refused('bad-format', 1, 2, 3, 4, 5, 6)
  refused('bad-format', ...magic, 0x28, 9)
  refused('not-supported', ...magic, 0x21, 9, 9)
  refused('over-limit', ...magic, 0x00, (17 << 3) | 1)
  refused('over-limit', ...magic, 0x00, 0xff)
  refused('over-limit', ...magic, 0xe0, 1, 0, 0, 0x08, 0, 0, 0, 0)
  refused('over-limit', ...magic, 0xe0, 255, 255, 255, 255, 255, 255, 255, 255)
})

test('zstd block headers', () => {
  assert.deepEqual(decodeBlockHeader(bytes(0x01, 0, 0)), { last: true, size: 0 })
  assert.deepEqual(decodeBlockHeader(bytes(0x20, 0, 0)), { last: false, size: 4 })
  assert.deepEqual(decodeBlockHeader(bytes(0x22, 0, 0)), { last: false, size: 1 })
  assert.deepEqual(decodeBlockHeader(bytes(0x04, 0, 0x10)), { last: false, size: 131_072 })
  for (const bad of [bytes(0x06, 0, 0), bytes(0x0c, 0, 0x10), bytes(0xfc, 0xff, 0xff)]) {
    assert.throws(
      () => decodeBlockHeader(bad),
      (error) => isBinderyError(error, 'bad-format'),
    )
  }
})
