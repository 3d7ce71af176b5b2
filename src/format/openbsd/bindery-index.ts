import { concatBytes, equalBytes, utf8 } from '../../base/bytes.ts'
import { parseSha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { utf8Text } from '../../base/utf8-text.ts'
import { isFileName } from './index-txt.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { Dependency, UpdateInfo } from './update-info.ts'

/**
 * bindery's own index of an OpenBSD mirror (doc/spec/bindery-index.md): JSON lines, what both update signatures are made of, and what a
 * client needs to tell an old index from a new one. Around them zstd, and in front of that a frame that zstd skips, with signify's signature of all
 * that follows it.
 */
export type BinderyIndex = {
  readonly quirksDate: string
  /** Seconds since the epoch. */
  readonly made: number
  readonly expires: number
  readonly packages: readonly IndexedPackage[]
}

export type IndexedPackage = {
  /** With `.tgz`. */
  readonly file: string
  readonly size: number
  /** Where the mirror's own list of checksums told it. */
  readonly sha256: Sha256 | undefined
  /** Of obsdpkgup, literally. */
  readonly signature: string
  /** What pkg_add's signature is made of, and where the package belongs. */
  readonly info: IndexedInfo
}

export type IndexedInfo = UpdateInfo & { readonly pkgpath: string }

const format = 'bindery-index'
const version = 1
const maxText = 512 << 20

export function encodeBinderyIndex({ quirksDate, made, expires, packages }: BinderyIndex): Uint8Array {
  const head = { format, version, quirksDate, made, expires }
  return utf8([JSON.stringify(head), ...packages.map(encodePackageRecord)].map((line) => `${line}\n`).join(''))
}

/** A line of it, without its end. What is empty or unknown is left out; chars above 0x7e are escaped, so that it is ASCII. */
export function encodePackageRecord({ file, size, sha256, signature, info }: IndexedPackage): string {
  const { names, versions, depends, wantlibs, libsets, conflicts, formerPaths, options, arch, url, pkgpath } = info
  const all = {
    file,
    size,
    signature,
    pkgpath,
    sha256,
    names,
    versions,
    depends: depends.map((one) => [one.pkgpath, one.pattern, one.default]),
    wantlibs,
    libsets,
    conflicts,
    formerPaths,
    options,
    arch,
    url,
  }
  const json = JSON.stringify(all, (_, value: unknown) => (Array.isArray(value) && value.length === 0 ? undefined : value))
  return json.replaceAll(/[\u007f-\u00ff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Of verified bytes. Only the packages that `wants` wants by their files are decoded. Throws `bad-format`, and `not-supported` for another version. */
export function decodeBinderyIndex(text: Uint8Array, wants: (file: string) => boolean = () => true): BinderyIndex {
  if (text.length > maxText) throw new BinderyError('over-limit', `is larger than ${maxText} bytes`)
  const lines = utf8Text(text).split('\n')
  if (lines.pop() !== '') throw new BinderyError('bad-format', 'does not end with a line end')
  const [first = '', ...rest] = lines
  const head = recordOf(first, 0)
  if (head['format'] !== format) throw new BinderyError('bad-format', 'is no index of bindery')
  if (head['version'] !== version)
    throw new BinderyError('not-supported', `has version ${String(head['version'])} of its format`, { hint: 'a newer bindery wrote it' })
  const [quirksDate, made, expires] = [head['quirksDate'], head['made'], head['expires']]
  if (typeof quirksDate !== 'string' || !isCount(made) || !isCount(expires))
    throw new BinderyError('bad-format', 'line 1 is not as it should be')
  const packages = rest.flatMap((line, i) => {
    const file = fileAtStart.exec(line)?.[1]
    return file !== undefined && !wants(file) ? [] : [decodePackageRecord(line, i + 2)]
  })
  return { quirksDate, made, expires, packages }
}

/** As we write it, so that what is not wanted costs next to nothing. */
const fileAtStart = /^\{"file":"([^"\\]+)"/

type JsonRecord = Readonly<Record<string, unknown>>

function recordOf(line: string, index: number): JsonRecord {
  try {
    const value = JSON.parse(line) as unknown
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonRecord
  } catch {
    // Told below, like any other line that is no object.
  }
  throw new BinderyError('bad-format', `line ${index + 1} is no JSON object`)
}

/** `number`: of the line, for the error. */
export function decodePackageRecord(line: string, number: number): IndexedPackage {
  const record = recordOf(line, number - 1)
  const bad = (name: string): BinderyError => new BinderyError('bad-format', `line ${number} has no good ${name}`)
  const text = (name: string): string => {
    const value = record[name]
    if (typeof value !== 'string') throw bad(name)
    return value
  }
  const maybe = (name: string): string | undefined => (record[name] === undefined ? undefined : text(name))
  const texts = (name: string): readonly string[] => {
    const value = record[name] ?? []
    if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw bad(name)
    return value
  }
  const depends = record['depends'] ?? []
  if (!Array.isArray(depends) || !depends.every(isDependency)) throw bad('depends')
  const size = record['size']
  const digest = maybe('sha256')
  const sha256 = digest === undefined ? undefined : parseSha256(digest)
  if (!isFileName(text('file'))) throw bad('file')
  if (!isCount(size)) throw bad('size')
  if (digest !== undefined && sha256 === undefined) throw bad('sha256')
  const lists = { names: texts('names'), versions: texts('versions'), wantlibs: texts('wantlibs'), libsets: texts('libsets') }
  const more = { conflicts: texts('conflicts'), formerPaths: texts('formerPaths'), options: texts('options') }
  const info = { ...lists, ...more, depends: depends.map(dependencyOf), arch: maybe('arch'), url: maybe('url'), pkgpath: text('pkgpath') }
  return { file: text('file'), size, sha256, signature: text('signature'), info }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isDependency(value: unknown): value is readonly [string, string, string] {
  return Array.isArray(value) && value.length === 3 && value.every((one) => typeof one === 'string')
}

function dependencyOf([pkgpath, pattern, name]: readonly [string, string, string]): Dependency {
  return { pkgpath, pattern, default: name }
}

/** RFC 8878, 3.1.2: sixteen magic numbers for frames that every reader passes over; ours is the twelfth. */
const skippable = new Uint8Array([0x5b, 0x2a, 0x4d, 0x18])
const maxSignature = 4096

/** `signature` is a file of signify, of `compressed`. */
export function sealIndex(signature: Uint8Array, compressed: Uint8Array): Uint8Array {
  const size = new Uint8Array(4)
  new DataView(size.buffer).setUint32(0, signature.length, true)
  return concatBytes([skippable, size, signature, compressed])
}

/** Undefined for what has no such signature. Neither part may be used before it is verified. */
export function unsealIndex(file: Uint8Array): { readonly signature: Uint8Array; readonly compressed: Uint8Array } | undefined {
  if (file.length < 8 || !equalBytes(file.subarray(0, 4), skippable)) return undefined
  const size = new DataView(file.buffer, file.byteOffset).getUint32(4, true)
  if (size > maxSignature || 8 + size > file.length) return undefined
  return { signature: file.subarray(8, 8 + size), compressed: file.subarray(8 + size) }
}
