import { channelTargets } from './channel-draft.ts'
import { innerStore } from './overlay-store.ts'
import { draftReleases, nameDists, nextTargets } from './publish.ts'
import { loadRepository } from './repository.ts'
import { basePrefix, clearPublished, copyBase, putUnsigned } from './stage.ts'
import type { Store } from '../../port/store.ts'
import type { PublishInput } from './publish.ts'
import type { DraftedRelease } from './release-draft.ts'

export type StageInput = PublishInput & { readonly stage: Store }

/**
 * Everything of a publication but the signatures; no key is needed. `exists` where the stage holds one that is still to
 * be published; what was published is cleared away.
 */
export async function stageReleases(input: StageInput): Promise<readonly DraftedRelease[]> {
  const { store, stage, clock, lifetimes } = input
  await clearPublished(stage, store)
  const repository = await loadRepository(store)
  const dists = await nameDists(input.dists)
  const targets = nextTargets(input, repository, dists)
  const { releases, drafts } = await draftReleases(input, repository, dists, stage)
  if (drafts.length === 0) return releases
  await copyBase(store, repository, innerStore(stage, basePrefix))
  for (const draft of drafts) await putUnsigned(stage, draft.role, channelTargets(draft, clock, lifetimes))
  if (targets !== undefined) await putUnsigned(stage, 'targets', targets)
  return releases
}
