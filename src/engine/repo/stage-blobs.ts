import { BinderyError } from '../../base/error.ts'
import { decodeListing, describeListing } from '../../format/listing.ts'
import { digestOf, measureTarget } from './blob.ts'
import { blobKey } from './layout.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { Store } from '../../port/store.ts'
import type { Repository } from './repository.ts'
import type { StagedFile } from './stage.ts'

/** A target that a staged role has and the repository's has not. */
export type AddedTarget = { readonly path: string; readonly key: string; readonly file: TargetFile }

export function addedTargets(staged: StagedFile, repository: Repository | undefined): readonly AddedTarget[] {
  const before = targetsBefore(staged.role, repository)
  return [...targetsAfter(staged)]
    .map(([path, file]) => ({ path, file, key: blobKey(path, digestOf(path, file)) }))
    .filter(({ path, file }) => before.get(path)?.hashes['sha256'] !== file.hashes['sha256'])
}

/** Releases of which the channel says something else than before, or something at all where they are new. */
export function relistedTargets(staged: StagedFile, repository: Repository | undefined): readonly Relisted[] {
  const before = targetsBefore(staged.role, repository)
  return [...targetsAfter(staged)].flatMap(([path, { custom }]) => {
    const listing = decodeListing(path, custom)
    const old = decodeListing(path, before.get(path)?.custom)
    if (listing === undefined) return []
    const [lines, oldLines] = [describeListing(listing), old === undefined ? [] : describeListing(old)]
    return lines.join() === oldLines.join() ? [] : [{ path, lines, before: oldLines }]
  })
}

export type Relisted = { readonly path: string; readonly lines: readonly string[]; readonly before: readonly string[] }

export function removedTargets(staged: StagedFile, repository: Repository | undefined): readonly string[] {
  const after = targetsAfter(staged)
  return [...targetsBefore(staged.role, repository).keys()].filter((path) => !after.has(path))
}

function targetsAfter({ signed }: StagedFile): ReadonlyMap<string, TargetFile> {
  return signed.value.kind === 'targets' ? signed.value.targets : new Map()
}

function targetsBefore(role: string, repository: Repository | undefined): ReadonlyMap<string, TargetFile> {
  const loaded = role === 'targets' ? repository?.targets : repository?.channels.get(role)
  return loaded?.signed.value.targets ?? new Map()
}

/** Every blob that a publication adds is there and is what the metadata says; nobody signs for what is not. */
export async function checkBlobs(blobs: Store, added: readonly AddedTarget[]): Promise<void> {
  for (const { key, file, path } of added) {
    if ((await blobs.size(key)) === undefined)
      throw new BinderyError('not-found', 'is named by the metadata and not there', { subject: key })
    const found = await measureTarget(blobs.stream(key), path, file)
    if (found.size !== file.length || found.sha256 !== digestOf(path, file) || !found.hasPieces)
      throw new BinderyError('bad-digest', 'is not what the metadata says', { subject: key })
  }
}
