import { collectBytes, emptyBytes, oneChunk } from '../../base/bytes.ts'
import { digestStream } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { channelRole, formatChannel, formatDistName } from '../../base/name.ts'
import { bundleFileName } from '../../format/bundle-index.ts'
import { keepOldOfProduct, usualKeepOld } from '../../format/keep-old.ts'
import { decodeListing } from '../../format/listing.ts'
import { decodeManifest } from '../../format/manifest.ts'
import { describeNeed } from '../../format/need.ts'
import { encodeReleaseState } from '../../format/release-state.ts'
import { encodeTerms } from '../../format/release-terms.ts'
import { afterInstall } from '../client/apply/after.ts'
import { termsOf } from '../client/terms.ts'
import { compress, decompress } from '../dist/wire.ts'
import { openTarget, digestOf } from '../repo/blob.ts'
import { readUpdates } from '../repo/channel-draft.ts'
import { readManifestText } from '../repo/manifest-text.ts'
import { loadRepository } from '../repo/repository.ts'
import { releaseTargets } from '../update/compose.ts'
import { elsewhere, formerOf, goingPaths, openItems } from './former.ts'
import { bundleList, bundleTrees } from './list.ts'
import { mergeable, noBases, readBases } from './merge-bases.ts'
import { numberedTar, payloadTar } from './payload.ts'
import { openPatcher } from './patches.ts'
import { bundleFile, bundleStream } from './program.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Manifest } from '../../base/entry.ts'
import type { Channel } from '../../base/name.ts'
import type { BundleFormat, BundleStep } from '../../format/bundle-index.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { PostStep } from '../../format/post-step.ts'
import type { Update } from '../../format/update.ts'
import type { Spool } from '../../port/source.ts'
import type { Store } from '../../port/store.ts'
import type { After } from '../client/apply/after.ts'
import type { BundleList } from './list.ts'
import type { Trees } from './former.ts'
import type { MergeBases } from './merge-bases.ts'
import type { Patcher } from './patches.ts'
import type { Repository } from '../repo/repository.ts'
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
  /** With `bsdiff`, files are patches where they can be, and the bundle of the whole files is its fall-back. */
  readonly format: BundleFormat
  readonly texts: ProgramTexts
  readonly spool: Spool
}

export type Bundle = {
  /** The one that was asked for last; with `bsdiff` the one of whole files before it. */
  readonly files: readonly BundleFile[]
  readonly paths: number
  close(): Promise<void>
}

export type BundleFile = { readonly step: BundleStep; readonly open: () => ByteStream }

/** From two releases of a repository, which is verified as far as it is read. */
export async function makeBundle(input: BundleInput): Promise<Bundle> {
  const released = await releasesOf(input)
  refusePhases(released.records)
  const { targets, old, next } = released
  const manifest = await manifestOf(input, targets, next)
  const trees = bundleTrees(old === undefined ? undefined : await manifestOf(input, targets, old), manifest)
  const former = await formerOf({ ...released, store: input.store })
  const items = openItems(former, trees)
  const others = await elsewhere({ ...released, store: input.store }, goingPaths(trees, items))
  const bases = await basesOf(input.store, released, trees)
  const keepOld = keepOldOfProduct(usualKeepOld, input.channel.product)
  const after = withNeedsTold(afterInstall(released.records), next)
  const generated = [...new Set([released.old, ...released.records].flatMap((record) => record?.generated ?? []))]
  const list = bundleList({ trees, after, former: items, elsewhere: others, bases, keepOld, generated })
  const extras = extrasOf(input, released)
  const about = { ...aboutOf(input, released, { members: list.contents.length, extras }), obsolete_through: former.through }
  const draft: Draft = {
    input,
    released,
    list,
    former: await packed(bases),
    extras: [extras.release, ...extras.manifest, ...extras.terms],
    about,
  }
  const whole = await wholeBundle(draft)
  const patches = input.format === 'bsdiff' && old !== undefined ? [await patchBundle(draft, old, whole)] : []
  return {
    files: [whole, ...patches],
    paths: list.text.split('\n').filter((line) => line.startsWith('path ')).length,
    close: async () => {
      for (const { payload } of [whole, ...patches]) await payload.close()
    },
  }
}

