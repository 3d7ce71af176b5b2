import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, latin1 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { rootPath } from '../src/base/path.ts'
import { decodeManifest, encodeManifest, isManifest } from '../src/format/manifest.ts'
import { arbitraryManifest } from './helpers/arbitrary-manifest.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { Sha256 } from '../src/base/digest.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'

const emptySha = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' as Sha256
const root = {
  path: rootPath,
  kind: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  uname: 'root',
  gname: 'wheel',
  mtime: { sec: 1767225600, nsec: 0 },
} as const
const path = (text: string): RelPath => text as RelPath

/** The example of doc/spec/manifest.md. */
const example = `#mtree
#bindery manifest 1
#bindery user 0 root
#bindery group 0 wheel
#bindery group 5 tty
. type=dir mode=0755 uid=0 gid=0 time=1767225600.000000000
./dev type=dir mode=0755 uid=0 gid=0 time=1767225600.000000000
./dev/tty type=char mode=0666 uid=0 gid=5 time=1767225600.000000000 device=native,1,0
./etc\\040old type=link uid=0 gid=0 time=-1.000000007 link=etc
#bindery uname
#bindery gname users
./kept type=file mode=0600 uid=0 gid=0 time=1767225600.000000000 size=0 sha256=${emptySha} flags=nodump,schg
#bindery xattr user.note 00ff0a
./su type=file mode=04555 uid=0 gid=0 time=1767225600.123456789 size=0 sha256=${emptySha}
#bindery hardlink ./su
#bindery xattr user.note 00ff0a
./sudo type=file mode=04555 uid=0 gid=0 time=1767225600.123456789 size=0 sha256=${emptySha}
`

const exampleManifest: Manifest = {
  entries: [
    root,
    { ...root, path: path('dev') },
    { ...root, path: path('dev/tty'), kind: 'char', mode: 0o666, gid: 5, gname: 'tty', major: 1, minor: 0 },
    { ...root, path: path('etc old'), kind: 'symlink', mode: 0o777, mtime: { sec: -1, nsec: 7 }, target: 'etc' },
    {
      path: path('kept'),
      kind: 'file',
      mode: 0o600,
      uid: 0,
      gid: 0,
      gname: 'users',
      mtime: root.mtime,
      size: 0,
      sha256: emptySha,
      flags: ['nodump', 'schg'],
    },
    {
      ...root,
      path: path('su'),
      kind: 'file',
      mode: 0o4555,
      mtime: { sec: 1767225600, nsec: 123456789 },
      size: 0,
      sha256: emptySha,
      xattrs: new Map([['user.note', '\0\xff\n']]),
    },
    {
      ...root,
      path: path('sudo'),
      kind: 'hardlink',
      mode: 0o4555,
      mtime: { sec: 1767225600, nsec: 123456789 },
      leader: path('su'),
      xattrs: new Map([['user.note', '\0\xff\n']]),
    },
  ],
}

function refuses(text: string, code: ErrorCode): void {
  assert.throws(
    () => decodeManifest(fromLatin1(text)),
    (error) => isBinderyError(error, code) || assert.fail(`${String(error)} for\n${text}`),
  )
}

test('the example of the specification', () => {
  assert.equal(latin1(encodeManifest(exampleManifest)), example)
  assert.deepEqual(decodeManifest(fromLatin1(example)), exampleManifest)
  assert.ok(isManifest(fromLatin1(example)))
  assert.ok(!isManifest(fromLatin1('#mtree\n. type=dir\n')))
})

test('any manifest survives, to the byte', () => {
  fc.assert(
    fc.property(arbitraryManifest, (manifest) => {
      const bytes = encodeManifest(manifest)
      const back = decodeManifest(bytes)
      assert.deepEqual(back, manifest)
      assert.deepEqual(encodeManifest(back), bytes)
      assert.match(latin1(bytes), /^[\n -~]*$/)
    }),
    { numRuns: 300 },
  )
})

test('an attribute of 64 KiB goes on over several lines, none of them too long for libarchive', () => {
  const manifest: Manifest = {
    entries: [
      {
        ...root,
        xattrs: new Map([
          ['user.big', 'x'.repeat(65_000)],
          ['user.empty', ''],
        ]),
      },
    ],
  }
  const bytes = encodeManifest(manifest)
  assert.deepEqual(decodeManifest(bytes), manifest)
  assert.ok(
    Math.max(
      ...latin1(bytes)
        .split('\n')
        .map((line) => line.length),
    ) < 65_536,
  )
})

