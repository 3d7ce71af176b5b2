import { newestTime } from '../../format/openbsd/index-txt.ts'
import type { Timestamp } from '../../format/tuf.ts'
import type { ListedFile } from '../../format/openbsd/index-txt.ts'

/** How a mirror stands to what is published: by the date of its index, and by whether it has what its index names. */
export type MirrorState =
  | { readonly kind: 'current' | 'missing' }
  /** The index is older by so much. */
  | { readonly kind: 'behind'; readonly seconds: number }
  /** Neither ours nor older. */
  | { readonly kind: 'other' }
  /** The index names files that are not there, or have another size. */
  | { readonly kind: 'torn'; readonly files: readonly string[]; readonly seconds: number | undefined }

export function judgeMirror(ours: readonly ListedFile[], theirs: readonly ListedFile[], sizes: ReadonlyMap<string, number>): MirrorState {
  const [our, their] = [newestTime(ours), newestTime(theirs)]
  const seconds = our === undefined || their === undefined ? undefined : Math.max(0, our - their)
  const torn = theirs.filter(({ name, size }) => sizes.get(name) !== size).map(({ name }) => name)
  const packagesFirst = torn.toSorted((a, b) => Number(b.endsWith('.tgz')) - Number(a.endsWith('.tgz')))
  if (torn.length > 0) return { kind: 'torn', files: packagesFirst, seconds }
  if (textOf(ours) === textOf(theirs)) return { kind: 'current' }
  return seconds === undefined || seconds === 0 ? { kind: 'other' } : { kind: 'behind', seconds }
}

/** Where it does not say when it was signed, two are as far apart as their ends. */
function madeAt({ issued, expires }: Timestamp): number {
  return issued ?? expires
}

/** Of a repository: the newest state that it has says all. */
export function judgeRepository(ours: Timestamp, theirs: Timestamp): MirrorState {
  if (ours.version === theirs.version && ours.expires === theirs.expires) return { kind: 'current' }
  if (theirs.version >= ours.version) return { kind: 'other' }
  return { kind: 'behind', seconds: Math.max(0, Math.round((madeAt(ours) - madeAt(theirs)) / 1000)) }
}

function textOf(files: readonly ListedFile[]): string {
  return files.map(({ name, size, time }) => `${name} ${size} ${time}`).join('\n')
}
