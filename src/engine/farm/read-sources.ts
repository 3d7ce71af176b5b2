import type { Commit, SourceChange } from '../../base/source-change.ts'
import type { SourceControl } from '../../port/source-control.ts'

/**
 * What differs between two states, and the commits of it. Changes first: where somebody commits meanwhile, which a branch of CVS does not
 * hide, each change that is seen has its commit, and what is built is of the time of the newest one.
 */
export async function readSources(
  source: Pick<SourceControl, 'changes' | 'commits'>,
  from: string,
  to: string,
): Promise<{ readonly changes: readonly SourceChange[]; readonly commits: readonly Commit[] }> {
  const changes = await source.changes(from, to)
  return { changes, commits: await source.commits(from, to) }
}
