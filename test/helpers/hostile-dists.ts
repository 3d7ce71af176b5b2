import { concatBytes } from '../../src/base/bytes.ts'
import { directory, dist, end, extension, file, hardlink, header, member, nameHeader, pax, raw, root, symlink } from './tar-builder.ts'
import type { ErrorCode } from '../../src/base/error.ts'

/**
 * Archives that somebody made to be taken for a dist. Each is refused before the part that is wrong with it comes out.
 * `parts` are the paths that may come before the refusal.
 */
export type Hostile = { readonly tar: Uint8Array; readonly code: ErrorCode; readonly parts: readonly string[] }

const refused = (code: ErrorCode, tar: Uint8Array, parts: readonly string[] = ['.']): Hostile => ({ tar, code, parts })
const inside = (text: string): string => text.repeat(60)

export const hostileDists: Readonly<Record<string, Hostile>> = {
  // Paths
  'an absolute path': refused('hostile', dist(file('/etc/passwd', 'x'))),
  'a path with ..': refused('hostile', dist(directory('a'), file('a/../../etc/passwd')), ['.', 'a']),
  'a path that is ..': refused('hostile', dist(file('..'))),
  'a path that starts with ..': refused('hostile', dist(file('../x'))),
  'a path that starts with ./': refused('hostile', dist(file('./x'))),
  'a path with /./': refused('hostile', dist(directory('a'), file('a/./b')), ['.', 'a']),
  'a path with //': refused('hostile', dist(directory('a'), file('a//b')), ['.', 'a']),
  'an empty path': refused('hostile', dist(file(''))),
  'a file whose path ends with a slash': refused('hostile', dist(file('a/'))),
  'a directory without its slash': refused('bad-format', dist(header({ name: 'a', type: '5', mode: 0o755 }))),
  'a directory with two slashes': refused('hostile', dist(directory('a/'))),
  'a NUL within a path': refused('bad-format', dist(file('a\0b'))),
  'a NUL within a long path': refused(
    'bad-format',
    dist(extension('L', `${inside('ab')}\0${inside('c')}\0`), file(inside('ab').slice(0, 100))),
  ),
  'an absolute path in a prefix': refused('hostile', dist(file('x', '', { prefix: '/etc' }))),
  '.. in a prefix': refused('hostile', dist(file('x', '', { prefix: '../..' }))),
  'a prefix where the name would do': refused('bad-format', dist(directory('a'), file('x', '', { prefix: 'a' })), ['.', 'a']),
  'an absolute path in an L member': refused('hostile', dist(extension('L', `/${inside('ab')}\0`), file(`/${inside('ab')}`.slice(0, 100)))),
  'an L member for a short path': refused('bad-format', dist(extension('L', 'short\0'), file('short'))),
  'an L member that does not end with a NUL': refused('bad-format', dist(extension('L', inside('ab')), file(inside('ab').slice(0, 100)))),
  'two L members': refused(
    'bad-format',
    dist(extension('L', `${inside('a')}${inside('a')}\0`), extension('L', `${inside('ab')}\0`), file(inside('ab').slice(0, 100))),
  ),
  'a name of 256 bytes': refused('hostile', dist(extension('L', `${'n'.repeat(256)}\0`), file('n'.repeat(100)))),
  'a path in a pax header': refused('bad-format', dist(pax({ path: '/etc/passwd' }), file('harmless'))),
  'a link target in a pax header': refused('bad-format', dist(pax({ linkpath: '/etc' }), symlink('a', 'b'))),

  // Members that stand in each other's way
  'a path twice': refused('hostile', dist(file('a'), file('a')), ['.', 'a']),
  'a path as a directory and as a file': refused('hostile', dist(directory('a'), file('a')), ['.', 'a']),
  'a path as a library of one rank and again': refused(
    'hostile',
    dist(directory('lib'), symlink('lib/libz.so', '/etc'), file('lib/libz.so')),
    ['.', 'lib', 'lib/libz.so'],
  ),
  'a file below a symbolic link': refused('hostile', dist(symlink('a', '/etc'), file('a/passwd')), ['.', 'a']),
  'a directory below a symbolic link': refused('bad-format', dist(symlink('a', '/etc'), directory('a/cron.d')), ['.', 'a']),
  'a file below a file': refused('hostile', dist(file('a'), file('a/b')), ['.', 'a']),
  'a file below nothing': refused('hostile', dist(file('a/b'))),
  'members out of order': refused('bad-format', dist(file('b'), file('a')), ['.', 'b']),
  'a directory behind a file': refused('bad-format', dist(file('a'), directory('b')), ['.', 'a']),
  'the root twice': refused('hostile', dist(root)),
  'no root': refused('bad-format', concatBytes([nameHeader, file('a'), end]), []),
  'a root that is a symbolic link': refused('hostile', concatBytes([nameHeader, symlink('.', '/'), end]), []),
  'nothing at all': refused('bad-format', concatBytes([nameHeader, end]), []),

  // Links
  'a hard link out': refused('hostile', dist(hardlink('a', '../../etc/shadow'))),
  'a hard link to an absolute path': refused('hostile', dist(hardlink('a', '/etc/shadow'))),
  'a hard link to nothing': refused('hostile', dist(hardlink('a', 'b'))),
  'a hard link to a later file': refused('hostile', dist(hardlink('a', 'b'), file('b'))),
  'a hard link to itself': refused('hostile', dist(hardlink('a', 'a'))),
  'a hard link to a directory': refused('hostile', dist(directory('a'), hardlink('b', 'a', { mode: 0o755 })), ['.', 'a']),
  'a hard link to a hard link': refused('hostile', dist(file('a'), hardlink('b', 'a'), hardlink('c', 'b')), ['.', 'a', 'b']),
  'a hard link through a symbolic link': refused('hostile', dist(symlink('a', '/etc'), hardlink('b', 'a/shadow')), ['.', 'a']),
  'a hard link that makes its leader setuid': refused('hostile', dist(file('a'), hardlink('b', 'a', { mode: 0o4755 })), ['.', 'a']),
  'a hard link that brings content': refused('bad-format', dist(file('a', 'x'), member({ name: 'b', link: 'a', type: '1' }, 'y')), [
    '.',
    'a',
  ]),
  'a symbolic link to nothing': refused('bad-format', dist(symlink('a', ''))),
  'a symbolic link with content': refused('bad-format', dist(member({ name: 'a', link: 'b', type: '2', mode: 0o777 }, 'x'))),
  'a symbolic link of 5000 bytes': refused('bad-format', dist(extension('K', `${'t'.repeat(5000)}\0`), symlink('a', 't'.repeat(100)))),
  'a file with a link target': refused('bad-format', dist(file('a', '', { link: '/etc/passwd' }))),

  // Types
  ...Object.fromEntries(
    ['\0', '7', '8', 'A', 'D', 'M', 'N', 'S', 'V', 'I', 'z', ' '].map((type) => [
      `a member of type ${JSON.stringify(type)}`,
      refused('bad-format', dist(file('a', '', { type }))),
    ]),
  ),
  'a second global header': refused('bad-format', dist(extension('g', '20 comment=anything\n'), file('a'))),
  'a Solaris extended header': refused('hostile', dist(extension('X', '12 uid=1000\n'), file('a'))),
  'a device with a link target': refused('bad-format', dist(header({ name: 'a', type: '3', link: 'b', major: 1, minor: 3 }))),
  'a file with device numbers': refused('bad-format', dist(file('a', '', { major: 1, minor: 3 }))),
  'a directory with a size': refused('bad-format', dist(directory('a', { size: 512 }))),

  // pax smuggling
  'a size in a pax header': refused('bad-format', dist(pax({ size: '0' }), member({ name: 'a' }, 'hidden'))),
  'a larger size in a pax header': refused('bad-format', dist(pax({ size: '1024' }), file('a', 'x'), file('b'))),
  'a uid in a pax header that would fit': refused('bad-format', dist(pax({ uid: '0' }), file('a', '', { uid: 1000 }))),
  'a uid that differs between header and pax': refused('bad-format', dist(pax({ uid: '3000000' }), file('a', '', { uid: 0 }))),
  'a mode in a pax header': refused('bad-format', dist(pax({ 'SCHILY.mode': '4755' }), file('a'))),
  'an unknown pax keyword': refused('bad-format', dist(pax({ mtime: '1.5', VENDOR: 'x' }), file('a', '', { mtime: 1 }))),
  hdrcharset: refused('bad-format', dist(pax({ hdrcharset: 'BINARY', mtime: '1.5' }), file('a', '', { mtime: 1 }))),
  'a GNU sparse file': refused('bad-format', dist(pax({ 'GNU.sparse.major': '1', 'GNU.sparse.name': 'b' }), file('a'))),
  'a pax keyword twice': refused('bad-format', dist(extension('x', '13 mtime=1.5\n13 mtime=2.5\n'), file('a', '', { mtime: 1 }))),
  'pax records out of order': refused(
    'bad-format',
    dist(pax({ uid: '3000000', mtime: '1.5' }), file('a', '', { mtime: 1, uid: '\x80\0\0\0\0\x2d\xc6\xc0' })),
  ),
  'a pax record whose length lies': refused('bad-format', dist(extension('x', '12 mtime=1.5\n'), file('a', '', { mtime: 1 }))),
  'a pax record beyond its header': refused('bad-format', dist(extension('x', '99 mtime=1.5\n'), file('a', '', { mtime: 1 }))),
  'bytes behind the last pax record': refused('bad-format', dist(extension('x', '13 mtime=1.5\nxx'), file('a', '', { mtime: 1 }))),
  'bytes in the padding of a pax header': refused(
    'bad-format',
    dist(concatBytes([extension('x', '13 mtime=1.5\n').subarray(0, 1023), raw('x')]), file('a', '', { mtime: 1 })),
  ),
  'two pax headers': refused('bad-format', dist(pax({ mtime: '1.5' }), pax({ mtime: '1.5' }), file('a', '', { mtime: 1 }))),
  'ten thousand pax headers': refused(
    'bad-format',
    dist(...Array.from({ length: 10_000 }, () => pax({ mtime: '1.5' })), file('a', '', { mtime: 1 })),
  ),
  'a pax header of no bytes': refused('bad-format', dist(extension('x', ''), file('a'))),
  'a pax header of 16 MiB': refused('over-limit', dist(header({ name: '././@PaxHeader', type: 'x', mtime: 0, size: 16 << 20 }))),
  'a pax header without a member': refused('bad-format', dist(pax({ mtime: '1.5' }))),
  'a pax header with a name of its own': refused(
    'bad-format',
    dist(extension('x', '13 mtime=1.5\n', { name: '../../evil' }), file('a', '', { mtime: 1 })),
  ),
  'a pax time with too many digits': refused('bad-format', dist(pax({ mtime: '1.50' }), file('a', '', { mtime: 1 }))),
  'an attribute with an escaped letter': refused('bad-format', dist(pax({ 'SCHILY.xattr.user.%61': 'x' }), file('a'))),
  'an attribute without a name': refused('bad-format', dist(pax({ 'SCHILY.xattr.': 'x' }), file('a'))),
  'file flags out of order': refused('bad-format', dist(pax({ 'SCHILY.fflags': 'uchg,schg' }), file('a'))),

  // Numbers
  'a mode with file type bits': refused('bad-format', dist(file('a', '', { mode: 0o100644 }))),
  'a mode in blanks': refused('bad-format', dist(file('a', '', { mode: '   644 ' }))),
  'a mode with a sign': refused('bad-format', dist(file('a', '', { mode: '-000644' }))),
  'a mode in base-256': refused('bad-format', dist(file('a', '', { mode: '\x80\0\0\0\0\0\x01\xa4' }))),
  'a uid in base-256 that would fit': refused('bad-format', dist(file('a', '', { uid: '\x80\0\0\0\0\0\0\0' }))),
  'a uid of 40 bits': refused('bad-format', dist(pax({ uid: '1099511627776' }), file('a', '', { uid: '\x80\0\x01\0\0\0\0\0' }))),
  'a negative uid': refused('bad-format', dist(pax({ uid: '-1' }), file('a', '', { uid: '\xff\xff\xff\xff\xff\xff\xff\xff' }))),
  'a negative size': refused('bad-format', dist(file('a', '', { size: '\xff'.repeat(12) }))),
  'a size past 53 bits': refused('bad-format', dist(file('a', '', { size: `\x80\0\0\0\x7f${'\xff'.repeat(7)}` }))),
  'a size that overflows 64 bits': refused('bad-format', dist(file('a', '', { size: `\x80${'\xff'.repeat(11)}` }))),
  'a size larger than the archive': refused('bad-format', dist(file('a', 'x', { size: 100_000 })), ['.', 'a']),
  'a size that hides the next member': refused('bad-format', dist(file('a', 'x', { size: 513 }), file('b')), ['.', 'a']),
  'a size smaller than the content': refused('bad-format', dist(file('a', 'x'.repeat(600), { size: 10 }), file('b')), ['.', 'a']),
  'letters in a number': refused('bad-format', dist(file('a', '', { uid: '00000a0' }))),

  // Hidden bytes
  'bytes behind the name': refused('bad-format', dist(file('a\0../../etc/passwd'))),
  'bytes behind the magic fields': refused('bad-format', dist(file('a', '', { rest: 'hidden' }))),
  'bytes in the padding of a file': refused(
    'bad-format',
    dist(file('a', 'x'), file('b')).map((byte, at) => (at === 1024 + 512 + 512 + 100 ? 1 : byte)),
    ['.', 'a'],
  ),
  'the magic of GNU tar': refused('bad-format', dist(file('a', '', { magic: 'ustar  \0' }))),
  'no magic': refused('bad-format', dist(file('a', '', { magic: '' }))),
  'an owner with a NUL in it': refused('bad-format', dist(file('a', '', { uname: 'ro\0ot' }))),
  'a wrong checksum': refused('bad-format', dist(file('a', '', { checksum: '0000000\0' }))),
  'a checksum written otherwise': refused(
    'bad-format',
    dist(file('a').map((byte, at, whole) => (at === 154 ? 0x20 : at === 155 ? 0 : (whole[at] as number) + byte - byte))),
  ),

  // The end
  'an archive behind the archive': refused('hostile', concatBytes([dist(file('a')), dist(file('b'))]), ['.', 'a']),
  'zeros behind the end': refused('hostile', concatBytes([dist(file('a')), new Uint8Array(512)]), ['.', 'a']),
  'one byte behind the end': refused('hostile', concatBytes([dist(file('a')), raw('x')]), ['.', 'a']),
  'a lone block of zeros': refused('bad-format', concatBytes([nameHeader, root, file('a'), new Uint8Array(512), file('b'), end]), [
    '.',
    'a',
  ]),
  'no end': refused('bad-format', concatBytes([nameHeader, root, file('a')]), ['.', 'a']),
  'half an end': refused('bad-format', dist(file('a')).subarray(0, -512), ['.', 'a']),

  // The name
  'no name header': refused('bad-format', concatBytes([root, file('a'), end]), []),
  'a name header with a second record': refused(
    'bad-format',
    concatBytes([extension('g', '58 comment=bindery dist 1 order=1 base-1.0-20260101-amd64\n9 uid=99\n'), root, end]),
    [],
  ),
  'a name that is a path': refused(
    'bad-format',
    concatBytes([extension('g', '62 comment=bindery dist 1 order=1 ../../x-1.0-20260101-amd64\n'), root, end]),
    [],
  ),
  'a name header of another program': refused(
    'bad-format',
    concatBytes([extension('g', '52 comment=0123456789abcdef0123456789abcdef01234567\n'), root, end]),
    [],
  ),
  'a dist of version 2': refused(
    'bad-format',
    concatBytes([extension('g', '58 comment=bindery dist 2 order=1 base-1.0-20260101-amd64\n'), root, end]),
    [],
  ),
  'a dist of order 2': refused(
    'bad-format',
    concatBytes([extension('g', '58 comment=bindery dist 1 order=2 base-1.0-20260101-amd64\n'), root, end]),
    [],
  ),
}
