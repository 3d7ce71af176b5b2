import { closeStream } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { digestStream } from '../../../base/digest.ts'
import { dropSuperseded, packageKey, readBuilt, writeBuilt } from './collect.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { BuiltPackage } from '../../../format/built.ts'
import type { Store } from '../../../port/store.ts'

export type TakenIn = {
  readonly release: string
  readonly arch: string
  /** The ports that were built. */
  readonly list: readonly string[]
  readonly packages: readonly BuiltPackage[]
  readonly open: (file: string) => ByteStream
}

/**
 * Packages that were built elsewhere, into a folder as `farm build` leaves it: each takes the place of the one of its pkgpath, and what failed
 * before of a port that is built now has failed no more. May be done again. Nobody else writes to the folder meanwhile.
 */
export async function takeIn(store: Store, { release, arch, list, packages, open }: TakenIn): Promise<void> {
  const former = await readBuilt(store)
  if (former !== undefined && (former.release !== release || former.arch !== arch))
    throw new BinderyError('conflict', `holds packages of ${former.release} for ${former.arch}, not of ${release} for ${arch}`)
  for (const one of packages) await putPackage(store, one, open(one.file))
  const built = new Set(packages.map(({ pkgpath }) => pkgpath))
  const files = new Set(packages.map(({ file }) => file))
  const stays = (former?.packages ?? []).filter(({ pkgpath, file }) => !built.has(pkgpath) && !files.has(file))
  const next = {
    release,
    arch,
    packages: [...stays, ...packages].toSorted((a, b) => (a.file < b.file ? -1 : 1)),
    failed: (former?.failed ?? []).filter(({ pkgpath }) => !list.includes(pkgpath)),
  }
  await writeBuilt(store, next)
  await dropSuperseded(store, former, next)
}

/** What is there already is left alone. */
async function putPackage(store: Store, { file, size, sha256 }: BuiltPackage, content: ByteStream): Promise<void> {
  const key = packageKey(file)
  if ((await store.size(key)) === size && (await digestStream(store.stream(key))).sha256 === sha256) return await closeStream(content)
  await store.put(key, content)
  if ((await digestStream(store.stream(key))).sha256 !== sha256)
    throw new BinderyError('io', 'was changed while it was read', { subject: file })
}
