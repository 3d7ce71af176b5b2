import { randomBytes } from 'node:crypto'
import type { Clock, Random } from '../port/ambient.ts'

export const systemClock: Clock = { now: () => Date.now() }

export const systemRandom: Random = { bytes: (count) => new Uint8Array(randomBytes(count)) }
