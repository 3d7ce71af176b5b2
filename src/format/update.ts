import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { isPlainLine } from '../base/show-text.ts'
import { channelOf, formatChannel, formatDistName, parseDistName } from '../base/name.ts'
import { pathPattern } from './conf.ts'
import { glob } from './glob.ts'
import { decodeNeeds, jsonOfNeeds } from './need.ts'
import { decodePhases, jsonOfPhases } from './phase.ts'
import { decodePostSteps } from './post-step.ts'
import { asBoolean, asList, asObject, asText, asWhole, decodeJson, encodeJson } from './record-json.ts'
import type { Sha256 } from '../base/digest.ts'
import type { DistName } from '../base/name.ts'
import type { Need } from './need.ts'
import type { Phase } from './phase.ts'
import type { PostStep } from './post-step.ts'
import type { Json, JsonObject } from './record-json.ts'

/**
 * The update record (doc/spec/update.md): one signed step of a channel. It is a TUF target, so that its own length and
 * digest are covered by the channel's role; the targets that it names are covered there too, and the sizes here only
 * serve planning and display.
 */
export type Update = {
  /** Position in the channel's line of releases, from 1. */
  readonly sequence: number
  readonly release: Release
  /** Name of the release before, absent for the first. */
  readonly previous?: string
  readonly manifest: TargetRef
  /** What earlier releases had and this one has not (doc/spec/obsolete.md); absent where there is nothing of the kind. */
  readonly obsolete?: TargetRef
  readonly full: readonly FullWay[]
  /** From this many earlier releases directly; each names both tars. */
  readonly deltas: readonly DeltaWay[]
  /** What people call the update, where that is not the release's name: one line. */
  readonly title?: string
  /** Where more is said about it. */
  readonly url?: string
  readonly notices: readonly string[]
  readonly postSteps: readonly PostStep[]
  readonly reboot: RebootClass
  readonly security: boolean
  /** Paths that clients merge, beside those that they know: absolute, as `config-protect` of bindery.conf(5) takes them. */
  readonly configuration?: readonly string[]
  /** Patterns of paths that the system makes anew by itself. */
  readonly generated?: readonly string[]
  /** What has to be installed of other channels; absent where that is nothing. */
  readonly needs?: readonly Need[]
  /** What comes before the rest, each with a reboot behind it; absent where all comes at once. */
  readonly phases?: readonly Phase[]
}

export type Release = {
  readonly name: DistName
  /** The uncompressed tar: its digest is the release's identity. */
  readonly tar: { readonly sha256: Sha256; readonly size: number }
}

/** A TUF target by its path (`base/amd64/…`) and its size in bytes on the wire. */
export type TargetRef = { readonly target: string; readonly size: number }

export type FullWay = TargetRef & {
  readonly codec: 'zstd' | 'gzip' | 'none'
  /** The target that lists the independent frames of a zstd dist, so that single files can be fetched by range. */
  readonly frames?: TargetRef
}

export type DeltaWay = TargetRef & {
  /** The name and tar of the release that it applies to. */
  readonly from: string
  readonly fromSha256: Sha256
  /** Bytes of memory that applying needs beyond the program itself. */
  readonly memory: number
  /** From that release's manifest to this one's, both uncompressed; absent where it would be no smaller than the whole. */
  readonly manifest?: TargetRef
}

/** What has to start again, the least first; `careful` is a reboot at which somebody should be near. */
export type RebootClass = (typeof rebootClasses)[number]
export const rebootClasses = ['none', 'restart', 'reboot', 'careful'] as const

const marker = 'update'
const version = 1
export const updateLimits = {
  bytes: 1 << 20,
  sequence: 1_000_000_000,
  target: 512,
  full: 4,
  deltas: 64,
  notices: 16,
  text: 4096,
  title: 200,
  url: 2048,
  configuration: 1024,
  must: 32,
} as const

/** Fields that a record may demand to be understood (`must`); a later version of this file knows more. */
const understood = ['needs', 'phases'] as const

export function encodeUpdate(update: Update): Uint8Array {
  const must = understood.filter((name) => update[name] !== undefined)
  const bytes = encodeJson({ bindery: marker, version, must, ...jsonOfUpdate(update) })
  decodeUpdate(bytes)
  return bytes
}

