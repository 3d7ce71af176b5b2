/** The words of packing lists (doc/spec/packing-list.md), in the order in which pkg_create writes them. */

export type UniqueKeyword = 'name' | 'url' | 'version' | 'signer' | 'digital-signature' | 'localbase' | 'arch'

export const uniqueKeywords: ReadonlySet<string> = new Set<UniqueKeyword>([
  'name',
  'url',
  'version',
  'signer',
  'digital-signature',
  'localbase',
  'arch',
])

/** They stand between `digital-signature` and the pkgpath. */
export const optionOrder: readonly string[] = [
  'no-default-conflict',
  'manual-installation',
  'firmware',
  'always-update',
  'updatedb',
  'is-branch',
]

export type ListKeyword = 'conflict' | 'pkgpath' | 'ask-update' | 'libset' | 'depend' | 'wantlib' | 'define-tag' | 'newgroup' | 'newuser'

export const listKeywords: ReadonlySet<string> = new Set<ListKeyword>([
  'conflict',
  'pkgpath',
  'ask-update',
  'libset',
  'depend',
  'wantlib',
  'define-tag',
  'newgroup',
  'newuser',
])

export type AnnotationKeyword = 'sha' | 'size' | 'ts' | 'symlink' | 'link' | 'temp'

export const annotationKeywords: ReadonlySet<string> = new Set<AnnotationKeyword>(['sha', 'size', 'ts', 'symlink', 'link', 'temp'])

/** `content` is what the package holds, with its digest and size; a `name` is made of it, or by others. */
export const fileKeywords: ReadonlyMap<string, 'content' | 'name'> = new Map([
  ['file', 'content'],
  ['rcscript', 'content'],
  ['info', 'content'],
  ['shell', 'content'],
  ['man', 'content'],
  ['mandoc', 'content'],
  ['lib', 'content'],
  ['bin', 'content'],
  ['static-lib', 'content'],
  ['so', 'content'],
  ['pkgconfig', 'content'],
  ['ltlib', 'content'],
  ['sample', 'name'],
  ['ghost', 'name'],
  ['extra', 'name'],
  ['extraglob', 'name'],
])

export const directoryKeywords: ReadonlySet<string> = new Set(['dir', 'fontdir', 'mandir'])

/** State of what follows, and commands. */
export const placeKeywords: ReadonlySet<string> = new Set(['cwd', 'owner', 'group', 'mode', 'exec', 'unexec', 'extraunexec'])

/** pkg_add warns of them and goes on. */
export const obsoleteKeywords: ReadonlySet<string> = new Set([
  'src',
  'display',
  'mtree',
  'ignore_inst',
  'dirrm',
  'pkgcfl',
  'pkgdep',
  'newdepend',
  'libdepend',
  'endfake',
  'ignore',
  'vendor',
  'incompatibility',
  'md5',
  'sysctl',
])

/** Files that belong to the package's own folder. `+CONTENTS` is the list itself. */
export const infoFileNames: readonly string[] = ['+DESC', '+INSTALL', '+DEINSTALL', '+REQUIRE', '+DISPLAY', '+UNDISPLAY', '+MTREE_DIRS']
