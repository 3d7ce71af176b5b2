import { setTimeout } from 'node:timers/promises'
import type { Clock, Random, Wait } from '../port/ambient.ts'

export const systemClock: Clock = { now: () => Date.now() }

/** node:crypto is slow to load, and most runs need none of it. */
export const systemRandom: Random = { bytes: (count) => new Uint8Array(process.getBuiltinModule('node:crypto').randomBytes(count)) }

export const systemWait: Wait = async (milliseconds, signal) => {
  try {
    await setTimeout(milliseconds, undefined, { signal })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
}
