import { usualEffort } from '../engine/delta/effort.ts'
import { wholeOf } from './whole-number.ts'
import type { Effort } from '../engine/delta/effort.ts'
import type { Input, OptionTable } from './command.ts'

/** Of the verbs that make deltas. */
export const effortOption = {
  effort: { kind: 'value', value: 'LEVEL', help: `how much to do for smaller deltas, from 0 to 9 (default: ${usualEffort})` },
} as const satisfies OptionTable

/** Undefined where it was not given. */
export function effortOf(input: Input): Effort | undefined {
  return wholeOf(input, 'effort', 0, 9) as Effort | undefined
}
