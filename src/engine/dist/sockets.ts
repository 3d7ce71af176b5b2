import type { EntryHeader } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'

/** No archive can hold a socket, nor another name of one. */
export function withoutSockets<T extends EntryHeader>(
  entries: readonly T[],
): { readonly kept: readonly T[]; readonly leftOut: readonly RelPath[] } {
  const leftOut = new Set(entries.filter(({ kind }) => kind === 'socket').map(({ path }) => path))
  for (const entry of entries) if (entry.kind === 'hardlink' && leftOut.has(entry.leader)) leftOut.add(entry.path)
  return { kept: entries.filter(({ path }) => !leftOut.has(path)), leftOut: [...leftOut] }
}
