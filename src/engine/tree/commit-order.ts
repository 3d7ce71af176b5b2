import { knownGlob } from '../../format/glob.ts'
import { dragonflyOrder } from './commit-order/dragonfly.ts'
import { freebsdOrder } from './commit-order/freebsd.ts'
import { linuxOrder } from './commit-order/linux.ts'
import { netbsdOrder } from './commit-order/netbsd.ts'
import { openbsdOrder } from './commit-order/openbsd.ts'
import { unixOrder } from './commit-order/unix.ts'
import type { EntryKind } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Glob } from '../../format/glob.ts'

/**
 * The order in which a plan changes the live tree, so that dynamically linked programs start at every moment
 * (doc/decisions/0191). The order of a dist's entries is another matter (critical.ts), and never changes with this one.
 */

/** In their order. */
export const commitClasses = ['directory', 'linker', 'libsys', 'libc', 'peers', 'library', 'program', 'database', 'boot'] as const

export type CommitClass = (typeof commitClasses)[number]
type RuledClass = Exclude<CommitClass, 'directory' | 'program'>

/** Of one system: which paths are of a class, as patterns of bindery-rules(1). */
export type OrderRules = Partial<Readonly<Record<RuledClass, readonly string[]>>>

/** The paths of the systems do not collide, and a tree needs no label. */
const systems: readonly OrderRules[] = [openbsdOrder, freebsdOrder, dragonflyOrder, netbsdOrder, linuxOrder, unixOrder]

/** In the order in which they are asked: modules of kernels lie among libraries, whatever their names end in. */
const asked: readonly RuledClass[] = ['boot', 'linker', 'libsys', 'libc', 'peers', 'database', 'library']

const rules: readonly (readonly [RuledClass, readonly Glob[]])[] = asked.map((name) => [
  name,
  [...new Set(systems.flatMap((system) => system[name] ?? []))].map(knownGlob),
])

export type CommitItem = { readonly path: RelPath; readonly kind: EntryKind }

export function commitClass({ path, kind }: CommitItem): CommitClass {
  if (kind === 'dir') return 'directory'
  return rules.find(([, globs]) => globs.some((one) => one.matches(path)))?.[0] ?? 'program'
}

/** Links come behind the files of their class: what one leads to is there when it begins to. */
export function commitRank(item: CommitItem): number {
  return 2 * commitClasses.indexOf(commitClass(item)) + (item.kind === 'symlink' ? 1 : 0)
}
