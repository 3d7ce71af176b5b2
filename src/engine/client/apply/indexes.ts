import { knownGlob } from '../../../format/glob.ts'
import type { RelPath } from '../../../base/path.ts'

/**
 * What a system writes beside the modules of a kernel: indexes of them, which no release has. They are about nothing once the folder
 * goes, and go with it (doc/decisions/0201).
 */
const patterns = [
  // depmod(8) of Linux.
  '/{,usr/}lib/modules/*/modules.{devname,softdep,weakdep}',
  '/{,usr/}lib/modules/*/modules.{alias,builtin,builtin.alias,dep,symbols}{,.bin}',
  // kldxref(8) of FreeBSD and DragonFly.
  '/boot/{kernel,modules}{,.*}/linker.hints',
].map(knownGlob)

export function isIndex(path: RelPath): boolean {
  return patterns.some((one) => one.matches(path))
}
