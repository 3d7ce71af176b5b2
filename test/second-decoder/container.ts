import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { brotliDecompressSync, constants, crc32, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { Fields, need, unpacked } from './bytes.ts'
import { decodeDelta } from './delta.ts'
import { closeGzip, openGzip } from './gzip.ts'

/** The new container, from the whole of the old one. Written from doc/spec/container-delta.md alone; xz and bzip2 by their programs. */
export function decodeContainer(delta: Uint8Array, old: Uint8Array): Uint8Array {
  const fields = new Fields(delta)
  need(text(fields.take(8)) === 'bindcont' && fields.byte() === 1, 'not a delta between containers')
  const header = new Fields(fields.take(fields.byte() + 256 * fields.byte()))
  need(header.varint() === 0, 'flags of a later version')
  // What the old file is, for a person.
  header.varint()
  const side = (): Side => ({ size: header.varint(), digest: header.take(32) })
  const [from, to] = [side(), side()]
  const blockSize = 2 ** header.byte()
  const memory = header.varint()
  const [codec, planSize, codedSize] = [header.varint(), header.varint(), header.varint()]
  need(header.left === 0 && codec <= 2 && planSize <= 2 ** 28 && memory <= granted, 'a header')
  const blocks = Array.from({ length: Math.max(0, Math.ceil(to.size / blockSize) - 1) }, () => fields.take(16))
  const sum = crc32(delta.subarray(0, delta.length - fields.left))
  need(Buffer.from(fields.take(4)).readUInt32LE() === sum, 'a check sum')
  verify(old, from, [], blockSize)
  const plan = new Fields(decompressed(codec, fields.take(codedSize), planSize))
  const [oldPieces, newPieces] = [readPieces(plan, from.size, false, 0), readPieces(plan, to.size, true, 0)]
  need(plan.left === 0, 'something behind the plan')
  const need0 = 16 * planSize + 2 * Math.min(blockSize, to.size) + largest(oldPieces, openNeed) + largest(newPieces, closeNeed)
  need(need0 <= memory, 'more memory than the header says')
  const opened = decodeDelta(fields.take(fields.left), open(old, oldPieces))
  const closed = close(new Fields(opened), to.size, newPieces)
  need(opened.length === openedSize(newPieces, to.size), 'another size')
  verify(closed, to, blocks, blockSize)
  return closed
}

const granted = 768 * 2 ** 20
const mebi = 2 ** 20

type Side = { readonly size: number; readonly digest: Uint8Array }
type Piece = {
  readonly gap: number
  readonly method: number
  readonly size: number
  readonly contentSize: number
  readonly recipe: Uint8Array
  readonly inner: readonly Piece[]
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

function verify(bytes: Uint8Array, { size, digest }: Side, blocks: readonly Uint8Array[], blockSize: number): void {
  need(bytes.length === size, 'another size')
  const hash = createHash('sha256')
  for (const [i, block] of blocks.entries()) {
    hash.update(bytes.subarray(i * blockSize, (i + 1) * blockSize))
    need(hash.copy().digest().subarray(0, 16).equals(block), 'a damaged block')
  }
  const all = hash.update(bytes.subarray(blocks.length * blockSize)).digest()
  need(all.equals(digest), 'another digest')
}

function decompressed(codec: number, coded: Uint8Array, size: number): Uint8Array {
  if (codec === 0) return coded
  const params = codec === 1 ? { [constants.ZSTD_d_windowLogMax]: 24 } : {}
  const { bytes } = unpacked(codec === 1 ? zstdDecompressSync : brotliDecompressSync, coded, { maxOutputLength: size, params })
  need(bytes.length === size, 'a plan of another size')
  return bytes
}

function readPieces(plan: Fields, room: number, hasRecipes: boolean, depth: number): readonly Piece[] {
  const count = plan.varint()
  need(count <= plan.left && (count === 0 || depth < 6), 'pieces')
  let left = room
  return Array.from({ length: count }, () => {
    const [gap, method, size, contentSize] = [plan.varint(), plan.byte(), plan.varint(), plan.varint()]
    left -= gap + size
    need(method <= 6 && left >= 0, 'a piece')
    const recipe = hasRecipes ? plan.take(plan.varint()) : new Uint8Array(0)
    return { gap, method, size, contentSize, recipe, inner: readPieces(plan, contentSize, hasRecipes, depth + 1) }
  })
}

const largest = (pieces: readonly Piece[], of: (piece: Piece) => number): number => Math.max(0, ...pieces.map(of))

function openNeed({ method, size, contentSize, inner }: Piece): number {
  const codec = [4, 4, 72, 72, 4, 128, 4][method] as number
  return size + contentSize + Math.max(codec * mebi, largest(inner, openNeed))
}

const presetNeeds = [3, 9, 17, 32, 48, 94, 94, 186, 370, 674]

function closeNeed({ method, size, contentSize, recipe, inner }: Piece): number {
  const xz = (presetNeeds[(recipe[0] ?? 0) & ~16] ?? Infinity) * mebi
  const own =
    method <= 1 ? 7 * contentSize + 2 * size + mebi : method === 2 ? contentSize + 3 * size + xz : contentSize + 2 * size + 24 * mebi
  return Math.max(own, contentSize + largest(inner, closeNeed))
}

const openedSize = (pieces: readonly Piece[], size: number): number =>
  pieces.reduce((sum, piece) => sum - piece.size + openedSize(piece.inner, piece.contentSize), size)

function open(bytes: Uint8Array, pieces: readonly Piece[]): Uint8Array {
  const parts: Uint8Array[] = []
  let at = 0
  for (const { gap, method, size, contentSize, inner } of pieces) {
    parts.push(bytes.subarray(at, at + gap))
    at += gap + size
    const content = contentOf(method, bytes.subarray(at - size, at), contentSize)
    need(content.length === contentSize, 'a content of another size')
    parts.push(open(content, inner))
  }
  return Buffer.concat([...parts, bytes.subarray(at)])
}

function contentOf(method: number, bytes: Uint8Array, size: number): Uint8Array {
  if (method === 0 || method === 6) return openGzip(bytes, size)
  if (method === 1) return unpacked(inflateRawSync, bytes, { maxOutputLength: Math.max(1, size) }).bytes
  if (method === 5) return zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, size) })
  return program(method === 4 ? 'bzip2' : 'xz', ['-dc'], bytes)
}

