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

/** `broken`: files whose lines have no signature or no pkgpath, where obsdpkgup panics. */
export type DecodedIndex = { readonly kind: 'index'; readonly broken: readonly string[] } & PkgupIndex

/** What is no line of a package is passed over, as obsdpkgup does. Only the packages that `wants` wants by their files are decoded. */
export function decodePkgupIndex(text: Uint8Array, wants: (file: string) => boolean = () => true): DecodedIndex | OtherIndex {
  if (text.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const [first = '', quirksDate = '', ...lines] = latin1(text).split('\n')
  const version = strictInteger(first)
  if (version === undefined) return { kind: 'no-version', line: first, era: eraOf(first, quirksDate) }
  if (version !== pkgupVersion) return { kind: 'other-version', version }
  const packages: PkgupPackage[] = []
  const broken: string[] = []
  for (const line of lines) {
    const file = fileOf(line)
    if (file === undefined || !wants(file)) continue
    const [, signature, pkgpath] = line.trimStart().split(/[ \t\r\v\f]+/)
    if (signature === undefined || pkgpath === undefined || pkgpath === '') broken.push(file)
    else packages.push({ file, signature, pkgpath })
  }
  return { kind: 'index', quirksDate, packages, broken }
}

/** Found without splitting the line: most are not wanted. */
function fileOf(line: string): string | undefined {
  const end = line.indexOf('.tgz')
  if (end > 0 && line.charCodeAt(end + 4) === 32 && line.charCodeAt(0) > 32 && !line.slice(0, end).includes(' '))
    return line.slice(0, end + 4)
  const word = line.trimStart().split(/[ \t\r\v\f]/, 1)[0] as string
  return word.length > 1 && word.endsWith('.tgz') ? word : undefined
}

/** As Go's strconv.Atoi: a sign, digits, nothing else; not even a carriage return. */
function strictInteger(line: string): number | undefined {
  return /^[+-]?[0-9]{1,15}$/.test(line) ? Number(line) : undefined
}

const hashLine = /^\S+\.tgz [A-Za-z0-9+/]{43}=( \S+)?$/

function eraOf(first: string, second: string): 'hashes' | 'hashes-and-paths' | 'without-version' | undefined {
  const hashed = hashLine.exec(first)
  if (hashed !== null) return hashed[1] === undefined ? 'hashes' : 'hashes-and-paths'
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(first) && /^\S+\.tgz \S+,\S+/.test(second) ? 'without-version' : undefined
}
