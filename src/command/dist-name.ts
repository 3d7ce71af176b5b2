import { BinderyError } from '../base/error.ts'
import { formatDistName, isDistName } from '../base/name.ts'
import { hostArch } from '../host/arch.ts'
import type { DistName } from '../base/name.ts'
import type { Context, Input, Option } from './command.ts'

export const distNameOptions = {
  product: { kind: 'value', value: 'PRODUCT', help: 'what it is: base, kernel-GENERIC' },
  revision: { kind: 'value', value: 'REVISION', help: 'which one: 1.0, 7.6p3' },
  date: { kind: 'value', value: 'YYYYMMDD', help: 'its date (default: today, UTC)' },
  arch: { kind: 'value', value: 'ARCH', help: "what it runs on (default: this machine's)" },
} as const satisfies Readonly<Record<string, Option>>

/** What is not said is that of `usual`; the date is today's, the architecture this machine's. */
export function distNameOf(context: Pick<Context, 'clock'>, input: Input, usual: Partial<DistName> = {}): DistName {
  const name = {
    product: input.value('product') ?? usual.product ?? input.required('product'),
    revision: input.value('revision') ?? usual.revision ?? input.required('revision'),
    date: input.value('date') ?? today(context),
    arch: input.value('arch') ?? usual.arch ?? hostArch(),
  }
  if (!isCalendarDate(name.date)) throw new BinderyError('usage', `--date: '${name.date}' is no date`, { hint: 'a date is YYYYMMDD' })
  if (!isDistName(name)) {
    throw new BinderyError('usage', `'${formatDistName(name)}' is no name of a dist`, {
      hint: "letters, digits, '.', '_' and '+'; only the product may hold a '-'",
    })
  }
  return name
}

/** YYYYMMDD, UTC. */
export function today({ clock }: Pick<Context, 'clock'>): string {
  return new Date(clock.now()).toISOString().slice(0, 10).replaceAll('-', '')
}

function isCalendarDate(text: string): boolean {
  const match = /^([0-9]{4})([0-9]{2})([0-9]{2})$/.exec(text)
  if (match === null) return false
  const date = new Date(`${match.slice(1).join('-')}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(match.slice(1).join('-'))
}
