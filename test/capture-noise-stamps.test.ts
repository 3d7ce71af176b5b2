import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, utf8 } from '../src/base/bytes.ts'
import { learnStamps, sameButStamps } from '../src/engine/capture/noise/stamps.ts'
import type { Stamps } from '../src/engine/capture/noise/stamps.ts'

function learned(a: string, b: string): Stamps {
  const stamps = learnStamps(utf8(a), utf8(b))
  assert.ok(stamps, 'no stamps were learned')
  return stamps
}

const same = (shipped: string, fresh: string, stamps: Stamps): boolean => sameButStamps(utf8(shipped), utf8(fresh), stamps)

const page = (date: string, rest = 'Use it with care.'): string => `# Manual\nGenerated on ${date} by make\n${rest}\n`

test('a line that holds a date', () => {
  const fresh = page('Sat Nov 28 14:06:37 2026')
  const stamps = learned(fresh, page('Mon Jan  3 03:17:50 2028'))
  assert.deepEqual(stamps, {
    kind: 'text',
    lines: [
      {
        line: 2,
        words: [
          { index: 2, of: 'letters' },
          { index: 3, of: 'letters' },
          { index: 4, of: 'digits' },
          { index: 5, of: 'digits' },
          { index: 6, of: 'digits' },
          { index: 7, of: 'digits' },
          { index: 8, of: 'digits' },
        ],
      },
    ],
  })
  assert.ok(same(page('Wed May  7 00:00:01 2025'), fresh, stamps))
})

test('a real change is seen: in another line, beside the stamp in its line, in place of the stamp', () => {
  const fresh = page('28 Nov 2026')
  const stamps = learned(fresh, page('3 Jan 2028'))
  assert.ok(same(page('7 May 2025'), fresh, stamps))
  for (const shipped of [
    page('7 May 2025', 'Use it without care.'),
    page('7 May 2025').replace('make', 'cmake'),
    page('7 May 2025').replace('by make', 'by  make'),
    page('7 May 2025', 'Use it with care.\nTwice.'),
    page('7 May 2025').trimEnd(),
    page('7 May 2025, 2026'),
    page('seventh May 2025'),
    page('7 05 2025'),
    `\0${page('7 May 2025')}`,
  ])
    assert.ok(!same(shipped, fresh, stamps), JSON.stringify(shipped))
})

test('blanks beside a stamp make up for its length, those that indent a line do not', () => {
  const stamps = learned('if x:\n  28 # on Nov 28, at\n', 'if x:\n  3 # on Jan  3, at\n')
  assert.ok(same('if x:\n  7 # on May   7, at\n', 'if x:\n  28 # on Nov 28, at\n', stamps))
  assert.ok(!same('if x:\n    7 # on May 7, at\n', 'if x:\n  28 # on Nov 28, at\n', stamps))
})

test('texts that differ by more than words have no stamps', () => {
  for (const [a, b] of [
    ['one\ntwo\n', 'one\n'],
    ['one\ntwo\n', 'one\ntwo'],
    ['at 1 of 2\n', 'at 1/2\n'],
    ['date: 2026\n', 'date: 20-28\n'],
    ['équipe\n', 'èquipe\n'],
    ['same\n', 'same\n'],
    ['text\n', 'te\0t\n'],
  ] as const)
    assert.equal(learnStamps(utf8(a), utf8(b)), undefined, JSON.stringify([a, b]))
})

test('a file that differs in most of its many lines was made by chance', () => {
  const table = (seed: number): string => Array.from({ length: 200 }, (_, i) => `${i} ${seed * (i + 1)}\n`).join('')
  assert.equal(learnStamps(utf8(table(3)), utf8(table(5))), undefined)
})

const code = '\x7f\x01\x02\x03'
const program = (stamp: string, more = '\xc3'): string => `${code}\0built ${stamp}\0${more}${code}\0\0`
const binary = (text: string): Uint8Array => fromLatin1(text)

test('a string of a binary that holds a date', () => {
  const [a, b] = [binary(program('Nov 28 2026')), binary(program('Jan  3 2028'))]
  const stamps = learnStamps(a, b)
  assert.deepEqual(stamps, {
    kind: 'binary',
    size: a.length,
    runs: [
      {
        kind: 'string',
        offset: 5,
        length: 18,
        words: [
          { index: 1, of: 'letters' },
          { index: 2, of: 'digits' },
          { index: 3, of: 'digits' },
        ],
      },
    ],
  })
  assert.ok(sameButStamps(binary(program('May  7 2025')), a, stamps))
  for (const shipped of [
    program('May  7 2025').replace('built', 'Built'),
    program('May  7 2025', '\xc4'),
    program('May 7 2025'),
    program('May  7 2025\0').replace('\xc3', ''),
    program('May  7 202\xff'),
    program('May  7 2025').replace('2025\0', '20255'),
  ])
    assert.ok(!sameButStamps(binary(shipped), a, stamps), JSON.stringify(shipped))
})

