import { brotliDecompressSync, constants, zstdDecompressSync } from 'node:zlib'
import { byteReader } from '../../../base/byte-reader.ts'
import { concatBytes } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import {
  containerDigestSize,
  containerPrefixSize,
  containerTableSize,
  decodeContainerHeader,
  decodeContainerPrefix,
  decodeContainerTable,
  decodePlan,
} from '../../../format/container-delta.ts'
import { applyDelta, readDeltaInfo } from '../apply.ts'
import { newBlocks, putWhole } from '../new-blocks.ts'
import { closePacked, needsXz, unpack } from './methods.ts'
import { planNeed } from './need.ts'
import type { ByteReader } from '../../../base/byte-reader.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Verified } from '../../../base/verified.ts'
import type { ContainerHeader, ContainerPlan, Packed } from '../../../format/container-delta.ts'
import type { DeltaSide } from '../../../format/delta.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { LoadXz } from '../../../port/xz.ts'
import type { ContainerTools } from './tools.ts'

/** What a reader grants where nobody says otherwise. */
export const usualContainerMemory: number = 768 << 20

export type ContainerFront = { readonly header: ContainerHeader; readonly digests: Uint8Array }

/** Takes the front of a delta between containers. */
export async function readContainerFront(reader: ByteReader): Promise<ContainerFront> {
  const prefix = await reader.exactly(containerPrefixSize)
  const body = await reader.exactly(decodeContainerPrefix(prefix))
  const header = decodeContainerHeader(body)
  const table = await reader.exactly(containerTableSize(header))
  return { header, digests: decodeContainerTable(concatBytes([prefix, body]), table) }
}

export type ContainerBase = {
  readonly source: ByteSource
  /** What is compressed is checked before it is decompressed, so that all of the file was read once before. */
  readonly checked: Verified<DeltaSide>
}

/**
 * The new file from the old one. Its blocks are verified before they are handed out, the last one when all of the delta between
 * the contents was seen to be right. `memory`: what is granted; a need over it is refused before anything else.
 */
export async function* applyContainerDelta(
  delta: ByteSource,
  base: ContainerBase,
  { memory, loadXz }: { readonly memory: number; readonly loadXz: LoadXz },
): ByteStream {
  const reader = byteReader(bytesFrom(delta, 0), 'the delta')
  try {
    const front = await readContainerFront(reader)
    const { header } = front
    refuseOtherBase(header, base)
    if (header.memory > memory) throw overMemory(header.memory, memory)
    const plan = await readPlan(reader, header)
    const start = reader.position()
    await refuseOverPlan(plan, header, delta, start)
    const tools = { xz: [...plan.old, ...plan.new].some(usesXz) ? await loadXz() : undefined }
    const inner = applyDelta(bytesFrom(delta, start), opened(base.source, plan.old, tools), { memory: header.memory })
    yield* closed(inner, plan.new, front, tools)
  } finally {
    await reader.close()
  }
}

function usesXz({ method, inner }: Packed): boolean {
  return needsXz(method) || inner.some(usesXz)
}

function refuseOtherBase({ old }: ContainerHeader, { checked }: ContainerBase): void {
  if (checked.value.sha256 !== old.sha256 || checked.value.size !== old.size)
    throw new BinderyError('wrong-base', 'is not the file that the delta was made from')
}

function overMemory(need: number, granted: number): BinderyError {
  const mib = (bytes: number): number => Math.ceil(bytes / 2 ** 20)
  return new BinderyError('over-limit', `the delta takes ${mib(need)} MiB of memory to apply, and ${mib(granted)} MiB are granted`)
}

async function readPlan(reader: ByteReader, header: ContainerHeader): Promise<ContainerPlan> {
  const { size, codedSize } = header.plan
  if (size > header.memory) throw new BinderyError('over-limit', 'the plan of the delta takes more memory than its header says')
  const bytes = decompressPlan(await reader.exactly(codedSize), header)
  if (bytes.length !== size) throw new BinderyError('bad-format', 'the plan of the delta has another size than it says')
  return decodePlan(bytes, { old: header.old.size, new: header.new.size })
}

const zstdWindowLog = 24

function decompressPlan(coded: Uint8Array, { plan: { codec, size } }: ContainerHeader): Uint8Array {
  const room = { maxOutputLength: Math.max(1, size) }
  try {
    if (codec === 'zstd') return zstdDecompressSync(coded, { ...room, params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLog } })
    return codec === 'brotli' ? brotliDecompressSync(coded, room) : coded
  } catch (cause) {
    throw new BinderyError('bad-format', 'the plan of the delta is damaged', { cause })
  }
}

