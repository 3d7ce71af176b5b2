import { fromLatin1, latin1 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { encodePackageRecord, decodePackageRecord } from './bindery-index.ts'
import type { IndexedPackage } from './bindery-index.ts'

/**
 * What `pkgindex` remembers of a mirror between two runs (doc/spec/pkgup-index.md): what it read, and by what it will know that a file is
 * still the same. Most of it is only passed on: a record is decoded by whoever needs all of it.
 */
export type KnownPackage = {
  readonly file: string
  readonly size: number
  readonly signature: string
  readonly pkgpath: string
  readonly stamp: string | undefined
  readonly tag: string | undefined
  /** `date=` of the package's signature. */
  readonly signedOn: string | undefined
  /** The line of bindery's index, without a digest. */
  readonly record: string
}

export type Recognition = Pick<KnownPackage, 'stamp' | 'tag' | 'signedOn'>

export function knownPackage(one: Omit<IndexedPackage, 'sha256'>, { stamp, tag, signedOn }: Recognition): KnownPackage {
  const { file, size, signature, info } = one
  return { file, size, signature, pkgpath: info.pkgpath, stamp, tag, signedOn, record: encodePackageRecord({ ...one, sha256: undefined }) }
}

/** All that is known of it but for its digest. */
export function indexedPackage({ record }: KnownPackage): IndexedPackage {
  return decodePackageRecord(record, 1)
}

const firstLine = 'bindery-pkgindex-state 1'

export function encodeIndexState(place: string, packages: readonly KnownPackage[]): Uint8Array {
  const lines = packages.map(({ stamp, tag, signedOn, record }) => `${column(stamp)}\t${column(tag)}\t${column(signedOn)}\t${record}`)
  return fromLatin1([firstLine, Buffer.from(JSON.stringify(place)).toString('latin1'), ...lines].map((line) => `${line}\n`).join(''))
}

/** What does not fit is not remembered. */
function column(text: string | undefined): string {
  return text !== undefined && /^[\u0020-\u007e]+$/.test(text) ? text : ''
}

/** By file. Throws `bad-format`; empty for the state of another mirror. */
export function decodeIndexState(bytes: Uint8Array, place: string): ReadonlyMap<string, KnownPackage> {
  const lines = latin1(bytes).split('\n')
  if (lines.pop() !== '' || lines.shift() !== firstLine)
    throw new BinderyError('bad-format', `does not begin with '${firstLine}', or has no end`)
  if (lines.shift() !== Buffer.from(JSON.stringify(place)).toString('latin1')) return new Map()
  return new Map(lines.map((line, i) => knownOf(line, i + 3)).map((known) => [known.file, known]))
}

/** As `encodePackageRecord` writes it. */
const recordStart = /^\{"file":"([^"\\]+)","size":([0-9]{1,15}),"signature":"([^"\\]+)","pkgpath":"([^"\\]+)"/

function knownOf(line: string, number: number): KnownPackage {
  const [stamp, tag, signedOn, record] = line.split('\t', 4)
  const start = recordStart.exec(record ?? '')
  if (start === null || record === undefined || !record.endsWith('}')) throw new BinderyError('bad-format', `line ${number} is no package`)
  const [, file, size, signature, pkgpath] = start as unknown as [string, string, string, string, string]
  const said = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
  return { file, size: Number(size), signature, pkgpath, stamp: said(stamp), tag: said(tag), signedOn: said(signedOn), record }
}
