import { BinderyError } from '../base/error.ts'
import { digestIn, fileName, plainName } from './built.ts'
import { asList, asObject, asText, asWhole, decodeJson, encodeJson } from './record-json.ts'
import type { Sha256 } from '../base/digest.ts'
import type { JsonObject } from './record-json.ts'

/** `request.json` of a handover (doc/spec/handover.md): what is to be signed, and what it comes after. */
export type Handover = { readonly sets: readonly HandedSet[] }

/** The packages of one release on one architecture. */
export type HandedSet = {
  readonly release: string
  readonly arch: string
  /** Of the SHA256.sig that this follows; undefined for the first. */
  readonly basis: Sha256 | undefined
  /** In byte order of their files. */
  readonly packages: readonly HandedPackage[]
}

export type HandedPackage = {
  readonly file: string
  readonly pkgpath: string
  readonly size: number
  readonly sha256: Sha256
  readonly signature: string
  /** `changed`: there was one of this name, with other contents. */
  readonly state: 'new' | 'update' | 'changed'
  /** Files of the last set that go. */
  readonly replaces: readonly string[]
  /** What it closes, where it counts as a security update: CVEs, subjects of commits. */
  readonly security: readonly string[] | undefined
}

const format = 'bindery-handover'
const version = 1
const maxSets = 1000
const maxPackages = 100_000

export function encodeHandover({ sets }: Handover): Uint8Array {
  return encodeJson({ format, version, sets })
}

/** Throws `bad-format`, `over-limit`, and `not-supported` for another version. */
export function decodeHandover(bytes: Uint8Array): Handover {
  const record = asObject(decodeJson(bytes, 'request.json'), 'request.json')
  if (record['format'] !== format) throw new BinderyError('bad-format', 'is no handover')
  if (record['version'] !== version)
    throw new BinderyError('not-supported', `has version ${String(record['version'])} of its format`, { hint: 'a newer bindery wrote it' })
  const sets = asList(record['sets'], 'sets', maxSets).map((set) => setOf(asObject(set, 'a set')))
  refuseTwins(sets.map(folderOf))
  return { sets }
}

/** Where the files of a set lie in what travels. */
export function folderOf({ release, arch }: Pick<HandedSet, 'release' | 'arch'>): string {
  return `${release}/${arch}`
}

function setOf(record: JsonObject): HandedSet {
  const packages = asList(record['packages'], 'packages', maxPackages).map((one) => packageOf(asObject(one, 'a package')))
  refuseTwins(packages.map(({ file }) => file))
  return {
    release: plainName(record['release'], 'release'),
    arch: plainName(record['arch'], 'arch'),
    basis: record['basis'] === undefined ? undefined : digestIn(record['basis']),
    packages,
  }
}

function refuseTwins(names: readonly string[]): void {
  if (new Set(names).size < names.length) throw new BinderyError('bad-format', 'names something twice')
}

function packageOf(record: JsonObject): HandedPackage {
  const state = asText(record['state'], 'state', 16)
  if (state !== 'new' && state !== 'update' && state !== 'changed') throw new BinderyError('bad-format', `'${state}' is no state`)
  return {
    file: fileName(record['file']),
    pkgpath: asText(record['pkgpath'], 'pkgpath', 4096),
    size: asWhole(record['size'], 'size', 0, Number.MAX_SAFE_INTEGER),
    sha256: digestIn(record['sha256']),
    signature: asText(record['signature'], 'signature', 1 << 20),
    state,
    replaces: asList(record['replaces'], 'replaces', maxPackages).map(fileName),
    security:
      record['security'] === undefined
        ? undefined
        : asList(record['security'], 'security', 1000).map((text) => asText(text, 'security', 4096)),
  }
}
