import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { readEnrolled } from '../engine/client/state.ts'
import { selectChannels } from '../engine/client/fetch/offer.ts'
import { makeLive, makeStaged, mendLink } from '../engine/client/staged/convert.ts'
import { hostDisk } from '../host/disk.ts'
import { hostLocker } from '../host/lock.ts'
import { withBareLock } from './client-session.ts'
import { groundsAt, groundsOf } from './staged.ts'
import type { Context } from './command.ts'

/** How a root is updated is what it is: a folder, which is changed in place, or a link, which is switched. */
type Mode = 'live' | 'staged'

/** Of a root that is enrolled. Nothing where it is in that mode already. */
export async function setMode(context: Context, mode: Mode): Promise<void> {
  selectChannels(await readEnrolled(hostDisk(context.root)), [])
  if ((context.staged === undefined ? 'live' : 'staged') === mode) return context.explain(`the mode is ${mode} already`)
  // By the name that stays.
  const root = context.staged?.link ?? context.root
  await withBareLock({ root }, 'enroll', async () => await (mode === 'staged' ? toStaged(context) : toLive(context)))
}

async function toStaged(context: Context): Promise<void> {
  const { place, diskOf, pathOf } = groundsAt(resolve(context.root))
  await makeStaged(place, diskOf, Math.floor(context.clock.now() / 1000))
  context.say(`${pathOf(place.link)} is now a link, and leads to tree 1; start again what works in it`)
}

async function toLive(context: Context): Promise<void> {
  const { place, diskOf, pathOf, lockFolder } = groundsOf(context)
  const lock = await hostLocker(lockFolder).take('enroll')
  try {
    await makeLive(place, diskOf)
  } finally {
    await lock.release()
  }
  context.say(`${pathOf(place.link)} is a folder again; start again what works in it`)
}

/** After a change of mode that was cut off. */
export async function mendRoot(context: Context): Promise<number> {
  const { place, pathOf } = groundsAt(resolve(context.root))
  if (!(await mendLink(place))) throw new BinderyError('not-found', 'is not there, nor is a tree of it', { subject: pathOf(place.link) })
  context.say(`${pathOf(place.link)} leads to its newest tree again`)
  return 0
}
