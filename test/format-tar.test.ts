import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, equalBytes, fromLatin1, latin1, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodePax, decodePaxTime, encodePax, encodePaxTime } from '../src/format/pax.ts'
import { decodeHeader } from '../src/format/tar-decode.ts'
import { checksum, decodeNumber, encodeNumber } from '../src/format/tar-numbers.ts'
import { encodeHeader } from '../src/format/tar.ts'
import { arbitraryManifest } from './helpers/arbitrary-manifest.ts'
import { relPath } from './helpers/plant.ts'
import type { Entry, EntryHeader, Timestamp } from '../src/base/entry.ts'

const meta = { mode: 0o644, uid: 0, gid: 0, mtime: { sec: 1_700_000_000, nsec: 0 } }
const aFile = (path: string, more: Partial<EntryHeader> = {}): EntryHeader =>
  ({ path: relPath(path), kind: 'file', size: 5, ...meta, ...more }) as EntryHeader

/** The fields of a block, trailing NULs cut. */
function fieldsOf(block: Uint8Array): Record<string, string> {
  const text = latin1(block)
  const field = (at: number, width: number): string => text.slice(at, at + width).replace(/\0+$/, '')
  return {
    name: field(0, 100),
    mode: field(100, 8),
    uid: field(108, 8),
    gid: field(116, 8),
    size: field(124, 12),
    mtime: field(136, 12),
    type: field(156, 1),
    link: field(157, 100),
    magic: text.slice(257, 265),
    uname: field(265, 32),
    gname: field(297, 32),
    prefix: field(345, 155),
  }
}

/** The types of the headers that make up one member. */
function typesOf(blocks: Uint8Array): string {
  let types = ''
  for (let at = 0; at < blocks.length;) {
    const type = String.fromCharCode(blocks[at + 156] as number)
    types += type
    const size = decodeNumber(blocks.subarray(at, at + 512), 124, 12) as number
    at += 512 + ('LKx'.includes(type) ? Math.ceil(size / 512) * 512 : 0)
  }
  return types
}

test('an ordinary file is one ustar block', () => {
  const blocks = encodeHeader(aFile('usr/bin/su', { mode: 0o4555, gid: 7, uname: 'root', gname: 'wheel' }))
  assert.equal(blocks.length, 512)
  assert.deepEqual(fieldsOf(blocks), {
    name: 'usr/bin/su',
    mode: '0004555',
    uid: '0000000',
    gid: '0000007',
    size: '00000000005',
    mtime: '14524770400',
    type: '0',
    link: '',
    magic: 'ustar\x0000',
    uname: 'root',
    gname: 'wheel',
    prefix: '',
  })
  assert.equal(latin1(blocks.subarray(148, 156)), `${checksum(blocks).toString(8).padStart(6, '0')}\0 `)
})

test('every kind has its type flag; directories end with a slash', () => {
  const path = relPath('x')
  const kinds: readonly [EntryHeader, string, string, string][] = [
    [{ path, kind: 'hardlink', leader: relPath('a/b'), ...meta }, '1', 'x', 'a/b'],
    [{ path, kind: 'symlink', target: '../y', ...meta }, '2', 'x', '../y'],
    [{ path, kind: 'char', major: 1, minor: 3, ...meta }, '3', 'x', ''],
    [{ path, kind: 'block', major: 8, minor: 1, ...meta }, '4', 'x', ''],
    [{ path, kind: 'dir', ...meta }, '5', 'x/', ''],
    [{ path: relPath('.'), kind: 'dir', ...meta }, '5', './', ''],
    [{ path, kind: 'fifo', ...meta }, '6', 'x', ''],
  ]
  for (const [header, type, name, link] of kinds) {
    const found = fieldsOf(encodeHeader(header))
    assert.deepEqual([found['type'], found['name'], found['link']], [type, name, link])
    assert.deepEqual(decodeHeader(encodeHeader(header)), header)
  }
})

test('long names go to prefix where they can, to an L member where not; bytes stay bytes', () => {
  const long = (part: string, count: number): string => Array.from({ length: count }, () => part).join('/')
  assert.deepEqual(typesOf(encodeHeader(aFile('x'.repeat(100)))), '0')
  assert.deepEqual(typesOf(encodeHeader(aFile('x'.repeat(101)))), 'L0')
  const split = fieldsOf(encodeHeader(aFile(`${'a'.repeat(50)}/${'b'.repeat(50)}/${'c'.repeat(60)}`)))
  assert.deepEqual([split['prefix'], split['name']], [`${'a'.repeat(50)}/${'b'.repeat(50)}`, 'c'.repeat(60)])
  for (const header of [
    aFile(`${'p'.repeat(155)}/${'n'.repeat(100)}`),
    aFile(`${'p'.repeat(156)}/${'n'.repeat(99)}`),
    aFile(long('\xff\xfe\n'.repeat(20), 66)),
    aFile(long('é'.repeat(60), 2)),
    { path: relPath(`${'d'.repeat(99)}/${'e'.repeat(154)}`), kind: 'dir', ...meta } as const,
    { path: relPath('l'), kind: 'symlink', target: '/'.repeat(4095), ...meta } as const,
    { path: relPath(`${'z'.repeat(99)}/b`), kind: 'hardlink', leader: relPath(long('y'.repeat(200), 2)), ...meta } as const,
  ]) {
    assert.deepEqual(decodeHeader(encodeHeader(header)), header)
  }
})

