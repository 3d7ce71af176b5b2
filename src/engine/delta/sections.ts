import { BinderyError } from '../../base/error.ts'
import { byteWriter, readVarint, unzigzag, zigzag } from '../../format/varint.ts'
import type { Cursor } from '../../format/varint.ts'

/**
 * A batch may be divided into sections (doc/spec/delta.md), each a coding and how many new bytes it makes; others than plain
 * ones also say which old bytes they are made from. Without them a batch is plain all through.
 */
export type Section =
  | { readonly kind: 'plain'; readonly size: number }
  /** `seek`: from where the last copy ended to the first byte of the old image. */
  | ImageSection
  | GzipSection

/** `plainLiterals`: how many there are in the stream of literals; undefined where they are coded with the image. */
export type ImageSection = {
  readonly kind: 'image'
  readonly size: number
  readonly seek: number
  readonly oldSize: number
  readonly plainLiterals: number | undefined
}

/** A gzip file: its content is made from that of the old one by plain matching, and closed again by a recipe. */
export type GzipSection = {
  readonly kind: 'gzip'
  readonly size: number
  readonly seek: number
  readonly oldSize: number
  readonly oldContentSize: number
  readonly contentSize: number
  readonly recipeSize: number
}

/**
 * All of an old image is looked at to make the new one, whatever little of it is used: a reader must not be made to work for
 * nothing.
 */
export function mayBeImage(oldSize: number, size: number): boolean {
  return Math.min(oldSize, size) >= leastImage && oldSize <= mostOldPerNew * size
}

const leastImage = 4096
const mostOldPerNew = 16

/** By number in the format. */
const codings = { plain: 0, image: 1, gzip: 2, plainLiteralImage: 3 } as const

export function encodeSections(sections: readonly Section[]): Uint8Array {
  const out = byteWriter()
  for (const section of sections) {
    const hasPlainLiterals = section.kind === 'image' && section.plainLiterals !== undefined
    out.varint(hasPlainLiterals ? codings.plainLiteralImage : codings[section.kind])
    out.varint(section.size)
    if (section.kind === 'plain') continue
    out.varint(zigzag(section.seek))
    out.varint(section.oldSize)
    if (section.kind === 'image') {
      if (section.plainLiterals !== undefined) out.varint(section.plainLiterals)
      continue
    }
    out.varint(section.oldContentSize)
    out.varint(section.contentSize)
    out.varint(section.recipeSize)
  }
  return out.take()
}

/** `newSize`: what all sections together make. Checked as a whole before the first; there may be millions of them. */
export function* decodeSections(bytes: Cursor, newSize: number): Generator<Section> {
  if (bytes.bytes.length === 0) return yield { kind: 'plain', size: newSize }
  const ahead = { bytes: bytes.bytes, at: bytes.at }
  let sum = 0
  while (ahead.at < ahead.bytes.length) sum += decodeSection(ahead).size
  if (sum !== newSize) throw new BinderyError('bad-format', 'the sections of a batch of the delta do not add up')
  while (bytes.at < bytes.bytes.length) yield decodeSection(bytes)
}

function decodeSection(bytes: Cursor): Section {
  const coding = readVarint(bytes)
  const size = readVarint(bytes)
  if (size === 0) throw new BinderyError('bad-format', 'a section of the delta makes nothing')
  if (coding === codings.plain) return { kind: 'plain', size }
  if (coding > codings.plainLiteralImage)
    throw new BinderyError('bad-format', `the delta has a coding unknown here (${coding})`, { hint: 'it may need a newer bindery' })
  const from = { size, seek: unzigzag(readVarint(bytes)), oldSize: readVarint(bytes) }
  if (coding !== codings.gzip) {
    if (!mayBeImage(from.oldSize, size)) throw new BinderyError('bad-format', 'an executable of the delta is of an impossible size')
    return { kind: 'image', ...from, plainLiterals: coding === codings.plainLiteralImage ? readVarint(bytes) : undefined }
  }
  return { kind: 'gzip', ...from, oldContentSize: readVarint(bytes), contentSize: readVarint(bytes), recipeSize: readVarint(bytes) }
}
