import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orderChanges } from '../src/engine/client/apply/order.ts'
import { commitClass, commitClasses, commitRank } from '../src/engine/tree/commit-order.ts'
import { relPath } from './helpers/plant.ts'
import type { Change } from '../src/engine/client/apply/changes.ts'
import type { Way } from '../src/engine/client/apply/order.ts'
import type { CommitClass } from '../src/engine/tree/commit-order.ts'
import type { Node } from '../src/format/journal-node.ts'

/** Paths as the systems really have them. */
const systems: Readonly<Record<string, Partial<Readonly<Record<CommitClass, string>>>>> = {
  FreeBSD: {
    linker: 'libexec/ld-elf.so.1 libexec/ld-elf32.so.1 usr/libexec/ld-elf.so.1',
    libsys: 'lib/libsys.so.7',
    libc: 'lib/libc.so.7 usr/lib/libc.so usr/lib32/libc.so.7',
    peers: 'lib/libthr.so.3 lib/libm.so.5 usr/lib/libpthread.so usr/lib32/libthr.so.3 lib/libgcc_s.so.1',
    library: 'lib/libcrypto.so.30 usr/lib/libssl.so.30 usr/lib/pam_unix.so.6 lib/libcxxrt.so.1 usr/lib/engines/capi.so',
    program: 'bin/sh etc/ld-elf.so.conf usr/lib/libc.a usr/share/man/man3/libc.3.gz rescue/sh usr/bin/ld etc/passwd',
    database: 'etc/pwd.db etc/spwd.db etc/login.conf.db etc/mail/aliases.db var/run/ld-elf.so.hints usr/share/man/mandoc.db',
    boot: 'boot/kernel/kernel boot/kernel/zfs.ko boot/loader.efi boot/kernel/linker.hints',
  },
  OpenBSD: {
    linker: 'usr/libexec/ld.so',
    libc: 'usr/lib/libc.so.99.0',
    peers: 'usr/lib/libpthread.so.27.1 usr/lib/libm.so.10.1',
    library: 'usr/lib/libcrypto.so.54.1 usr/X11R6/lib/libX11.so.18.0 usr/X11R6/lib/modules/dri/swrast_dri.so',
    program: 'sbin/init bin/ksh usr/lib/libc.a usr/share/relink/kernel.tgz etc/services',
    database: 'etc/pwd.db var/run/ld.so.hints usr/share/man/mandoc.db usr/local/man/mandoc.db',
    boot: 'bsd bsd.mp bsd.rd bsd.booted boot usr/mdec/boot usr/mdec/BOOTX64.EFI',
  },
  NetBSD: {
    linker: 'libexec/ld.elf_so usr/libexec/ld.elf_so libexec/ld.elf_so-i386',
    libc: 'lib/libc.so.12.220 lib/libc.so',
    peers: 'usr/lib/libpthread.so.1.5 lib/libm.so.0.12',
    library: 'lib/libutil.so.7.24 usr/pkg/lib/libcurl.so.4',
    database: 'var/db/services.cdb var/db/man.db',
    boot: 'netbsd netbsd.old onetbsd stand/amd64/10.0/modules/zfs/zfs.kmod boot.cfg ofwboot',
  },
  DragonFly: {
    linker: 'libexec/ld-elf.so.2 usr/libexec/ld-elf.so.2',
    libc: 'lib/libc.so.8',
    peers: 'lib/libthread_xu.so.2 usr/lib/libpthread.so.0',
    library: 'lib/priv/libprivate_crypto.so.1',
    boot: 'boot/kernel/kernel boot/modules.local/x.ko',
  },
  Linux: {
    linker:
      'lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 usr/lib/x86_64-linux-gnu/ld-2.31.so lib/ld-linux.so.2 lib64/ld64.so.2 lib/ld.so.1 lib/ld-musl-x86_64.so.1',
    libc: 'lib/x86_64-linux-gnu/libc.so.6 lib/x86_64-linux-gnu/libc-2.31.so usr/lib64/libc.so.6 lib/libc.musl-x86_64.so.1',
    peers:
      'lib/x86_64-linux-gnu/libm.so.6 usr/lib64/libm-2.31.so usr/lib/x86_64-linux-gnu/libnss_files.so.2 lib/libpthread.so.0 usr/lib/x86_64-linux-gnu/gconv/UTF-16.so',
    library:
      'usr/lib/x86_64-linux-gnu/libcurl.so.4.8.0 lib/x86_64-linux-gnu/libcrypt.so.1 usr/lib/x86_64-linux-gnu/security/pam_unix.so usr/libexec/sudo/libsudo_util.so',
    program: 'usr/bin/ldd usr/lib/os-release home/x/lib/libc.so.6 opt/x/lib/libc.so.6',
    database: 'etc/ld.so.cache usr/lib/locale/locale-archive usr/lib/udev/hwdb.bin usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache',
    boot: 'boot/vmlinuz-6.1.0 vmlinuz initrd.img.old lib/modules/6.1.0/kernel/fs/ext4.ko usr/lib/modules/6.1.0/vdso/vdso64.so efi/EFI/BOOT/BOOTX64.EFI',
  },
}

