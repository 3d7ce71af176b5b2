import { BinderyError } from '../../base/error.ts'
import { channelRole, formatDistName } from '../../base/name.ts'
import { decodeUpdate, updateLimits } from '../../format/update.ts'
import { expiryAfter, renewed } from './commit.ts'
import { readTarget } from './blob.ts'
import { channelPattern } from './layout.ts'
import { decoding } from './repository.ts'
import type { Channel, DistName } from '../../base/name.ts'
import type { DelegatedRole, Delegations, TargetFile, Targets } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Lifetimes } from './commit.ts'
import type { Repository } from './repository.ts'

/** A channel while releases are added to it. */
export type ChannelDraft = {
  readonly channel: Channel
  readonly role: string
  /** What the repository has; undefined for a channel that begins. */
  readonly before: Targets | undefined
  readonly targets: Map<string, TargetFile>
  /** The records of all releases, by sequence. */
  readonly updates: Update[]
}

export async function openChannel(store: Store, repository: Repository, channel: Channel): Promise<ChannelDraft> {
  const role = channelRole(channel)
  const before = repository.channels.get(role)?.signed.value
  const targets = new Map(before?.targets)
  return { channel, role, before, targets, updates: await readUpdates(store, targets) }
}

/** The update records among the targets of a channel, verified, by sequence. */
export async function readUpdates(store: Store, targets: ReadonlyMap<string, TargetFile>): Promise<Update[]> {
  const updates: Update[] = []
  for (const [path, file] of targets) {
    if (!path.endsWith('.update')) continue
    const bytes = await readTarget(store, path, file, updateLimits.bytes)
    updates.push(decoding(path, () => decodeUpdate(bytes)))
  }
  return updates.sort((a, b) => a.sequence - b.sequence)
}

export function findRelease(draft: ChannelDraft, name: DistName): Update | undefined {
  return draft.updates.find((update) => formatDistName(update.release.name) === formatDistName(name))
}

/** The channel's next metadata. */
export function channelTargets(draft: ChannelDraft, clock: Clock, lifetimes: Lifetimes): Targets {
  const expires = expiryAfter(clock, lifetimes.role)
  if (draft.before === undefined) return { kind: 'targets', version: 1, expires, targets: draft.targets }
  return renewed({ ...draft.before, targets: draft.targets }, expires)
}

/** targets.json with delegations to channels that begin. */
export function delegatingTo(targets: Targets, channels: readonly Channel[], clock: Clock, lifetimes: Lifetimes): Targets {
  const delegations = delegationsOf(targets)
  const roles = [...delegations.roles, ...channels.map((channel) => delegation(channel, delegations))]
  return renewed({ ...targets, delegations: { ...delegations, roles } }, expiryAfter(clock, lifetimes.role))
}

/** Signed by whoever signs the channel before it; the first one by the keys that `init` listed for channels. */
function delegation(channel: Channel, { keys, roles }: Delegations): DelegatedRole {
  const model = roles.at(-1) ?? { keyIds: [...keys.keys()], threshold: 1 }
  return {
    name: channelRole(channel),
    keyIds: model.keyIds,
    threshold: model.threshold,
    terminating: true,
    scope: { kind: 'paths', patterns: [channelPattern(channel)] },
  }
}

function delegationsOf(targets: Targets): Delegations {
  const { delegations } = targets
  if (delegations !== undefined && delegations.keys.size > 0) return delegations
  throw new BinderyError('wrong-key', 'lists no key for channels', { subject: 'targets.json' })
}
