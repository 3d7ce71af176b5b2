import { formatDistName } from '../../../base/name.ts'
import { shareAt } from '../../../format/listing.ts'
import { draw } from '../draw.ts'
import type { DistName } from '../../../base/name.ts'
import type { Update } from '../../../format/update.ts'
import type { ListedRelease } from './releases.ts'
import type { Session } from './session.ts'

export type Case = Pick<Update, 'security'> & {
  /** Some of its phases are in place. */
  readonly isBegun: boolean
  /** In milliseconds. */
  readonly now: number
}

/** Whether this machine may come to a release; where not, that is explained. */
export async function isOffered(session: Session, listed: ListedRelease, { security, isBegun, now }: Case): Promise<boolean> {
  const { name, rollout, withdrawn } = listed
  if (withdrawn) {
    session.explain(`${formatDistName(name)} was withdrawn`)
    return false
  }
  // What mends a hole does not wait for its turn.
  if (rollout === undefined || security || isBegun || !session.config.rollout) return true
  const machine = await session.machineId()
  if (machine !== undefined && drawFor(machine, name) < shareAt(rollout, now)) return true
  session.explain(`${formatDistName(name)} is on its way to all machines, and not yet offered to this one; 'install --now' takes it`)
  return false
}

/** By the revision, not the product: what fits together over several channels comes together. */
function drawFor(machine: string, { revision, date }: DistName): number {
  return draw('rollout', machine, `${revision}-${date}`)
}
