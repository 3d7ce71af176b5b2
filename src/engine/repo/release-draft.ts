import { BinderyError } from '../../base/error.ts'
import { formatDistName } from '../../base/name.ts'
import { encodeFrames } from '../../format/frames.ts'
import { decodeManifest, encodeManifest } from '../../format/manifest.ts'
import { encodeListing } from '../../format/listing.ts'
import { encodeUpdate } from '../../format/update.ts'
import { describeDist } from '../dist/read.ts'
import { compress, decompress, listFrames } from '../dist/wire.ts'
import { composeUpdate, noNotes, releaseTargets } from '../update/compose.ts'
import { addNotes, notesOfAdvice } from '../update/notes.ts'
import { collectBytes, oneChunk } from '../../base/bytes.ts'
import { blobOfBytes, blobOfSource, putBlob, sourceStream, targetOf } from './blob.ts'
import { findRelease } from './channel-draft.ts'
import { newListing } from './new-listing.ts'
import { readManifestText } from './manifest-text.ts'
import { obsoleteList } from './obsolete-list.ts'
import { makeReleaseDeltas } from './release-deltas.ts'
import { upgradeStep } from './upgrade-slice.ts'
import { resolveNeeds } from './wanted-need.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Update } from '../../format/update.ts'
import type { Clock, Meter, Progress } from '../../port/ambient.ts'
import type { ByteSource, Spool } from '../../port/source.ts'
import type { Store } from '../../port/store.ts'
import type { Making } from '../delta/make.ts'
import type { DistDescription } from '../dist/read.ts'
import type { WireCodec } from '../dist/wire.ts'
import type { Advice } from '../update/advise.ts'
import type { MakerNotes } from '../update/notes.ts'
import type { FullIngredient, Ingredients, ReleaseTargets, UpdateNotes } from '../update/compose.ts'
import type { Blob } from './blob.ts'
import type { ChannelDraft } from './channel-draft.ts'
import type { ListingWish } from './new-listing.ts'
import type { ObsoleteInput } from './obsolete-list.ts'
import type { TarShelf } from './tar-shelf.ts'
import type { RecordsOf, WantedNeed } from './wanted-need.ts'

export type ReleaseInput = {
  /** Where blobs go. */
  readonly store: Store
  /** Where those of earlier releases are, and these. */
  readonly readable: Store
  readonly shelf: TarShelf
  readonly spool: Spool
  readonly deltas: number
  /** For each of them. */
  readonly making?: Making | undefined
  readonly notes: MakerNotes
  readonly composed?: ReadonlyMap<ByteSource, UpdateNotes> | undefined
  readonly advisor?: Advisor | undefined
  /** A folder of the dist in which `make upgrade` is the last step of an install. */
  readonly upgrade?: RelPath | undefined
  readonly needs?: readonly WantedNeed[] | undefined
  readonly recordsOf: RecordsOf
  readonly listing?: ListingWish | undefined
  readonly clock: Clock
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly explain: (line: string) => void
}

/** What the rules make of the step from one release to the next; of a first one only what is no matter of a step. */
export type Advisor = (old: Manifest | undefined, next: Manifest) => Promise<Advice>

export type DraftedRelease = { readonly kind: 'added' | 'present'; readonly update: Update }

/**
 * Adds a dist to its channel's draft: its blobs are put, its targets noted. A release that is there already with the
 * same tar changes nothing; with another tar it is `exists`.
 */
export async function draftRelease(input: ReleaseInput, draft: ChannelDraft, dist: ByteSource): Promise<DraftedRelease> {
  const tar = await input.spool(decompress(sourceStream(dist)))
  const description = await describing(input, tar)
  const known = findRelease(draft, description.name)
  if (known !== undefined) {
    await tar.close()
    return { kind: 'present', update: sameRelease(known, description) }
  }
  await input.shelf.put(formatDistName(description.name), tar)
  return { kind: 'added', update: await addRelease(input, draft, { dist, tar, description }) }
}

async function describing({ progress, signal }: ReleaseInput, tar: ByteSource): Promise<DistDescription> {
  const meter = progress.start('reading the dist', tar.size)
  try {
    return await describeDist(metered(sourceStream(tar), meter, signal))
  } finally {
    meter.end()
  }
}

async function* metered(stream: ByteStream, meter: Meter, signal: AbortSignal): ByteStream {
  for await (const bytes of stream) {
    signal.throwIfAborted()
    meter.advance(bytes.length)
    yield bytes
  }
}

function sameRelease(known: Update, { name, tar }: DistDescription): Update {
  if (known.release.tar.sha256 === tar.sha256) return known
  throw new BinderyError('exists', 'a release of that name was published with other contents', {
    subject: formatDistName(name),
    hint: 'give it another revision or date',
  })
}

type Dist = { readonly dist: ByteSource; readonly tar: ByteSource; readonly description: DistDescription }

