import { sha256 } from '../../base/digest.ts'
import { channelOf, formatChannel, formatDistName } from '../../base/name.ts'
import { showLine } from '../../base/show-text.ts'
import { formatTime } from '../../format/tuf.ts'
import { describeNeed } from '../../format/need.ts'
import { decodeUpdate, updateLimits } from '../../format/update.ts'
import { readTarget } from './blob.ts'
import { decoding } from './repository.ts'
import { currentOf } from './stage.ts'
import { addedTargets, checkBlobs, relistedTargets, removedTargets } from './stage-blobs.ts'
import { keyChangeLines, keyChanges } from './stage-keys.ts'
import { holdersOf, signingStates } from './stage-signers.ts'
import { isComplete } from './stage-sign.ts'
import type { PostStep } from '../../format/post-step.ts'
import type { Update } from '../../format/update.ts'
import type { Store } from '../../port/store.ts'
import type { Repository } from './repository.ts'
import type { AddedTarget, Relisted } from './stage-blobs.ts'
import type { Stage, StagedFile } from './stage.ts'
import type { RoleKeysChange } from './stage-keys.ts'
import type { SigningState } from './stage-signers.ts'

/** What a person should know before signing. */
export type StageSummary = {
  readonly roles: readonly RoleSummary[]
  readonly releases: readonly Update[]
  /** Names of keys, as the repository and the stage have them. */
  readonly holders: ReadonlyMap<string, string>
}

export type RoleSummary = {
  readonly role: string
  readonly version: number
  /** Milliseconds since the epoch. */
  readonly expires: number
  /** The version that is there; undefined for a role that begins. */
  readonly before: { readonly version: number; readonly expires: number } | undefined
  /** Of the bytes that a signature covers: the same on each machine that signs them. */
  readonly sha256: string
  readonly keys: readonly RoleKeysChange[]
  readonly signing: readonly SigningState[]
  readonly added: readonly { readonly path: string; readonly length: number; readonly sha256: string }[]
  readonly removed: readonly string[]
  readonly relisted: readonly Relisted[]
  /** Channels' roles that targets.json begins to trust, with who may sign for them. */
  readonly begun: readonly { readonly role: string; readonly threshold: number; readonly keyIds: readonly string[] }[]
  readonly complete: boolean
}

/** Also checks that every blob is there and is what the metadata says: `not-found`, `bad-digest`. */
export async function describeStage(stage: Stage): Promise<StageSummary> {
  const releases: Update[] = []
  for (const file of stage.files) {
    const added = addedTargets(file, stage.base)
    await checkBlobs(stage.store, added)
    releases.push(...(await readRecords(stage.store, added)))
  }
  return { roles: stage.files.map((file) => describeRole(file, stage)), releases, holders: holdersOf(stage.base, stage.files) }
}

async function readRecords(stage: Store, added: readonly AddedTarget[]): Promise<readonly Update[]> {
  const updates: Update[] = []
  for (const { path, file } of added.filter((target) => target.path.endsWith('.update'))) {
    const bytes = await readTarget(stage, path, file, updateLimits.bytes)
    updates.push(decoding(path, () => decodeUpdate(bytes)))
  }
  return updates.sort((a, b) => a.sequence - b.sequence)
}

function describeRole(file: StagedFile, stage: Stage): RoleSummary {
  const { base } = stage
  const before = currentOf(file.role, base)?.signed.value
  return {
    role: file.role,
    version: file.version,
    expires: file.signed.value.expires,
    before: before && { version: before.version, expires: before.expires },
    sha256: sha256(file.signed.covered),
    keys: keyChanges(file, stage),
    signing: signingStates(file),
    added: addedTargets(file, base).map(({ path, file: { length, hashes } }) => ({ path, length, sha256: hashes['sha256'] ?? '' })),
    removed: removedTargets(file, base),
    relisted: relistedTargets(file, base),
    begun: begunRoles(file, base),
    complete: isComplete(file),
  }
}