function jsonOfUpdate(update: Update): JsonObject {
  return {
    sequence: update.sequence,
    release: { name: formatDistName(update.release.name), tar: { sha256: update.release.tar.sha256, size: update.release.tar.size } },
    previous: update.previous,
    manifest: jsonOfRef(update.manifest),
    obsolete: update.obsolete && jsonOfRef(update.obsolete),
    full: update.full.map((way) => ({ ...jsonOfRef(way), codec: way.codec, frames: way.frames && jsonOfRef(way.frames) })),
    deltas: update.deltas.map(jsonOfDelta),
    title: update.title,
    url: update.url,
    notices: update.notices,
    postSteps: update.postSteps,
    reboot: update.reboot,
    security: update.security,
    configuration: update.configuration,
    generated: update.generated,
    needs: update.needs && jsonOfNeeds(update.needs),
    phases: update.phases && jsonOfPhases(update.phases),
  }
}

function jsonOfDelta(way: DeltaWay): JsonObject {
  const { from, fromSha256, memory, manifest } = way
  return { ...jsonOfRef(way), from, fromSha256, memory, manifest: manifest && jsonOfRef(manifest) }
}

function jsonOfRef(ref: TargetRef): JsonObject {
  return { target: ref.target, size: ref.size }
}

/**
 * Strict about what it knows, deaf to fields that it does not know unless `must` names them. `bad-format`,
 * `over-limit`, `hostile` (a path outside the channel), `not-supported` (a version or `must` of the future).
 */
export function decodeUpdate(bytes: Uint8Array): Update {
  if (bytes.length > updateLimits.bytes)
    throw new BinderyError('over-limit', `is larger than ${updateLimits.bytes} bytes`, { subject: 'update record' })
  const record = asObject(decodeJson(bytes, 'update record'), 'the update record')
  checkVersion(record)
  const release = releaseOf(asObject(record['release'], 'release'))
  const prefix = `${formatChannel(channelOf(release.name))}/`
  const previous = record['previous'] === undefined ? undefined : siblingOf(record['previous'], 'previous', release.name)
  const postSteps = decodePostSteps(record['postSteps'])
  return {
    sequence: asWhole(record['sequence'], 'sequence', 1, updateLimits.sequence),
    release,
    ...(previous === undefined ? {} : { previous }),
    manifest: refOf(record['manifest'], 'manifest', prefix),
    ...(record['obsolete'] === undefined ? {} : { obsolete: refOf(record['obsolete'], 'obsolete', prefix) }),
    full: asList(record['full'], 'full', updateLimits.full).map((way) => fullOf(way, prefix)),
    deltas: deltasOf(asList(record['deltas'], 'deltas', updateLimits.deltas), prefix, release.name),
    ...(record['title'] === undefined ? {} : { title: titleOf(record['title']) }),
    ...(record['url'] === undefined ? {} : { url: urlOf(record['url']) }),
    notices: asList(record['notices'], 'notices', updateLimits.notices).map((text) => asText(text, 'a notice', updateLimits.text)),
    postSteps,
    reboot: rebootOf(record['reboot']),
    security: asBoolean(record['security'], 'security'),
    ...(record['configuration'] === undefined ? {} : { configuration: configurationOf(record['configuration']) }),
    ...(record['generated'] === undefined ? {} : { generated: generatedOf(record['generated']) }),
    ...(record['needs'] === undefined ? {} : { needs: decodeNeeds(record['needs'], release.name) }),
    ...(record['phases'] === undefined ? {} : { phases: decodePhases(record['phases'], postSteps) }),
  }
}

function checkVersion(record: JsonObject): void {
  if (record['bindery'] !== marker) throw new BinderyError('bad-format', 'is no update record', { subject: 'update record' })
  if (record['version'] !== version) throw fromTheFuture(`version ${String(record['version'])}`)
  for (const name of asList(record['must'], 'must', updateLimits.must)) {
    const field = asText(name, 'a name in must', updateLimits.text)
    if (!(understood as readonly string[]).includes(field)) throw fromTheFuture(`field '${field}'`)
  }
}

function fromTheFuture(what: string): BinderyError {
  return new BinderyError('not-supported', `the update record has ${what}, which this bindery does not know`, {
    hint: 'update bindery first',
  })
}

function releaseOf(release: JsonObject): Release {
  const name = parseDistName(asText(release['name'], 'release.name', updateLimits.target))
  if (name === undefined) throw new BinderyError('bad-format', 'release.name is no release name')
  const tar = asObject(release['tar'], 'release.tar')
  return { name, tar: { sha256: digestOf(tar['sha256'], 'release.tar.sha256'), size: sizeOf(tar['size'], 'release.tar.size') } }
}

/** The name of another release of the same channel. */
function siblingOf(value: Json | undefined, what: string, release: DistName): string {
  const text = asText(value, what, updateLimits.target)
  const name = parseDistName(text)
  if (name === undefined) throw new BinderyError('bad-format', `${what} is no release name`)
  if (name.product !== release.product || name.arch !== release.arch)
    throw new BinderyError('hostile', `${what} belongs to another channel`)
  if (text === formatDistName(release)) throw new BinderyError('bad-format', `${what} is the release itself`)
  return text
}

