import { BinderyError } from '../base/error.ts'
import { channelOf, formatChannel, formatDistName, parseDistName } from '../base/name.ts'
import { decodeLines, encodeLines } from './lines.ts'
import type { DistName } from '../base/name.ts'
import type { LinesFormat, StateLine } from './lines.ts'

/** `bundles/index.SERIAL` (doc/spec/bindery-sh.md): which bundles there are, and how old the list of them is. */
export type BundleIndex = {
  /** Grows with each list; the seconds of its signing where that is enough. */
  readonly serial: number
  /** Seconds since the epoch; undefined for a list that never expires. */
  readonly expires: number | undefined
  readonly bundles: readonly BundleEntry[]
}

export type BundleEntry = BundleStep & { readonly size: number }

export type BundleStep = {
  /** Undefined: for a root without a release. */
  readonly old: DistName | undefined
  readonly next: DistName
  /** That of `next` in its channel. */
  readonly sequence: number
  readonly format: BundleFormat
}

/** Files whole, or as patches of bspatch(1) where they are changed. */
export type BundleFormat = 'whole' | 'bsdiff'

const keys: Readonly<Record<BundleFormat, string>> = { whole: 'bundle', bsdiff: 'bsdiff' }

const format: LinesFormat = { firstLine: 'bindery-bundles 1', maxBytes: 1 << 20, maxLines: 8192 }

export function bundleFileName({ old, next, format: how }: BundleStep): string {
  const names = [...(old === undefined ? [] : [old]), next].map(formatDistName)
  return `${names.join('_to_')}${how === 'bsdiff' ? '.bsdiff' : ''}.sh`
}

export function bundleIndexName(serial: number): string {
  return `index.${serial}`
}

/** Undefined for a name that is no index's. */
export function serialOfIndexName(name: string): number | undefined {
  const digits = /^index\.([1-9][0-9]{0,14})$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

export function encodeBundleIndex({ serial, expires, bundles }: BundleIndex): Uint8Array {
  return encodeLines(format, [
    { key: 'serial', value: String(serial) },
    ...(expires === undefined ? [] : [{ key: 'expires', value: String(expires) }]),
    ...bundles.map((bundle) => ({ key: keys[bundle.format], value: bundleText(bundle) })),
  ])
}

function bundleText({ size, sequence, old, next }: BundleEntry): string {
  return [size, sequence, formatChannel(channelOf(next)), old === undefined ? '-' : formatDistName(old), formatDistName(next)].join(' ')
}

/** Throws `bad-format`, `over-limit` or `not-supported`. */
export function decodeBundleIndex(bytes: Uint8Array): BundleIndex {
  const [first, ...rest] = decodeLines(format, bytes)
  const hasEnd = rest[0]?.key === 'expires'
  return {
    serial: decodeNumber(first, 'serial'),
    expires: hasEnd ? decodeNumber(rest[0], 'expires') : undefined,
    bundles: rest.slice(hasEnd ? 1 : 0).map(decodeBundle),
  }
}

function decodeBundle({ key, value }: StateLine): BundleEntry {
  const [size, sequence, channel, oldText, nextText] = value.split(' ')
  const next = parseDistName(nextText ?? '')
  const old = oldText === '-' ? undefined : parseDistName(oldText ?? '')
  const isWhole =
    (key === 'bundle' || (key === 'bsdiff' && old !== undefined)) &&
    next !== undefined &&
    (old !== undefined || oldText === '-') &&
    channel === formatChannel(channelOf(next))
  if (!isWhole) throw new BinderyError('bad-format', `'${key} ${value}' is no bundle`)
  const entry = { size: wholeNumber(size), sequence: wholeNumber(sequence), old, next, format: formatOf(key) }
  if (bundleText(entry) !== value) throw new BinderyError('bad-format', `'${value}' is no bundle`)
  return entry
}

function formatOf(key: string): BundleFormat {
  return key === keys.bsdiff ? 'bsdiff' : 'whole'
}

function decodeNumber(line: StateLine | undefined, key: string): number {
  if (line?.key !== key) throw new BinderyError('bad-format', `'${key}' is missing at its place`)
  return wholeNumber(line.value)
}

function wholeNumber(text: string | undefined): number {
  if (text === undefined || !/^[1-9][0-9]{0,14}$/.test(text)) throw new BinderyError('bad-format', `'${text ?? ''}' is no whole number`)
  return Number(text)
}