function close(opened: Fields, size: number, pieces: readonly Piece[]): Uint8Array {
  const parts: Uint8Array[] = []
  let left = size
  for (const piece of pieces) {
    parts.push(opened.take(piece.gap))
    const made = pieceOf(piece, close(opened, piece.contentSize, piece.inner))
    need(made.length === piece.size, 'a piece of another size')
    parts.push(made)
    left -= piece.gap + piece.size
  }
  return Buffer.concat([...parts, opened.take(left)])
}

function pieceOf({ method, size, recipe }: Piece, content: Uint8Array): Uint8Array {
  if (method === 0) return closeGzip(content, recipe, size)
  if (method === 1) return closeGzip(content, recipe, size + 18).subarray(10, 10 + size)
  if (method === 6) return signed(closeGzip(content, recipe, size))
  const fields = new Fields(recipe)
  if (method === 4) return program('bzip2', [`-${fields.byte()}`, '-c'], content)
  need(method === 2, 'a piece that nobody can make')
  const [preset, check, head] = [fields.byte(), fields.byte(), fields.byte()]
  const checks: Readonly<Record<number, string>> = { 0: 'none', 1: 'crc32', 4: 'crc64', 10: 'sha256' }
  const blockSize = head === 0 ? 0 : fields.varint()
  const threads = head === 0 ? ['-T1'] : ['-T2', ...(blockSize < content.length ? [`--block-size=${blockSize}`] : [])]
  return program('xz', ['-c', `-${preset & 15}${preset >= 16 ? 'e' : ''}`, `--check=${checks[check] ?? 'none'}`, ...threads], content)
}

/** Digests of what stands behind the header, at the end of its comment. */
function signed(file: Uint8Array): Uint8Array {
  const end = file.indexOf(0, 10)
  const count = Math.ceil((file.length - end - 1) / 65536)
  const start = end - 65 * count
  need(
    file[3] === 16 && start >= 10 && text(file.subarray(10, start)).endsWith('\nalgorithm=SHA512/256\nblocksize=65536\n\n'),
    'a signed gzip file',
  )
  for (let i = 0; i < count; i++) {
    const block = file.subarray(end + 1 + 65536 * i, end + 1 + 65536 * (i + 1))
    file.set(Buffer.from(`${createHash('sha512-256').update(block).digest('hex')}\n`), start + 65 * i)
  }
  return file
}

function program(name: string, words: readonly string[], input: Uint8Array): Uint8Array {
  return new Uint8Array(execFileSync(name, words, { input, maxBuffer: 2 ** 30 }))
}
