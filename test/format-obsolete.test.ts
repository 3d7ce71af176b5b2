import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeObsolete, encodeObsolete } from '../src/format/obsolete.ts'
import { relPath } from './helpers/plant.ts'
import type { ObsoleteItem, ObsoleteList } from '../src/format/obsolete.ts'

const digest = sha256(utf8('x'))
const list: ObsoleteList = {
  through: 12,
  items: [
    { path: relPath('usr/bin/o l\\d\xff'), last: 7, kind: 'file', size: 1, sha256: digest },
    { path: relPath('usr/lib/libfoo.so.1'), last: 9, kind: 'file', size: 1, sha256: digest },
    { path: relPath('usr/lib/libfoo.so.1'), last: 9, kind: 'symlink', target: 'libfoo.so.1 2' },
    { path: relPath('usr/share/old'), last: 7, kind: 'dir' },
  ],
}

test('a list is lines that sh can read, in one order', () => {
  const text = [
    'bindery-obsolete 1',
    'through 12',
    `7 file 1 ${digest} usr/bin/o\\040l\\134d\\377`,
    `9 file 1 ${digest} usr/lib/libfoo.so.1`,
    '9 symlink libfoo.so.1\\0402 usr/lib/libfoo.so.1',
    '7 dir usr/share/old',
    '',
  ].join('\n')
  assert.equal(latin1(encodeObsolete({ ...list, items: list.items.toReversed() })), text)
  assert.deepEqual(decodeObsolete(encodeObsolete(list)), list)
  assert.deepEqual(decodeObsolete(encodeObsolete({ through: 0, items: [] })), { through: 0, items: [] })
})

test('what a writer would not write is refused', () => {
  const [head, line] = ['bindery-obsolete 1\nthrough 3\n', '1 dir a\n']
  const cases: readonly (readonly [string, string])[] = [
    ['', 'bad-format'],
    ['bindery-obsolete 2\nthrough 3\n', 'not-supported'],
    ['bindery-obsolete 1\n', 'bad-format'],
    [`${head}${line}${line}`, 'bad-format'],
    [`${head}1 dir b\n${line}`, 'bad-format'],
    [`${head}1 dir a`, 'bad-format'],
    [`${head}1 dir ../a\n`, 'hostile'],
    [`${head}1 dir .\n`, 'hostile'],
    [`${head}1 dir /a\n`, 'hostile'],
    [`${head}1 dir a b\n`, 'bad-format'],
    [`${head}1 fifo a\n`, 'bad-format'],
    [`${head}01 dir a\n`, 'bad-format'],
    [`${head}1 file 1 ${'A'.repeat(64)} a\n`, 'bad-format'],
    [`${head}1 symlink \\999 a\n`, 'bad-format'],
  ]
  for (const [text, code] of cases)
    assert.throws(
      () => decodeObsolete(utf8(text)),
      (error) => isBinderyError(error, code as never),
      text,
    )
})

test('every list comes back as it was', () => {
  const name = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c === 47 ? 48 : c)),
    minLength: 1,
    maxLength: 8,
  })
  const path = fc
    .array(
      name.filter((one) => one !== '.' && one !== '..'),
      { minLength: 1, maxLength: 3 },
    )
    .map((names) => relPath(names.join('/')))
  const item = fc.tuple(path, fc.nat(99), name, fc.nat(2)).map(([at, last, target, kind]): ObsoleteItem => {
    if (kind === 0) return { path: at, last, kind: 'dir' }
    return kind === 1 ? { path: at, last, kind: 'symlink', target } : { path: at, last, kind: 'file', size: last, sha256: digest }
  })
  fc.assert(
    fc.property(fc.uniqueArray(item, { selector: ({ path: at }) => at }), fc.nat(99), (items, through) => {
      const bytes = encodeObsolete({ through, items })
      assert.deepEqual(encodeObsolete(decodeObsolete(bytes)), bytes)
      assert.equal(decodeObsolete(bytes).items.length, items.length)
    }),
  )
})
