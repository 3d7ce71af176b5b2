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
  const whole = latin1(text)
  const [first = '', quirksDate = ''] = whole.split('\n', 2)
  const version = strictInteger(first)
  if (version === undefined) return { kind: 'no-version', line: first, era: eraOf(first, quirksDate) }
  if (version !== pkgupVersion) return { kind: 'other-version', version }
  const packages: PkgupPackage[] = []
  const broken: string[] = []
  for (let at = first.length + quirksDate.length + 2, end = 0; at < whole.length; at = end + 1) {
    end = lineEnd(whole, at)
    const file = fileAt(whole, at, end)
    if (file === undefined || !wants(file)) continue
    const [, signature, pkgpath] = whole.slice(at, end).trimStart().split(blanks)
    if (signature === undefined || pkgpath === undefined || pkgpath === '') broken.push(file)
    else packages.push({ file, signature, pkgpath })
  }
  return { kind: 'index', quirksDate, packages, broken }
}

/** As Go's strconv.Atoi: a sign, digits, nothing else; not even a carriage return. */
function strictInteger(line: string): number | undefined {
  return /^[+-]?[0-9]{1,15}$/.test(line) ? Number(line) : undefined
}

const blanks = /[ \t\r\v\f]+/

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end
}

/** The line is text[at, end). Most are not wanted, and are not taken apart. */
function fileAt(text: string, at: number, end: number): string | undefined {
  const space = text.indexOf(' ', at)
  const word = text.slice(at, space < 0 || space > end ? end : space)
  const file = word.length > 4 && !blanks.test(word) ? word : (text.slice(at, end).trimStart().split(blanks, 1)[0] as string)
  return file.endsWith('.tgz') ? file : undefined
}

const hashLine = /^\S+\.tgz [A-Za-z0-9+/]{43}=( \S+)?$/

function eraOf(first: string, second: string): 'hashes' | 'hashes-and-paths' | 'without-version' | undefined {
  const hashed = hashLine.exec(first)
  if (hashed !== null) return hashed[1] === undefined ? 'hashes' : 'hashes-and-paths'
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(first) && /^\S+\.tgz \S+,\S+/.test(second) ? 'without-version' : undefined
}
