import { fromUtf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { didYouMean } from '../base/suggest.ts'
import { confKeys } from './conf-keys.ts'
import { usualKeepOld } from './keep-old.ts'
import type { RelPath } from '../base/path.ts'
import type { ConfKey } from './conf-keys.ts'
import type { Mirror, PathPattern } from './conf-value.ts'
import type { Basis } from './enrolled.ts'
import type { KeepOld } from './keep-old.ts'
import type { ReportPlace } from './report-place.ts'

export { basisOf, matchesAny, pathPattern, repositoryUrl } from './conf-value.ts'
export type { Mirror, PathPattern } from './conf-value.ts'

/** bindery.conf(5): `key value` lines, `#` comments. What is not set has its default. */
export type ClientConfig = {
  readonly mirrors: readonly Mirror[]
  /** Instead of what the environment says. */
  readonly proxy?: string
  readonly noProxy?: string
  /** Who fetches for root; undefined: the usual account. `none`: root. */
  readonly fetchUser?: string
  /** What `enroll` takes when not told. */
  readonly basis: Basis
  /** `product/arch` of the channels that are not to be updated, or `all`. */
  readonly hold: readonly string[]
  /** Never looked at, never touched. */
  readonly ignore: readonly PathPattern[]
  /** A new version always comes to lie beside as `.new`. */
  readonly protect: readonly PathPattern[]
  /** Besides what releases say: made anew by the system itself. */
  readonly generated: readonly PathPattern[]
  /** What is not here is not brought. */
  readonly without: readonly PathPattern[]
  /** Configuration besides the known places: merged when it was changed both here and in the release. */
  readonly configProtect: readonly PathPattern[]
  /** Whether such files are merged at all. */
  readonly merge: boolean
  /** Whose last version stays under a second name. */
  readonly keepOld: readonly KeepOld[]
  /** Folders with programs of the machine's own, beside the usual ones. */
  readonly programs: readonly RelPath[]
  /** Run in the root before it is changed, and at the end. */
  readonly beforeCommit: string | undefined
  readonly afterCommit: string | undefined
  /** How many releases can be rolled back. */
  readonly keepReleases: number
  /** Of a staged root: folders whose files are the same ones in all trees. */
  readonly share: readonly PathPattern[]
  /** What makes, starts and removes another root: commands of the system's boot environments. */
  readonly rootMake: string | undefined
  readonly rootSwitch: string | undefined
  readonly rootRemove: string | undefined
  /** How many trees stay beside the one that counts. */
  readonly keepTrees: number
  /** Whether this machine waits for its turn when a release comes to a part of the machines first. */
  readonly rollout: boolean
  /** Over how many seconds the machines spread that run by cron(8). */
  readonly jitter: number
  /** For how many days metadata that has expired is only warned of, and a network that is away not even that. */
  readonly staleGrace: number
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
  /** Bytes a second of all that is downloaded in a run; 0 for as fast as it goes. */
  readonly rateLimit: number
  readonly rateWindowMs: number
  /** One file from one mirror must not take longer. */
  readonly deadlineMs: number
}

export const defaultConfig: ClientConfig = {
  mirrors: [],
  basis: 'tar',
  hold: [],
  ignore: [],
  protect: [],
  generated: [],
  without: [],
  configProtect: [],
  merge: true,
  keepOld: usualKeepOld,
  programs: [],
  beforeCommit: undefined,
  afterCommit: undefined,
  keepReleases: 5,
  share: [],
  rootMake: undefined,
  rootSwitch: undefined,
  rootRemove: undefined,
  keepTrees: 1,
  rollout: true,
  jitter: 3600,
  staleGrace: 3,
  reports: [],
  machine: undefined,
  network: { answerMs: 30_000, idleMs: 30_000, minimumRate: 512, rateLimit: 0, rateWindowMs: 60_000, deadlineMs: 6 * 3_600_000 },
}

const maxConfBytes = 1 << 20

/** Throws `usage` with the number of the line. */
export function decodeConf(bytes: Uint8Array): ClientConfig {
  return linesOf(bytes).reduce((config, { number, key, text }) => onLine(number, () => key.set(config, text)), defaultConfig)
}

/** What each line says, for people. */
export type Setting = { readonly line: number; readonly name: string; readonly values: readonly string[] }

export function settingsOf(bytes: Uint8Array): readonly Setting[] {
  return linesOf(bytes).map(({ number, name, key, text }) => {
    const values = onLine(number, () => key.show(key.set(defaultConfig, text)))
    return { line: number, name, values }
  })
}

type Line = { readonly number: number; readonly name: string; readonly key: ConfKey; readonly text: string }

function linesOf(bytes: Uint8Array): readonly Line[] {
  const lines: Line[] = []
  const seen = new Set<string>()
  for (const [i, line] of confText(bytes).split('\n').entries()) {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) continue
    lines.push({ number: i + 1, ...onLine(i + 1, () => parseLine(text, seen)) })
  }
  return lines
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

function parseLine(line: string, seen: Set<string>): Omit<Line, 'number'> {
  const [name] = /^\S+/.exec(line) as unknown as [string]
  const text = line.slice(name.length).trimStart()
  const key = confKey(name)
  if (text === '') throw new BinderyError('usage', `'${name}' has no value`)
  if (seen.has(name) && key.repeats === undefined) throw new BinderyError('usage', `'${name}' is set twice`)
  seen.add(name)
  return { name, key, text }
}

/** Throws `usage` for a name that is none. */
export function confKey(name: string): ConfKey {
  const key = Object.hasOwn(confKeys, name) ? confKeys[name] : undefined
  if (key !== undefined) return key
  const near = didYouMean(name, Object.keys(confKeys))
  throw new BinderyError('usage', `no key '${name}'`, {
    hint: near === undefined ? 'bindery.conf(5) lists the keys' : `did you mean '${near}'?`,
  })
}
