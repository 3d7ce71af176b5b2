import { cpSync, existsSync, globSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'

/** What of a clone is installed: package.json says it for npm, too. */
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly version: string
  readonly files: readonly string[]
  readonly bin: Readonly<Record<string, string>>
}

export const { version } = manifest

export type ProductOptions = {
  /** Relative, below the root: `usr/local`. */
  readonly prefix: string
  /** The folder of the built bundles, as tools/build.mjs leaves it. */
  readonly dist?: string
}

/**
 * bindery as a tree that `cut` makes a release of: PREFIX/lib/bindery, links to its programs in PREFIX/bin, and the manual in PREFIX/man.
 * The runtime is no part of it: it comes from the system.
 */
export function makeProduct(root: string, { prefix, dist = 'dist' }: ProductOptions): void {
  const home = join(root, prefix, 'lib/bindery')
  for (const file of globSync(manifest.files.filter((pattern) => pattern !== 'man'))) {
    const from = file.startsWith('dist/') ? join(dist, file.slice('dist/'.length)) : file
    copy(from, join(home, file))
  }
  copy('package.json', join(home, 'package.json'))
  for (const [name, file] of Object.entries(manifest.bin)) {
    const link = join(root, prefix, 'bin', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(posix.join('../lib/bindery', file), link)
  }
  for (const page of globSync('man/*.[1-9]')) copy(page, join(root, prefix, `man/man${page.slice(-1)}`, basename(page)))
}

function copy(from: string, to: string): void {
  if (!existsSync(from)) throw new Error(`${from} is missing: run make build`)
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { recursive: true, preserveTimestamps: true })
}
