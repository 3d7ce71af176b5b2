import { BinderyError } from '../base/error.ts'
import { formatChannel, parseChannel } from '../base/name.ts'
import { isDate } from './date.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { Channel } from '../base/name.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `told` (doc/spec/client-state.md): what runs by cron(8) have said, or not yet said, so that a person hears of each thing once. */
export type Told = {
  /** Since when no repository could be reached, in seconds since the epoch. */
  readonly unreachable?: number
  /** Of each channel the last announcement of an end of life. */
  readonly endOfLife: readonly ToldEnd[]
}

/** `days`: the stage, so many days ahead. */
export type ToldEnd = { readonly channel: Channel; readonly date: string; readonly days: number }

export const nothingTold: Told = { endOfLife: [] }
export const maxToldBytes = 1 << 20
const format: LinesFormat = { firstLine: 'bindery-told 1', maxBytes: maxToldBytes, maxLines: 4096 }

export function encodeTold({ unreachable, endOfLife }: Told): Uint8Array {
  return encodeLines(format, [
    ...(unreachable === undefined ? [] : [{ key: 'unreachable', value: String(unreachable) }]),
    ...endOfLife.map(({ channel, date, days }) => ({ key: 'end-of-life', value: `${formatChannel(channel)} ${date} ${days}` })),
  ])
}

/** Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeTold(bytes: Uint8Array): Told {
  const lines = decodeLines(format, bytes)
  const [first, ...rest] = lines
  if (first?.key !== 'unreachable') return { endOfLife: lines.map(endOf) }
  if (!/^(?:0|[1-9][0-9]{0,11})$/.test(first.value)) throw new BinderyError('bad-format', `'${first.value}' is no time`)
  return { unreachable: Number(first.value), endOfLife: rest.map(endOf) }
}

function endOf({ key, value }: StateLine): ToldEnd {
  const [channel = '', date = '', days = '', ...more] = value.split(' ')
  if (key !== 'end-of-life' || more.length > 0 || !isDate(date) || !/^(?:0|[1-9][0-9]{0,2})$/.test(days))
    throw new BinderyError('bad-format', `has a line '${key} ${value}'`)
  return { channel: parseChannel(channel), date, days: Number(days) }
}