test('other spellings of the same are refused', () => {
  const edits: [string, string][] = [
    ['mode=0755', 'mode=755'],
    ['mode=0755', 'mode=00755'],
    ['uid=0 gid=0', 'gid=0 uid=0'],
    ['uid=0', 'uid=00'],
    ['time=1767225600.000000000', 'time=1767225600.0'],
    ['time=-1.000000007', 'time=-01.000000007'],
    ['\\040', ' '],
    ['\\040', '\\s'],
    ['./kept', './\\153ept'],
    [' link=etc', ' mode=0777 link=etc'],
    ['e3b0c', 'E3B0C'],
    ['flags=nodump,schg', 'flags=schg,nodump'],
    ['flags=nodump,schg', 'flags='],
    ['00ff0a', '00FF0A'],
    ['00ff0a', '00ff0'],
    ['#bindery user 0 root\n', ''],
    ['#bindery user 0 root\n', '#bindery user 0 root\n#bindery user 9 nobody\n'],
    ['#bindery uname\n', '#bindery uname\n#bindery uname\n'],
    ['. type=dir', '# a comment\n. type=dir'],
    ['. type=dir', '\n. type=dir'],
    ['type=char', 'optional type=char'],
    ['type=char', 'type=char cksum=1'],
    ['type=char', 'type=pipe'],
    ['device=native,1,0', 'device=1'],
    ['#mtree\n', '#mtree v2.0\n'],
    ['manifest 1', 'manifest 2'],
  ]
  for (const [from, to] of edits) {
    assert.ok(example.includes(from), from)
    refuses(example.replace(from, to), 'bad-format')
  }
  refuses(`${example}\n`, 'bad-format')
  refuses(`${example}#bindery uname x\n`, 'bad-format')
  refuses('', 'bad-format')
})

test('what does not fit together is refused', () => {
  const line = (name: string): string => `${name} type=dir mode=0755 uid=0 gid=0 time=0.000000000\n`
  const head = '#mtree\n#bindery manifest 1\n'
  decodeManifest(fromLatin1(head + line('.') + line('./a') + line('./a/b')))
  refuses(head, 'bad-format')
  refuses(head + line('./a'), 'bad-format')
  refuses(head + line('.') + line('./a') + line('./a'), 'bad-format')
  refuses(head + line('.') + line('./b') + line('./a'), 'bad-format')
  refuses(head + line('.') + line('./a/b'), 'bad-format')
  refuses(head + line('.').replace('type=dir', 'type=fifo'), 'bad-format')
  refuses(head + line('.') + `./a type=link uid=0 gid=0 time=0.000000000 link=x\n` + line('./a/b'), 'bad-format')
  refuses(example.replace('hardlink ./su', 'hardlink ./dev'), 'bad-format')
  refuses(example.replace('hardlink ./su', 'hardlink ./sudo'), 'bad-format')
  refuses(example.replace('hardlink ./su', 'hardlink ./zz'), 'bad-format')
  refuses(example.replace('./sudo type=file mode=04555', './sudo type=file mode=0555'), 'bad-format')
  refuses(example.replace(/(sudo .*size=)0/, '$19'), 'bad-format')
})

test('paths that lead out of the root are hostile', () => {
  const line = (name: string): string => `${name} type=dir mode=0755 uid=0 gid=0 time=0.000000000\n`
  for (const name of [
    '..',
    './..',
    './../etc',
    './a/../b',
    '/etc',
    './/etc',
    './etc/',
    'etc',
    './.',
    './a\\000b',
    `./${'a'.repeat(256)}`,
    `./${'a/'.repeat(2050)}a`,
  ]) {
    refuses(`#mtree\n#bindery manifest 1\n${line('.')}${line(name)}`, 'hostile')
  }
})

test('limits hold before memory is spent', () => {
  refuses(`#mtree\n#bindery manifest 1\n. ${'x'.repeat(70_000)}\n`, 'over-limit')
  const more = `#bindery xattr-more ${'00'.repeat(16_384)}\n`
  refuses(`#mtree\n#bindery manifest 1\n#bindery xattr user.x ${'00'.repeat(16_384)}\n${more.repeat(5)}`, 'over-limit')
})

test('truncated anywhere or with any byte changed: refused, never a crash, never another manifest', () => {
  const bytes = fromLatin1(example)
  for (let size = 0; size < bytes.length; size++) {
    try {
      const manifest = decodeManifest(bytes.subarray(0, size))
      // Only a cut between two entries can be a whole manifest; the digest over it tells.
      assert.deepEqual(encodeManifest(manifest), bytes.subarray(0, size))
    } catch (error) {
      assert.ok(isBinderyError(error), String(error))
    }
  }
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [1, 0x20, 0x80]) {
      const bad = bytes.slice()
      bad[at] = (bad[at] as number) ^ flip
      try {
        assert.deepEqual(encodeManifest(decodeManifest(bad)), bad)
      } catch (error) {
        assert.ok(isBinderyError(error), String(error))
      }
    }
  }
})

test('the writer refuses what the reader would', () => {
  const refusesToWrite = (manifest: Manifest): void =>
    assert.throws(
      () => encodeManifest(manifest),
      (error) => isBinderyError(error, 'bad-format'),
    )
  refusesToWrite({ entries: [] })
  refusesToWrite({ entries: [root, root] })
  refusesToWrite({ entries: [{ ...root, mode: 0o10000 }] })
  refusesToWrite({ entries: [{ ...root, uid: -1 }] })
  refusesToWrite({ entries: [{ ...root, mtime: { sec: 0, nsec: 1e9 } }] })
  refusesToWrite({ entries: [{ ...root, flags: [] }] })
  refusesToWrite({ entries: [{ ...root, xattrs: new Map() }] })
  refusesToWrite({ entries: [root, { ...root, path: path('l'), kind: 'symlink', target: 'a\0b' }] })
})
