import { BinderyError } from '../../../base/error.ts'

/** When an index and a mirror were made: the dates of their quirks packages, which tell whether the two belong together. */
export type SignedDate = { readonly ms: number; readonly offsetMinutes: number }

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$/

export function parseSignedDate(text: string, what: string): SignedDate {
  const match = rfc3339.exec(text)
  const ms = match === null ? Number.NaN : Date.parse(text)
  if (match === null || Number.isNaN(ms))
    throw new BinderyError('bad-format', `error parsing ${what} quirks date ${text.slice(0, 64)}: is no RFC 3339 date`)
  const [sign, hours, minutes] = match.slice(7)
  const offset = sign === undefined ? 0 : Number(hours) * 60 + Number(minutes)
  return { ms, offsetMinutes: sign === '-' ? -offset : offset }
}

export type Skew = 'none' | 'index-newer' | 'index-older'

export function skewOf(index: SignedDate, mirror: SignedDate): Skew {
  return index.ms === mirror.ms ? 'none' : index.ms > mirror.ms ? 'index-newer' : 'index-older'
}

/** obsdpkgup's words. */
export function skewLines(index: SignedDate, mirror: SignedDate): readonly string[] {
  const [ofMirror, ofIndex] = [`configured mirror: ${mailDate(mirror)}`, `pkgup mirror:      ${mailDate(index)}`]
  switch (skewOf(index, mirror)) {
    case 'none':
      return []
    case 'index-newer':
      return ['WARNING: pkgup index appears to be newer than packages on configured mirror.', ofMirror, ofIndex]
    case 'index-older':
      return ['WARNING: pkgup index appears to be older than packages on configured mirror', ofIndex, ofMirror]
  }
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** RFC 1123 with a numeric zone, in the zone that it was written in: `Tue, 08 Aug 2023 12:34:56 +0000`. */
export function mailDate({ ms, offsetMinutes }: SignedDate): string {
  const local = new Date(ms + offsetMinutes * 60_000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const [day, month] = [days[local.getUTCDay()], months[local.getUTCMonth()]]
  const clock = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two).join(':')
  const away = Math.abs(offsetMinutes)
  const zone = `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(away / 60))}${two(away % 60)}`
  return `${day as string}, ${two(local.getUTCDate())} ${month as string} ${local.getUTCFullYear()} ${clock} ${zone}`
}
