import type { Clock, Random } from '../port/ambient.ts'

export const systemClock: Clock = { now: () => Date.now() }

/** node:crypto is slow to load, and most runs need none of it. */
export const systemRandom: Random = { bytes: (count) => new Uint8Array(process.getBuiltinModule('node:crypto').randomBytes(count)) }
