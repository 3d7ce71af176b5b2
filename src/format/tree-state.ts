import { BinderyError } from '../base/error.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { Timestamp } from '../base/entry.ts'
import type { LinesFormat } from './lines.ts'

/** `tree` (doc/spec/staged.md): which tree of a staged root the state lies in, and what it was made from. */
export type TreeState = {
  readonly number: number
  /** The tree that it was made from; undefined for the one that was there when the root became staged. */
  readonly from: number | undefined
  /** When it was begun: seconds since the epoch. */
  readonly made: number
  /** When another one came in its place. */
  readonly left?: Timestamp | undefined
}

export const maxTreeStateBytes = 4096
const format: LinesFormat = { firstLine: 'bindery-tree 1', maxBytes: maxTreeStateBytes, maxLines: 4 }

export function encodeTreeState({ number, from, made, left }: TreeState): Uint8Array {
  return encodeLines(format, [
    { key: 'number', value: String(number) },
    ...(from === undefined ? [] : [{ key: 'from', value: String(from) }]),
    { key: 'made', value: String(made) },
    ...(left === undefined ? [] : [{ key: 'left', value: `${left.sec}.${String(left.nsec).padStart(9, '0')}` }]),
  ])
}

const orders: ReadonlySet<string> = new Set(['number made', 'number from made', 'number made left', 'number from made left'])

/** Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeTreeState(bytes: Uint8Array): TreeState {
  const lines = decodeLines(format, bytes)
  const keys = lines.map(({ key }) => key).join(' ')
  if (!orders.has(keys)) throw new BinderyError('bad-format', `has the lines '${keys}'`)
  const values = new Map(lines.map(({ key, value }) => [key, value]))
  const [number, from, made] = ['number', 'from', 'made'].map((key) => numberOf(values.get(key)))
  return { number: number as number, from, made: made as number, ...leftOf(values.get('left')) }
}

function numberOf(text: string | undefined): number | undefined {
  if (text !== undefined && !/^(?:0|[1-9][0-9]{0,14})$/.test(text)) throw new BinderyError('bad-format', `'${text}' is no number`)
  return text === undefined ? undefined : Number(text)
}

function leftOf(text: string | undefined): Pick<TreeState, 'left'> {
  if (text === undefined) return {}
  const [, sec, nsec] = /^(0|[1-9][0-9]{0,14})\.([0-9]{9})$/.exec(text) ?? []
  if (sec === undefined) throw new BinderyError('bad-format', `'${text}' is no time`)
  return { left: { sec: Number(sec), nsec: Number(nsec) } }
}