/** Its program knows no start of the machine. */
function refusePhases(records: readonly Update[]): void {
  const first = records.find(({ phases = [] }) => phases.length > 0)
  if (first === undefined) return
  throw new BinderyError('not-supported', `comes in phases, with a reboot between them, and a bundle is installed at once`, {
    subject: formatDistName(first.release.name),
    hint: 'publish what comes first as a release of its own, and the rest as the next one',
  })
}

/** A bundle knows no other channels: whoever runs it is told. */
function withNeedsTold(after: After, { release, needs = [] }: Update): After {
  const notices = needs.map((need): PostStep => ({ kind: 'notice', text: `${formatDistName(release.name)} needs ${describeNeed(need)}` }))
  return { ...after, postSteps: [...after.postSteps, ...notices] }
}

type Draft = {
  readonly input: BundleInput
  readonly released: Released
  readonly list: BundleList
  /** What a machine merges with, compressed. */
  readonly former: Uint8Array
  readonly extras: readonly Extra[]
  readonly about: About
}

/** Where the old dist has been pruned, nothing is merged: both versions lie there, as after a conflict. */
async function basesOf(store: Store, { targets, old, records }: Released, trees: Trees): Promise<MergeBases> {
  const files = mergeable(trees, records)
  if (old === undefined || files.length === 0 || fullWay(old, targets) === undefined) return noBases
  return await readBases(await openDistOf(store, targets, old), files)
}

async function packed({ contents }: MergeBases): Promise<Uint8Array> {
  if (contents.length === 0) return emptyBytes
  return (await collectBytes(compress(numberedTar(contents), 'gzip', 9), Infinity)) as Uint8Array
}

type Written = BundleFile & { readonly head: Uint8Array; readonly payload: Awaited<ReturnType<Spool>> }

async function wholeBundle(draft: Draft): Promise<Written> {
  const payload = await spoolPayload(draft, undefined)
  return await written(draft, { format: 'whole', payload, list: draft.list.text, about: draft.about })
}

/** It knows the other one by its digest, and where in it the payload begins. */
async function patchBundle(draft: Draft, old: Update, whole: Written): Promise<Written> {
  const { input, released, list, about } = draft
  const patcher = await openPatcher(await openDistOf(input.store, released.targets, old), list.contents, input.spool)
  try {
    const payload = await spoolPayload(draft, patcher)
    const { sha256 } = await digestStream(whole.open())
    const other = { whole_name: bundleFileName(whole.step), whole_sum: sha256, whole_at: whole.head.length + 1 }
    return await written(draft, { format: 'bsdiff', payload, list: `${patcher.lines()}${list.text}`, about: { ...about, ...other } })
  } finally {
    await patcher.close()
  }
}

async function spoolPayload({ input, released, list, extras }: Draft, patcher: Patcher | undefined): Promise<Written['payload']> {
  const dist = await openDistOf(input.store, released.targets, released.next)
  return await input.spool(compress(payloadTar(dist, list.contents, extras, patcher), 'gzip', 9))
}

type Parts = { readonly format: BundleFormat; readonly payload: Written['payload']; readonly list: string; readonly about: About }

async function written({ input, released, former }: Draft, { format, payload, list, about }: Parts): Promise<Written> {
  const { old, next } = released
  const { head } = await bundleFile(input.texts, about, list, { payload, former })
  const step = { old: old?.release.name, next: next.release.name, sequence: next.sequence, format }
  return { step, head, payload, open: () => bundleStream({ head, payload, former }) }
}

type Released = {
  readonly repository: Repository
  readonly role: string
  readonly targets: ReadonlyMap<string, TargetFile>
  readonly old: Update | undefined
  readonly next: Update
  /** Of the whole step, oldest first. */
  readonly records: readonly Update[]
}

