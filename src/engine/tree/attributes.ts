import type { Xattrs } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Disk, DiskReader, Inode } from '../../port/disk.ts'

/** Extended attributes and flags of many paths, without those that say something about the machine and not the tree. */
export type Attributes = { readonly xattrs: ReadonlyMap<RelPath, Xattrs>; readonly flags: ReadonlyMap<RelPath, readonly string[]> }

/**
 * SELinux and Smack labels come from the machine's policy, IMA and EVM signatures from its keys, and overlay and btrfs
 * attributes are the file system's own notes (doc/decisions/0012).
 */
const ofTheMachine = /^(?:security\.(?:selinux|SMACK64\w*|ima|evm)$|trusted\.overlay\.|user\.overlay\.|btrfs\.|system\.nfs4_acl$)/

/** ZFS and UFS set them on every write. */
const flagsOfTheMachine: ReadonlySet<string> = new Set(['arch', 'uarch'])

export type AttributeScope = { readonly xattrs: boolean; readonly flags: boolean }

export async function readAttributes(
  disk: DiskReader,
  paths: readonly RelPath[],
  scope: AttributeScope = { xattrs: true, flags: true },
): Promise<Attributes> {
  const [xattrs, flags] = await Promise.all([
    scope.xattrs ? disk.xattrsOf(paths) : new Map<RelPath, Xattrs>(),
    scope.flags ? disk.flagsOf(paths) : new Map<RelPath, readonly string[]>(),
  ])
  return {
    xattrs: withoutEmpty(xattrs, portableXattrs, (map) => map.size),
    flags: withoutEmpty(flags, portableFlags, (list) => list.length),
  }
}

export function joinAttributes(parts: readonly Attributes[]): Attributes {
  return { xattrs: new Map(parts.flatMap(({ xattrs }) => [...xattrs])), flags: new Map(parts.flatMap(({ flags }) => [...flags])) }
}

/** Makes the attributes of the tree exactly these, and leaves those of the machine as they are. */
export async function writeXattrs(disk: Disk, path: RelPath, xattrs: Xattrs, seen?: Inode): Promise<void> {
  await disk.setXattrs(path, xattrs, { seen, stays: (name) => ofTheMachine.test(name) })
}

/** Makes the flags of the tree exactly these, likewise. */
export async function writeFlags(disk: Disk, path: RelPath, flags: readonly string[]): Promise<void> {
  const present = (await disk.flagsOf([path])).get(path) ?? []
  await disk.setFlags(path, [...present.filter((flag) => flagsOfTheMachine.has(flag)), ...flags])
}

export function portableXattrs(xattrs: Xattrs): Xattrs {
  return new Map([...xattrs].filter(([name]) => !ofTheMachine.test(name)))
}

export function portableFlags(flags: readonly string[]): readonly string[] {
  return flags.filter((flag) => !flagsOfTheMachine.has(flag)).sort()
}

function withoutEmpty<T>(found: ReadonlyMap<RelPath, T>, keep: (value: T) => T, size: (value: T) => number): ReadonlyMap<RelPath, T> {
  const kept = [...found].map(([path, value]) => [path, keep(value)] as const)
  return new Map(kept.filter(([, value]) => size(value) > 0))
}
