import { lstatDeep } from './apply/aside.ts'
import type { RelPath } from '../../base/path.ts'
import type { BootSystem } from '../../format/boot-hook.ts'
import type { DiskReader } from '../../port/disk.ts'

/** Each system names its run-time linker in every program, so that no other file says as surely which one it is. */
const linkers: readonly (readonly [string, BootSystem])[] = [
  ['usr/libexec/ld.so', 'openbsd'],
  ['libexec/ld.elf_so', 'netbsd'],
  ['libexec/ld-elf.so.2', 'dragonfly'],
  ['libexec/ld-elf.so.1', 'freebsd'],
]

/** What starts the system in the root; undefined where no hook is known for it. Of another root than `/`, files alone can tell. */
export async function bootSystemOf(disk: DiskReader): Promise<BootSystem | undefined> {
  for (const [linker, system] of linkers) if ((await lstatDeep(disk, linker as RelPath)) !== undefined) return system
  const first = await firstProgram(disk)
  if (first?.includes('systemd') === true) return 'systemd'
  if (first === undefined && (await isThere(disk, 'usr/lib/systemd/systemd', 'lib/systemd/systemd'))) return 'systemd'
  return (await isThere(disk, 'etc/rcS.d')) && (await isThere(disk, 'etc/init.d')) ? 'sysv' : undefined
}

/** Where /sbin/init leads; empty where it is a program itself. */
async function firstProgram(disk: DiskReader): Promise<string | undefined> {
  for (const path of ['sbin/init', 'usr/sbin/init'] as RelPath[]) {
    const stat = await lstatDeep(disk, path)
    if (stat !== undefined) return stat.kind === 'symlink' ? await disk.readlink(path) : ''
  }
  return undefined
}

async function isThere(disk: DiskReader, ...paths: readonly string[]): Promise<boolean> {
  for (const path of paths) if ((await lstatDeep(disk, path as RelPath)) !== undefined) return true
  return false
}