/** tar-stream takes a file whose field `name` ends with a slash for a directory. */
test('the shortened name of a long one never ends with a slash', () => {
  const blocks = encodeHeader(aFile(`${'a'.repeat(98)}/${'b'.repeat(200)}/c`))
  assert.equal(typesOf(blocks), 'L0')
  assert.ok(!(fieldsOf(blocks.subarray(blocks.length - 512))['name'] as string).endsWith('/'))
})

test('large and negative numbers: base-256 in the field, and a pax record where there is a keyword', () => {
  for (const [header, types] of [
    [aFile('f', { uid: 2_097_151, gid: 300_000 }), '0'],
    [aFile('f', { uid: 2_097_152 }), 'x0'],
    [aFile('f', { uid: 0xffff_ffff, gid: 0xffff_ffff }), 'x0'],
    [aFile('f', { size: 8 ** 11 - 1 }), '0'],
    [aFile('f', { size: 8 ** 11 }), 'x0'],
    [aFile('f', { size: Number.MAX_SAFE_INTEGER }), 'x0'],
    [aFile('f', { mtime: { sec: 8 ** 11 - 1, nsec: 0 } }), '0'],
    [aFile('f', { mtime: { sec: 0, nsec: 1 } }), 'x0'],
    [aFile('f', { mtime: { sec: -1, nsec: 0 } }), 'x0'],
    [aFile('f', { mtime: { sec: -2, nsec: 250_000_000 } }), 'x0'],
    [aFile('f', { uname: 'u'.repeat(31) }), '0'],
    [aFile('f', { uname: 'u'.repeat(32), gname: 'g'.repeat(255) }), 'x0'],
    [{ path: relPath('d'), kind: 'char', major: 3_000_000, minor: 0xffff_ffff, ...meta } as const, '3'],
  ] as const) {
    const blocks = encodeHeader(header)
    assert.equal(typesOf(blocks), types)
    assert.deepEqual(decodeHeader(blocks), header)
  }
})

test('attributes and flags are pax records, in byte order of their keywords', () => {
  const header = aFile('f', {
    flags: ['schg', 'uchg'],
    uid: 5_000_000,
    xattrs: new Map([
      ['user.b', '\0\n\xff'],
      ['user.a=b%', ''],
    ]),
  })
  const body = latin1(encodeHeader(header).subarray(512, 1024)).replace(/\0+$/, '')
  const keywords = [...decodePax(fromLatin1(body)).keys()]
  assert.deepEqual(keywords, ['SCHILY.fflags', 'SCHILY.xattr.user.a%3Db%25', 'SCHILY.xattr.user.b', 'uid'])
  assert.deepEqual(decodeHeader(encodeHeader(header)), header)
})

test('what a tar cannot hold is refused while writing', () => {
  const refused = (header: EntryHeader, code: 'bad-format' | 'over-limit' | 'not-supported'): void =>
    assert.throws(
      () => encodeHeader(header),
      (error) => isBinderyError(error, code),
    )
  refused({ path: relPath('s'), kind: 'socket', ...meta }, 'not-supported')
  refused(aFile('f', { mode: 0o10000 }), 'bad-format')
  refused(aFile('f', { uid: -1 }), 'bad-format')
  refused(aFile('f', { uid: 2 ** 32 }), 'bad-format')
  refused(aFile('f', { uname: '' }), 'bad-format')
  refused(aFile('f', { uname: 'a\0b' }), 'bad-format')
  refused(aFile('f', { mtime: { sec: 0, nsec: 1_000_000_000 } }), 'bad-format')
  refused({ path: relPath('l'), kind: 'symlink', target: '', ...meta }, 'bad-format')
  refused(aFile('f', { xattrs: new Map([['user.big', 'x'.repeat(70_000)]]) }), 'over-limit')
})

