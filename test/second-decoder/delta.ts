import { createHash } from 'node:crypto'
import { brotliDecompressSync, constants, crc32, zstdDecompressSync } from 'node:zlib'
import { ByteView, Fields, need, Refused, unpacked } from './bytes.ts'
import { closeGzip, openGzip } from './gzip.ts'
import { decodeImage, ImageModels } from './image.ts'
import { readLayout } from './elf.ts'
import { BitSource } from './models.ts'

/** The new side, from the whole of the old one. Written from doc/spec alone: delta.md, delta-images.md, gzip-recipe.md. */
export function decodeDelta(delta: Uint8Array, old: Uint8Array): Uint8Array {
  const { front, next } = decodeUnverified(delta, old)
  verify(next, front.next, front.blockSize)
  return next
}

/** What a reader grants. */
const granted = 2 ** 28

/** As above, but for the digests of the new side. */
export function decodeUnverified(delta: Uint8Array, old: Uint8Array): { readonly front: Front; readonly next: Uint8Array } {
  try {
    const fields = new Fields(delta)
    const front = readFront(fields, delta)
    need(front.memory <= granted, 'more memory than is granted')
    verify(old, front.old, front.blockSize)
    const reader = new DeltaReader(front, old)
    for (let size = fields.varint(); size > 0; size = fields.varint()) {
      need(size <= 1024, 'a head that is too long')
      reader.batch(new Fields(fields.take(size)), fields)
    }
    need(fields.left === 0, 'something behind the end')
    return { front, next: Buffer.concat(reader.made) }
  } catch (error) {
    // A place outside of a view, or of what can be allocated.
    if (error instanceof RangeError) throw new Refused(error.message)
    throw error
  }
}

const mebi = 2 ** 20

type Side = { readonly size: number; readonly digest: Uint8Array; blocks: readonly Uint8Array[] }
type Range = { readonly start: number; readonly end: number }
type Front = ReturnType<typeof readFront>

function readFront(fields: Fields, delta: Uint8Array) {
  need(Buffer.from(fields.take(8)).toString('latin1') === 'bindelta' && fields.byte() === 1, 'not a delta of version 1')
  const header = new Fields(fields.take(fields.byte() + 256 * fields.byte()))
  need(header.varint() === 0, 'flags of a later version')
  for (let i = 0; i < 2; i++) need(/^([A-Za-z0-9][\w.+-]*)?$/.test(Buffer.from(header.take(header.byte())).toString('latin1')), 'a name')
  const side = (): Side => ({ size: header.varint(), digest: header.take(32), blocks: [] })
  const [old, next] = [side(), side()]
  const [blockBits, digestSize] = [header.byte(), header.byte()]
  const [window, batchLimit, coding, count] = [header.varint(), header.varint(), header.varint(), header.varint()]
  need(blockBits >= 12 && blockBits <= 26 && digestSize >= 16 && digestSize <= 32, 'blocks')
  need(window >= 64 && window <= 2 ** 31 && batchLimit <= 2 ** 28 && coding <= 2 ** 40 && count <= 2048, 'limits')
  const retained = readRetained(header, count, old.size)
  need(header.left === 0, 'something behind the header')
  const blockSize = 2 ** blockBits
  for (const one of [old, next]) {
    const blocks = Math.ceil(one.size / blockSize)
    need(blocks <= 65536, 'too many blocks')
    one.blocks = Array.from({ length: Math.max(0, blocks - 1) }, () => fields.take(digestSize))
  }
  const crc = crc32(delta.subarray(0, delta.length - fields.left))
  need(Buffer.from(fields.take(4)).readUInt32LE() === crc, 'a check sum')
  const retainedBytes = retained.reduce((sum, { start, end }) => sum + end - start, 0)
  const buffers = Math.min(window + blockSize, old.size) + 2 * Math.min(blockSize, next.size) + retainedBytes + 2 * batchLimit
  return { old, next, blockSize, window, batchLimit, coding, retained, memory: buffers + 24 * mebi + coding }
}

function readRetained(header: Fields, count: number, oldSize: number): readonly Range[] {
  let end = 0
  return Array.from({ length: count }, () => {
    const start = end + header.varint()
    const length = header.varint()
    end = start + length
    need(length >= 1 && end <= oldSize, 'a retained range')
    return { start, end }
  })
}

