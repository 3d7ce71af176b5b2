import { fromUtf8, utf8 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { packageOfRecord, packageRecord } from './bindery-index.ts'
import type { IndexedPackage } from './bindery-index.ts'

/**
 * What `pkgindex` remembers of a mirror between two runs (doc/spec/pkgup-index.md): what it read, and by what it will know that a file is
 * still the same. JSON lines.
 */
export type KnownPackage = IndexedPackage & {
  readonly stamp: string | undefined
  readonly tag: string | undefined
  /** `date=` of the package's signature. */
  readonly signedOn: string | undefined
}

const firstLine = 'bindery-pkgindex-state 1'

export function encodeIndexState(place: string, packages: readonly KnownPackage[]): Uint8Array {
  const lines = packages.map(({ stamp, tag, signedOn, ...known }) =>
    JSON.stringify({ ...packageRecord({ ...known, sha256: undefined }), stamp, tag, signedOn }),
  )
  return utf8([firstLine, JSON.stringify(place), ...lines].map((line) => `${line}\n`).join(''))
}

/** By file. Throws `bad-format`; empty for the state of another mirror. */
export function decodeIndexState(bytes: Uint8Array, place: string): ReadonlyMap<string, KnownPackage> {
  try {
    const [first, of, ...lines] = fromUtf8(bytes).trimEnd().split('\n')
    if (first !== firstLine || of === undefined) throw new BinderyError('bad-format', `does not begin with '${firstLine}'`)
    if (JSON.parse(of) !== place) return new Map()
    return new Map(lines.map(knownOf).map((known) => [known.file, known]))
  } catch (cause) {
    if (cause instanceof BinderyError) throw cause
    throw new BinderyError('bad-format', 'is no state of pkgindex', { cause })
  }
}

function knownOf(line: string, index: number): KnownPackage {
  const record = JSON.parse(line) as Readonly<Record<string, unknown>>
  const text = (name: string): string | undefined => (typeof record[name] === 'string' ? record[name] : undefined)
  return { ...packageOfRecord(record, index + 3), stamp: text('stamp'), tag: text('tag'), signedOn: text('signedOn') }
}
