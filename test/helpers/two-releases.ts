import { char, dir, fifo, file, hardlink, symlink } from './plant.ts'
import type { Literal } from './plant.ts'

/** Two small trees between which everything happens that can happen between two releases. */

export const oldTree: Literal = {
  'bin/sh': file('shell 1', { mode: 0o755 }),
  'bin/[': hardlink('bin/sh'),
  'bin/su': file('su 1', { mode: 0o4755 }),
  'bin/ping': file('ping', { mode: 0o755, xattrs: new Map([['security.capability', '\u0001\u0000']]) }),
  'bin/same': file('same', { mode: 0o755 }),
  'dev/null': char(1, 3, { mode: 0o666 }),
  'lib/libc.so.1': file('libc 1'),
  'lib/libc.so': symlink('libc.so.1'),
  'libexec/ld-elf.so.1': file('linker 1'),
  'pair/a': file('a pair'),
  'pair/b': hardlink('pair/a'),
  'run/pipe': fifo(),
  'turn/link-to-file': symlink('../bin/sh'),
  'turn/file-to-dir': 'a file',
  'turn/dir-to-file/inside/deeper': 'below',
  'turn/dir-to-link/inside': 'below',
  'usr/share/doc/a': 'the same',
  'usr/share/doc/b': 'gone soon',
  'usr/share/old/deep/c': 'gone with its folders',
  'usr/share/closed': dir({ mode: 0o700 }),
}

export const newTree: Literal = {
  'bin/sh': file('shell 2', { mode: 0o755 }),
  'bin/[': hardlink('bin/sh'),
  'bin/test': hardlink('bin/sh'),
  'bin/su': file('su 1', { mode: 0o755 }),
  'bin/ping': file('ping 2', { mode: 0o755, xattrs: new Map([['security.capability', '\u0001\u0002']]) }),
  'bin/same': file('same', { mode: 0o755 }),
  'dev/null': char(1, 3, { mode: 0o600 }),
  'dev/zero': char(1, 5, { mode: 0o666 }),
  'lib/libc.so.2': file('libc 2'),
  'lib/libc.so': symlink('libc.so.2'),
  'libexec/ld-elf.so.1': file('linker 2'),
  'pair/a': file('a pair'),
  'pair/b': file('a pair'),
  'pair/c': hardlink('pair/a'),
  'run/pipe': 'no pipe any more',
  'turn/link-to-file': 'a file now',
  'turn/file-to-dir/inside': 'below',
  'turn/dir-to-file': 'a file now',
  'turn/dir-to-link': symlink('../usr'),
  'usr/share/doc/a': 'the same',
  'usr/share/new/deep': dir({ mode: 0o1777, mtime: { sec: 1_650_000_001, nsec: 5 } }),
  'usr/share/new/deep/d': file('new', { mtime: { sec: 1_650_000_000, nsec: 123_456_789 } }),
  'usr/share/closed': dir({ mode: 0o755 }),
}