/** Of all that is in a container: what packs better than anything real keeps a reader busy for nothing. */
const mostOpened = 2 ** 31

async function refuseOverPlan(plan: ContainerPlan, header: ContainerHeader, delta: ByteSource, start: number): Promise<void> {
  const inner = await readDeltaInfo(bytesFrom(delta, start))
  const blockSize = Math.min(header.blockSize, header.new.size)
  if (inner.memory + planNeed(plan, header.plan.size, blockSize) > header.memory)
    throw new BinderyError('over-limit', 'the delta takes more memory than its header says')
  if (Math.max(inner.old.size, inner.new.size) > mostOpened)
    throw new BinderyError('over-limit', 'the delta opens containers that hold too much')
  if (inner.old.size !== openedSize(plan.old, header.old.size) || inner.new.size !== openedSize(plan.new, header.new.size))
    throw new BinderyError('bad-format', 'the delta is between other contents than its plan says')
}

/** Of what `closedSize` bytes hold when they are opened. */
function openedSize(pieces: readonly Packed[], closedSize: number): number {
  return pieces.reduce((sum, { size, contentSize, inner }) => sum - size + openedSize(inner, contentSize), closedSize)
}

const chunkSize = 256 << 10

async function* bytesFrom(source: ByteSource, start: number, end: number = source.size): ByteStream {
  for (let at = start; at < end; at += chunkSize) yield await source.read(at, Math.min(at + chunkSize, end))
}

/** The bytes of a file with the content of each piece in its place. */
async function* opened(source: ByteSource, pieces: readonly Packed[], tools: ContainerTools): ByteStream {
  let at = 0
  for (const { gap, size, ...piece } of pieces) {
    yield* bytesFrom(source, at, at + gap)
    at += gap + size
    yield* contentsOf(await source.read(at - size, at), piece, tools)
  }
  yield* bytesFrom(source, at)
}

function* contentsOf(
  bytes: Uint8Array,
  { method, contentSize, inner }: Pick<Packed, 'method' | 'contentSize' | 'inner'>,
  tools: ContainerTools,
): Generator<Uint8Array> {
  const content = unpack(method, bytes, { limit: contentSize }, tools)
  if (content === undefined && tools.xz === undefined && needsXz(method))
    throw new BinderyError('not-supported', `the delta opens a file by ${method}, and liblzma is not here`)
  if (content?.length !== contentSize) throw new BinderyError('bad-format', `the delta takes for a piece by ${method} what is none`)
  let at = 0
  for (const { gap, size, ...piece } of inner) {
    if (gap > 0) yield content.subarray(at, at + gap)
    at += gap + size
    yield* contentsOf(content.subarray(at - size, at), piece, tools)
  }
  if (at < content.length) yield content.subarray(at)
}

/** The new file from its opened bytes, verified. */
async function* closed(
  inner: ByteStream,
  pieces: readonly Packed[],
  { header, digests }: ContainerFront,
  tools: ContainerTools,
): ByteStream {
  const reader = byteReader(inner, 'what the delta makes')
  try {
    const out = newBlocks({ header: { ...header, digestSize: containerDigestSize }, digests: { new: digests } }, false)
    let left = header.new.size
    for (const piece of pieces) {
      for await (const bytes of reader.stream(piece.gap)) yield* putWhole(bytes, out)
      yield* putWhole(await pieceFrom(reader, piece, tools), out)
      left -= piece.gap + piece.size
    }
    for await (const bytes of reader.stream(left)) yield* putWhole(bytes, out)
    if ((await reader.some(1)).length > 0) throw new BinderyError('bad-format', 'the delta makes more than its plan says')
    const last = out.take()
    if (last.length > 0) yield last
  } finally {
    await reader.close()
  }
}

/** A piece, with whatever is inside closed first. */
async function pieceFrom(reader: ByteReader, piece: Packed, tools: ContainerTools): Promise<Uint8Array> {
  const { method, size, contentSize, recipe, inner } = piece
  const content = new Uint8Array(contentSize)
  let at = 0
  const take = async (count: number): Promise<void> => {
    for await (const bytes of reader.stream(count)) {
      content.set(bytes, at)
      at += bytes.length
    }
  }
  for (const one of inner) {
    await take(one.gap)
    content.set(await pieceFrom(reader, one, tools), at)
    at += one.size
  }
  await take(contentSize - at)
  const made = closePacked(method, content, recipe, size, tools)
  if (made.length !== size) throw new BinderyError('bad-format', 'a piece comes out of another size than the delta says')
  return made
}
