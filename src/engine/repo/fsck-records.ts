import { collectBytes, equalBytes } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { formatDistName } from '../../base/name.ts'
import { encodeFrames } from '../../format/frames.ts'
import { decodeManifest, encodeManifest } from '../../format/manifest.ts'
import { decodeListing } from '../../format/listing.ts'
import { decodeUpdate, updateLimits } from '../../format/update.ts'
import { readDeltaInfo } from '../delta/apply.ts'
import { describeDist } from '../dist/read.ts'
import { decompress, listFrames } from '../dist/wire.ts'
import { releaseTargets } from '../update/compose.ts'
import { openTarget, readTarget } from './blob.ts'
import { attempt } from './fsck-findings.ts'
import { readManifestText } from './manifest-text.ts'
import { readObsoleteList } from './obsolete-list.ts'
import { decoding } from './repository.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { TargetFile, Targets } from '../../format/tuf.ts'
import type { FullWay, TargetRef, Update } from '../../format/update.ts'
import type { FsckContext } from './fsck-findings.ts'

/** What signatures cannot say: that the records of a channel agree with its targets, and with what is in them. */
export async function checkRecords(context: FsckContext, { targets }: Targets): Promise<void> {
  const sequences = new Map<number, string>()
  const manifests = new Map<string, Sha256>()
  const contents: Content[] = []
  for (const [path, file] of targets) {
    if (!path.endsWith('.update')) continue
    const update = await attempt(context, path, async () => await checkRecord(context, targets, path, file))
    if (update === undefined) continue
    await attempt(context, path, () => checkSequence(sequences, path, update.sequence))
    const content = { context, targets, update }
    const manifest = await checkContents(content)
    if (manifest !== undefined) manifests.set(formatDistName(update.release.name), sha256(manifest))
    contents.push(content)
  }
  for (const content of contents) await checkManifestDeltas(content, manifests)
}

async function checkRecord(
  { store }: FsckContext,
  targets: ReadonlyMap<string, TargetFile>,
  path: string,
  file: TargetFile,
): Promise<Update> {
  const bytes = await readTarget(store, path, file, updateLimits.bytes)
  const update = decoding(path, () => decodeUpdate(bytes))
  if (releaseTargets(update.release.name).update !== path)
    throw new BinderyError('mix-and-match', 'is the record of another release', { subject: path })
  if (decodeListing(path, file.custom)?.sequence !== update.sequence)
    throw new BinderyError('mix-and-match', 'is listed with another sequence', { subject: path })
  const full = update.full.flatMap((way) => (way.frames === undefined ? [way] : [way, way.frames]))
  const deltas = update.deltas.flatMap((delta) => (delta.manifest === undefined ? [delta] : [delta, delta.manifest]))
  const obsolete = update.obsolete === undefined ? [] : [update.obsolete]
  for (const ref of [update.manifest, ...obsolete, ...full, ...deltas]) checkRef(targets, ref, path)
  return update
}

function checkRef(targets: ReadonlyMap<string, TargetFile>, { target, size }: TargetRef, path: string): void {
  const listed = targets.get(target)
  if (listed === undefined) throw new BinderyError('not-found', `names ${target}, which is no target`, { subject: path })
  if (listed.length !== size) throw new BinderyError('mix-and-match', `gives ${target} another size`, { subject: path })
}

function checkSequence(seen: Map<number, string>, path: string, sequence: number): void {
  const other = seen.get(sequence)
  if (other !== undefined) throw new BinderyError('mix-and-match', `has the sequence of ${other}`, { subject: path })
  seen.set(sequence, path)
}

type Content = { readonly context: FsckContext; readonly targets: ReadonlyMap<string, TargetFile>; readonly update: Update }

/** Answers the uncompressed manifest. */
async function checkContents(content: Content): Promise<Uint8Array | undefined> {
  const { context, update } = content
  const manifest = await attempt(context, update.manifest.target, async () => await readManifest(content))
  if (update.obsolete !== undefined) await attempt(context, update.obsolete.target, async () => await checkObsolete(content))
  for (const delta of update.deltas)
    await attempt(context, delta.target, async () => await checkDelta(content, delta.target, delta.fromSha256))
  if (!context.deep) return manifest
  for (const way of update.full) await attempt(context, way.target, async () => await checkFull(content, way, manifest))
  return manifest
}

async function checkObsolete({ context, targets, update }: Content): Promise<void> {
  const { through } = await readObsoleteList(context.store, update, targets)
  if (through === update.sequence) return
  throw new BinderyError('mix-and-match', 'is the list of another release', { subject: update.obsolete?.target })
}

async function readManifest({ context, targets, update }: Content): Promise<Uint8Array> {
  const text = await readManifestText(context.store, update, targets)
  decoding(update.manifest.target, () => decodeManifest(text))
  return text
}

async function checkDelta(content: Content, target: string, from: string): Promise<void> {
  const info = await readDeltaInfo(await open(content, target))
  if (info.old.sha256 === from && info.new.sha256 === content.update.release.tar.sha256) return
  throw new BinderyError('mix-and-match', 'is not between the releases that the record names', { subject: target })
}

/** `manifests`: by the names of releases. That of an old side may have been pruned, and one that is broken was reported. */
async function checkManifestDeltas(content: Content, manifests: ReadonlyMap<string, Sha256>): Promise<void> {
  const { context, update } = content
  const isThat = (release: string, found: Sha256): boolean => (manifests.get(release) ?? found) === found
  for (const { from, manifest } of update.deltas) {
    if (manifest === undefined) continue
    await attempt(context, manifest.target, async () => {
      const info = await readDeltaInfo(await open(content, manifest.target))
      if (isThat(from, info.old.sha256) && isThat(formatDistName(update.release.name), info.new.sha256)) return
      throw new BinderyError('mix-and-match', 'is not between the manifests of the releases', { subject: manifest.target })
    })
  }
}

async function checkFull(content: Content, way: FullWay, manifest: Uint8Array | undefined): Promise<void> {
  const { release } = content.update
  const found = await describeDist(decompress(await open(content, way.target), release.tar.size))
  if (formatDistName(found.name) !== formatDistName(release.name) || found.tar.sha256 !== release.tar.sha256) {
    throw new BinderyError('mix-and-match', 'is not the dist that the record names', { subject: way.target })
  }
  if (manifest !== undefined && !equalBytes(encodeManifest(found.manifest), manifest)) {
    throw new BinderyError('mix-and-match', 'does not hold what the manifest says', { subject: way.target })
  }
  if (way.frames !== undefined) await checkFrames(content, way, way.frames.target)
}

async function checkFrames(content: Content, way: FullWay, target: string): Promise<void> {
  const frames = encodeFrames(await listFrames(await open(content, way.target)))
  const listed = await collectBytes(await open(content, target), frames.length)
  if (listed === undefined || !equalBytes(listed, frames))
    throw new BinderyError('mix-and-match', 'does not list the frames of the dist', { subject: target })
}

async function open({ context, targets }: Content, target: string): Promise<ByteStream> {
  const file = targets.get(target)
  if (file === undefined) throw new BinderyError('not-found', 'is no target', { subject: target })
  return await openTarget(context.store, target, file)
}
