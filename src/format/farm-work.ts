import { BinderyError } from '../base/error.ts'
import { digestIn, fileName, plainName } from './built.ts'
import { asBoolean, asList, asObject, asText, asWhole, decodeJson, encodeJson } from './record-json.ts'
import { fullPkgpath } from './ports-list.ts'
import type { Revision } from '../base/source-change.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Json, JsonObject } from './record-json.ts'

/** The bodies of calls and answers between builders and the controller (doc/spec/farm-builders.md). Decoders throw `bad-format`, `over-limit`. */

export type ClaimCall = {
  /** Leases that this builder works on. */
  readonly held: readonly number[]
  /** How long the controller may wait for something to build. */
  readonly waitSeconds: number
  readonly load: number
}

export type BeatCall = {
  /** Hundredths of the system's load. */
  readonly load: number
}

/** What a builder has the right to build for as long as it says that it does. */
export type Lease = {
  readonly id: number
  /** As the controller's people call it. */
  readonly build: number
  readonly branch: string
  readonly release: string
  readonly arch: string
  /** What the sources are to be brought to. */
  readonly revision: Revision
  readonly list: readonly string[]
  /** How much of its log the controller has, of a builder that began and lost what it had. */
  readonly log: number
  /** After so many without a beat it is lost. */
  readonly seconds: number
}

export type EndCall =
  | { readonly kind: 'built'; readonly packages: readonly MadePackage[]; readonly log: number }
  | {
      readonly kind: 'failed'
      readonly why: string
      readonly lines: readonly string[]
      readonly log: number
    }
  | { readonly kind: 'released'; readonly why: string }

export type MadePackage = {
  readonly file: string
  readonly size: number
  readonly sha256: Sha256
  readonly reproducible: boolean | undefined
}

export type FarmAnswer =
  | { readonly kind: 'lease'; readonly lease: Lease }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'held' }
  /** Somebody else has it by now, or nobody is to. */
  | { readonly kind: 'lost' }
  /** How much of a file there is: what comes next begins there. */
  | { readonly kind: 'size'; readonly size: number }
  /** The whole of a file is not what was announced, and was dropped. */
  | { readonly kind: 'altered'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly message: string }

/** `unknown`: no such builder. `clock`, `replayed`: the call is of another time. `damaged`: the body is not what was signed. */
export type Refusal = 'unknown' | 'signature' | 'clock' | 'replayed' | 'damaged' | 'wrong' | 'no-space' | 'later'

const refusals: readonly Refusal[] = ['unknown', 'signature', 'clock', 'replayed', 'damaged', 'wrong', 'no-space', 'later']

const maxId = Number.MAX_SAFE_INTEGER
/** The year 9999. */
const maxSeconds = 253_402_300_799
const maxHeld = 1000
const maxList = 10_000
const maxLines = 100

export function encodeClaim({ held, waitSeconds, load }: ClaimCall): Uint8Array {
  return encodeJson({ held, wait: waitSeconds, load })
}

export function decodeClaim(bytes: Uint8Array): ClaimCall {
  const record = asObject(decodeJson(bytes, 'claim'), 'claim')
  return {
    held: asList(record['held'], 'held', maxHeld).map(idOf),
    waitSeconds: asWhole(record['wait'], 'wait', 0, 600),
    load: loadOf(record),
  }
}

export function encodeBeat({ load }: BeatCall): Uint8Array {
  return encodeJson({ load })
}

export function decodeBeat(bytes: Uint8Array): BeatCall {
  return { load: loadOf(asObject(decodeJson(bytes, 'beat'), 'beat')) }
}

export function encodeEnd(end: EndCall): Uint8Array {
  return encodeJson(end)
}

