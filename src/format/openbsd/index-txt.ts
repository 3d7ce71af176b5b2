import { fromLatin1, latin1 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'

/**
 * `index.txt` of an OpenBSD mirror: what `ls -nT` prints there (doc/spec/pkgup-index.md). Ten columns, the tenth is the name; `total N`,
 * short lines and names that no URL should get are passed over, CRLF is taken for a line end.
 */
export type ListedFile = {
  readonly name: string
  readonly size: number | undefined
  /** The time that is printed, as it stands: for comparing, since nobody knows its zone. */
  readonly time: string
}

const maxBytes = 64 << 20

export function decodeIndexTxt(bytes: Uint8Array): readonly ListedFile[] {
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  return latin1(bytes).split('\n').flatMap(fileOf)
}

function fileOf(line: string): readonly ListedFile[] {
  const columns = line.split(/[ \t\r\v\f]+/).filter((column) => column !== '')
  const [, , , , size, month, day, clock, year, name] = columns
  if (name === undefined || !isFileName(name)) return []
  return [{ name, size: /^[0-9]{1,15}$/.test(size as string) ? Number(size) : undefined, time: `${year} ${month} ${day} ${clock}` }]
}

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

/** In the order given; `seconds` since the epoch, printed as UTC. */
export function encodeIndexTxt(files: readonly { readonly name: string; readonly size: number; readonly seconds: number }[]): Uint8Array {
  const lines = files.map(({ name, size, seconds }) => {
    const time = new Date(seconds * 1000)
    const day = `${months[time.getUTCMonth()] as string} ${String(time.getUTCDate()).padStart(2)}`
    return `-rw-r--r--  1 0  0 ${String(size).padStart(12)} ${day} ${time.toISOString().slice(11, 19)} ${time.getUTCFullYear()} ${name}\n`
  })
  return fromLatin1(lines.join(''))
}

/** The newest time that it prints, taken for UTC, in seconds; undefined where it lists nothing. */
export function newestTime(files: readonly ListedFile[]): number | undefined {
  const times = files.map(({ time }) => {
    const [year, month, day, clock] = time.split(' ')
    return Date.parse(`${day} ${month} ${year} ${clock} UTC`) / 1000
  })
  const known = times.filter((time) => !Number.isNaN(time))
  return known.length === 0 ? undefined : Math.max(...known)
}

/** One component, nothing hidden, printable. */
export function isFileName(name: string): boolean {
  return /^[A-Za-z0-9_+][\u0021-\u002e\u0030-\u007e]{0,254}$/.test(name)
}
