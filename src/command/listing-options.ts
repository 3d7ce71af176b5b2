import { BinderyError } from '../base/error.ts'
import { isDate } from '../format/date.ts'
import type { Amendment, WantedRollout } from '../engine/repo/amend.ts'
import type { Input, OptionTable } from './command.ts'

/** What a channel says of a release beside its record. */
export const listingOptions = {
  rollout: { kind: 'value', value: 'PART', help: 'offer it to PERCENT of the machines, PERCENT/7d: to all of them in 7 days' },
  'end-of-life': { kind: 'value', value: 'DATE', help: 'YYYY-MM-DD, after which there are no more updates, or none' },
} as const satisfies OptionTable

export function listingOf(input: Input): Amendment {
  const [rollout, endOfLife] = [input.value('rollout'), input.value('end-of-life')]
  return {
    ...(rollout === undefined ? {} : { rollout: rolloutOf(rollout) }),
    ...(endOfLife === undefined ? {} : { endOfLife: endOf(endOfLife) }),
  }
}

const units: Readonly<Record<string, number>> = { h: 3600, d: 86_400 }

function rolloutOf(text: string): WantedRollout {
  const [, digits, count, unit = ''] = /^([0-9]{1,3})(?:\/([1-9][0-9]{0,3})([hd]))?$/.exec(text) ?? []
  const percent = Number(digits ?? Number.NaN)
  if (!(percent <= 100)) throw new BinderyError('usage', `--rollout takes PERCENT, or PERCENT/TIME as in 10/7d or 5/12h, not '${text}'`)
  return count === undefined ? { percent } : { percent, seconds: Number(count) * (units[unit] as number) }
}

function endOf(text: string): string {
  if (text === 'none' || isDate(text)) return text
  throw new BinderyError('usage', `--end-of-life takes a day as 2027-05-31, or none, not '${text}'`)
}
