import { linkTo } from '../../tree/scan.ts'
import { changedPart, changesOf } from '../changes.ts'
import { judgeNoise } from './judge.ts'
import type { Entry, FileEntry } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Sides } from '../changes.ts'
import type { Builds, Verdict } from './judge.ts'

export type Judged = { readonly path: RelPath; readonly verdict: Verdict }

/** Of every file that has another content than before, in byte order of the paths; one at a time, since each may be large. */
export async function judgeChanges(sides: Sides, builds: Builds, signal: AbortSignal): Promise<readonly Judged[]> {
  const judged: Judged[] = []
  for (const { path, old, new: next, aspects } of changesOf(sides)) {
    if (old?.kind !== 'file' || next?.kind !== 'file' || !aspects.includes('content')) continue
    signal.throwIfAborted()
    judged.push({ path, verdict: await judgeNoise(path, builds) })
  }
  return judged
}

/** The capture in which files that changed in noise alone have the content that was shipped; what else changed of them stays. */
export function keepShipped(sides: Sides, judged: readonly Judged[]): Sides {
  const noisy = new Set(judged.flatMap(({ path, verdict }) => (verdict.kind === 'noise' ? [path] : [])))
  const shipped = new Map(
    sides.old.entries.flatMap((entry) => (entry.kind === 'file' && noisy.has(entry.path) ? [[entry.path, entry]] : [])),
  )
  const kept = new Map<RelPath, Entry>()
  for (const entry of sides.new.entries) kept.set(entry.path, withContent(entry, shipped.get(entry.path), kept))
  return changedPart({ old: sides.old, new: { entries: [...kept.values()] } })
}

function withContent(entry: Entry, shipped: FileEntry | undefined, before: ReadonlyMap<RelPath, Entry>): Entry {
  if (entry.kind === 'hardlink') return linkTo(before.get(entry.leader) as Entry, entry.path)
  if (entry.kind !== 'file' || shipped === undefined) return entry
  return { ...entry, size: shipped.size, sha256: shipped.sha256, mtime: shipped.mtime }
}
