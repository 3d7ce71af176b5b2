import type { Xattrs } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { DiskReader } from '../../port/disk.ts'

/** Extended attributes and flags of many paths, without those that say something about the machine and not the tree. */
export type Attributes = { readonly xattrs: ReadonlyMap<RelPath, Xattrs>; readonly flags: ReadonlyMap<RelPath, readonly string[]> }

/**
 * SELinux and Smack labels come from the machine's policy, IMA and EVM signatures from its keys, and overlay and btrfs
 * attributes are the file system's own notes (doc/decisions/0012).
 */
const ofTheMachine = /^(?:security\.(?:selinux|SMACK64\w*|ima|evm)$|trusted\.overlay\.|user\.overlay\.|btrfs\.|system\.nfs4_acl$)/

/** ZFS and UFS set them on every write. */
const flagsOfTheMachine: ReadonlySet<string> = new Set(['arch', 'uarch'])

export async function readAttributes(disk: DiskReader, paths: readonly RelPath[]): Promise<Attributes> {
  const [xattrs, flags] = await Promise.all([disk.xattrsOf(paths), disk.flagsOf(paths)])
  return {
    xattrs: withoutEmpty(xattrs, portableXattrs, (map) => map.size),
    flags: withoutEmpty(flags, portableFlags, (list) => list.length),
  }
}

function portableXattrs(xattrs: Xattrs): Xattrs {
  return new Map([...xattrs].filter(([name]) => !ofTheMachine.test(name)))
}

function portableFlags(flags: readonly string[]): readonly string[] {
  return flags.filter((flag) => !flagsOfTheMachine.has(flag)).sort()
}

function withoutEmpty<T>(found: ReadonlyMap<RelPath, T>, keep: (value: T) => T, size: (value: T) => number): ReadonlyMap<RelPath, T> {
  const kept = [...found].map(([path, value]) => [path, keep(value)] as const)
  return new Map(kept.filter(([, value]) => size(value) > 0))
}
