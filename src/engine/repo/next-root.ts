import { farthestVersion } from './update-roles.ts'
import { rotatesOnline } from './update-root.ts'
import type { Root, Snapshot, Timestamp } from '../../format/tuf.ts'
import type { Loaded, Repository } from './repository.ts'

/** Honest repositories never come here; a thief of an online key may go up to what clients take, and in the repository up to 2^53. */
const farVersion = farthestVersion / 2

/**
 * The repository below a root that comes next. Where that takes an online key away, clients forget the versions of
 * snapshot and timestamp (TUF 5.3.11), so that versions out of reach can be left behind.
 */
export function belowNextRoot(repository: Repository, root: Loaded<Root>): Repository {
  if (!rotatesOnline(repository.root.signed, root.signed)) return { ...repository, root }
  const begin = root.signed.value.version * 2 ** 20
  return { ...repository, root, snapshot: within(repository.snapshot, begin), timestamp: within(repository.timestamp, begin) }
}

/** Not from 1 again: caches may still hold the file of that name. */
function within<T extends Snapshot | Timestamp>(loaded: Loaded<T>, begin: number): Loaded<T> {
  const { file, signed } = loaded
  return signed.value.version < farVersion ? loaded : { file, signed: { ...signed, value: { ...signed.value, version: begin } } }
}
