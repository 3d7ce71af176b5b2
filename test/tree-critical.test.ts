import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareForInstall, installClass, installClasses, installRank } from '../src/engine/tree/critical.ts'
import { relPath } from './helpers/plant.ts'
import type { InstallClass } from '../src/engine/tree/critical.ts'

const classOf = (path: string): InstallClass => installClass({ path: relPath(path), kind: 'file' })

/** Paths as the systems really have them. */
const systems: Readonly<Record<string, Partial<Readonly<Record<InstallClass, readonly string[]>>>>> = {
  FreeBSD: {
    linker: ['libexec/ld-elf.so.1', 'libexec/ld-elf32.so.1', 'usr/libexec/ld-elf.so.1'],
    libsys: ['lib/libsys.so.7'],
    libc: ['lib/libc.so.7', 'usr/lib/libc.so', 'usr/lib32/libc.so.7'],
    libthread: ['lib/libthr.so.3', 'usr/lib/libpthread.so', 'usr/lib32/libthr.so.3'],
    library: [
      'lib/libcrypto.so.30',
      'usr/lib/libssl.so.30',
      'usr/lib/pam_unix.so.6',
      'lib/libcxxrt.so.1',
      'lib/libcasper.so.1',
      'usr/lib/engines/capi.so',
    ],
    other: ['bin/sh', 'etc/ld-elf.so.conf', 'usr/lib/libc.a', 'usr/share/man/man3/libc.3.gz', 'rescue/sh', 'usr/bin/ld'],
    boot: ['boot/kernel/kernel', 'boot/kernel/zfs.ko', 'boot/loader.efi', 'boot/kernel/linker.hints'],
  },
  OpenBSD: {
    linker: ['usr/libexec/ld.so'],
    libc: ['usr/lib/libc.so.99.0'],
    libthread: ['usr/lib/libpthread.so.27.1'],
    library: ['usr/lib/libcrypto.so.54.1', 'usr/X11R6/lib/libX11.so.18.0', 'usr/X11R6/lib/modules/dri/swrast_dri.so'],
    other: ['sbin/init', 'bin/ksh', 'usr/lib/libc.a', 'usr/share/relink/kernel.tgz', 'usr/libexec/ld.so.hints'],
    boot: ['bsd', 'bsd.mp', 'bsd.rd', 'bsd.booted', 'boot', 'usr/mdec/boot', 'usr/mdec/BOOTX64.EFI'],
  },
  NetBSD: {
    linker: ['libexec/ld.elf_so', 'usr/libexec/ld.elf_so', 'libexec/ld.elf_so-i386'],
    libc: ['lib/libc.so.12.220', 'lib/libc.so'],
    libthread: ['usr/lib/libpthread.so.1.5'],
    library: ['lib/libutil.so.7.24', 'usr/pkg/lib/libcurl.so.4'],
    boot: ['netbsd', 'netbsd.old', 'onetbsd', 'stand/amd64/10.0/modules/zfs/zfs.kmod', 'boot.cfg', 'ofwboot'],
  },
  DragonFly: {
    linker: ['libexec/ld-elf.so.2', 'usr/libexec/ld-elf.so.2'],
    libc: ['lib/libc.so.8'],
    libthread: ['lib/libthread_xu.so.2', 'usr/lib/libpthread.so.0'],
    library: ['lib/priv/libprivate_crypto.so.1'],
    boot: ['boot/kernel/kernel', 'boot/modules.local/x.ko'],
  },
  'Linux, glibc': {
    linker: [
      'lib64/ld-linux-x86-64.so.2',
      'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
      'usr/lib/x86_64-linux-gnu/ld-2.31.so',
      'lib/ld-linux.so.2',
      'lib/ld-linux-aarch64.so.1',
      'lib64/ld64.so.2',
      'lib/ld.so.1',
      'usr/lib64/ld-linux-x86-64.so.2',
    ],
    libc: ['lib/x86_64-linux-gnu/libc.so.6', 'lib/x86_64-linux-gnu/libc-2.31.so', 'usr/lib64/libc.so.6'],
    libthread: ['lib/x86_64-linux-gnu/libpthread.so.0', 'lib/x86_64-linux-gnu/libpthread-2.31.so'],
    library: [
      'usr/lib/x86_64-linux-gnu/libcurl.so.4.8.0',
      'lib/x86_64-linux-gnu/libcrypt.so.1',
      'usr/lib/x86_64-linux-gnu/libc_malloc_debug.so.0',
      'usr/lib/x86_64-linux-gnu/security/pam_unix.so',
      'usr/libexec/sudo/libsudo_util.so',
    ],
    other: ['usr/bin/ldd', 'usr/lib/os-release', 'usr/share/doc/libc6/copyright', 'home/x/lib/libc.so.6', 'opt/x/lib/libc.so.6'],
    boot: [
      'boot/vmlinuz-6.1.0',
      'vmlinuz',
      'initrd.img.old',
      'lib/modules/6.1.0/kernel/fs/ext4.ko',
      'usr/lib/modules/6.1.0/vdso/vdso64.so',
      'efi/EFI/BOOT/BOOTX64.EFI',
    ],
  },
  'Linux, musl': {
    linker: ['lib/ld-musl-x86_64.so.1', 'lib/ld-musl-aarch64.so.1'],
    libc: ['usr/lib/libc.so', 'lib/libc.musl-x86_64.so.1'],
    library: ['usr/lib/libssl.so.3'],
  },
}

for (const [system, classes] of Object.entries(systems)) {
  test(`${system}: every path has its class`, () => {
    for (const [name, paths] of Object.entries(classes)) for (const path of paths) assert.equal(classOf(path), name, path)
  })
}

test('directories come first, wherever they are', () => {
  for (const path of ['.', 'boot', 'boot/kernel', 'lib', 'libexec/ld-elf.so.1'])
    assert.equal(installRank({ path: relPath(path), kind: 'dir' }), 0)
})

test('linker, libc, threads, libraries, programs, kernel: in this order', () => {
  const paths = [
    'boot/kernel/kernel',
    'usr/bin/cc',
    'lib/libm.so.5',
    'lib/libthr.so.3',
    'lib/libc.so.7',
    'lib/libsys.so.7',
    'libexec/ld-elf.so.1',
    'bin/sh',
  ]
  const sorted = paths.map((path) => ({ path: relPath(path), kind: 'file' as const })).sort(compareForInstall)
  const expected = [
    'libexec/ld-elf.so.1',
    'lib/libsys.so.7',
    'lib/libc.so.7',
    'lib/libthr.so.3',
    'lib/libm.so.5',
    'bin/sh',
    'usr/bin/cc',
    'boot/kernel/kernel',
  ]
  assert.deepEqual(
    sorted.map(({ path }) => path),
    expected,
  )
  assert.deepEqual(installClasses.indexOf('boot'), installClasses.length - 1)
})

test('a hard link never comes before its leader', () => {
  const leader = { path: relPath('bin/x'), kind: 'file' } as const
  const link = { path: relPath('lib/libx.so.1'), kind: 'hardlink', leader: leader.path } as const
  assert.ok(compareForInstall(leader, link) < 0)
  assert.equal(
    installRank({ path: relPath('bin/y'), kind: 'hardlink', leader: relPath('boot/x') }),
    installRank({ path: relPath('boot/x'), kind: 'file' }),
  )
})
