import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { concatBytes, fromLatin1, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { decodeBinderyIndex, encodeBinderyIndex, unsealIndex } from '../src/format/openbsd/bindery-index.ts'
import { decodeIndexTxt } from '../src/format/openbsd/index-txt.ts'
import { namesInListing } from '../src/format/openbsd/listing-page.ts'
import { encodeLocateDatabase, locateEntries } from '../src/format/openbsd/locate-db.ts'
import { decodePkgupIndex, encodePkgupIndex } from '../src/format/openbsd/pkgup-index.ts'
import { encodeUpdateDb, updateDbPackages } from '../src/format/openbsd/update-db.ts'
import { numbers } from './helpers/numbers.ts'
import type { BinderyIndex } from '../src/format/openbsd/bindery-index.ts'

test('index.txt: name, size and time of ls -nT; total, short lines, CRLF and strange names are passed over', () => {
  const text = `total 12345
-rw-r--r--  1 0  0    1234567 Aug  8 12:34:56 2023 curl-8.2.1.tgz\r
-rw-r--r--  1 0  0

-rw-r--r--  1 0  0          9 Dec 31 00:00:00 2025 SHA256.sig
-rw-r--r--  1 0  0          9 Dec 31 00:00:00 2025 ../up.tgz
-rw-r--r--  1 0  0          9 Dec 31 00:00:00 2025 .hidden.tgz
lrwxr-xr-x  1 0  0       huge Dec 31 00:00:00 2025 gtk+3-3.24.38.tgz and more`
  assert.deepEqual(decodeIndexTxt(fromLatin1(text)), [
    { name: 'curl-8.2.1.tgz', size: 1_234_567, time: '2023 Aug 8 12:34:56' },
    { name: 'SHA256.sig', size: 9, time: '2025 Dec 31 00:00:00' },
    { name: 'gtk+3-3.24.38.tgz', size: undefined, time: '2025 Dec 31 00:00:00' },
  ])
})

test('a listing page: every spelling of a link, once, and no way out of the folder', () => {
  const page = `<pre><A HREF="../">../</A><a href="a-1.tgz">a</a><A class=x HREF="gtk%2B3-3.24.tgz">g</A><a href="a-1.tgz">a</a>
    <a href="http://elsewhere/b-1.tgz">b</a><a href="%2e%2e%2fc-1.tgz">c</a><a href="%zz">d</a><a href="?C=M">e</a></pre>`
  assert.deepEqual(namesInListing(page), ['a-1.tgz', 'gtk+3-3.24.tgz'])
})

const sample =
  '1\n2023-08-08T12:34:56Z\ncurl-8.2.1.tgz curl-8.2.1,0,@nghttp2-1.54.0,c.97.1 net/curl\nvim-9.0.1-gtk3.tgz vim-9.0.1-gtk3,2 editors/vim,gtk3,-main\n'

test('index.pkgup: version, quirks date, packages; what reading gives, writing gives back', () => {
  const index = decodePkgupIndex(fromLatin1(sample))
  assert.ok(index.kind === 'index')
  assert.equal(index.quirksDate, '2023-08-08T12:34:56Z')
  assert.deepEqual(index.packages[1], { file: 'vim-9.0.1-gtk3.tgz', signature: 'vim-9.0.1-gtk3,2', pkgpath: 'editors/vim,gtk3,-main' })
  assert.deepEqual(encodePkgupIndex(index), fromLatin1(sample))
})

test('index.pkgup: lines of one or two words, of other files, and of more words hide nothing', () => {
  const odd = '1\nd\n\nx\na-1.tgz\na-1.tgz a-1,0\nindex.txt a b\n  b-1.tgz\tb-1,0  p/b  and more \n'
  const index = decodePkgupIndex(fromLatin1(odd))
  assert.deepEqual(index, {
    kind: 'index',
    quirksDate: 'd',
    broken: ['a-1.tgz', 'a-1.tgz'],
    packages: [{ file: 'b-1.tgz', signature: 'b-1,0', pkgpath: 'p/b' }],
  })
})

test('index.pkgup: the version is a strict integer, and older formats are known by their look', () => {
  const hash = `${'A'.repeat(43)}=`
  const cases = {
    '2\nx\n': { kind: 'other-version', version: 2 },
    '0\nx\n': { kind: 'other-version', version: 0 },
    '1\r\nx\r\n': { kind: 'no-version', line: '1\r', era: undefined },
    '1 \nx\n': { kind: 'no-version', line: '1 ', era: undefined },
    '': { kind: 'no-version', line: '', era: undefined },
    '<html>\n': { kind: 'no-version', line: '<html>', era: undefined },
    [`curl-8.tgz ${hash}\n`]: { kind: 'no-version', line: `curl-8.tgz ${hash}`, era: 'hashes' },
    [`curl-8.tgz ${hash} net/curl\n`]: { kind: 'no-version', line: `curl-8.tgz ${hash} net/curl`, era: 'hashes-and-paths' },
    '2021-01-08T10:00:00Z\ncurl-8.tgz curl-8,0,c.1.0 net/curl\n': {
      kind: 'no-version',
      line: '2021-01-08T10:00:00Z',
      era: 'without-version',
    },
  }
  for (const [text, expected] of Object.entries(cases)) assert.deepEqual(decodePkgupIndex(fromLatin1(text)), expected, text)
})

const vectors = readFileSync('test/vectors/locate-db.jsonl', 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector)
type Vector = { readonly entries: readonly string[]; readonly database: string }

test("a locate database that OpenBSD's own locate.code wrote is read", () => {
  for (const { entries, database } of vectors)
    assert.deepEqual([...locateEntries(new Uint8Array(Buffer.from(database, 'base64')))], entries)
})

test('a locate database in the other byte order is read', () => {
  const long = 'x'.repeat(100)
  const little = encodeLocateDatabase([`${long}a`, `${long}b`])
  const at = little.indexOf(30, 256)
  assert.ok(at > 256)
  const big = little.slice()
  big.set(little.subarray(at + 1, at + 5).toReversed(), at + 1)
  assert.deepEqual([...locateEntries(big)], [`${long}a`, `${long}b`])
})

test('a locate database gives back whatever bytes its entries hold', () => {
  const random = numbers(4)
  const entries = Array.from(
    { length: 300 },
    (_, i) =>
      `e${i % 7}/` +
      Array.from({ length: 1 + random.below(60) }, () => String.fromCharCode(1 + random.below(255)))
        .join('')
        .replaceAll('\n', ''),
  ).sort()
  assert.deepEqual([...locateEntries(encodeLocateDatabase(entries))], entries)
  assert.deepEqual([...locateEntries(encodeLocateDatabase([]))], [])
})

test('a locate database with damage anywhere is read to its end or refused in one sentence, and never asks for much', () => {
  const good = encodeLocateDatabase(['curl-8.2.1:@name curl-8.2.1', `curl-8.2.1:${'long '.repeat(20)}`, `vim-9:${'long '.repeat(30)}`])
  for (let at = 0; at < good.length; at++) {
    for (const value of [0, 14, 29, 30, 31, 127, 128, 255]) {
      const damaged = good.slice()
      damaged[at] = value
      outcome(() => [...locateEntries(damaged)].length)
    }
    outcome(() => [...locateEntries(good.subarray(0, at))].length)
  }
  assert.throws(() => [...locateEntries(new Uint8Array(256 + 200_000).fill(0x41).fill(0x40, 0, 256).fill(14, 256, 257))], {
    code: 'over-limit',
  })
  // A long entry, and then each byte is that entry once more.
  const start = concatBytes([new Uint8Array(256).fill(0x40), Uint8Array.of(14), new Uint8Array(60_000).fill(0x41)])
  const step = new Uint8Array(5).fill(30, 0, 1)
  new DataView(step.buffer).setInt32(1, 60_000 + 14, true)
  const again = concatBytes([start, step, new Uint8Array(10_000).fill(14)])
  assert.throws(
    () => {
      for (const _ of locateEntries(again));
    },
    { code: 'over-limit', message: /more than 128 bytes of entries/ },
  )
})

function outcome(work: () => number): void {
  try {
    assert.ok(work() <= 1000)
  } catch (error) {
    assert.ok(isBinderyError(error), String(error))
  }
}

test('update.db: the packages that are asked for, with the lines of their lists', () => {
  const packages = [
    { name: 'curl-8.2.1-static', lines: ['@name curl-8.2.1-static'] },
    { name: 'curl-8.2.1', lines: ['@comment pkgpath=net/curl ftp=yes', '@name curl-8.2.1', '@wantlib c.97.1'] },
    { name: 'vim-9.0', lines: ['@option always-update abc'] },
  ]
  const database = encodeUpdateDb(packages.toReversed())
  assert.deepEqual([...updateDbPackages(database, () => true)], packages)
  assert.deepEqual([...updateDbPackages(database, (name) => name.startsWith('vim-'))], packages.slice(2))
  // The end of a line that locate.code had no room for begins an entry of its own.
  const split = encodeLocateDatabase(['a-1:@name a-1', 'rest of a line', 'b-1:@name b-1'])
  assert.deepEqual(
    [...updateDbPackages(split, () => true)].map(({ name }) => name),
    ['a-1', 'b-1'],
  )
})

const index: BinderyIndex = {
  quirksDate: '2026-11-20T09:30:15Z',
  made: 1_795_000_000,
  expires: 1_797_000_000,
  packages: [
    {
      file: 'cafe-1.0.tgz',
      size: 17,
      sha256: undefined,
      signature: 'cafe-1.0,0,c.1.0',
      info: {
        names: ['cafe-1.0'],
        versions: [],
        depends: [{ pkgpath: 'a/b', pattern: 'b-*', default: 'b-1' }],
        wantlibs: ['c.1.0'],
        libsets: [],
        conflicts: [],
        formerPaths: [],
        options: ['is-branch'],
        arch: 'amd64',
        url: undefined,
        pkgpath: 'x/cafe',
      },
    },
  ],
}

test("bindery's index: what writing gives, reading gives back", () => {
  assert.deepEqual(decodeBinderyIndex(encodeBinderyIndex(index)), index)
})

test("bindery's index: what is not as it should be is refused", () => {
  const good = Buffer.from(encodeBinderyIndex(index)).toString('utf8')
  const bad = (from: string | RegExp, to: string): void =>
    assert.throws(() => decodeBinderyIndex(utf8(good.replace(from, to))), { code: 'bad-format' }, String(from))
  bad('"size":17', '"size":-1')
  bad('"size":17', '"size":1.5')
  bad('"file":"cafe', '"file":"../cafe')
  bad('"depends":[["a/b","b-*","b-1"]]', '"depends":[["a/b"]]')
  bad('"pkgpath"', '"other"')
  bad('bindery-index', 'another')
  bad(/\n$/, '')
  bad('{"file"', '["file"')
  assert.throws(() => decodeBinderyIndex(utf8(good.replace('"version":1', '"version":2'))), { code: 'not-supported' })
})

test("bindery's index: a signature frame of any size but its own is none", () => {
  const frame = (size: number): Uint8Array => new Uint8Array([0x5b, 0x2a, 0x4d, 0x18, size, size >> 8, 0, 0, 65, 66, 67])
  assert.deepEqual(unsealIndex(frame(2)), { signature: utf8('AB'), compressed: utf8('C') })
  for (const file of [frame(4), frame(5000), frame(2).subarray(0, 7), utf8('no such file')]) assert.equal(unsealIndex(file), undefined)
})
