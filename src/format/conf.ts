import { fromUtf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseChannel } from '../base/name.ts'
import { pathFromText } from '../base/path.ts'
import { didYouMean } from '../base/suggest.ts'
import { isRepositoryUrl } from './enrolled.ts'
import { literal, onceGroups, starred } from './glob.ts'
import { usualKeepOld, withKeepOld } from './keep-old.ts'
import { isMachineName } from './machine-name.ts'
import { reportPlace } from './report-place.ts'
import type { RelPath } from '../base/path.ts'
import type { Basis } from './enrolled.ts'
import type { KeepOld } from './keep-old.ts'
import type { ReportPlace } from './report-place.ts'

/** bindery.conf(5): `key value` lines, `#` comments. What is not set has its default. */
export type ClientConfig = {
  /** Asked before the URLs of `enroll`. */
  readonly mirrors: readonly string[]
  /** What `enroll` takes when not told. */
  readonly basis: Basis
  /** `product/arch` of the channels that are not to be updated, or `all`. */
  readonly hold: readonly string[]
  /** Never looked at, never touched. */
  readonly ignore: readonly PathPattern[]
  /** A new version always comes to lie beside as `.new`. */
  readonly protect: readonly PathPattern[]
  /** Configuration besides the known places: merged when it was changed both here and in the release. */
  readonly configProtect: readonly PathPattern[]
  /** Whether such files are merged at all. */
  readonly merge: boolean
  /** Whose last version stays under a second name. */
  readonly keepOld: readonly KeepOld[]
  /** Folders with programs of the machine's own, beside the usual ones. */
  readonly programs: readonly RelPath[]
  /** How many releases can be rolled back. */
  readonly keepReleases: number
  /** Where a report of each run is left. */
  readonly reports: readonly ReportPlace[]
  /** What the machine is called there; undefined: as it calls itself. */
  readonly machine: string | undefined
  readonly network: NetworkLimits
}

export type NetworkLimits = {
  /** Silence until the first byte of an answer, and between two chunks of it. */
  readonly answerMs: number
  readonly idleMs: number
  /** A download slower than this over a whole window goes on with the next mirror. */
  readonly minimumRate: number
  readonly rateWindowMs: number
  /** One file from one mirror must not take longer. */
  readonly deadlineMs: number
}

/** An absolute path without its leading slash; `*` and `?` match within a name; everything below matches too. */
export type PathPattern = { readonly text: string; readonly regex: RegExp }

export const defaultConfig: ClientConfig = {
  mirrors: [],
  basis: 'tar',
  hold: [],
  ignore: [],
  protect: [],
  configProtect: [],
  merge: true,
  keepOld: usualKeepOld,
  programs: [],
  keepReleases: 5,
  reports: [],
  machine: undefined,
  network: { answerMs: 30_000, idleMs: 30_000, minimumRate: 512, rateWindowMs: 60_000, deadlineMs: 6 * 3_600_000 },
}

export function matchesAny(patterns: readonly PathPattern[], path: RelPath): boolean {
  return patterns.some(({ regex }) => regex.test(path))
}

const maxConfBytes = 1 << 20

type Setter = (config: ClientConfig, value: string) => ClientConfig

const setters: Readonly<Record<string, Setter>> = {
  mirror: (config, value) => ({ ...config, mirrors: [...config.mirrors, repositoryUrl(value)] }),
  basis: (config, value) => ({ ...config, basis: basisOf(value) }),
  hold: (config, value) => ({ ...config, hold: [...config.hold, ...value.split(/\s+/).map(channelOrAll)] }),
  ignore: (config, value) => ({ ...config, ignore: [...config.ignore, pathPattern(value)] }),
  protect: (config, value) => ({ ...config, protect: [...config.protect, pathPattern(value)] }),
  'config-protect': (config, value) => ({ ...config, configProtect: [...config.configProtect, pathPattern(value)] }),
  merge: (config, value) => ({ ...config, merge: yesOrNo(value) }),
  'keep-old': (config, value) => ({ ...config, keepOld: withKeepOld(config.keepOld, value) }),
  programs: (config, value) => ({ ...config, programs: [...config.programs, absolutePath(value)] }),
  'keep-releases': (config, value) => ({ ...config, keepReleases: wholeNumber(value, 0, 1000) }),
  report: (config, value) => ({ ...config, reports: [...config.reports, reportPlace(value)] }),
  machine: (config, value) => ({ ...config, machine: machineName(value) }),
  'answer-timeout': (config, value) => withNetwork(config, { answerMs: seconds(value) }),
  'idle-timeout': (config, value) => withNetwork(config, { idleMs: seconds(value) }),
  'minimum-rate': (config, value) => withNetwork(config, { minimumRate: wholeNumber(value, 0, 2 ** 40) }),
  'rate-window': (config, value) => withNetwork(config, { rateWindowMs: seconds(value) }),
  'download-deadline': (config, value) => withNetwork(config, { deadlineMs: seconds(value) }),
}