function begunRoles({ role, signed }: StagedFile, base: Repository | undefined): RoleSummary['begun'] {
  if (role !== 'targets' || signed.value.kind !== 'targets') return []
  const delegated = signed.value.delegations?.roles ?? []
  return delegated
    .filter(({ name }) => base?.channels.has(name) !== true)
    .map(({ name, threshold, keyIds }) => ({ role: name, threshold, keyIds }))
}

/** The summary for a person, line by line; `nameOf` knows the keys of this machine, which come before what the stage calls them. */
export function stageLines({ roles, releases, holders }: StageSummary, nameOf: (keyId: string) => string | undefined): readonly string[] {
  const shown = (keyId: string): string => [nameOf(keyId) ?? holders.get(keyId), keyId].filter(Boolean).join(' ')
  // Nobody has signed for these texts yet: they shall not write over what stands beside them.
  return [...releases.flatMap(releaseLines), ...roles.flatMap((role) => roleLines(role, shown))].map(showLine)
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
function noteLines({
  title,
  url,
  notices,
  postSteps,
  reboot,
  security,
  configuration = [],
  needs = [],
  phases = [],
  generated = [],
}: Update): readonly string[] {
  return [
    ...(title === undefined ? [] : [`  title: ${title}`]),
    ...(url === undefined ? [] : [`  details: ${url}`]),
    ...(security ? ['  a security update'] : []),
    ...(reboot === 'none' ? [] : [`  needs: ${reboot}`]),
    ...needs.map((need) => `  needs: ${describeNeed(need)}${need.optional ? ', where that is followed' : ''}`),
    ...phases.flatMap(({ name, paths, check }) => [
      `  first, with a reboot behind it: ${name}, ${paths.join(' ')}`,
      ...(check === undefined ? [] : [`  which has to succeed after it: ${check}`]),
    ]),
    ...notices.map((text) => `  notice: ${JSON.stringify(text)}`),
    ...postSteps.map((step) => `  then: ${stepText(step)}`),
    ...generated.map((path) => `  made anew by the system: ${path}`),
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

function roleLines(summary: RoleSummary, nameOf: (keyId: string) => string): readonly string[] {
  const { role, version, expires, before, added, removed, relisted, begun, complete, keys, signing } = summary
  return [
    `role ${role}: version ${version}, good until ${formatTime(expires)}, ${complete ? 'signed' : 'to be signed'}`,
    `  ${before === undefined ? 'the first of its role' : `follows version ${before.version}, good until ${formatTime(before.expires)}`}`,
    `  sha256 of what is signed: ${summary.sha256}`,
    ...begun.map((one) => `  begins to trust role ${one.role}: ${one.threshold} of the keys ${one.keyIds.join(' ')}`),
    ...keys.flatMap((change) => keyChangeLines(change, nameOf)),
    ...added.map(({ path, length, sha256: digest }) => `  adds ${path}, ${length} bytes, sha256 ${digest}`),
    ...removed.map((path) => `  removes ${path}`),
    ...relisted.flatMap(relistedLines),
    ...signing.flatMap((state) => signingLines(state, nameOf)),
  ]
}

function relistedLines({ path, lines, before }: Relisted): readonly string[] {
  return [
    ...before.filter((line) => !lines.includes(line)).map((line) => `  ${path} no longer: ${line}`),
    ...lines.filter((line) => !before.includes(line)).map((line) => `  ${path} is now: ${line}`),
  ]
}

function signingLines({ of, threshold, signed, missing }: SigningState, nameOf: (keyId: string) => string): readonly string[] {
  return [
    `  ${of} asks for ${threshold} signatures of ${signed.length + missing.length} keys, and has ${signed.length}`,
    ...signed.map((id) => `    signed: ${nameOf(id)}`),
    ...missing.map((id) => `    not yet: ${nameOf(id)}`),
  ]
}
