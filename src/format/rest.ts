import { BinderyError } from '../base/error.ts'
import { formatChannel, formatDistName, parseChannel, parseDistName } from '../base/name.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { Channel, DistName } from '../base/name.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `rest` (doc/spec/client-state.md): channels that were still to come when an install brought another bindery. */
export type Rest = {
  readonly channel: Channel
  /** What was installed then: with another release the line means nothing. */
  readonly installed: DistName
}

export const maxRestBytes = 1 << 20
const format: LinesFormat = { firstLine: 'bindery-rest 1', maxBytes: maxRestBytes, maxLines: 4096 }

export function encodeRest(rest: readonly Rest[]): Uint8Array {
  return encodeLines(
    format,
    rest.map(({ channel, installed }) => ({ key: 'channel', value: `${formatChannel(channel)} ${formatDistName(installed)}` })),
  )
}

/** Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeRest(bytes: Uint8Array): readonly Rest[] {
  return decodeLines(format, bytes).map(restOf)
}

function restOf({ key, value }: StateLine): Rest {
  const [channel = '', name = '', ...more] = value.split(' ')
  const installed = parseDistName(name)
  if (key !== 'channel' || installed === undefined || more.length > 0) throw new BinderyError('bad-format', `has a line '${key} ${value}'`)
  return { channel: parseChannel(channel), installed }
}