function refOf(value: Json | undefined, what: string, prefix: string): TargetRef {
  const ref = asObject(value, what)
  const target = asText(ref['target'], `${what}.target`, updateLimits.target)
  // A record of one channel must not send a client to the blobs of another, nor outside of blobs/.
  if (!target.startsWith(prefix) || !/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(target.slice(prefix.length))) {
    throw new BinderyError('hostile', `${what}.target does not lie in ${prefix}`)
  }
  return { target, size: sizeOf(ref['size'], `${what}.size`) }
}

function fullOf(value: Json, prefix: string): FullWay {
  const way = asObject(value, 'a full way')
  const codec = way['codec']
  if (codec !== 'zstd' && codec !== 'gzip' && codec !== 'none') throw new BinderyError('bad-format', 'a full way has no known codec')
  const ref = refOf(way, 'a full way', prefix)
  if (way['frames'] === undefined) return { ...ref, codec }
  if (codec !== 'zstd') throw new BinderyError('bad-format', 'only a zstd way has frames')
  return { ...ref, codec, frames: refOf(way['frames'], 'frames', prefix) }
}

function deltasOf(values: readonly Json[], prefix: string, release: DistName): DeltaWay[] {
  const ways = values.map((value) => deltaOf(value, prefix, release))
  if (new Set(ways.map((way) => way.from)).size !== ways.length) throw new BinderyError('bad-format', 'two deltas start from one release')
  return ways
}

function deltaOf(value: Json, prefix: string, release: DistName): DeltaWay {
  const way = asObject(value, 'a delta')
  return {
    ...refOf(way, 'a delta', prefix),
    from: siblingOf(way['from'], 'from', release),
    fromSha256: digestOf(way['fromSha256'], 'fromSha256'),
    memory: sizeOf(way['memory'], 'memory'),
    ...(way['manifest'] === undefined ? {} : { manifest: refOf(way['manifest'], 'the manifest of a delta', prefix) }),
  }
}

function titleOf(value: Json): string {
  const title = asText(value, 'title', updateLimits.title)
  if (!isTitle(title)) throw new BinderyError('hostile', 'title is not one line')
  return title
}

/** A line for people. */
export function isTitle(text: string): boolean {
  return text.trim() !== '' && text.length <= updateLimits.title && isPlainLine(text)
}

function urlOf(value: Json): string {
  const url = asText(value, 'url', updateLimits.url)
  if (!isDetailsUrl(url)) throw new BinderyError('hostile', 'url is no address of http or https')
  return url
}

/** Without blanks and control characters, so that it is a word wherever it is printed. */
export function isDetailsUrl(text: string): boolean {
  return text.length <= updateLimits.url && /^https?:\/\/\S+$/.test(text) && isPlainLine(text) && URL.canParse(text)
}

function configurationOf(value: Json): readonly string[] {
  return asList(value, 'configuration', updateLimits.configuration).map((one) => patternOf(asText(one, 'a path', updateLimits.text)))
}

function generatedOf(value: Json): readonly string[] {
  const patterns = asList(value, 'generated', updateLimits.configuration).map((one) => asText(one, 'a path', updateLimits.text))
  if (patterns.every((one) => glob(one) !== undefined)) return patterns
  throw new BinderyError('hostile', 'generated has a path that is no pattern')
}

function patternOf(text: string): string {
  try {
    return pathPattern(text).text
  } catch (cause) {
    throw new BinderyError('hostile', 'configuration has a path that is not absolute and safe', { cause })
  }
}

function rebootOf(value: Json | undefined): RebootClass {
  const found = rebootClasses.find((known) => known === value)
  if (found === undefined) throw new BinderyError('bad-format', 'reboot is no known class')
  return found
}

export function strongestReboot<Class extends RebootClass>(classes: readonly Class[]): Class | 'none' {
  return rebootClasses.findLast((one): one is Class => classes.some((asked) => asked === one)) ?? 'none'
}

/** Lower case only, since the record has one spelling. */
function digestOf(value: Json | undefined, what: string): Sha256 {
  const text = asText(value, what, 64)
  const digest = parseSha256(text)
  if (digest === undefined || digest !== text) throw new BinderyError('bad-format', `${what} is no sha256`)
  return digest
}

function sizeOf(value: Json | undefined, what: string): number {
  return asWhole(value, what, 0, Number.MAX_SAFE_INTEGER)
}
