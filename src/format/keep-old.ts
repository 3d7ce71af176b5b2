import { BinderyError } from '../base/error.ts'
import { joinPath, parentPath, pathFromText, showPath } from '../base/path.ts'
import type { RelPath } from '../base/path.ts'

/** A file or directory, and where its last version stays until the next: in the same directory, so that links do. */
export type KeepOld = { readonly path: RelPath; readonly old: RelPath }

/** The names that the systems' own installers use, for products that are kernels. One table for all: their paths do not collide. */
export const usualKeepOld: readonly KeepOld[] = [
  // FreeBSD, DragonFly
  keepOldOf('boot/kernel', 'kernel.old'),
  // OpenBSD
  keepOldOf('bsd', 'obsd'),
  // NetBSD
  keepOldOf('netbsd', 'onetbsd'),
  // Linux, where it has no version in its name
  keepOldOf('boot/vmlinuz', 'vmlinuz.old'),
  keepOldOf('boot/initrd.img', 'initrd.img.old'),
]

/** One more line of the configuration; the first takes the place of the usual ones. */
export function withKeepOld(known: readonly KeepOld[], value: string): readonly KeepOld[] {
  const own = known === usualKeepOld ? [] : known
  if (value === 'none') return own
  const [, text, name] = /^\/(\S+)\s+(\S+)$/.exec(value) ?? []
  const [path, nameBytes] = [pathFromText(text ?? ''), pathFromText(name ?? '')]
  if (path === undefined || nameBytes === undefined || nameBytes.includes('/') || nameBytes === '.')
    throw new BinderyError('usage', `'${value}' is no absolute path and a name`, { hint: 'for instance: keep-old /boot/kernel kernel.old' })
  const next = keepOldOf(path, nameBytes)
  if (own.some(({ old }) => old === next.old)) throw new BinderyError('usage', `'${value}': the second name is taken by another line`)
  return [...own, next]
}

export function showKeepOld({ path, old }: KeepOld): string {
  return `/${showPath(path)} ${showPath(old.slice(old.lastIndexOf('/') + 1))}`
}

/** What stays when a release of this product is installed: the usual ones are for kernels alone, what somebody has named for all. */
export function keepOldOfProduct(known: readonly KeepOld[], product: string): readonly KeepOld[] {
  return known === usualKeepOld && !/^kernel(?:-|$)/.test(product) ? [] : known
}

function keepOldOf(path: string, name: string): KeepOld {
  return { path: path as RelPath, old: joinPath(parentPath(path as RelPath), name) }
}