function verify(bytes: Uint8Array, { size, digest, blocks }: Side, blockSize: number): void {
  need(bytes.length === size, 'another size')
  const hash = createHash('sha256')
  for (const [i, block] of blocks.entries()) {
    hash.update(bytes.subarray(i * blockSize, (i + 1) * blockSize))
    need(hash.copy().digest().subarray(0, block.length).equals(block), 'a damaged block')
  }
  need(
    hash
      .update(bytes.subarray(blocks.length * blockSize))
      .digest()
      .equals(digest),
    'another digest',
  )
}

const [sections, copies, literalRuns, seeks, gaps, residuals, literals, images, imageChanges, recipes] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
] as const
/** Bytes of a stream for each new byte. */
const densest = [16, 8, 8, 8, 8, 5, 1, 8, 8, 1] as const

function readStreams(head: Fields, body: Fields, size: number, limit: number): readonly Uint8Array[] {
  const present = head.varint()
  need(present < 1024, 'streams of a later version')
  const heads = densest.map((most, i) => {
    if ((present & (1 << i)) === 0) return { codec: 0, whole: 0, coded: 0 }
    const [codec, whole] = [head.varint(), head.varint()]
    const coded = codec === 0 ? whole : head.varint()
    need(codec <= 2 && whole >= 1 && whole <= most * size && coded >= 1 && coded <= whole, 'a stream')
    return { codec, whole, coded }
  })
  need(head.left === 0 && heads.reduce((sum, { whole }) => sum + whole, 0) <= limit, 'streams')
  return heads.map(({ codec, whole, coded }) => {
    const bytes = codec === 0 ? body.take(coded) : decompressed(codec, body.take(coded), whole)
    need(bytes.length === whole, 'a stream of another size')
    return bytes
  })
}

function decompressed(codec: number, coded: Uint8Array, size: number): Uint8Array {
  const params = codec === 1 ? { [constants.ZSTD_d_windowLogMax]: 24 } : {}
  const { bytes, used } = unpacked(codec === 1 ? zstdDecompressSync : brotliDecompressSync, coded, { maxOutputLength: size, params })
  need(used === coded.length, 'something behind a stream')
  return bytes
}

/** Where copies come from, and what may be copied. */
type Source = {
  readonly bytes: Uint8Array
  readonly window: number
  readonly retained: readonly Range[]
  position: number
  furthest: number
}
type Section = {
  readonly coding: number
  readonly size: number
  readonly seek: number
  readonly oldSize: number
  readonly more: readonly number[]
}

/** As many numbers as each coding has behind the size of its old bytes. */
const numbersOf = [0, 0, 3, 1]

function readSections(stream: Uint8Array, size: number): readonly Section[] {
  if (stream.length === 0) return [{ coding: 0, size, seek: 0, oldSize: 0, more: [] }]
  const fields = new Fields(stream)
  const list: Section[] = []
  while (fields.left > 0) {
    const [coding, size] = [fields.varint(), fields.varint()]
    need(coding <= 3 && size >= 1, 'a section')
    const [seek, oldSize] = coding === 0 ? [0, 0] : [fields.signed(), fields.varint()]
    list.push({ coding, size, seek, oldSize, more: Array.from({ length: numbersOf[coding] as number }, () => fields.varint()) })
  }
  need(list.reduce((sum, one) => sum + one.size, 0) === size, 'sections of another size')
  return list
}

class DeltaReader {
  readonly made: Uint8Array[] = []
  readonly #front: Front
  readonly #old: Source
  readonly #models = new ImageModels()
  #left: number

  constructor(front: Front, old: Uint8Array) {
    this.#front = front
    this.#old = { bytes: old, window: front.window, retained: front.retained, position: 0, furthest: 0 }
    this.#left = front.next.size
  }

