import { keepDoing, pauseFor } from './farm-controller.ts'
import type { Lost } from '../port/farm-queue.ts'
import type { Controller } from './farm-controller.ts'

const sweepMs = 15_000
/** Nobody could say that he lives: there was no controller or no database, or the machine slept. */
const awayMs = 2 * sweepMs
/** As long as a builder may wait between two calls that have no answer, and a little more. */
const returnMs = 35_000

/** Builds of builders that are heard no more go to others. */
export async function watchClaims(controller: Controller): Promise<void> {
  const { farm, context, done, signal } = controller
  let looked = -Infinity
  let renewed = -Infinity
  await keepDoing(controller, {
    name: 'claims',
    work: async () => {
      const now = context.clock.now()
      const isAnew = now - looked > awayMs
      // Until this look has an answer: a database that was away heard nobody.
      looked = -Infinity
      if (isAnew) {
        await farm.queue.renew()
        renewed = now
      }
      if (now - renewed > returnMs) await endClaims(controller)
      looked = context.clock.now()
    },
    pause: async () => await pauseFor(done, sweepMs, signal),
  })
}

export async function endClaims({ farm, context }: Pick<Controller, 'farm' | 'context'>): Promise<void> {
  for (const lost of await farm.queue.expire()) context.say(lineOfLost(lost))
}

function lineOfLost({ attempt: { build, builder }, becomes }: Lost): string {
  const heard = `build ${build}: nothing is heard of ${builder}`
  return becomes === 'waiting'
    ? `${heard}; it waits again`
    : `${heard}; it lost too many builders, and is quarantined until somebody retries it`
}
