import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { catalogOf, laterCatalog, someOf } from '../test/helpers/openbsd-mirror/catalog.ts'
import { installPackages, packageKey, writeMirror } from '../test/helpers/openbsd-mirror/mirror.ts'
import { packageFile } from '../test/helpers/openbsd-mirror/package-file.ts'
import type { Kit } from './harness.ts'
import type { PackageFacts } from '../test/helpers/openbsd-mirror/package-facts.ts'

/** A made-up mirror as large as that of amd64, and a machine that has 600 of its packages, some weeks old. Kept between runs: it takes minutes. */
export type BenchMirror = {
  /** What a web server serves. */
  readonly site: string
  readonly packages: string
  /** `/` of the machine. */
  readonly root: string
  readonly catalog: readonly PackageFacts[]
}

export const mirrorPath = 'pub/OpenBSD/snapshots/packages/amd64'
const date = '2026-11-20T09:30:15Z'

export async function benchMirror({ smoke, work }: Pick<Kit, 'smoke' | 'work'>): Promise<BenchMirror> {
  const [count, installed, medianBytes] = smoke ? [150, 30, 20_000] : [12_000, 600, 150_000]
  const former = catalogOf({ count, seed: 3, medianBytes })
  const catalog = laterCatalog(former, { seed: 4, newer: count / 30, rebuilt: count / 30 })
  const folder = smoke ? join(work, 'openbsd') : resolve(`.cache/bench/openbsd-${count}`)
  if (!existsSync(folder)) await make(folder, { former, catalog, installed })
  return { site: join(folder, 'site'), packages: join(folder, 'site', mirrorPath), root: join(folder, 'root'), catalog }
}

type Making = { readonly former: readonly PackageFacts[]; readonly catalog: readonly PackageFacts[]; readonly installed: number }

async function make(folder: string, { former, catalog, installed }: Making): Promise<void> {
  const aside = `${folder}.part`
  rmSync(aside, { recursive: true, force: true })
  const key = await packageKey()
  await writeMirror({ folder: join(aside, 'site', mirrorPath), packages: catalog, key, date })
  installPackages(join(aside, 'root'), someOf(former, installed, 5))
  mkdirSync(join(aside, 'root/etc/signify'), { recursive: true })
  writeFileSync(join(aside, 'root/etc/signify/openbsd-78-pkg.pub'), key.publicKeyFile)
  renameSync(aside, folder)
}

/** Writes other builds of some packages, under the same names; and the first ones again. */
export async function rebuilder(mirror: BenchMirror, count: number): Promise<(turn: 'first' | 'other') => void> {
  const key = await packageKey()
  const chosen = someOf(mirror.catalog, count, 6)
  const files = new Map<string, { readonly first: Uint8Array; readonly other: Uint8Array }>()
  for (const facts of chosen) {
    const other = { ...facts, systemVersion: facts.systemVersion + 1 }
    files.set(`${facts.name}.tgz`, { first: await packageFile(facts, key, date), other: await packageFile(other, key, date) })
  }
  return (turn) => {
    for (const [name, both] of files) writeFileSync(join(mirror.packages, name), both[turn])
  }
}
