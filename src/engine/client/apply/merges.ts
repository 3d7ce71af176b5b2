import { collectBytes } from '../../../base/bytes.ts'
import { sha256 } from '../../../base/digest.ts'
import { namesBeside } from './beside.ts'
import { sameContent } from './nodes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { FileEntry } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { ChangeInput } from './changes.ts'
import type { LiveView } from './look.ts'
import type { Versions } from './merge-text.ts'

/** Configuration that was changed both here and in the release: merged while the plan is made, before anything is decided. */
export type Merging = {
  readonly covers: (path: RelPath) => boolean
  /** Undefined for a conflict. */
  readonly merge: (path: RelPath, versions: Versions) => Uint8Array | undefined
  /** Seconds since the epoch: a merged file is as old as the merge, so that programs which look at times read it anew. */
  readonly time: number
  /** The contents of both releases at these paths, as far as they can be had. */
  readonly versions: (paths: ReadonlySet<RelPath>) => Promise<ReadonlyMap<RelPath, Released>>
}

export type Released = { readonly base: Uint8Array; readonly next: Uint8Array }

export type Merged = Pick<FileEntry, 'size' | 'sha256' | 'mtime'> & { readonly content: Uint8Array }

export const maxMergeBytes = 1 << 20
/** All that is held at once, in three versions; what comes after it is not merged. */
const maxTotalBytes = 64 << 20

export async function findMerges(input: ChangeInput, live: LiveView): Promise<ReadonlyMap<RelPath, Merged>> {
  const merged = new Map<RelPath, Merged>()
  const { merging, disk } = input
  if (merging === undefined) return merged
  const paths = await candidates(input, merging, live)
  if (paths.length === 0) return merged
  const versions = await merging.versions(new Set(paths))
  for (const path of paths) {
    input.signal?.throwIfAborted()
    const released = versions.get(path)
    const ours = await readLive(disk, live.nodes.get(path) as FileEntry)
    const content = released && ours && merging.merge(path, { base: released.base, ours, theirs: released.next })
    if (content !== undefined)
      merged.set(path, { size: content.length, sha256: sha256(content), mtime: { sec: merging.time, nsec: 0 }, content })
  }
  return merged
}

async function candidates(
  { disk, base, next, isProtected, isGenerated }: ChangeInput,
  { covers }: Merging,
  live: LiveView,
): Promise<readonly RelPath[]> {
  const found: RelPath[] = []
  let total = 0
  for (const [path, node] of live.nodes) {
    const [old, wanted] = [base.nodes.get(path), next.nodes.get(path)]
    if (node.kind !== 'file' || old?.kind !== 'file' || wanted?.kind !== 'file' || !covers(path) || isProtected(path)) continue
    if (isGenerated?.(path) === true) continue
    if (sameContent(old, wanted) || sameContent(node, old) || sameContent(node, wanted)) continue
    if (base.groups.has(path) || next.groups.has(path) || (await isPending(disk, old))) continue
    const sizes = [node.size, old.size, wanted.size]
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    if (Math.max(...sizes) > maxMergeBytes || total + bytes > maxTotalBytes) continue
    total += bytes
    found.push(path)
  }
  return found
}

/**
 * The version of the installed release still lies beside: the file here never took it up, and a comparison with it would
 * take that for a wish to undo its changes.
 */
async function isPending(disk: DiskReader, { path, size, sha256: digest }: FileEntry): Promise<boolean> {
  // Under any of the names that it may have got: somebody may have had a file of the first one, or have removed it since.
  for (const beside of namesBeside(path, '.new')) {
    const stat = await disk.lstat(beside)
    if (stat?.kind === 'file' && stat.size === size && (await disk.digest(beside)).sha256 === digest) return true
  }
  return false
}

/** Undefined where the file is no longer what was seen. */
async function readLive(disk: DiskReader, { path, sha256: seen }: { path: RelPath; sha256: Sha256 }): Promise<Uint8Array | undefined> {
  const bytes = await collectBytes(disk.read(path), maxMergeBytes)
  return bytes !== undefined && sha256(bytes) === seen ? bytes : undefined
}
