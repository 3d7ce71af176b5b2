import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fetchPackage } from '../npm.ts'

/** Programs for OpenBSD as their makers publish them: two adjacent releases of each. */
export const programs: readonly Program[] = [
  { label: 'esbuild', name: '@esbuild/openbsd-x64', old: '0.28.1', new: '0.28.2', file: 'bin/esbuild', path: 'usr/local/bin/esbuild' },
  {
    label: 'rollup',
    name: '@rollup/rollup-openbsd-x64',
    old: '4.64.9',
    new: '4.64.10',
    file: 'rollup.openbsd-x64.node',
    path: 'usr/local/lib/librollup.so.4.0',
  },
  { label: 'lefthook', name: 'lefthook-openbsd-x64', old: '2.2.1', new: '2.2.2', file: 'bin/lefthook', path: 'usr/local/bin/lefthook' },
]

export type Program = {
  readonly label: string
  /** Of the npm package. */
  readonly name: string
  readonly old: string
  readonly new: string
  /** Where the program is in the package, and where it goes in the system. */
  readonly file: string
  readonly path: string
}

/** The unpacked package of one release; fetched once, kept below .cache/demo. */
export function packageFolder(program: Program, side: 'old' | 'new'): string {
  const folder = resolve('.cache/demo/packages', `${program.label}-${program[side]}`)
  if (!existsSync(folder)) fetchPackage(`${program.name}@${program[side]}`, folder)
  return join(folder, 'package')
}
