import { concatBytes, emptyBytes, equalBytes, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/** The parts of a PBI, PC-BSD's package in one file, and of its patches (doc/spec/pbi.md). Archives come as they are, compressed. */
export type PbiParts =
  | ({ readonly form: 'pbi9' } & ArchiveParts)
  /** Before PBI 9: the parts behind a program that unpacks them. */
  | ({ readonly form: 'two-archives'; readonly program: Uint8Array } & ArchiveParts)
  | { readonly form: 'one-archive'; readonly program: Uint8Array; readonly payload: Uint8Array }

export type ArchiveParts = { readonly header: Uint8Array; readonly icon: Uint8Array | undefined; readonly payload: Uint8Array }

const iconLine = utf8('\n__PBI_ICON__\n')
/** What follows on the line is nobody's. */
const payloadMarker = utf8('\n__PBI_ARCHIVE__')
const secondMarker = utf8('\n__PBI_ARCHIVE2__')
const bzip2Magic = utf8('BZh')
const pngMagic = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

export function splitPbi(bytes: Uint8Array): PbiParts {
  const parts = findPbiParts(bytes)
  if (parts !== undefined) return parts
  throw new BinderyError('bad-format', 'is no PBI, or a cut-off one: no line begins with __PBI_ARCHIVE__')
}

/** By the first line that begins with a marker, wherever it is: as the shell's readers do. Undefined where there is none. */
export function findPbiParts(bytes: Uint8Array): PbiParts | undefined {
  const first = archiveAfter(bytes, payloadMarker)
  if (first === undefined) return undefined
  const before = bytes.subarray(0, first.marker)
  const archive = bytes.subarray(first.start)
  if (equalBytes(bytes.subarray(0, bzip2Magic.length), bzip2Magic))
    return { form: 'pbi9', ...splitIcon(before, iconLine), payload: archive }
  const second = archiveAfter(archive, secondMarker)
  if (second === undefined) return { form: 'one-archive', program: before, payload: archive }
  const between = archive.subarray(0, second.marker)
  return { form: 'two-archives', program: before, ...iconBehind(between), payload: archive.subarray(second.start) }
}

type Found = { readonly marker: number; readonly start: number }

function archiveAfter(bytes: Uint8Array, marker: Uint8Array): Found | undefined {
  const at = indexOf(bytes, marker)
  const end = at < 0 ? -1 : bytes.indexOf(0x0a, at + marker.length)
  return end < 0 ? undefined : { marker: at, start: end + 1 }
}

function splitIcon(bytes: Uint8Array, line: Uint8Array): Omit<ArchiveParts, 'payload'> {
  const at = indexOf(bytes, line)
  return at < 0 ? { header: bytes, icon: undefined } : { header: bytes.subarray(0, at), icon: bytes.subarray(at + line.length) }
}

/** Nobody has written down what parts the first archive and the picture behind it. */
function iconBehind(bytes: Uint8Array): Omit<ArchiveParts, 'payload'> {
  const marked = splitIcon(bytes, iconLine)
  const at = marked.icon === undefined ? indexOf(bytes, pngMagic) : -1
  return at < 0 ? marked : { header: bytes.subarray(0, at), icon: bytes.subarray(at) }
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(wanted)
}

/** A PBI 9. Refuses parts that its readers would take apart elsewhere. */
export function joinPbi({ header, icon, payload }: ArchiveParts): Uint8Array {
  const payloadLine = concatBytes([payloadMarker, utf8('\n')])
  const bytes = concatBytes([header, iconLine, icon ?? emptyBytes, payloadLine, payload])
  const found = splitPbi(bytes)
  if (found.form !== 'pbi9' || found.payload.length !== payload.length || found.header.length !== header.length)
    throw new BinderyError('not-supported', 'the header or the icon has a line that looks like one between parts of a PBI')
  return bytes
}

export function isPng(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, pngMagic.length), pngMagic)
}
