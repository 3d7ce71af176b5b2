import { diffManifests } from './diff.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { Entry, Manifest } from '../../base/entry.ts'
import type { MtreeGap } from '../../format/mtree.ts'
import type { Aspect, Difference } from './diff.ts'

/** One side of a comparison, and what it cannot say: a tar holds no sockets, an mtree file of another program no links. */
export type Side = { readonly manifest: Manifest; readonly gaps: ReadonlySet<Gap> }

export type Gap = MtreeGap | 'sockets'

/** What differs in what both sides can say, apart from the aspects to ignore. */
export function compareSides(old: Side, next: Side, ignore: ReadonlySet<Aspect> = new Set()): readonly Difference[] {
  const gaps = new Set([...old.gaps, ...next.gaps])
  const quiet = new Set<string>([...gaps, ...ignore])
  return diffManifests(levelled(old.manifest, gaps), levelled(next.manifest, gaps)).flatMap((difference) => {
    if (difference.kind !== 'changed') return [difference]
    const aspects = difference.aspects.filter((aspect) => !quiet.has(aspect))
    return aspects.length === 0 ? [] : [{ ...difference, aspects }]
  })
}

const noDigest = '0'.repeat(64) as Sha256

/** Without the digests and sockets that the other side does not know of; sizes stay, and tell some changes of content. */
function levelled(manifest: Manifest, gaps: ReadonlySet<Gap>): Manifest {
  if (!gaps.has('digest') && !gaps.has('sockets')) return manifest
  const keep = (entry: Entry): boolean => !(gaps.has('sockets') && entry.kind === 'socket')
  const level = (entry: Entry): Entry => (gaps.has('digest') && entry.kind === 'file' ? { ...entry, sha256: noDigest } : entry)
  const entries = manifest.entries.filter(keep)
  const paths = new Set(entries.map(({ path }) => path))
  return { entries: entries.filter((entry) => entry.kind !== 'hardlink' || paths.has(entry.leader)).map(level) }
}
