import type { Node } from '../../../format/journal-node.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { RelPath } from '../../../base/path.ts'

/**
 * Whether a live file, between two states of its attributes, is the one that a plan means, and not one that somebody who may change its folder
 * has put there since: a name of a file of others, which would get this one's owner and mode, or a program of their own, which would become
 * setuid. `looksAlike`: size and time are those of the plan. What is written to by its owner meanwhile, as logs are, is still meant.
 */
export async function isMeant(disk: DiskReader, path: RelPath, { live, old, next, looksAlike }: Meeting): Promise<boolean> {
  if (live.kind !== next.kind) return false
  if (next.kind === 'symlink') return true
  if (![old, next].some(({ uid, gid }) => live.uid === uid && live.gid === gid)) return false
  if (![old, next].some(({ mode }) => live.mode === mode || live.mode === (mode & ~setid))) return false
  if (next.kind !== 'file') return true
  // Size and time can be forged by whoever owns the file.
  if (gains(old, next)) return looksAlike && (await disk.digest(path)).sha256 === next.sha256
  return looksAlike || live.nlink === 1
}

type Meeting = { readonly live: Stat; readonly old: Node; readonly next: Node; readonly looksAlike: boolean }

/** Setuid and setgid, which chown(2) takes. */
export const setid = 0o6000

/** Whether it lets others do more than before, whatever is in it. */
function gains(old: Node, next: Node): boolean {
  return (next.mode & setid & ~(old.mode & setid)) !== 0 || ((next.mode & setid) !== 0 && next.uid !== old.uid) || next.xattrs !== undefined
}
