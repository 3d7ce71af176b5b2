import { comparePaths } from '../../base/path.ts'
import type { EntryKind } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'

/**
 * The order in which the entries of a release are installed, so that dynamically linked programs start at every moment:
 * a library must not be older than what links to it, and the run-time linker not older than the libraries. The classes
 * and their order are those of freebsd-update(8) of FreeBSD 15 (directories, ld-elf, libsys, libc, libthr, other shared
 * libraries, the rest); kernel and boot files are a class of their own, since a release may declare a phase for them.
 */

/** The order of a dist's entries depends on the rules below: a change of them is a new version of the dist format. */
export const installOrderVersion = 1

/** In order of installation; a class's rank is its index. */
export const installClasses = ['directory', 'linker', 'libsys', 'libc', 'libthread', 'library', 'other', 'boot'] as const

export type InstallClass = (typeof installClasses)[number]

type Rule = { readonly class: InstallClass; readonly system: string; readonly pattern: RegExp }

/**
 * One table for all systems: their paths do not collide, and a tree needs no label. The first match decides. Names are
 * anchored at the root, `usr/` is optional throughout because of merged-usr layouts, and `lib*` stands for lib, lib32,
 * lib64 and libx32.
 */
const rules: readonly Rule[] = [
  // Before the libraries: lib/modules holds kernel code, whatever its names end in.
  { class: 'boot', system: 'FreeBSD, DragonFly, Linux: kernel, loader, modules, initrd', pattern: /^(?:boot|efi)\// },
  { class: 'boot', system: 'Linux', pattern: /^(?:usr\/)?lib\/modules\/|^(?:vmlinuz|initrd\.img)(?:\.old)?$/ },
  {
    class: 'boot',
    system: 'OpenBSD: bsd, bsd.mp, bsd.rd, bsd.booted; NetBSD: netbsd, netbsd.old',
    pattern: /^(?:bsd|netbsd|onetbsd)(?:\.[^/]+)?$/,
  },
  {
    class: 'boot',
    system: 'OpenBSD, NetBSD: second-stage boot, boot blocks',
    pattern: /^(?:boot(?:\.[^/]+)?|ofwboot(?:\.[^/]+)?|usr\/mdec\/.+)$/,
  },
  { class: 'boot', system: 'NetBSD: kernel modules', pattern: /^stand\// },

  {
    class: 'linker',
    system: 'FreeBSD ld-elf.so.1, ld-elf32.so.1; DragonFly ld-elf.so.2; NetBSD ld.elf_so',
    pattern: /^(?:usr\/)?libexec\/ld[-.]elf[^/]*$/,
  },
  { class: 'linker', system: 'OpenBSD', pattern: /^usr\/libexec\/ld\.so$/ },
  // glibc: ld-linux-x86-64.so.2, ld-linux.so.2, ld64.so.2, ld.so.1, ld-2.31.so; musl: ld-musl-x86_64.so.1.
  {
    class: 'linker',
    system: 'Linux',
    pattern: /^(?:usr\/)?lib[^/]*\/(?:[^/]+\/)?(?:ld-linux[^/]*|ld-musl-[^/]+|ld(?:64)?|ld-[0-9.]+)\.so(?:\.[0-9]+)*$/,
  },

  { class: 'libsys', system: 'FreeBSD 15: system calls, below libc', pattern: library('sys') },
  // `libc-2.31.so` is what libc.so.6 pointed to until glibc 2.34; musl's is `libc.musl-x86_64.so.1` or `libc.so`.
  { class: 'libc', system: 'all', pattern: library('c(?:-[0-9.]+|\\.musl-[^/.]+)?') },
  {
    class: 'libthread',
    system: 'FreeBSD libthr; OpenBSD, NetBSD, DragonFly, Linux libpthread; DragonFly libthread_xu',
    pattern: library('(?:thr|pthread|thread_xu|c_r)(?:-[0-9.]+)?'),
  },
  {
    class: 'library',
    system: 'all: whatever may be loaded, plug-ins included',
    pattern: /^(?:usr\/(?:local\/|pkg\/|X11R[67]\/)?)?lib(?:exec|data|32|64|x32)?\/(?:.*\/)?[^/]+\.so(?:\.[0-9]+)*$/,
  },
]

/** `lib<stem>.so`, with version numbers or without, in a library folder or one level below it (`x86_64-linux-gnu`). */
function library(stem: string): RegExp {
  return new RegExp(`^(?:usr/)?lib(?:32|64|x32)?/(?:[^/]+/)?lib${stem}\\.so(?:\\.[0-9]+)*$`)
}

/** What an entry's place in the order depends on; a hard link is never before its leader. */
export type InstallItem = { readonly path: RelPath; readonly kind: EntryKind; readonly leader?: RelPath }

export function installRank(item: InstallItem): number {
  const rank = installClasses.indexOf(installClass(item))
  if (item.leader === undefined) return rank
  return Math.max(rank, installClasses.indexOf(classOfPath(item.leader)))
}

export function installClass(item: InstallItem): InstallClass {
  return item.kind === 'dir' ? 'directory' : classOfPath(item.path)
}

function classOfPath(path: RelPath): InstallClass {
  return rules.find((rule) => rule.pattern.test(path))?.class ?? 'other'
}

/** By rank, then byte order: parents before children, leaders before their links. */
export function compareForInstall(a: InstallItem, b: InstallItem): number {
  return installRank(a) - installRank(b) || comparePaths(a.path, b.path)
}