async function releasesOf({ store, channel, from, to }: BundleInput): Promise<Released> {
  const repository = await loadRepository(store)
  const role = channelRole(channel)
  const known = repository.channels.get(role)
  if (known === undefined) throw new BinderyError('not-found', 'is no channel of the repository', { subject: formatChannel(channel) })
  const { targets } = known.signed.value
  const updates = await readUpdates(store, targets)
  const named = (name: string): Update => {
    const found = updates.find(({ release }) => formatDistName(release.name) === name)
    if (found === undefined) throw new BinderyError('not-found', 'is no release of the channel', { subject: name })
    return found
  }
  const isWithdrawn = (update: Update): boolean => isWithdrawnIn(targets, update)
  const offered = updates.filter((update) => !isWithdrawn(update))
  const next = to === undefined ? offered.at(-1) : named(to)
  if (next !== undefined && isWithdrawn(next))
    throw new BinderyError('not-found', 'was withdrawn', { subject: formatDistName(next.release.name) })
  if (next === undefined) throw new BinderyError('not-found', 'has no release', { subject: formatChannel(channel) })
  if (from?.kind === 'full') return { repository, role, targets, old: undefined, next, records: [next] }
  const old = from === undefined ? offered.filter(({ sequence }) => sequence < next.sequence).at(-1) : named(from.name)
  if (old === undefined)
    throw new BinderyError('not-found', 'has no release before it', {
      subject: formatDistName(next.release.name),
      hint: '--full makes a bundle for a root without a release',
    })
  if (old.sequence >= next.sequence)
    throw new BinderyError('usage', `${formatDistName(old.release.name)} is not older than ${formatDistName(next.release.name)}`)
  const records = updates.filter(({ sequence }) => sequence > old.sequence && sequence <= next.sequence)
  return { repository, role, targets, old, next, records }
}

/** Nobody is to come to it any more. Who has it may still leave it. */
function isWithdrawnIn(targets: ReadonlyMap<string, TargetFile>, { release }: Update): boolean {
  const { update } = releaseTargets(release.name)
  return decodeListing(update, targets.get(update)?.custom)?.withdrawn === true
}

async function manifestOf({ store }: BundleInput, targets: ReadonlyMap<string, TargetFile>, update: Update): Promise<Manifest> {
  return decodeManifest(await readManifestText(store, update, targets))
}

function fullWay({ full }: Update, targets: ReadonlyMap<string, TargetFile>): Update['full'][number] | undefined {
  return full.find(({ target }) => targets.has(target))
}

async function openDistOf(store: Store, targets: ReadonlyMap<string, TargetFile>, update: Update): Promise<ByteStream> {
  const { release } = update
  const way = fullWay(update, targets)
  if (way === undefined) throw new BinderyError('no-way', 'its dist is not in the repository', { subject: formatDistName(release.name) })
  return decompress(await openTarget(store, way.target, targets.get(way.target) as TargetFile), release.tar.size)
}

type Extras = { readonly release: Extra; readonly manifest: readonly Extra[]; readonly terms: readonly Extra[] }

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
  const terms = termsOf(next)
  return {
    release: ofBytes(state),
    terms: terms === undefined ? [] : [ofBytes(encodeTerms(next.release.name, terms))],
    manifest: withManifest ? [{ size: file.length, open: () => targetStream(store, target, file) }] : [],
  }
}

function ofBytes(bytes: Uint8Array): Extra {
  return { size: bytes.length, open: () => oneChunk(bytes) }
}

async function* targetStream(store: Store, target: string, file: TargetFile): ByteStream {
  yield* await openTarget(store, target, file)
}

type Members = { readonly members: number; readonly extras: Extras }

function aboutOf({ channel }: BundleInput, { old, next }: Released, { members, extras }: Members): About {
  const tarOf = ({ release }: Update): string => `${release.tar.sha256} ${release.tar.size}`
  const [manifest, terms] = [extras.manifest[0], extras.terms[0]]
  const count = members + 1 + extras.manifest.length
  return {
    channel: formatChannel(channel),
    role: channelRole(channel),
    old_release: old === undefined ? '' : formatDistName(old.release.name),
    old_sequence: old?.sequence ?? 0,
    old_tar: old === undefined ? '' : tarOf(old),
    new_release: formatDistName(next.release.name),
    new_tar: tarOf(next),
    members: count + extras.terms.length,
    release_member: members,
    release_size: extras.release.size,
    manifest_member: manifest === undefined ? '' : members + 1,
    manifest_size: manifest === undefined ? '' : manifest.size,
    terms_member: terms === undefined ? '' : count,
    terms_size: terms === undefined ? '' : terms.size,
    whole_name: '',
    whole_sum: '',
    whole_at: '',
  }
}
