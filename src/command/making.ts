import { usualEffort } from '../engine/delta/effort.ts'
import { wholeOf } from './whole-number.ts'
import type { Effort } from '../engine/delta/effort.ts'
import type { Making } from '../engine/delta/make.ts'
import type { Context, Input, OptionTable } from './command.ts'

/** Of the verbs that make deltas. */
export const makingOptions = {
  effort: { kind: 'value', value: 'LEVEL', help: `how much to do for smaller deltas, from 0 to 9 (default: ${usualEffort})` },
  jobs: { kind: 'value', value: 'N', help: 'match so many pairs of files at the same time; the delta is the same (default: 1)' },
} as const satisfies OptionTable

const mostJobs = 64

export function makingOf({ threads }: Context, input: Input): Making {
  return { effort: wholeOf(input, 'effort', 0, 9) as Effort | undefined, jobs: wholeOf(input, 'jobs', 1, mostJobs), threads }
}
