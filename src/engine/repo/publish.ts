import { about } from '../../base/about.ts'
import { channelOf, channelRole } from '../../base/name.ts'
import { openDist } from '../dist/read.ts'
import { decompress } from '../dist/wire.ts'
import { sourceStream } from './blob.ts'
import { channelTargets, delegatingTo, openChannel } from './channel-draft.ts'
import { commitFiles, onlineSigners, signedFile } from './commit.ts'
import { requireSigners } from './keyring.ts'
import { overlayStore } from './overlay-store.ts'
import { draftRelease } from './release-draft.ts'
import { channelAuthority, loadRepository, roleKeysOf } from './repository.ts'
import { tarShelf } from './tar-shelf.ts'
import type { Channel, DistName } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { Targets } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { Clock, Progress } from '../../port/ambient.ts'
import type { ByteSource, Spool } from '../../port/source.ts'
import type { Store } from '../../port/store.ts'
import type { Making } from '../delta/make.ts'
import type { UpdateNotes } from '../update/compose.ts'
import type { MakerNotes } from '../update/notes.ts'
import type { ChannelDraft } from './channel-draft.ts'
import type { Lifetimes, OnlineSigners, RoleFile } from './commit.ts'
import type { Keyring } from './keyring.ts'
import type { ListingWish } from './new-listing.ts'
import type { Signer } from './key-file.ts'
import type { Advisor, DraftedRelease } from './release-draft.ts'
import type { Repository } from './repository.ts'
import type { WantedNeed } from './wanted-need.ts'

export type PublishInput = {
  readonly store: Store
  /** In the order of their publication, several of one channel too. */
  readonly dists: readonly ByteSource[]
  readonly clock: Clock
  readonly spool: Spool
  /** From how many releases before there are deltas at most. */
  readonly deltas: number
  /** For each of them. */
  readonly making?: Making | undefined
  readonly notes: MakerNotes
  /** Of dists that were composed. */
  readonly composed?: ReadonlyMap<ByteSource, UpdateNotes> | undefined
  /** For the others: what the rules say of the step from the release before. */
  readonly advisor?: Advisor | undefined
  /** A folder of each dist in which `make upgrade` is the last step of an install. */
  readonly upgrade?: RelPath | undefined
  /** What each of them needs of other channels. */
  readonly needs?: readonly WantedNeed[] | undefined
  readonly listing?: ListingWish | undefined
  readonly lifetimes: Lifetimes
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly explain: (line: string) => void
}

export const usualDeltas = 4

/**
 * Adds dists to their channels. Every key is opened before the first blob is written; blobs go first and metadata
 * last, so that a publish that ends anywhere leaves the repository as it was.
 */
export async function publish(input: PublishInput & { readonly keyring: Keyring }): Promise<readonly DraftedRelease[]> {
  const repository = await loadRepository(input.store)
  const dists = await nameDists(input.dists)
  const targets = nextTargets(input, repository, dists)
  const signers = await openSigners(input.keyring, repository, targets, dists)
  const { releases, drafts } = await draftReleases(input, repository, dists, input.store)
  if (drafts.length > 0) {
    const files = signDrafts(input, signers, targets, drafts)
    await commitFiles({ ...input, repository, files, signers: signers.online })
  }
  return releases
}

export type NamedDist = { readonly source: ByteSource; readonly name: DistName }

/** By a look at the beginning of each. */
export async function nameDists(sources: readonly ByteSource[]): Promise<readonly NamedDist[]> {
  const dists: NamedDist[] = []
  for (const source of sources) {
    dists.push({ source, name: await about(source.label, async () => await nameOf(source)) })
  }
  return dists
}

async function nameOf(source: ByteSource): Promise<DistName> {
  const { name, parts } = await openDist(decompress(sourceStream(source)))
  for await (const _ of parts) break
  return name
}

/** targets.json with the channels that begin with these dists; undefined where none does. */
export function nextTargets({ clock, lifetimes }: PublishInput, repository: Repository, dists: readonly NamedDist[]): Targets | undefined {
  const begun = dists.filter(({ name }) => !repository.channels.has(channelRole(name)))
  const channels = new Map(begun.map(({ name }) => [channelRole(name), channelOf(name)]))
  if (channels.size === 0) return undefined
  return delegatingTo(repository.targets.signed.value, [...channels.values()], clock, lifetimes)
}

type Signers = {
  readonly targets: readonly Signer[]
  readonly channels: ReadonlyMap<string, readonly Signer[]>
  readonly online: OnlineSigners
}

async function openSigners(
  keyring: Keyring,
  repository: Repository,
  targets: Targets | undefined,
  dists: readonly NamedDist[],
): Promise<Signers> {
  const delegator = targets ?? repository.targets.signed.value
  const channels = new Map<string, readonly Signer[]>()
  for (const role of new Set(dists.map(({ name }) => channelRole(name)))) {
    channels.set(role, await requireSigners(keyring, role, channelAuthority(delegator, role).role))
  }
  return {
    targets: targets === undefined ? [] : await requireSigners(keyring, 'targets', roleKeysOf(repository, 'targets')),
    channels,
    online: await onlineSigners(keyring, repository),
  }
}

export type Drafts = {
  readonly releases: readonly DraftedRelease[]
  /** Of channels that change. */ readonly drafts: readonly ChannelDraft[]
}

/** Puts the blobs of new releases into `blobs`, and says what the channels become. No metadata is written. */
export async function draftReleases(
  input: PublishInput,
  repository: Repository,
  dists: readonly NamedDist[],
  blobs: Store,
): Promise<Drafts> {
  const readable = blobs === input.store ? blobs : overlayStore(blobs, input.store)
  const shelf = tarShelf(readable, input.spool)
  const open = new Map<string, ChannelDraft>()
  const changed = new Set<ChannelDraft>()
  const releases: DraftedRelease[] = []
  try {
    const draftOf = async (channel: Channel): Promise<ChannelDraft> => {
      const draft = open.get(channelRole(channel)) ?? (await openChannel(input.store, repository, channel))
      open.set(draft.role, draft)
      return draft
    }
    const recordsOf = async (channel: Channel): Promise<readonly Update[]> => (await draftOf(channel)).updates
    for (const { source, name } of dists) {
      input.signal.throwIfAborted()
      const draft = await draftOf(channelOf(name))
      const work = { ...input, store: blobs, readable, shelf, recordsOf }
      const release = await about(source.label, async () => await draftRelease(work, draft, source))
      if (release.kind === 'added') changed.add(draft)
      releases.push(release)
    }
  } finally {
    await shelf.close()
  }
  return { releases, drafts: [...changed] }
}

function signDrafts(
  { clock, lifetimes }: PublishInput,
  signers: Signers,
  targets: Targets | undefined,
  drafts: readonly ChannelDraft[],
): RoleFile[] {
  const files = drafts.map((draft) =>
    signedFile(draft.role, channelTargets(draft, clock, lifetimes), signers.channels.get(draft.role) as readonly Signer[]),
  )
  return targets === undefined ? files : [...files, signedFile('targets', targets, signers.targets)]
}