/** Keys that a line may repeat; any other given twice is a mistake. */
const repeatable = new Set(['mirror', 'hold', 'ignore', 'protect', 'config-protect', 'keep-old', 'programs', 'report'])

/** Throws `usage` with the number of the line. */
export function decodeConf(bytes: Uint8Array): ClientConfig {
  let config = defaultConfig
  const seen = new Set<string>()
  for (const [i, line] of confText(bytes).split('\n').entries()) {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) continue
    config = onLine(i + 1, () => set(config, text, seen))
  }
  return config
}

function confText(bytes: Uint8Array): string {
  if (bytes.length > maxConfBytes) throw new BinderyError('usage', `is larger than ${maxConfBytes} bytes`)
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new BinderyError('usage', 'is not UTF-8', { cause })
  }
}

function onLine<T>(number: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    throw new BinderyError('usage', `line ${number}: ${error.message}`, { hint: error.hint, cause: error })
  }
}

function set(config: ClientConfig, line: string, seen: Set<string>): ClientConfig {
  const [, key, value] = /^(\S+)\s*(.*)$/s.exec(line) as unknown as [string, string, string]
  const setter = Object.hasOwn(setters, key) ? setters[key] : undefined
  if (setter === undefined) {
    const near = didYouMean(key, Object.keys(setters))
    throw new BinderyError('usage', `no key '${key}'`, {
      hint: near === undefined ? 'bindery.conf(5) lists the keys' : `did you mean '${near}'?`,
    })
  }
  if (value === '') throw new BinderyError('usage', `'${key}' has no value`)
  if (seen.has(key) && !repeatable.has(key)) throw new BinderyError('usage', `'${key}' is set twice`)
  seen.add(key)
  return setter(config, value)
}

function withNetwork(config: ClientConfig, network: Partial<NetworkLimits>): ClientConfig {
  return { ...config, network: { ...config.network, ...network } }
}

/** An operand or a line of the configuration as a repository's address: a missing last `/` is added. */
export function repositoryUrl(text: string): string {
  const url = URL.parse(text)
  const href = url === null ? text : url.href.endsWith('/') ? url.href : `${url.href}/`
  if (!isRepositoryUrl(href)) {
    throw new BinderyError('usage', `'${text}' is no repository URL`, { hint: 'http, https or file, without password, query or fragment' })
  }
  return href
}

export function basisOf(text: string): Basis {
  if (text !== 'tar' && text !== 'installed') throw new BinderyError('usage', `the basis is 'tar' or 'installed', not '${text}'`)
  return text
}

function channelOrAll(text: string): string {
  if (text !== 'all') parseChannel(text)
  return text
}

/** Names of machines stand in names of files, and in lines (doc/spec/report.md). */
function machineName(text: string): string {
  if (!isMachineName(text)) throw new BinderyError('usage', `'${text}' is no name of letters, digits, dots, - and _`)
  return text
}

function yesOrNo(text: string): boolean {
  if (text !== 'yes' && text !== 'no') throw new BinderyError('usage', `'yes' or 'no', not '${text}'`)
  return text === 'yes'
}

function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^[0-9]{1,15}$/.test(text) || value < min || value > max)
    throw new BinderyError('usage', `'${text}' is no number from ${min} to ${max}`)
  return value
}

function seconds(text: string): number {
  return 1000 * wholeNumber(text, 1, 604_800)
}

function absolutePath(text: string): RelPath {
  const path = text.startsWith('/') ? pathFromText(text.slice(1).replace(/\/$/, '')) : undefined
  if (path === undefined) throw new BinderyError('usage', `'${text}' is no absolute path below the root`)
  return path
}

export function pathPattern(text: string): PathPattern {
  const once = onceGroups()
  const names = absolutePath(text)
    .split('/')
    .map((name) => starred(name.split(/\*+/).map(wordBody), once))
  return { text, regex: new RegExp(`^${names.join('/')}(?:/|$)`, 's') }
}

function wordBody(word: string): string {
  return word.split('?').map(literal).join('[^/]')
}