for (const [system, classes] of Object.entries(systems)) {
  test(`${system}: every path has its class`, () => {
    for (const [name, paths] of Object.entries(classes))
      for (const path of paths.split(' ')) assert.equal(commitClass({ path: relPath(path), kind: 'file' }), name, path)
  })
}

test('directories come first; of each class links come behind files, and before the next class', () => {
  assert.equal(commitRank({ path: relPath('boot/kernel'), kind: 'dir' }), 0)
  const ranks = ['lib/libz.so.1.3', 'lib/libz.so.1', 'bin/sh'].map((path) =>
    commitRank({ path: relPath(path), kind: path === 'lib/libz.so.1' ? 'symlink' : 'file' }),
  )
  assert.deepEqual(
    ranks,
    ranks.toSorted((a, b) => a - b),
  )
  assert.deepEqual(commitClasses.slice(-2), ['database', 'boot'])
})

const meta = { mode: 0o644, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 } }
const symlink = (name: string, target: string): Node => ({ ...meta, kind: 'symlink', path: relPath(name), target })
const fifo = (name: string): Node => ({ ...meta, kind: 'fifo', path: relPath(name) })

const libraries: readonly Change[] = [
  { kind: 'replace', path: relPath('bin/sh'), of: relPath('bin/sh'), old: fifo('bin/sh'), new: fifo('bin/sh') },
  { kind: 'replace', path: relPath('lib/libc.so.7'), of: relPath('lib/libc.so.7'), old: fifo('lib/libc.so.7'), new: fifo('lib/libc.so.7') },
  {
    kind: 'replace',
    path: relPath('lib/libz.so.1'),
    of: relPath('lib/libz.so.1'),
    old: symlink('lib/libz.so.1', 'libz.so.1.2'),
    new: symlink('lib/libz.so.1', 'libz.so.1.3'),
  },
  { kind: 'remove', path: relPath('lib/libz.so.1.2'), old: fifo('lib/libz.so.1.2') },
  { kind: 'add', path: relPath('lib/libz.so.1.3'), of: relPath('lib/libz.so.1.3'), new: fifo('lib/libz.so.1.3') },
]
const order = (changes: readonly Change[], way: Way): readonly string[] =>
  orderChanges(changes, way).map(({ kind, change }) => `${kind} ${change.path}`)
const orderOf = (way: Way): readonly string[] => order(libraries, way)

test('what a link leads to is there when the link comes, and until it leads elsewhere', () => {
  assert.deepEqual(orderOf('install'), [
    'exchange lib/libc.so.7',
    'come lib/libz.so.1.3',
    'exchange lib/libz.so.1',
    'exchange bin/sh',
    'go lib/libz.so.1.2',
  ])
  assert.deepEqual(orderOf('rollback'), [
    'come lib/libz.so.1.3',
    'exchange bin/sh',
    'exchange lib/libz.so.1',
    'exchange lib/libc.so.7',
    'go lib/libz.so.1.2',
  ])
})

const folder = (name: string): Node => ({ ...meta, kind: 'dir', path: relPath(name) })
const go = (old: Node): Change => ({ kind: 'remove', path: old.path, old })
const turn = (old: Node, made: Node): Change => ({ kind: 'replace', path: old.path, of: old.path, old, new: made })

test('of several folders that become something else, each goes with what was in it, once', () => {
  const changes = [
    turn(folder('a'), symlink('a', 'x')),
    go(fifo('a/f')),
    turn(folder('b'), symlink('b', 'x')),
    go(folder('b/d')),
    go(fifo('b/d/f')),
    go(fifo('c')),
  ]
  assert.deepEqual(order(changes, 'install'), ['go a/f', 'go a', 'come a', 'go b/d/f', 'go b/d', 'go b', 'come b', 'go c'])
})

test('what is of one rank comes in byte order, and goes the other way', () => {
  const [first, second, third] = ['bin/a', 'bin/b', 'bin/c'].map(fifo) as [Node, Node, Node]
  const come = (made: Node): Change => ({ kind: 'add', path: made.path, of: made.path, new: made })
  assert.deepEqual(order([come(first), turn(second, second), come(third)], 'install'), ['come bin/a', 'exchange bin/b', 'come bin/c'])
  assert.deepEqual(order([turn(first, first), come(second), turn(third, third)], 'rollback'), [
    'come bin/b',
    'exchange bin/c',
    'exchange bin/a',
  ])
  assert.deepEqual(order([go(first), go(second), go(third)], 'install'), ['go bin/c', 'go bin/b', 'go bin/a'])
})
