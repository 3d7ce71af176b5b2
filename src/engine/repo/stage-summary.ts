import { channelOf, formatChannel, formatDistName } from '../../base/name.ts'
import { formatTime } from '../../format/tuf.ts'
import { describeNeed } from '../../format/need.ts'
import { decodeUpdate, updateLimits } from '../../format/update.ts'
import { readTarget } from './blob.ts'
import { decoding } from './repository.ts'
import { loadStageBase, loadStagedFiles } from './stage.ts'
import { addedTargets, checkBlobs, removedTargets } from './stage-blobs.ts'
import { isComplete } from './stage-sign.ts'
import type { PostStep } from '../../format/post-step.ts'
import type { Update } from '../../format/update.ts'
import type { Store } from '../../port/store.ts'
import type { Repository } from './repository.ts'
import type { AddedTarget } from './stage-blobs.ts'
import type { StagedFile } from './stage.ts'

/** What a person should know before signing; also the shape of `sign --json`. */
export type StageSummary = { readonly roles: readonly RoleSummary[]; readonly releases: readonly Update[] }

export type RoleSummary = {
  readonly role: string
  readonly version: number
  /** Milliseconds since the epoch. */
  readonly expires: number
  readonly added: readonly { readonly path: string; readonly length: number; readonly sha256: string }[]
  readonly removed: readonly string[]
  /** Channels' roles that targets.json begins to trust, with who may sign for them. */
  readonly begun: readonly { readonly role: string; readonly threshold: number; readonly keyIds: readonly string[] }[]
  readonly complete: boolean
}

/** Also checks that every blob is there and is what the metadata says: `not-found`, `bad-digest`. */
export async function describeStage(stage: Store): Promise<StageSummary> {
  const base = await loadStageBase(stage)
  const files = await loadStagedFiles(stage, base)
  const releases: Update[] = []
  for (const file of files) {
    const added = addedTargets(file, base)
    await checkBlobs(stage, added)
    releases.push(...(await readRecords(stage, added)))
  }
  return { roles: files.map((file) => describeRole(file, base)), releases }
}

async function readRecords(stage: Store, added: readonly AddedTarget[]): Promise<readonly Update[]> {
  const updates: Update[] = []
  for (const { path, file } of added.filter((target) => target.path.endsWith('.update'))) {
    const bytes = await readTarget(stage, path, file, updateLimits.bytes)
    updates.push(decoding(path, () => decodeUpdate(bytes)))
  }
  return updates.sort((a, b) => a.sequence - b.sequence)
}

function describeRole(file: StagedFile, base: Repository): RoleSummary {
  return {
    role: file.role,
    version: file.version,
    expires: file.signed.value.expires,
    added: addedTargets(file, base).map(({ path, file: { length, hashes } }) => ({ path, length, sha256: hashes['sha256'] ?? '' })),
    removed: removedTargets(file, base),
    begun: begunRoles(file, base),
    complete: isComplete(file),
  }
}

function begunRoles({ role, signed }: StagedFile, base: Repository): RoleSummary['begun'] {
  if (role !== 'targets' || signed.value.kind !== 'targets') return []
  const delegated = signed.value.delegations?.roles ?? []
  return delegated.filter(({ name }) => !base.channels.has(name)).map(({ name, threshold, keyIds }) => ({ role: name, threshold, keyIds }))
}

/** The summary for a person, line by line. */
export function stageLines({ roles, releases }: StageSummary): readonly string[] {
  return [...releases.flatMap(releaseLines), ...roles.flatMap(roleLines)]
}

function releaseLines(update: Update): readonly string[] {
  const { release, previous, manifest, full, deltas } = update
  return [
    `release ${formatDistName(release.name)}: number ${update.sequence} of channel ${formatChannel(channelOf(release.name))}`,
    `  ${previous === undefined ? 'the first of its channel' : `follows ${previous}`}`,
    `  tar ${release.tar.size} bytes, sha256 ${release.tar.sha256}`,
    ...full.map((way) => `  whole ${way.size} bytes (${way.codec})`),
    `  manifest ${manifest.size} bytes`,
    ...deltas.map((way) => `  from ${way.from} ${way.size} bytes, manifest ${way.manifest?.size ?? manifest.size} bytes`),
    ...noteLines(update),
  ]
}

/** All that a client will be told to do: who signs it answers for it. */
function noteLines({ title, url, notices, postSteps, reboot, security, configuration = [], needs = [] }: Update): readonly string[] {
  return [
    ...(title === undefined ? [] : [`  title: ${title}`]),
    ...(url === undefined ? [] : [`  details: ${url}`]),
    ...(security ? ['  a security update'] : []),
    ...(reboot === 'none' ? [] : [`  needs: ${reboot}`]),
    ...needs.map((need) => `  needs: ${describeNeed(need)}${need.optional ? ', where that is followed' : ''}`),
    ...notices.map((text) => `  notice: ${JSON.stringify(text)}`),
    ...postSteps.map((step) => `  then: ${stepText(step)}`),
    ...configuration.map((path) => `  configuration: ${path}`),
  ]
}

function stepText(step: PostStep): string {
  if (step.kind === 'notice') return JSON.stringify(step.text)
  const terms = [
    `${step.seconds} s`,
    ...(step.failure === 'roll-back' ? ['or back'] : []),
    ...(step.afterRollback ? ['also after a rollback'] : []),
  ]
  return `${step.name} (${terms.join(', ')}): ${step.kind === 'run' ? step.command : JSON.stringify(step.text)}`
}

function roleLines({ role, version, expires, added, removed, begun, complete }: RoleSummary): readonly string[] {
  return [
    `role ${role}: version ${version}, good until ${formatTime(expires)}, ${complete ? 'signed' : 'to be signed'}`,
    ...begun.map((one) => `  begins to trust role ${one.role}: ${one.threshold} of the keys ${one.keyIds.join(' ')}`),
    ...added.map(({ path, length, sha256 }) => `  adds ${path}, ${length} bytes, sha256 ${sha256}`),
    ...removed.map((path) => `  removes ${path}`),
  ]
}
