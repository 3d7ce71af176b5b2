import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, latin1 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { decodeMtree } from '../src/format/mtree.ts'
import { unvis } from '../src/format/mtree-vis.ts'
import { escapeWord, unescapeWord } from '../src/format/mtree-text.ts'
import { arbitraryManifest } from './helpers/arbitrary-manifest.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { MtreeFile } from '../src/format/mtree.ts'

const sha = '98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4'

/** As `mtree -c -K sha256` of NetBSD writes it. */
const netbsd = `#	   user: (null)
#	machine: vm

# .
/set type=file uid=0 gid=0 mode=0644 nlink=1 flags=none
.               type=dir mode=0755 nlink=3 time=1795354683.202305641
    a\\sb        size=3 time=1795354647.879525558 \\
                sha256=${sha}
    l           type=link mode=0777 time=-315619200.7 link=tar\\sget
    u\\M-C\\M-)\\#   uid=12345 gid=54321 size=3 time=1795354647.5 sha256=0x${sha} flags=schg,nodump

# ./d
/set type=file uid=0 gid=0 mode=04755 nlink=1 flags=none
d               type=dir mode=0755 nlink=2 time=1795354647.879525558
    f           nlink=2 size=3 time=1.0 sha256=${sha}
# ./d
..

`

/** As `bsdtar --format=mtree` writes it. */
const libarchive = `#mtree
. gname=root uname=root time=1795354683.202305641 mode=755 gid=0 uid=0 type=dir
./b time=1.5 mode=644 gid=0 uid=0 type=block device=native,8,1
./d time=1.5 mode=755 gid=0 uid=0 type=dir
./d/f nlink=2 time=1.5 mode=4755 gid=0 uid=0 type=file size=2 sha256digest=${sha}
./l time=1.5 mode=777 gid=0 uid=0 type=link link=tar\\040get
./u\\303\\251\\075 time=1.5 mode=644 gid=0 uid=0 type=file size=0 sha256digest=${sha}
`

const decode = (text: string): MtreeFile => decodeMtree(fromLatin1(text))
const lines = ({ manifest }: MtreeFile): string[] => latin1(encodeManifest(manifest)).split('\n').slice(2, -1)

test('relative form, /set, continued lines and vis escapes of mtree(8)', () => {
  const file = decode(netbsd)
  assert.deepEqual(lines(file), [
    '. type=dir mode=0755 uid=0 gid=0 time=1795354683.202305641',
    `./a\\040b type=file mode=0644 uid=0 gid=0 time=1795354647.879525558 size=3 sha256=${sha}`,
    './d type=dir mode=0755 uid=0 gid=0 time=1795354647.879525558',
    `./d/f type=file mode=04755 uid=0 gid=0 time=1.000000000 size=3 sha256=${sha}`,
    './l type=link uid=0 gid=0 time=-315619200.000000007 link=tar\\040get',
    `./u\\303\\251\\043 type=file mode=0644 uid=12345 gid=54321 time=1795354647.000000005 size=3 sha256=${sha} flags=nodump,schg`,
  ])
  assert.deepEqual([...file.gaps].sort(), ['links', 'xattrs'])
})

test('full paths and octal escapes of bsdtar', () => {
  const file = decode(libarchive)
  assert.deepEqual(lines(file), [
    '. type=dir mode=0755 uid=0 gid=0 time=1795354683.202305641',
    './b type=block mode=0644 uid=0 gid=0 time=1.000000005 device=native,8,1',
    './d type=dir mode=0755 uid=0 gid=0 time=1.000000005',
    `./d/f type=file mode=04755 uid=0 gid=0 time=1.000000005 size=2 sha256=${sha}`,
    './l type=link uid=0 gid=0 time=1.000000005 link=tar\\040get',
    `./u\\303\\251\\075 type=file mode=0644 uid=0 gid=0 time=1.000000005 size=0 sha256=${sha}`,
  ])
  assert.deepEqual([...file.gaps].sort(), ['flags', 'links', 'xattrs'])
})

test('what is missing is told', () => {
  const gapsOf = (line: string): string[] =>
    [...decode(`. type=dir mode=0755 uid=0 gid=0 time=1.0 flags=none\n${line}\n`).gaps]
      .filter((gap) => gap !== 'links' && gap !== 'xattrs')
      .sort()
  const whole = 'mode=0644 uid=0 gid=0 time=1.0 flags=none'
  assert.deepEqual(gapsOf(`f type=file ${whole} size=1 sha256=${sha}`), [])
  assert.deepEqual(gapsOf(`f type=file ${whole} size=1 md5=00`), ['digest'])
  assert.deepEqual(gapsOf(`f type=file ${whole}`), ['content', 'digest'])
  assert.deepEqual(gapsOf(`f type=fifo`), ['flags', 'mode', 'mtime', 'owner'])
  assert.deepEqual(gapsOf(`f type=char ${whole} device=0x1234`), ['device'])
  assert.deepEqual(gapsOf(`f type=char ${whole} device=linux,1,2`), [])
  assert.deepEqual(gapsOf(`f type=link ${whole}`), ['target'])
  assert.deepEqual(gapsOf('f type=fifo mode=u=rw,go=r uname=root gname=wheel time=1.0 flags=none'), ['mode', 'owner'])
})

