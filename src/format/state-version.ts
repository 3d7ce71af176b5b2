import { BinderyError } from '../base/error.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { LinesFormat } from './lines.ts'

/** `version` (doc/spec/client-state.md): the first bindery that reads everything in the state folder. */

export const maxStateVersionBytes = 1 << 12
const format: LinesFormat = { firstLine: 'bindery-state 1', maxBytes: maxStateVersionBytes, maxLines: 64 }

export function encodeStateVersion(least: string): Uint8Array {
  return encodeLines(format, [{ key: 'least', value: least }])
}

/** What a later version has to say behind that is not for this one. Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeStateVersion(bytes: Uint8Array): string {
  const [first] = decodeLines(format, bytes)
  if (first?.key !== 'least' || versionNumbers(first.value).length !== 3) throw new BinderyError('bad-format', 'names no version')
  return first.value
}

/** Whether `version` is `least` or newer; what follows three numbers is of no account. */
export function isAtLeast(version: string, least: string): boolean {
  const [own, wanted] = [versionNumbers(version), versionNumbers(least)]
  const differing = own.findIndex((number, i) => number !== wanted[i])
  return differing < 0 || (own[differing] as number) > (wanted[differing] ?? 0)
}

function versionNumbers(text: string): readonly number[] {
  return /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?![\d.])/.exec(text)?.slice(1).map(Number) ?? []
}
