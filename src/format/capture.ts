import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { pathFromText } from '../base/path.ts'
import { asBoolean, asList, asObject, asText, asWhole, decodeJson, encodeJson } from './record-json.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Json, JsonObject } from './record-json.ts'

/**
 * The record of a capture (doc/spec/capture.md): how it was made, and the digests of the two manifests that say what it
 * holds. It is written last: a folder without one is no capture.
 */
export type CaptureRecord = {
  /** Seconds since the epoch, when the first command began. */
  readonly made: number
  readonly sandbox: 'overlay' | 'snapshot' | 'destdir'
  /** Whether the commands had the machine's network. */
  readonly network: boolean
  /** Programs with their arguments, in the order in which they ran. */
  readonly commands: readonly (readonly string[])[]
  /** The errata patches whose instructions these were; empty for any other command. */
  readonly errata: readonly CapturedErrata[]
  /** Paths whose changes were left out, with everything below; UTF-8. */
  readonly exclude: readonly string[]
  /** Digests of `old.mtree` and `new.mtree`. */
  readonly old: Sha256
  readonly new: Sha256
}

/** `name` as the instructions have it (`001_sshd`); the release is absent where the patch names none. */
export type CapturedErrata = { readonly release?: string; readonly number: string; readonly name: string; readonly signed: boolean }

const marker = 'capture'
const version = 1
export const captureLimits = { bytes: 4 << 20, commands: 4096, words: 65_536, text: 1 << 20, exclude: 4096, errata: 1000 } as const

export function encodeCapture(record: CaptureRecord): Uint8Array {
  const bytes = encodeJson({ bindery: marker, version, must: [], ...record } satisfies JsonObject)
  decodeCapture(bytes)
  return bytes
}

/** `bad-format`, `over-limit`; `not-supported` for a record that demands what a later version understands. */
export function decodeCapture(bytes: Uint8Array): CaptureRecord {
  if (bytes.length > captureLimits.bytes) throw new BinderyError('over-limit', `the record is larger than ${captureLimits.bytes} bytes`)
  const record = asObject(decodeJson(bytes, 'the record'), 'the record')
  if (record['bindery'] !== marker) throw new BinderyError('bad-format', 'is no record of a capture')
  if (record['version'] !== version || asList(record['must'], 'must', 32).length > 0) {
    throw new BinderyError('not-supported', 'was made by a newer bindery')
  }
  return {
    made: asWhole(record['made'], 'made', 0, Number.MAX_SAFE_INTEGER),
    sandbox: asSandbox(record['sandbox']),
    network: asBoolean(record['network'], 'network'),
    commands: asList(record['commands'], 'commands', captureLimits.commands).map(asCommand),
    errata: asList(record['errata'], 'errata', captureLimits.errata).map(asErrata),
    exclude: asList(record['exclude'], 'exclude', captureLimits.exclude).map(asPath),
    old: asDigest(record['old'], 'old'),
    new: asDigest(record['new'], 'new'),
  }
}

function asSandbox(value: Json | undefined): CaptureRecord['sandbox'] {
  if (value !== 'overlay' && value !== 'snapshot' && value !== 'destdir')
    throw new BinderyError('bad-format', 'sandbox is of no known kind')
  return value
}

function asCommand(value: Json): readonly string[] {
  const words = asList(value, 'a command', captureLimits.words).map((word) => asText(word, 'a word', captureLimits.text))
  if (words.length === 0) throw new BinderyError('bad-format', 'a command has no words')
  return words
}

function asErrata(value: Json): CapturedErrata {
  const errata = asObject(value, 'errata')
  const release = errata['release'] === undefined ? {} : { release: asText(errata['release'], 'release', 64) }
  const number = asText(errata['number'], 'number', 16)
  return { ...release, number, name: asText(errata['name'], 'name', 255), signed: asBoolean(errata['signed'], 'signed') }
}

function asPath(value: Json): string {
  const text = asText(value, 'exclude', 4096)
  if (pathFromText(text) === undefined) throw new BinderyError('hostile', 'exclude holds an unsafe path')
  return text
}

function asDigest(value: Json | undefined, what: string): Sha256 {
  const digest = parseSha256(asText(value, what, 64))
  if (digest === undefined || digest !== value) throw new BinderyError('bad-format', `${what} is no digest`)
  return digest
}