test('a string in a buffer may be as long as there are NULs behind it', () => {
  const buffer = (text: string): Uint8Array => binary(`${code}${text.padEnd(24, '\0')}${code}`)
  const stamps = learnStamps(buffer('on Sunday, 3'), buffer('on Monday, 28'))
  assert.ok(stamps)
  assert.ok(sameButStamps(buffer('on Wednesday, 12'), buffer('on Sunday, 3'), stamps))
  assert.ok(!sameButStamps(buffer('on Wednesday, 123456789012'), buffer('on Sunday, 3'), stamps), 'no NUL is left')
})

test('bytes of a binary that are no words of a string are no stamps', () => {
  for (const [a, b] of [
    [`${code}\0\x10`, `${code}\0\x11`],
    [`${code}\0aB${code}`, `${code}\0aC${code}`],
    [`${code}\0on 3\0\0`, `${code}\0on 3\0`],
    [`${code}\0stamp 3\0${code}`, `${code}\0stamp 3x${code}`],
  ] as const)
    assert.equal(learnStamps(binary(a), binary(b)), undefined, JSON.stringify([a, b]))
})

/** Lines or strings between which stamps stand: three times the same but for those. */
const stampedFile = fc
  .record({
    parts: fc.array(fc.tuple(fc.string({ maxLength: 12 }), fc.constantFrom('date', 'none')), { minLength: 1, maxLength: 20 }),
    isBinary: fc.boolean(),
    dates: fc.tuple(fc.nat({ max: 9998 }), fc.nat({ max: 9998 })),
  })
  .map(({ parts, isBinary, dates: [first, shipped] }) => {
    const end = isBinary ? '\0\x01' : '\n'
    const write = (date: number): Uint8Array => {
      const lines = parts.map(([text, stamp]) => text + (stamp === 'date' ? ` [${String(date).padStart(4, '0')}]` : ''))
      return utf8([...lines, `since [${String(date).padStart(4, '0')}]`].join(end) + end)
    }
    return { first: write(first), second: write(first + 1), shipped: write(shipped) }
  })

test('files that differ in stamps alone are told, whatever else is in them', () => {
  fc.assert(
    fc.property(stampedFile, ({ first, second, shipped }) => {
      const stamps = learnStamps(first, second)
      assert.ok(stamps)
      assert.ok(sameButStamps(first, second, stamps))
      assert.ok(sameButStamps(shipped, first, stamps))
    }),
  )
})

test('one byte more than stamps is no stamp', () => {
  const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }), what: fc.constantFrom('change', 'insert', 'remove') })
  fc.assert(
    fc.property(stampedFile, change, ({ first, second, shipped }, { at, byte, what }) => {
      const stamps = learnStamps(first, second)
      assert.ok(stamps)
      const place = at % shipped.length
      // Within brackets it is a stamp, and beside them blanks may stand for each other.
      const isStamp = /[\d[\] \t]/.test(String.fromCharCode(shipped[place] as number, shipped[place - 1] ?? 0))
      fc.pre(!isStamp && shipped[place] !== byte)
      const bytes = what === 'change' ? [byte] : what === 'insert' ? [byte, shipped[place] as number] : []
      const changed = Uint8Array.from([...shipped.subarray(0, place), ...bytes, ...shipped.subarray(place + 1)])
      fc.pre(Buffer.compare(changed, shipped) !== 0)
      assert.ok(!sameButStamps(changed, first, stamps))
    }),
  )
})

test('any two files: what is learned from them explains them, and nobody fails', () => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.string({ maxLength: 60, unit: 'grapheme-ascii' }).map(utf8))
  fc.assert(
    fc.property(bytes, bytes, bytes, (a, b, c) => {
      const stamps = learnStamps(a, b)
      if (stamps === undefined) return
      assert.ok(sameButStamps(a, b, stamps))
      assert.ok(sameButStamps(b, a, stamps))
      void sameButStamps(c, a, stamps)
    }),
  )
})

test('hostile files are compared in bounded memory: lines and strings that are too long, too many', () => {
  const long = (word: string): string => `${'a '.repeat(1 << 19)}${word}\n`
  assert.equal(learnStamps(utf8(long('1')), utf8(long('2'))), undefined)
  const lines = (word: string): string => `${word}\n`.repeat(70_000) + '\n'.repeat(700_000)
  assert.equal(learnStamps(utf8(lines('1')), utf8(lines('2'))), undefined)
  const strings = (word: string): Uint8Array => utf8(`on ${word}.\0\x01`.repeat(5000))
  assert.equal(learnStamps(strings('1'), strings('2')), undefined)
})
