import { collectBytes, oneChunk } from '../../base/bytes.ts'
import { decodeManifest } from '../../format/manifest.ts'
import { decodeObsolete, encodeObsolete, maxObsoleteBytes, obsoleteContent, obsoleteItemSize, obsoleteKey } from '../../format/obsolete.ts'
import { compress, decompress } from '../dist/wire.ts'
import { openTarget } from './blob.ts'
import { readManifestText } from './manifest-text.ts'
import { decoding } from './repository.ts'
import type { Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Node } from '../../format/journal-node.ts'
import type { ObsoleteItem, ObsoleteList } from '../../format/obsolete.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { Store } from '../../port/store.ts'

export type ObsoleteInput = {
  readonly readable: Store
  readonly targets: ReadonlyMap<string, TargetFile>
  /** The records of the channel's releases so far, by sequence. */
  readonly before: readonly Update[]
  readonly next: { readonly sequence: number; readonly manifest: Manifest }
}

/** Undefined where there is nothing that is to go. */
export async function obsoleteList(input: ObsoleteInput): Promise<Uint8Array | undefined> {
  const { before, next } = input
  const newest = before.at(-1)
  if (newest === undefined) return undefined
  const paths = new Set(next.manifest.entries.map(({ path }) => path))
  // What comes again may still lie somewhere as it was before it went: its items stay.
  const former = newest.obsolete === undefined ? [] : (await readObsoleteList(input.readable, newest, input.targets)).items
  const going = await formerItems(input, [newest], paths)
  // Manifests are read again only where they can have something to add.
  const isComplete = going.length === 0 && (newest.obsolete !== undefined || before.length === 1)
  const items = isComplete ? former : [...former, ...(await formerItems(input, before.slice(0, -1), paths)), ...going]
  const wanted = withinLimit(lastOfEach(items))
  if (wanted.length === 0) return undefined
  const text = encodeObsolete({ through: next.sequence, items: wanted })
  return await collectBytes(compress(oneChunk(text), 'zstd'), Infinity)
}

/** What these releases had and `paths` does not name. */
async function formerItems(
  { readable, targets }: ObsoleteInput,
  updates: readonly Update[],
  paths: ReadonlySet<RelPath>,
): Promise<readonly ObsoleteItem[]> {
  const items: ObsoleteItem[] = []
  for (const update of updates) {
    const text = await readManifestText(readable, update, targets)
    const { entries } = decoding(update.manifest.target, () => decodeManifest(text))
    const leaders = new Map(entries.map((entry) => [entry.path, entry]))
    for (const entry of entries) {
      const node = entry.kind === 'hardlink' ? (leaders.get(entry.leader) as Node) : entry
      const content = paths.has(entry.path) ? undefined : obsoleteContent(node)
      if (content !== undefined) items.push({ path: entry.path, last: update.sequence, ...content })
    }
  }
  return items
}

function lastOfEach(items: readonly ObsoleteItem[]): readonly ObsoleteItem[] {
  const last = new Map<string, ObsoleteItem>()
  for (const item of items) {
    const key = obsoleteKey(item)
    if ((last.get(key)?.last ?? -1) < item.last) last.set(key, item)
  }
  return [...last.values()]
}

/** A list that is too long forgets what has been gone for longest. */
function withinLimit(items: readonly ObsoleteItem[]): readonly ObsoleteItem[] {
  let left = maxObsoleteBytes - 256
  return items.toSorted((a, b) => b.last - a.last).filter((item) => (left -= obsoleteItemSize(item)) >= 0)
}

/** The list of a release of the repository, verified. */
export async function readObsoleteList(store: Store, update: Update, targets: ReadonlyMap<string, TargetFile>): Promise<ObsoleteList> {
  const target = update.obsolete?.target ?? ''
  const file = targets.get(target)
  if (file === undefined) return { through: 0, items: [] }
  const text = await collectBytes(decompress(await openTarget(store, target, file), maxObsoleteBytes), maxObsoleteBytes)
  return decoding(target, () => decodeObsolete(text as Uint8Array))
}
