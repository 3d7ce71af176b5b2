import { BinderyError } from '../../base/error.ts'
import { parseRelPath, showPath } from '../../base/path.ts'
import type { Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import { usualTerms } from '../../format/post-step.ts'
import type { PostStep } from '../../format/post-step.ts'

/**
 * The small part of a source tree that `make upgrade` needs, as a folder of the dist: after an install it has the last word
 * on users, groups, obsolete files and databases, as DragonFly's has (doc/decisions/0101).
 */

const makefiles = ['BSDmakefile', 'GNUmakefile', 'Makefile', 'makefile']

/** The operand of `publish --upgrade`: it becomes part of a command line. Throws `usage`. */
export function parseUpgradeSlice(text: string): RelPath {
  const path = /^\/?[A-Za-z0-9._+/-]+$/.test(text) ? parseRelPath(text.replace(/^\//, '').replace(/\/$/, '')) : undefined
  if (path !== undefined) return path
  throw new BinderyError('usage', `'${text}' is no plain path of a folder in the dist`, { hint: 'for instance /usr/share/upgrade' })
}

/** Throws `not-found` where the dist has no Makefile there. */
export function upgradeStep({ entries }: Manifest, slice: RelPath): PostStep {
  const wanted = new Set<string>(makefiles.map((name) => `${slice}/${name}`))
  if (!entries.some(({ path, kind }) => wanted.has(path) && kind !== 'dir'))
    throw new BinderyError('not-found', 'the dist has no Makefile there, and so no upgrade slice', { subject: `/${showPath(slice)}` })
  // DragonFly's etc/Makefile knows by the variable that there is no source tree around it.
  return { kind: 'run', name: 'upgrade', command: `make -C /${slice} BINARY_UPGRADE=yes upgrade`, ...usualTerms }
}
