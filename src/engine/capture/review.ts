import type { Difference } from '../tree/diff.ts'

/** The four lists that builders read before they ship something (as freebsd-update's do). */
export type Review = {
  /** Built, but not in the base. */
  readonly added: readonly Difference[]
  /** In the base, but not built. */
  readonly removed: readonly Difference[]
  /** Differs by more than contents: kind, links, mode, owner, flags, attributes. */
  readonly more: readonly Difference[]
  /** Differs in contents alone. */
  readonly contents: readonly Difference[]
}

const ofContents: ReadonlySet<string> = new Set(['content', 'target', 'device', 'mtime'])

/** Each change is in one list. */
export function reviewOf(changes: readonly Difference[]): Review {
  const changed = changes.filter(({ kind }) => kind === 'changed')
  const isMore = ({ aspects }: Difference): boolean => aspects.some((aspect) => !ofContents.has(aspect))
  return {
    added: changes.filter(({ kind }) => kind === 'added'),
    removed: changes.filter(({ kind }) => kind === 'removed'),
    more: changed.filter(isMore),
    contents: changed.filter((change) => !isMore(change)),
  }
}