test('headers round-trip, and only one encoding is read', () => {
  fc.assert(
    fc.property(arbitraryManifest, fc.nat(), fc.integer({ min: 1, max: 255 }), (manifest, where, change) => {
      for (const entry of manifest.entries) {
        if (entry.kind === 'socket') continue
        const blocks = encodeHeader(entry)
        assert.deepEqual(decodeHeader(blocks), withoutDigest(entry))
        checkDamage(blocks, where % blocks.length, change)
      }
    }),
    { numRuns: 60 },
  )
})

function withoutDigest(entry: Entry): EntryHeader {
  if (entry.kind !== 'file') return entry
  const { sha256: _, ...header } = entry
  return header
}

/** A changed byte is refused, or says something else in the one way to say it. */
function checkDamage(blocks: Uint8Array, at: number, change: number): void {
  const damaged = blocks.slice()
  damaged[at] = (damaged[at] as number) ^ change
  try {
    assert.ok(equalBytes(encodeHeader(decodeHeader(damaged)), damaged))
  } catch (error) {
    assert.ok(isBinderyError(error), String(error))
  }
}

test('numbers: octal while they fit, base-256 beyond, both ways to the limits of 53 bits', () => {
  const show = (value: number, width: number): string => {
    const block = new Uint8Array(width)
    encodeNumber(block, 0, width, value)
    assert.equal(decodeNumber(block, 0, width), value)
    return latin1(block)
  }
  assert.equal(show(0, 8), '0000000\0')
  assert.equal(show(0o7777777, 8), '7777777\0')
  assert.equal(show(0o10000000, 8), '\x80\0\0\0\0\x20\0\0')
  assert.equal(show(-1, 12), '\xff'.repeat(12))
  for (const value of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) show(value, 12)
  const read = (text: string): number | undefined => decodeNumber(fromLatin1(text), 0, text.length)
  assert.equal(read('   644 \0'), 0o644)
  assert.equal(read('\0\0\0\0\0\0\0\0'), 0)
  assert.equal(read('0000648\0'), undefined)
  assert.equal(read('-0000001'), undefined)
  assert.equal(read('12345 67'), undefined)
  assert.equal(read('\x80\0\0\0\x20\0\0\0\0\0\0\0'), undefined, 'past 53 bits')
  assert.equal(read('\x81\0\0\0\0\0\0\0'), undefined)
})

test('pax records count themselves', () => {
  const records = new Map([
    ['a', 'b'],
    ['path', 'x'.repeat(90)],
    ['nine', 'x'.repeat(991)],
  ])
  const body = encodePax(records)
  assert.ok(latin1(body).startsWith('6 a=b\n99 path=xxx'))
  assert.deepEqual(decodePax(body), records)
  for (const bad of [
    '',
    '6 a=b',
    '7 a=b\n',
    '5 a=b\n',
    '06 a=b\n',
    '6 a=b\n6 a=c\n',
    '5 ab\n',
    ' 6 a=b\n',
    '6a=b\n',
    '4294967301 a=b\n',
    '6 a=b\n\0',
    '-1 a=b\n',
  ]) {
    if (bad === '') assert.deepEqual(decodePax(utf8(bad)), new Map())
    else
      assert.throws(
        () => decodePax(utf8(bad)),
        (error) => isBinderyError(error, 'bad-format'),
        JSON.stringify(bad),
      )
  }
})

test('pax times are decimal seconds, before 1970 too', () => {
  for (const [time, text] of [
    [{ sec: 0, nsec: 0 }, '0'],
    [{ sec: 1, nsec: 500_000_000 }, '1.5'],
    [{ sec: 1, nsec: 1 }, '1.000000001'],
    [{ sec: -1, nsec: 0 }, '-1'],
    [{ sec: -1, nsec: 500_000_000 }, '-0.5'],
    [{ sec: -2, nsec: 250_000_000 }, '-1.75'],
  ] as const) {
    assert.equal(encodePaxTime(time), text)
    assert.deepEqual(decodePaxTime(text), time)
  }
  const anyTime: fc.Arbitrary<Timestamp> = fc.record({ sec: fc.maxSafeInteger(), nsec: fc.nat({ max: 999_999_999 }) })
  fc.assert(fc.property(anyTime, (time) => assert.deepEqual(decodePaxTime(encodePaxTime(time)), { ...time })))
  for (const bad of ['', '.5', '1.', '1.0000000001', '1e9', '+1', '99999999999999999', ' 1', '1\n'])
    assert.equal(decodePaxTime(bad), undefined, bad)
})

test('whatever the bytes, decoding ends with a header or a refusal', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), fc.constantFrom('0', '5', 'x', 'L', 'g', 'S', '\0'), (block, type) => {
      block[156] = type.charCodeAt(0)
      block.set(utf8(`${checksum(block).toString(8).padStart(6, '0')}\0 `), 148)
      assert.throws(
        () => decodeHeader(concatBytes([block, block])),
        (error) => isBinderyError(error),
      )
    }),
  )
})
