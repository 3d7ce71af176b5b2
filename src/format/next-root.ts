import { BinderyError } from '../base/error.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { LinesFormat } from './lines.ts'

/** `next-root` (doc/spec/staged.md): another root that is being made, or waits for the next start of the machine. */
export type NextRoot = {
  /** What the commands of bindery.conf know it by. */
  readonly name: string
  readonly state: 'making' | 'waiting'
}

export const maxNextRootBytes = 4096
const format: LinesFormat = { firstLine: 'bindery-next-root 1', maxBytes: maxNextRootBytes, maxLines: 2 }

export function encodeNextRoot({ name, state }: NextRoot): Uint8Array {
  return encodeLines(format, [
    { key: 'name', value: name },
    { key: 'state', value: state },
  ])
}

/** Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeNextRoot(bytes: Uint8Array): NextRoot {
  const [name, state, ...more] = decodeLines(format, bytes)
  const isWhole = name?.key === 'name' && state?.key === 'state' && more.length === 0
  if (!isWhole || !/^bindery-[0-9TZ]{1,32}$/.test(name.value) || (state.value !== 'making' && state.value !== 'waiting'))
    throw new BinderyError('bad-format', 'names no root')
  return { name: name.value, state: state.value }
}