export function decodeEnd(bytes: Uint8Array): EndCall {
  const record = asObject(decodeJson(bytes, 'end'), 'end')
  const kind = asText(record['kind'], 'kind', 20)
  if (kind === 'released') return { kind, why: asText(record['why'], 'why', 4096) }
  if (kind !== 'built' && kind !== 'failed') throw new BinderyError('bad-format', `ends in '${kind}'`)
  const log = asWhole(record['log'], 'log', 0, maxId)
  if (kind === 'built') return { kind, packages: asList(record['packages'], 'packages', maxList).map(packageOf), log }
  const lines = asList(record['lines'], 'lines', maxLines).map((line) => asText(line, 'a line', 4096))
  return { kind, why: asText(record['why'], 'why', 4096), lines, log }
}

export function encodeAnswer(answer: FarmAnswer): Uint8Array {
  return encodeJson(answer.kind === 'lease' ? { kind: answer.kind, lease: leaseRecord(answer.lease) } : answer)
}

export function decodeAnswer(bytes: Uint8Array): FarmAnswer {
  const record = asObject(decodeJson(bytes, 'answer'), 'answer')
  const kind = asText(record['kind'], 'kind', 20)
  switch (kind) {
    case 'lease':
      return { kind, lease: leaseOf(record['lease']) }
    case 'nothing':
    case 'held':
    case 'lost':
      return { kind }
    case 'size':
      return { kind, size: asWhole(record['size'], 'size', 0, maxId) }
    case 'altered':
      return { kind, why: asText(record['why'], 'why', 4096) }
    case 'refused':
      return { kind, why: refusalOf(record['why']), message: asText(record['message'], 'message', 4096) }
    default:
      throw new BinderyError('bad-format', `is an answer of kind '${kind}'`)
  }
}

/** Kept by a builder, so that it goes on with it after it was killed. */
export function encodeLease(lease: Lease): Uint8Array {
  return encodeJson(leaseRecord(lease))
}

function leaseRecord({ revision, ...lease }: Lease): JsonObject {
  return { ...lease, revision: revision.name, ...(revision.seconds === undefined ? {} : { at: revision.seconds }) }
}

export function decodeLease(bytes: Uint8Array): Lease {
  return leaseOf(decodeJson(bytes, 'lease'))
}

function leaseOf(value: Json | undefined): Lease {
  const record = asObject(value, 'lease')
  return {
    id: idOf(record['id']),
    build: idOf(record['build']),
    branch: plainName(record['branch'], 'branch'),
    release: plainName(record['release'], 'release'),
    arch: plainName(record['arch'], 'arch'),
    revision: revisionOf(record),
    list: asList(record['list'], 'list', maxList).map((line) => fullPkgpath(asText(line, 'a pkgpath', 1024))),
    log: asWhole(record['log'], 'log', 0, maxId),
    seconds: asWhole(record['seconds'], 'seconds', 1, 86_400),
  }
}

/** It comes to a shell in a variable. */
function revisionOf(record: JsonObject): Revision {
  const name = asText(record['revision'], 'revision', 200)
  if (!/^[\x20-\x7e]*$/.test(name)) throw new BinderyError('bad-format', 'revision is no line of printable ASCII')
  return { name, seconds: record['at'] === undefined ? undefined : asWhole(record['at'], 'at', 0, maxSeconds) }
}

function packageOf(value: Json): MadePackage {
  const record = asObject(value, 'a package')
  const reproducible = record['reproducible']
  return {
    file: fileName(record['file']),
    size: asWhole(record['size'], 'size', 0, maxId),
    sha256: digestIn(record['sha256']),
    reproducible: reproducible === undefined ? undefined : asBoolean(reproducible, 'reproducible'),
  }
}

function idOf(value: Json | undefined): number {
  return asWhole(value, 'a lease', 0, maxId)
}

function loadOf(record: JsonObject): number {
  return asWhole(record['load'], 'load', 0, 1_000_000)
}

function refusalOf(value: Json | undefined): Refusal {
  const text = asText(value, 'why', 20)
  // What a newer controller refuses for, an older builder takes for its own fault.
  return refusals.find((one) => one === text) ?? 'wrong'
}
