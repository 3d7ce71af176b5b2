import type { RelPath } from '../../base/path.ts'

/** Systems for which there are rules, by the run-time linker that only they have there. */
const linkers: readonly (readonly [string, RegExp])[] = [
  ['pcbsd', /^PCBSD\//],
  ['openbsd', /^usr\/libexec\/ld\.so$/],
  ['freebsd', /^libexec\/ld-elf\.so\.1$/],
  ['dragonfly', /^libexec\/ld-elf\.so\.2$/],
  ['netbsd', /^(?:usr\/)?libexec\/ld\.elf_so$/],
  ['linux', /^(?:usr\/)?lib(?:32|64|x32)?\/(?:[^/]+-linux-[^/]+\/)?ld-(?:linux|musl)[^/]*$/],
]

export const systems: readonly string[] = linkers.map(([name]) => name).toSorted()

/** The system that a tree is of; undefined for an application, or a part of a system without its linker. */
export function systemOf(paths: readonly RelPath[]): string | undefined {
  return linkers.find(([, linker]) => paths.some((path) => linker.test(path)))?.[0]
}

/** Folders in which these things are. */
export const tellingFolders: readonly RelPath[] = [
  'PCBSD',
  'lib',
  'lib32',
  'lib64',
  'libexec',
  'usr/lib',
  'usr/lib64',
  'usr/libexec',
] as RelPath[]
