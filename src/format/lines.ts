import { BinderyError } from '../base/error.ts'
import { fromLatin1, latin1 } from '../base/bytes.ts'

/**
 * The shape of bindery's own state files (doc/spec/client-state.md): a first line that names the format and its
 * version, then `key value` lines that `while read -r key value` understands. A value may hold any bytes: control
 * characters, the backslash, DEL and bytes above it are written `\ooo`. Strict in both directions.
 */
export type StateLine = { readonly key: string; readonly value: string }

export type LinesFormat = {
  /** For instance `bindery-release 1`. */
  readonly firstLine: string
  readonly maxBytes: number
  readonly maxLines: number
}

const keyPattern = /^[a-z][a-z0-9-]{0,31}$/

/** Values are one char per byte (latin1), as paths are. */
export function encodeLines(format: LinesFormat, lines: readonly StateLine[]): Uint8Array {
  const text = lines.map(({ key, value }) => `${key} ${escapeValue(value)}\n`).join('')
  return fromLatin1(`${format.firstLine}\n${text}`)
}

/** Throws `bad-format` with the number of the line, `over-limit`, `not-supported` for another version. */
export function decodeLines(format: LinesFormat, bytes: Uint8Array): readonly StateLine[] {
  if (bytes.length > format.maxBytes) throw new BinderyError('over-limit', `is larger than ${format.maxBytes} bytes`)
  const text = latin1(bytes)
  if (!text.endsWith('\n')) throw new BinderyError('bad-format', 'does not end with a line end')
  const [first, ...rest] = text.slice(0, -1).split('\n') as [string, ...string[]]
  checkFirstLine(format, first)
  if (rest.length > format.maxLines) throw new BinderyError('over-limit', `has more than ${format.maxLines} lines`)
  return rest.map((line, i) => decodeLine(line, i + 2))
}

function checkFirstLine(format: LinesFormat, first: string): void {
  if (first === format.firstLine) return
  const word = format.firstLine.slice(0, format.firstLine.lastIndexOf(' ') + 1)
  if (first.startsWith(word) && /^[1-9][0-9]{0,8}$/.test(first.slice(word.length))) {
    throw new BinderyError('not-supported', `has version ${first.slice(word.length)} of its format`, { hint: 'a newer bindery wrote it' })
  }
  throw new BinderyError('bad-format', `does not begin with '${format.firstLine}'`)
}

function decodeLine(line: string, number: number): StateLine {
  const space = line.indexOf(' ')
  const key = line.slice(0, space)
  if (space < 0 || !keyPattern.test(key)) throw new BinderyError('bad-format', `line ${number} is no 'key value'`)
  const value = unescapeValue(line.slice(space + 1))
  if (value === undefined) throw new BinderyError('bad-format', `line ${number} holds a bad escape`)
  return { key, value }
}

/** Spaces stay: sh's read gives the rest of the line, and no value of ours begins or ends with one. */
export function escapeValue(value: string): string {
  return value.replaceAll(/[\u0000-\u001f\\\u007f-\u00ff]|^ | $/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

/** Undefined for what `escapeValue` would not have written. */
export function unescapeValue(text: string): string | undefined {
  const value = text.replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
  return escapeValue(value) === text ? value : undefined
}