async function addRelease(input: ReleaseInput, draft: ChannelDraft, { dist, tar, description }: Dist): Promise<Update> {
  const targets = releaseTargets(description.name)
  const newest = draft.updates.at(-1)
  const notes = await notesFor(input, draft, { dist, description })
  const keep = async (blob: Blob): Promise<void> => {
    await putBlob(input.store, blob)
    draft.targets.set(blob.target, targetOf(blob))
  }
  const text = encodeManifest(description.manifest)
  const manifest = await manifestBlob(targets, text)
  await keep(manifest)
  const sequence = (newest?.sequence ?? 0) + 1
  const release: Ingredients = {
    sequence,
    release: { name: description.name, tar: description.tar },
    previous: newest?.release.name,
    manifestSize: manifest.size,
    ...(await keepObsolete(input, draft, { ...description, sequence }, keep)),
    full: [await keepFull(input, targets, dist, keep)],
    deltas: [],
    notes,
  }
  const oldTar = async (update: Update): Promise<ByteSource> => await input.shelf.get(update, draft.targets)
  const oldManifest = async (update: Update): Promise<Uint8Array> => await readManifestText(input.readable, update, draft.targets)
  const sides = { tar, manifest: text, oldTar, oldManifest }
  const deltas = await makeReleaseDeltas({ ...input, ...sides, count: input.deltas, release, before: draft.updates, keep })
  return await keepRecord(input, draft, composeUpdate({ ...release, deltas }))
}

/** What the maker says holds for each dist; whether it has an upgrade slice is its own matter. */
async function notesFor(input: ReleaseInput, draft: ChannelDraft, { dist, description }: Omit<Dist, 'tar'>): Promise<UpdateNotes> {
  const { notes, upgrade, composed, recordsOf } = input
  const first = composed?.get(dist) ?? (await advisedNotes(input, draft, description.manifest))
  const needs = await resolveNeeds(input.needs ?? [], description.name, recordsOf)
  const own = { ...addNotes(first, notes), ...(needs.length === 0 ? {} : { needs }) }
  return upgrade === undefined ? own : { ...own, postSteps: [...own.postSteps, upgradeStep(description.manifest, upgrade)] }
}

async function advisedNotes({ advisor, readable }: ReleaseInput, { updates, targets }: ChannelDraft, next: Manifest): Promise<UpdateNotes> {
  const before = updates.at(-1)
  if (advisor === undefined) return noNotes
  const old = before === undefined ? undefined : decodeManifest(await readManifestText(readable, before, targets))
  return notesOfAdvice(await advisor(old, next))
}

async function keepObsolete(
  { readable }: ReleaseInput,
  { targets, updates }: ChannelDraft,
  next: ObsoleteInput['next'] & Pick<DistDescription, 'name'>,
  keep: (blob: Blob) => Promise<void>,
): Promise<Pick<Ingredients, 'obsoleteSize'>> {
  const list = await obsoleteList({ readable, targets, before: updates, next })
  if (list === undefined) return {}
  const blob = blobOfBytes(releaseTargets(next.name).obsolete, list)
  await keep(blob)
  return { obsoleteSize: blob.size }
}

async function manifestBlob(targets: ReleaseTargets, text: Uint8Array): Promise<Blob> {
  const compressed = await collectBytes(compress(oneChunk(text), 'zstd'), Infinity)
  return blobOfBytes(targets.manifest, compressed as Uint8Array)
}

/** A compressed dist goes out as it is, a plain one is compressed. */
async function keepFull(
  input: ReleaseInput,
  targets: ReleaseTargets,
  dist: ByteSource,
  keep: (blob: Blob) => Promise<void>,
): Promise<FullIngredient> {
  const codec = await codecOf(dist)
  if (codec !== 'none') return await keepWire(targets, dist, codec, keep)
  const compressed = await input.spool(compress(sourceStream(dist), 'zstd'))
  try {
    return await keepWire(targets, compressed, 'zstd', keep)
  } finally {
    await compressed.close()
  }
}

async function keepWire(
  targets: ReleaseTargets,
  wire: ByteSource,
  codec: WireCodec,
  keep: (blob: Blob) => Promise<void>,
): Promise<FullIngredient> {
  const blob = await blobOfSource(targets.full(codec), wire)
  await keep(blob)
  if (codec !== 'zstd') return { codec, size: blob.size }
  const frames = blobOfBytes(targets.frames, encodeFrames(await listFrames(blob.open())))
  await keep(frames)
  return { codec, size: blob.size, framesSize: frames.size }
}

/** By magic, as `decompress` does it. */
async function codecOf(dist: ByteSource): Promise<WireCodec> {
  const magic = Buffer.from(await dist.read(0, Math.min(4, dist.size))).toString('hex')
  if (magic === '28b52ffd' || /^5.2a4d18$/.test(magic)) return 'zstd'
  return magic.startsWith('1f8b') ? 'gzip' : 'none'
}

async function keepRecord(input: ReleaseInput, draft: ChannelDraft, update: Update): Promise<Update> {
  const blob = blobOfBytes(releaseTargets(update.release.name).update, encodeUpdate(update))
  await putBlob(input.store, blob)
  draft.targets.set(blob.target, targetOf(blob, encodeListing(newListing(input, draft, update))))
  draft.updates.push(update)
  return update
}