test('/unset takes a default away, directories are left by ..', () => {
  const file = decode(`/set type=dir mode=0755 uid=0 gid=0 time=1.0 flags=none
.
a
b
..
..
c mode=0700
..
/unset mode
d
`)
  assert.deepEqual(
    file.manifest.entries.map((entry) => [entry.path, entry.mode]),
    [
      ['.', 0o755],
      ['a', 0o755],
      ['a/b', 0o755],
      ['c', 0o700],
      ['d', 0],
    ],
  )
  assert.ok(file.gaps.has('mode'))
})

test('names are literal and safe', () => {
  const refuses = (text: string, code: ErrorCode): void =>
    assert.throws(
      () => decode(text),
      (error) => isBinderyError(error, code) || assert.fail(`${String(error)} for\n${text}`),
    )
  assert.equal(decode('. type=dir\n./a*b type=fifo\n./a[b type=fifo\n').manifest.entries.length, 3)
  refuses('. type=dir\n../x type=fifo\n', 'hostile')
  refuses('. type=dir\n./a/../../x type=fifo\n', 'hostile')
  refuses('. type=dir\n/etc/passwd type=fifo\n', 'hostile')
  refuses('. type=dir\n\\056\\056 type=fifo\n', 'hostile')
  refuses('. type=dir\na\\057b type=fifo\n', 'hostile')
  refuses('. type=dir\na\\000b type=fifo\n', 'hostile')
  refuses('. type=dir\nc type=link time=1.\0 link=a\n', 'bad-format')
  refuses('# \0\n. type=dir\n', 'bad-format')
  refuses('. type=dir\n./a type=fifo\n./a type=fifo\n', 'bad-format')
  refuses('. type=dir\n./a/b type=fifo\n', 'bad-format')
  refuses('. type=dir\n./a type=fifo\n./a/b type=fifo\n', 'bad-format')
  refuses('. type=dir\nx\\M type=fifo\n', 'bad-format')
  refuses('. type=dir\nx\n', 'bad-format')
  refuses('. type=dir\nx type=door\n', 'bad-format')
  refuses('a type=dir\n', 'bad-format')
  refuses('#mtree\n', 'bad-format')
  refuses('', 'bad-format')
  refuses('. type=dir \\', 'bad-format')
  refuses(`. type=dir\n./${'x'.repeat(130_000)} type=fifo\n`, 'over-limit')
})

test('our own manifests are read, too, apart from what stands in comments', () => {
  fc.assert(
    fc.property(arbitraryManifest, (manifest) => {
      const { manifest: read } = decodeMtree(encodeManifest(manifest))
      assert.deepEqual(
        read.entries.map(({ path, mode, uid, mtime }) => ({ path, mode, uid, mtime })),
        manifest.entries.map(({ path, mode, uid, mtime }) => ({ path, mode, uid, mtime })),
      )
    }),
    { numRuns: 50 },
  )
})

test('every spelling of a byte', () => {
  for (let code = 0; code < 256; code++) {
    const byte = String.fromCharCode(code)
    assert.equal(unescapeWord(escapeWord(byte)), byte)
    assert.equal(unvis(escapeWord(byte)), byte)
  }
  const spelled: [string, string][] = [
    ['\\s\\t\\n\\\\\\#', ' \t\n\\#'],
    ['\\M-C\\M-)', '\xc3\xa9'],
    ['\\^A\\^?\\^@', '\x01\x7f\0'],
    ['\\M^A\\M^?', '\x81\xff'],
    ['\\M-\\M-a', ''],
    ['\\240\\0a', '\xa0\0a'],
    ['plain', 'plain'],
  ]
  for (const [word, text] of spelled) if (text !== '') assert.equal(unvis(word), text)
  for (const bad of ['\\', 'x\\q', '\\M', '\\Mx']) assert.equal(unvis(bad), undefined, bad)
  for (const bad of ['\\', '\\4', '\\40', '\\400', '\\8', '\\s']) assert.equal(unescapeWord(bad), undefined, bad)
})
