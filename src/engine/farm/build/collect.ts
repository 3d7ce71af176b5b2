import { about } from '../../../base/about.ts'
import { oneChunk } from '../../../base/bytes.ts'
import { digestStream } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { builtKey, decodeBuilt, encodeBuilt } from '../../../format/built.ts'
import { checkPackage } from './check-package.ts'
import { hasPackage, readPackageFile } from './batch.ts'
import type { Built, BuiltPackage } from '../../../format/built.ts'
import type { Spool } from '../../../port/source.ts'
import type { Store } from '../../../port/store.ts'
import type { Batch } from './batch.ts'
import type { CheckedPackage } from './check-package.ts'
import type { ExpectedPackage } from './package-names.ts'

/** The folder that builds add to: packages, and what says what they are, written last. */

export function packageKey(file: string): string {
  return `packages/${file}`
}

/** Undefined for a folder that nothing was built into yet. */
export async function readBuilt(store: Store): Promise<Built | undefined> {
  const bytes = await store.get(builtKey)
  return bytes === undefined ? undefined : await about(builtKey, () => decodeBuilt(bytes))
}

export async function writeBuilt(store: Store, built: Built): Promise<void> {
  await store.put(builtKey, oneChunk(encodeBuilt(built)))
}

export async function dropSuperseded(store: Store, former: Built | undefined, { packages }: Built): Promise<void> {
  const kept = new Set(packages.map(({ file }) => file))
  for (const { file } of former?.packages ?? []) if (!kept.has(file)) await store.delete(packageKey(file))
}

/** Those of the manifest that are there, whole. */
export async function packagesThere(store: Store, built: Built | undefined): Promise<ReadonlyMap<string, BuiltPackage>> {
  const found = new Map<string, BuiltPackage>()
  for (const one of built?.packages ?? []) {
    if ((await store.size(packageKey(one.file))) !== one.size) continue
    if ((await digestStream(store.stream(packageKey(one.file)))).sha256 === one.sha256) found.set(one.file, one)
  }
  return found
}

/** Checks one package of the place and brings it here. Undefined where there is none. */
export async function collectPackage(
  batch: Batch,
  { store, spool }: { readonly store: Store; readonly spool: Spool },
  { file }: ExpectedPackage,
): Promise<CheckedPackage | undefined> {
  if (!(await hasPackage(batch, file))) return undefined
  return await about(file, async () => {
    const checked = await checkPackage(file, () => readPackageFile(batch, file), spool)
    await store.put(packageKey(file), readPackageFile(batch, file))
    const here = await digestStream(store.stream(packageKey(file)))
    if (here.sha256 === checked.sha256) return checked
    await store.delete(packageKey(file))
    throw new BinderyError('io', 'was changed while it was read')
  })
}
