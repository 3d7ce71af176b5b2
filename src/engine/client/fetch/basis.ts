import { BinderyError } from '../../../base/error.ts'
import { applyDelta } from '../../delta/apply.ts'
import { decompress } from '../../dist/wire.ts'
import { fileOffsets, writeDist } from '../../dist/write.ts'
import { cachePath } from './cache.ts'
import { channelFile, channelFiles, keptDeltaFile } from '../state.ts'
import { matchTree, openEye } from './tree-match.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { FileEntry, Manifest } from '../../../base/entry.ts'
import type { Channel, DistName } from '../../../base/name.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Digest, KeptBase } from '../../../format/release-state.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { Wanted } from './gather.ts'
import type { Session } from './session.ts'

/** The old bytes of a delta: the uncompressed tar of the installed release. */

/**
 * `--basis tar`: what is kept, unpacked and patched up to the installed release. The kept files' digests are checked
 * now, so that a damaged base is known before anything is planned: `bad-digest` or `not-found`.
 */
export async function openKeptTar(session: Session, channel: Channel, base: KeptBase): Promise<() => ByteStream> {
  const { disk } = session
  const baseFile = channelFile(channel, channelFiles.base)
  await checkKept(disk, baseFile, base.file)
  for (const [i, { file }] of base.deltas.entries()) await checkKept(disk, channelFile(channel, keptDeltaFile(i + 1)), file)
  return () => {
    let tar = decompress(disk.read(baseFile), base.tar.size)
    for (let number = 1; number <= base.deltas.length; number++)
      tar = applyDelta(disk.read(channelFile(channel, keptDeltaFile(number))), tar)
    return tar
  }
}

async function checkKept(disk: DiskReader, path: RelPath, expected: Digest): Promise<void> {
  const stat = await disk.lstat(path)
  if (stat === undefined) throw new BinderyError('not-found', 'is not there', { subject: path })
  if (stat.kind !== 'file' || stat.size !== expected.size || (await disk.digest(path)).sha256 !== expected.sha256) {
    throw new BinderyError('bad-digest', 'is damaged', { subject: path })
  }
}

/** A release's tar from files of this machine: the content of each lies `where` says. */
export function rebuildTar(
  { disk }: Pick<Session, 'disk'>,
  name: DistName,
  manifest: Manifest,
  where: (entry: FileEntry) => RelPath,
): ByteStream {
  return writeDist(name, manifest, (entry) => disk.read(where(entry)))
}

/** `--basis installed`: in the tree, but for what was `modified` there, which is in the cache. */
export function inTreeBut(modified: ReadonlySet<RelPath>): (entry: FileEntry) => RelPath {
  return ({ path, sha256 }) => (modified.has(path) ? cachePath(sha256) : path)
}

/** The files whose contents the live tree does not have as the manifest says, and where they lie in the tar. */
export async function findModified(session: Session, name: DistName, manifest: Manifest): Promise<readonly Wanted[]> {
  const files = { entries: manifest.entries.filter(({ kind }) => kind === 'file') }
  const { differing } = await matchTree(session, openEye(session.disk), files)
  return wantedOf(name, manifest, new Set(differing))
}

/** The files among `paths`, with the places of their contents in the tar. */
export function wantedOf(name: DistName, manifest: Manifest, paths: ReadonlySet<RelPath>): readonly Wanted[] {
  const offsets = fileOffsets(name, manifest)
  return manifest.entries
    .filter((entry): entry is FileEntry => entry.kind === 'file' && paths.has(entry.path))
    .map((entry) => ({ entry, offset: offsets.get(entry.path) as number }))
}