  batch(head: Fields, body: Fields): void {
    const size = head.varint()
    need(size >= 1 && size <= this.#left, 'size of a batch')
    this.#left -= size
    const batch = new Batch(readStreams(head, body, size, this.#front.batchLimit), size)
    for (const section of batch.sections)
      this.made.push(section.coding === 0 ? batch.plain(this.#old, section.size) : this.#fromWhole(batch, section))
    batch.finish()
  }

  #fromWhole(batch: Batch, { coding, size, seek, oldSize, more }: Section): Uint8Array {
    const [source, { coding: memory, window }] = [this.#old, this.#front]
    need(oldSize >= 1 && oldSize <= window, 'old bytes that the window does not hold')
    source.position += seek
    const old = copied(source, oldSize)
    if (coding !== 2) {
      const span = readLayout(new ByteView(old), oldSize)?.span ?? 0
      need(
        Math.ceil(3.25 * oldSize) + Math.max(oldSize, size) + size + Math.ceil(span / 3) + 10 * mebi <= memory,
        'more memory than the header says',
      )
      return batch.image(old, size, this.#models, more[0])
    }
    const [oldContentSize, contentSize, recipeSize] = more as [number, number, number]
    need(oldContentSize + 7 * contentSize + 2 * size + mebi <= memory, 'more memory than the header says')
    const contents = { bytes: openGzip(old, oldContentSize), window: Infinity, retained: [], position: 0, furthest: 0 }
    const content = batch.plain(contents, contentSize)
    const file = closeGzip(content, batch.fields(recipes).take(recipeSize), size)
    need(file.length === size, 'a gzip file of another size')
    return file
  }
}

/** The bytes at the position, which moves behind them. */
function copied(source: Source, size: number): Uint8Array {
  const { bytes, window, retained, position, furthest } = source
  const end = position + size
  need(position >= 0 && (size === 0 || end <= bytes.length), 'a copy outside of old')
  const isRetained = end <= furthest && retained.some((range) => position >= range.start && end <= range.end)
  need(size === 0 || position >= furthest - window || isRetained, 'a copy from behind the window')
  source.position = end
  if (size > 0) source.furthest = Math.max(furthest, end)
  return bytes.subarray(position, end)
}

/** What is taken from the streams of one batch. */
class Batch {
  readonly sections: readonly Section[]
  readonly #fields: readonly Fields[]
  readonly #bits: readonly BitSource[]
  #hasImage = false
  /** Bytes that are copied as they are before the next change. */
  #gap: number

  constructor(streams: readonly Uint8Array[], size: number) {
    this.sections = readSections(streams[sections] as Uint8Array, size)
    this.#fields = streams.map((bytes) => new Fields(bytes))
    const bits = [images, imageChanges].map((i) => streams[i] as Uint8Array)
    this.#bits = bits.some((bytes) => bytes.length > 0) ? bits.map((bytes) => new BitSource(bytes)) : []
    this.#gap = this.#nextGap()
  }

  fields(stream: number): Fields {
    return this.#fields[stream] as Fields
  }

  #nextGap(): number {
    return this.fields(gaps).left > 0 ? this.fields(gaps).varint() : Infinity
  }

  image(old: Uint8Array, size: number, models: ImageModels, literalCount: number | undefined): Uint8Array {
    const [main, changes] = this.#bits
    need(main !== undefined && changes !== undefined, 'an image without its streams')
    this.#hasImage = true
    const plainLiterals = literalCount === undefined ? undefined : new Fields(this.fields(literals).take(literalCount))
    const made = decodeImage(old, size, { main, changes, plainLiterals }, models)
    need(plainLiterals === undefined || plainLiterals.left === 0, 'literals of an image left over')
    return made
  }

  plain(source: Source, size: number): Uint8Array {
    const made = new Uint8Array(size)
    for (let at = 0; at < size;) {
      const [copy, literal] = [this.fields(copies).varint(), this.fields(literalRuns).varint()]
      need(copy + literal >= 1 && copy + literal <= size - at, 'a run that reaches too far')
      source.position += this.fields(seeks).signed()
      made.set(copied(source, copy), at)
      this.#change(made.subarray(at, at + copy))
      made.set(this.fields(literals).take(literal), at + copy)
      at += copy + literal
    }
    return made
  }

  /** Of one run, what was copied. */
  #change(bytes: Uint8Array): void {
    const view = new ByteView(bytes)
    let at = 0
    while (this.#gap < bytes.length - at) {
      at += this.#gap
      const residual = this.fields(residuals).signed()
      need(residual >= -(2 ** 31) && residual < 2 ** 31, 'a residual')
      const width = bytes.length - at >= 4 ? 4 : 1
      if (width === 4) view.setWord(at, view.u32(at) + residual)
      else bytes[at] = view.u8(at) + residual
      at += width
      this.#gap = this.#nextGap()
    }
    this.#gap -= bytes.length - at
  }

  finish(): void {
    for (const [i, fields] of this.#fields.entries())
      need(i === sections || i === images || i === imageChanges || fields.left === 0, 'a stream is not used up')
    need(this.#gap === Infinity, 'a gap that is not reached')
    need(
      this.#bits.every((bits) => this.#hasImage && bits.isUsedUp),
      'range-coded bits are left',
    )
  }
}
