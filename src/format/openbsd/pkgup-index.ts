import { fromLatin1, latin1 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'

/**
 * The text inside `index.pkgup.gz`, obsdpkgup's index (doc/spec/pkgup-index.md): the version of the format, the date of the mirror's quirks
 * package, then `FILE SIGNATURE PKGPATH` for each package. Texts are one char per byte.
 */
export type PkgupIndex = {
  /** RFC 3339, as signify writes it. */
  readonly quirksDate: string
  readonly packages: readonly PkgupPackage[]
}

export type PkgupPackage = {
  /** With `.tgz`. */
  readonly file: string
  /** obsdpkgup's update signature, literally. */
  readonly signature: string
  readonly pkgpath: string
}

/** What a first line may say besides `1`. */
export type OtherIndex =
  | { readonly kind: 'other-version'; readonly version: number }
  /** `line`: what stands there instead. `era`: which of the formats before version 1 it looks like. */
  | { readonly kind: 'no-version'; readonly line: string; readonly era: 'hashes' | 'hashes-and-paths' | 'without-version' | undefined }

export const pkgupVersion = 1
const maxBytes = 256 << 20

export function encodePkgupIndex({ quirksDate, packages }: PkgupIndex): Uint8Array {
  const lines = packages.map(({ file, signature, pkgpath }) => `${file} ${signature} ${pkgpath}\n`)
  return fromLatin1(`${pkgupVersion}\n${quirksDate}\n${lines.join('')}`)
}

/** What is no line of a package is passed over, as obsdpkgup does; a line with too few words too, where it panics. */
export function decodePkgupIndex(text: Uint8Array): ({ readonly kind: 'index' } & PkgupIndex) | OtherIndex {
  if (text.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const [first = '', quirksDate = '', ...lines] = latin1(text).split('\n')
  const version = strictInteger(first)
  if (version === undefined) return { kind: 'no-version', line: first, era: eraOf(first, quirksDate) }
  if (version !== pkgupVersion) return { kind: 'other-version', version }
  return { kind: 'index', quirksDate, packages: lines.flatMap(packageOf) }
}

/** As Go's strconv.Atoi: a sign, digits, nothing else; not even a carriage return. */
function strictInteger(line: string): number | undefined {
  return /^[+-]?[0-9]{1,15}$/.test(line) ? Number(line) : undefined
}

function packageOf(line: string): readonly PkgupPackage[] {
  const [file, signature, pkgpath] = line.split(/[ \t\r\v\f]+/).filter((word) => word !== '')
  return file === undefined || signature === undefined || pkgpath === undefined || !file.endsWith('.tgz')
    ? []
    : [{ file, signature, pkgpath }]
}

const hashLine = /^\S+\.tgz [A-Za-z0-9+/]{43}=( \S+)?$/

function eraOf(first: string, second: string): 'hashes' | 'hashes-and-paths' | 'without-version' | undefined {
  const hashed = hashLine.exec(first)
  if (hashed !== null) return hashed[1] === undefined ? 'hashes' : 'hashes-and-paths'
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(first) && /^\S+\.tgz \S+,\S+/.test(second) ? 'without-version' : undefined
}
