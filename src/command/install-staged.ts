import { isBinderyError } from '../base/error.ts'
import { withIncoming } from '../engine/client/fetch/fetch.ts'
import { readLeft } from '../engine/client/apply/steps.ts'
import { betweenPhases } from './between-phases.ts'
import { channelsOf } from './client-session.ts'
import { fitted, sessionOf } from './install.ts'
import { offersFor } from './own-update.ts'
import { inOtherTree } from './other-tree.ts'
import type { Context, Input } from './command.ts'
import type { StagedWork } from './staged.ts'

/** `install` of a staged root. What comes is downloaded before a tree is made: what was downloaded is kept when that fails. */
export async function installStaged(context: Context, input: Input, work: StagedWork['work']): Promise<number> {
  try {
    return await inOtherTree(context, { verb: 'install', isNeeded: async (current) => await isComing(current, input), work })
  } catch (error) {
    if (!input.flag('cron') || !isBinderyError(error, 'locked')) throw error
    context.explain(error.message)
    return 0
  }
}

async function isComing(current: Context, input: Input): Promise<boolean> {
  if (input.flag('finish')) return true
  const session = await sessionOf(current, input)
  if ((await readLeft(session.disk)).length > 0) return true
  const { offers } = await offersFor(current, session, channelsOf(input))
  const { groups } = await fitted(current, session, input, { offers, standing: await betweenPhases(current, session) })
  for (const offer of groups.flat()) await withIncoming(session, offer, async (incoming) => incoming)
  return groups.length > 0
}
