import { setTimeout as sleep } from 'node:timers/promises'
import { isBinderyError } from '../base/error.ts'
import { keepDoing, pauseFor } from './farm-controller.ts'
import { mayHaveChanged, noted } from './farm-look.ts'
import { handOverReleases } from './farm-releases.ts'
import { handOver, publishSigned } from './farm-signing.ts'
import { hasUnseen, takeSigned } from './farm-take-signed.ts'
import { visitMirrors } from './farm-watch-mirrors.ts'
import type { BranchConfig } from '../format/farm-config.ts'
import type { Hold } from '../host/farm/only-one.ts'
import type { Wakened } from '../host/wakened.ts'
import type { Context } from './command.ts'
import type { Controller } from './farm-controller.ts'
import type { Seen } from './farm-take-signed.ts'
import type { MirrorTargets } from './farm-watch-mirrors.ts'

/** What a running controller does again and again, each apart from the others. */

/** The first look is whole: what the poll command said to a run that was killed, it says to no other. */
export async function watchSources(controller: Controller, branch: BranchConfig, wake: Wakened, look: () => Promise<void>): Promise<void> {
  const { context, signal } = controller
  let isDue = true
  let woken = 0
  await keepDoing(controller, {
    name: branch.name,
    work: async () =>
      await noted(controller, branch, async () => {
        woken = wake.times()
        isDue ||= await mayHaveChanged(controller, branch)
        if (isDue) await look()
        isDue = false
      }),
    // Who calls while a look goes on may have commits that it has not seen.
    pause: async () => {
      if (wake.times() === woken) await wake.changed(withJitter(context, branch.everySeconds * 1000), signal)
    },
  })
}

/** A tenth more or less, so that farms do not all ask at once. */
function withJitter({ random }: Context, milliseconds: number): number {
  const [high = 0, low = 0] = random.bytes(2)
  return milliseconds * (0.9 + ((high << 8) | low) / 65_536 / 5)
}

const sweepMs = 15_000

/** A server that was restarted has forgotten who looks after the farm: where somebody else does by now, this controller ends. */
export async function watchHold(controller: Controller, hold: Hold, ousted: AbortController): Promise<void> {
  const { done, signal } = controller
  await keepDoing(controller, {
    name: 'database',
    work: async () => {
      await hold.check().catch((error: unknown) => {
        if (!isBinderyError(error, 'locked')) throw error
        ousted.abort(error)
      })
    },
    pause: async () => await pauseFor(done, sweepMs, signal),
  })
}

const signingMs = 30_000

export async function watchSigning(controller: Controller): Promise<void> {
  const { farm, done, signal } = controller
  const seen: Seen = new Map()
  await keepDoing(controller, {
    name: 'signing',
    work: async () => {
      await takeSigned(controller, seen)
      if (await publishSigned(controller)) done.wake()
      await handOver(controller)
    },
    pause: async () => await Promise.race([done.changed(signingMs, signal), farm.queue.changed(signingMs), untilSigned(controller, seen)]),
  })
}

/** Apart from packages: the deltas of a release take long. */
export async function watchReleases(controller: Controller): Promise<void> {
  const { config, farm, done, signal } = controller
  if (config.releases.length === 0) return
  await keepDoing(controller, {
    name: 'releases',
    work: async () => await handOverReleases(controller),
    pause: async () => await Promise.race([done.changed(signingMs, signal), farm.queue.changed(signingMs)]),
  })
}

/** What comes into the folder of signed files makes no noise: it is looked for, without asking the database. */
const lookMs = 2000

async function untilSigned({ folder, signal }: Controller, seen: Seen): Promise<void> {
  for (let waited = 0; waited < signingMs && !signal.aborted; waited += lookMs) {
    await sleep(lookMs, undefined, { signal }).catch(() => {})
    if (await hasUnseen(folder, seen)) return
  }
}

/** At their time, and as soon as something was published. */
export async function watchMirrors(controller: Controller): Promise<void> {
  const { config, farm, done, signal, context } = controller
  let visited: string | undefined
  let next = 0
  const targets: MirrorTargets = new Map()
  await keepDoing(controller, {
    name: 'mirrors',
    work: async () => {
      const published = await farm.catalog.lastPublication()
      if (published === visited && context.clock.now() < next) return
      await visitMirrors(controller, targets)
      visited = published
      next = context.clock.now() + withJitter(context, config.mirrors.everySeconds * 1000)
    },
    pause: async () => await done.changed(sweepMs, signal),
  })
}
