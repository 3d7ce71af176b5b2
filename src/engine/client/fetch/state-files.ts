import { oneChunk } from '../../../base/bytes.ts'
import { channelOf } from '../../../base/name.ts'
import { encodeReleaseState } from '../../../format/release-state.ts'
import { encodeTerms } from '../../../format/release-terms.ts'
import { channelFile, channelFiles, keptDeltaFile } from '../state.ts'
import { termsOf } from '../terms.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Verified } from '../../../base/verified.ts'
import type { KeptBase, KeptDelta, ReleaseState } from '../../../format/release-state.ts'
import type { Update } from '../../../format/update.ts'
import type { CachedFile } from './cache.ts'
import type { CachedBlob } from './download.ts'
import type { StateFile } from '../incoming.ts'
import type { Session } from './session.ts'

/** How a channel's state changes with a release: the manifest, the base or one more delta, and last what names them all. */

/** What becomes of the base: nothing is kept, deltas are added to it, or it is replaced by a file of the cache. */
export type NextBase =
  | { readonly kind: 'none' }
  | { readonly kind: 'longer'; readonly before: KeptBase; readonly added: readonly KeptStep[] }
  | { readonly kind: 'new'; readonly file: CachedFile }

export type KeptStep = { readonly blob: CachedFile; readonly tar: KeptDelta['tar'] }

export async function stateFilesOf(
  session: Session,
  installed: ReleaseState,
  update: Update,
  manifest: Verified<CachedBlob>,
  next: NextBase,
): Promise<readonly StateFile[]> {
  const base = keptBase(update, next)
  const state: ReleaseState = {
    name: update.release.name,
    sequence: update.sequence,
    tar: update.release.tar,
    manifest: { sha256: manifest.value.sha256, size: manifest.value.size },
    ...(base === undefined ? {} : { base }),
  }
  return [
    ...baseFiles(session, installed, next),
    fromCache(session, channelFiles.manifest, manifest.value, 0o644),
    ...(await termsFiles(session, update)),
    inMemory(channelFiles.release, encodeReleaseState(state)),
  ]
}

async function termsFiles({ disk }: Session, update: Update): Promise<readonly StateFile[]> {
  const { name } = update.release
  const terms = termsOf(update)
  if (terms !== undefined) return [inMemory(channelFiles.terms, encodeTerms(name, terms))]
  const isThere = (await disk.lstat(channelFile(channelOf(name), channelFiles.terms))) !== undefined
  return isThere ? [{ path: channelFiles.terms, content: 'remove', mode: 0o644, size: 0 }] : []
}

function keptBase(update: Update, next: NextBase): KeptBase | undefined {
  switch (next.kind) {
    case 'none':
      return undefined
    case 'longer':
      return {
        ...next.before,
        deltas: [...next.before.deltas, ...next.added.map(({ blob, tar }) => ({ file: { sha256: blob.sha256, size: blob.size }, tar }))],
      }
    case 'new':
      return { file: { sha256: next.file.sha256, size: next.file.size }, tar: update.release.tar, deltas: [] }
  }
}

function baseFiles(session: Session, installed: ReleaseState, next: NextBase): readonly StateFile[] {
  const kept = installed.base?.deltas.length ?? 0
  switch (next.kind) {
    case 'none':
      return []
    case 'longer':
      return next.added.map(({ blob }, i) => fromCache(session, keptDeltaFile(kept + i + 1), blob, 0o600))
    case 'new': {
      const removed = Array.from({ length: kept }, (_, i) => ({
        path: keptDeltaFile(i + 1),
        content: 'remove' as const,
        mode: 0o600,
        size: 0,
      }))
      return [fromCache(session, channelFiles.base, next.file, 0o600), ...removed]
    }
  }
}

function fromCache({ disk }: Session, path: RelPath, file: CachedFile, mode: number): StateFile {
  return { path, content: () => disk.read(file.path), mode, size: file.size, from: file.path }
}

function inMemory(path: RelPath, bytes: Uint8Array): StateFile {
  return { path, content: () => oneChunk(bytes), mode: 0o644, size: bytes.length }
}
