import { oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { channelRole, formatChannel, formatDistName } from '../../base/name.ts'
import { decodeManifest } from '../../format/manifest.ts'
import { encodeReleaseState } from '../../format/release-state.ts'
import { afterInstall } from '../client/apply/install.ts'
import { compress, decompress } from '../dist/wire.ts'
import { openTarget, digestOf } from '../repo/blob.ts'
import { readUpdates } from '../repo/channel-draft.ts'
import { readManifestText } from '../repo/manifest-text.ts'
import { loadRepository } from '../repo/repository.ts'
import { bundleList } from './list.ts'
import { payloadTar } from './payload.ts'
import { bundleFile } from './program.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Manifest } from '../../base/entry.ts'
import type { Channel } from '../../base/name.ts'
import type { BundleStep } from '../../format/bundle-index.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { Spool } from '../../port/source.ts'
import type { Store } from '../../port/store.ts'
import type { Extra } from './payload.ts'
import type { About, ProgramTexts } from './program.ts'

export type BundleInput = {
  readonly store: Store
  readonly channel: Channel
  /** `full`: for a root without a release. Undefined: the release before `to`. */
  readonly from: { readonly kind: 'release'; readonly name: string } | { readonly kind: 'full' } | undefined
  /** Undefined: the newest. */
  readonly to: string | undefined
  /** Enrolled machines need the new manifest; others can do without its bytes. */
  readonly withManifest: boolean
  readonly texts: ProgramTexts
  readonly spool: Spool
}

export type Bundle = {
  readonly step: BundleStep
  readonly content: ByteStream
  readonly paths: number
  readonly unsettable: number
  close(): Promise<void>
}

/** From two releases of a repository, which is verified as far as it is read. */
export async function makeBundle(input: BundleInput): Promise<Bundle> {
  const released = await releasesOf(input)
  const { targets, old, next } = released
  const manifest = await manifestOf(input, targets, next)
  const list = bundleList(old === undefined ? undefined : await manifestOf(input, targets, old), manifest, afterInstall(released.records))
  const extras = extrasOf(input, released)
  const dist = await openDistOf(input.store, targets, next)
  const payload = await input.spool(compress(payloadTar(dist, list.contents, [extras.release, ...extras.manifest]), 'gzip', 9))
  const about = aboutOf(input, released, { members: list.contents.length, extras })
  return {
    step: { old: old?.release.name, next: next.release.name, sequence: next.sequence },
    content: bundleFile(input.texts, about, list.text, payload),
    paths: list.text.split('\n').filter((line) => line.startsWith('path ')).length,
    unsettable: list.unsettable,
    close: async () => await payload.close(),
  }
}

type Released = {
  readonly targets: ReadonlyMap<string, TargetFile>
  readonly old: Update | undefined
  readonly next: Update
  /** Of the whole step, oldest first. */
  readonly records: readonly Update[]
}

async function releasesOf({ store, channel, from, to }: BundleInput): Promise<Released> {
  const role = (await loadRepository(store)).channels.get(channelRole(channel))
  if (role === undefined) throw new BinderyError('not-found', 'is no channel of the repository', { subject: formatChannel(channel) })
  const { targets } = role.signed.value
  const updates = await readUpdates(store, targets)
  const named = (name: string): Update => {
    const found = updates.find(({ release }) => formatDistName(release.name) === name)
    if (found === undefined) throw new BinderyError('not-found', 'is no release of the channel', { subject: name })
    return found
  }
  const next = to === undefined ? updates.at(-1) : named(to)
  if (next === undefined) throw new BinderyError('not-found', 'has no release', { subject: formatChannel(channel) })
  if (from?.kind === 'full') return { targets, old: undefined, next, records: [next] }
  const old = from === undefined ? updates.filter(({ sequence }) => sequence < next.sequence).at(-1) : named(from.name)
  if (old === undefined)
    throw new BinderyError('not-found', 'has no release before it', {
      subject: formatDistName(next.release.name),
      hint: '--full makes a bundle for a root without a release',
    })
  if (old.sequence >= next.sequence)
    throw new BinderyError('usage', `${formatDistName(old.release.name)} is not older than ${formatDistName(next.release.name)}`)
  return { targets, old, next, records: updates.filter(({ sequence }) => sequence > old.sequence && sequence <= next.sequence) }
}

async function manifestOf({ store }: BundleInput, targets: ReadonlyMap<string, TargetFile>, update: Update): Promise<Manifest> {
  return decodeManifest(await readManifestText(store, update, targets))
}

async function openDistOf(store: Store, targets: ReadonlyMap<string, TargetFile>, { release, full }: Update): Promise<ByteStream> {
  const way = full.find(({ target }) => targets.has(target))
  if (way === undefined) throw new BinderyError('no-way', 'its dist is not in the repository', { subject: formatDistName(release.name) })
  return decompress(await openTarget(store, way.target, targets.get(way.target) as TargetFile), release.tar.size)
}

type Extras = { readonly release: Extra; readonly manifest: readonly Extra[] }

/** What the channel's state says afterwards; the base is left out, and so the update after this one comes whole. */
function extrasOf({ store, withManifest }: BundleInput, { targets, next }: Released): Extras {
  const { target } = next.manifest
  const file = targets.get(target) as TargetFile
  const state = encodeReleaseState({
    name: next.release.name,
    sequence: next.sequence,
    tar: next.release.tar,
    manifest: { sha256: digestOf(target, file), size: file.length },
  })
  return {
    release: { size: state.length, open: () => oneChunk(state) },
    manifest: withManifest ? [{ size: file.length, open: () => targetStream(store, target, file) }] : [],
  }
}

async function* targetStream(store: Store, target: string, file: TargetFile): ByteStream {
  yield* await openTarget(store, target, file)
}

type Members = { readonly members: number; readonly extras: Extras }

function aboutOf({ channel }: BundleInput, { old, next }: Released, { members, extras }: Members): About {
  const tarOf = ({ release }: Update): string => `${release.tar.sha256} ${release.tar.size}`
  const [manifest] = extras.manifest
  return {
    channel: formatChannel(channel),
    role: channelRole(channel),
    old_release: old === undefined ? '' : formatDistName(old.release.name),
    old_tar: old === undefined ? '' : tarOf(old),
    new_release: formatDistName(next.release.name),
    new_tar: tarOf(next),
    members: members + 1 + extras.manifest.length,
    release_member: members,
    release_size: extras.release.size,
    manifest_member: manifest === undefined ? '' : members + 1,
    manifest_size: manifest === undefined ? '' : manifest.size,
  }
}
