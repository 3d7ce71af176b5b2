import { mkdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BinderyError, isBinderyError, toldOf } from '../base/error.ts'
import { checkSignedStage } from '../engine/repo/stage-publish.ts'
import { overlayStore } from '../engine/repo/overlay-store.ts'
import { folderStore } from '../host/folder-store.ts'
import { writeNewFolder } from '../host/new-folder.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { isThere } from '../host/source.ts'
import type { FarmConfig, ReleaseConfig } from '../format/farm-config.ts'
import type { Context } from './command.ts'

/** A folder that came back from the signer of a release. */
export type SignedStage = {
  readonly context: Pick<Context, 'clock'>
  readonly farm: string
  readonly release: ReleaseConfig
  /** What was asked for; has the blobs. */
  readonly request: string
  readonly signed: string
}

export function releaseNamed({ releases }: FarmConfig, branch: string): ReleaseConfig | undefined {
  return releases.find(({ name }) => name === branch)
}

/** Its metadata in a new folder, once it is signed by all who have to. */
export async function acceptStage(output: string, { context, farm, release, request, signed }: SignedStage): Promise<void> {
  const store = await openRepositoryFolder(resolve(farm, release.repository))
  try {
    await checkSignedStage({ store, stage: overlayStore(folderStore(signed), folderStore(request)), clock: context.clock })
  } catch (error) {
    throw isBinderyError(error) && error.subject?.startsWith('metadata/') === true ? toldOf(error, join(signed, error.subject)) : error
  }
  if (!(await isThere(output))) await writeNewFolder(output, async (aside) => await copyMetadata(signed, aside))
}

/** Far more than any role has. */
const maxRole = 64 << 20

/** Of a stage that may be on a stick. The blobs are where it was made. */
export async function copyMetadata(from: string, to: string): Promise<void> {
  const [stage, copy] = [await openRepositoryFolder(from), folderStore(to)]
  const keys = await stage.list('metadata/')
  if (keys.length === 0) throw new BinderyError('not-found', 'the folder holds no publication', { subject: from })
  for (const key of keys) {
    if (((await stage.size(key)) ?? 0) > maxRole)
      throw new BinderyError('over-limit', `is larger than ${maxRole} bytes`, { subject: join(from, key) })
    await copy.put(key, stage.stream(key))
  }
}

/** Beside the others that were accepted, without its blobs. */
export async function putStageAway(stage: string, place: string): Promise<void> {
  if (await isThere(place)) return await rm(stage, { recursive: true, force: true })
  await mkdir(join(place, '..'), { recursive: true })
  await rename(stage, place)
  for (const part of ['blobs', 'base']) await rm(join(place, part), { recursive: true, force: true })
}
