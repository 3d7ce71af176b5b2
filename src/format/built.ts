import { BinderyError } from '../base/error.ts'
import { parseSha256 } from '../base/digest.ts'
import { isFileName } from './openbsd/index-txt.ts'
import { asBoolean, asList, asObject, asText, asWhole, decodeJson, encodeJson } from './record-json.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Json, JsonObject } from './record-json.ts'

/** `manifest.json` of what `farm build` made (doc/spec/built.md): which packages there are, of what, and by which log. */
export type Built = {
  /** Of the system that the packages are for: `7.6`. */
  readonly release: string
  readonly arch: string
  /** In byte order of their files. */
  readonly packages: readonly BuiltPackage[]
  readonly failed: readonly FailedPort[]
}

export type BuiltPackage = {
  readonly file: string
  readonly pkgpath: string
  readonly size: number
  readonly sha256: Sha256
  /** The update signature, as pkg_add prints it. */
  readonly signature: string
  /** Below the folder; empty where the port printed nothing. */
  readonly log: string
  /** Whether a second build gave the same bytes; undefined where there was none. */
  readonly reproducible: boolean | undefined
}

export type FailedPort = {
  readonly pkgpath: string
  readonly why: string
  readonly log: string
  /** What its log says of it. */
  readonly lines: readonly string[]
}

export const builtKey = 'manifest.json'
const format = 'bindery-built'
const version = 1
const maxPackages = 100_000
const maxText = 1 << 20

export function encodeBuilt({ release, arch, packages, failed }: Built): Uint8Array {
  return encodeJson({ format, version, release, arch, packages, failed })
}

/** Throws `bad-format`, `over-limit`, and `not-supported` for another version. */
export function decodeBuilt(bytes: Uint8Array): Built {
  const record = asObject(decodeJson(bytes, builtKey), builtKey)
  if (record['format'] !== format) throw new BinderyError('bad-format', 'is no manifest of built packages')
  if (record['version'] !== version)
    throw new BinderyError('not-supported', `has version ${String(record['version'])} of its format`, { hint: 'a newer bindery wrote it' })
  return {
    release: plainName(record['release'], 'release'),
    arch: plainName(record['arch'], 'arch'),
    packages: asList(record['packages'], 'packages', maxPackages).map((one) => packageOf(asObject(one, 'a package'))),
    failed: asList(record['failed'], 'failed', maxPackages).map((one) => failedOf(asObject(one, 'a failed port'))),
  }
}

/** What becomes a folder's name. */
export function plainName(value: Json | undefined, what: string): string {
  const text = asText(value, what, 64)
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text)) return text
  throw new BinderyError('bad-format', `${what} is '${text}', which is no plain name`)
}

export function fileName(value: Json | undefined): string {
  const text = asText(value, 'file', 255)
  if (isFileName(text) && text.endsWith('.tgz')) return text
  throw new BinderyError('bad-format', `'${text.slice(0, 100)}' is no name of a package`)
}

export function digestIn(value: Json | undefined): Sha256 {
  const sha256 = parseSha256(asText(value, 'sha256', 64))
  if (sha256 === undefined) throw new BinderyError('bad-format', 'sha256 is no digest')
  return sha256
}

function packageOf(record: JsonObject): BuiltPackage {
  const reproducible = record['reproducible']
  return {
    file: fileName(record['file']),
    pkgpath: asText(record['pkgpath'], 'pkgpath', 4096),
    size: asWhole(record['size'], 'size', 0, Number.MAX_SAFE_INTEGER),
    sha256: digestIn(record['sha256']),
    signature: asText(record['signature'], 'signature', maxText),
    log: asText(record['log'], 'log', 4096),
    reproducible: reproducible === undefined ? undefined : asBoolean(reproducible, 'reproducible'),
  }
}

function failedOf(record: JsonObject): FailedPort {
  return {
    pkgpath: asText(record['pkgpath'], 'pkgpath', 4096),
    why: asText(record['why'], 'why', 4096),
    log: asText(record['log'], 'log', 4096),
    lines: asList(record['lines'], 'lines', 100).map((line) => asText(line, 'a line', 4096)),
  }
}
