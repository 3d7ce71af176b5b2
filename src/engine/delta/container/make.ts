import { createHash } from 'node:crypto'
import { brotliCompressSync, constants, zstdCompressSync } from 'node:zlib'
import { sha256 } from '../../../base/digest.ts'
import { concatBytes, emptyBytes } from '../../../base/bytes.ts'
import { containerDigestSize, encodeContainerFront, encodePlan } from '../../../format/container-delta.ts'
import { deltaAccountant } from '../account.ts'
import { readDeltaInfo } from '../apply.ts'
import { sumSoFar } from '../block-hash.ts'
import { makeDelta } from '../make.ts'
import { usualContainerMemory } from './apply.ts'
import { kindOfContainer } from './kind.ts'
import { planNeed } from './need.ts'
import { openContainer } from './open.ts'
import { partsSource } from './source.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { LoadXz } from '../../../port/xz.ts'
import type { ContainerHeader, PlanCodec } from '../../../format/container-delta.ts'
import type { DeltaAccount } from '../account.ts'
import type { DeltaInput } from '../make.ts'
import type { Opening, OpenedContainer, PieceAccount } from './open.ts'

/** Two containers, opened as far as both profit. */
export type OpenedSides = { readonly old: OpenedContainer; readonly new: OpenedContainer }

/** Undefined where nothing is opened in one of them that is not the same in the other. */
export async function openSides(
  old: Uint8Array,
  next: Uint8Array,
  loadXz: LoadXz,
  signal: AbortSignal | undefined,
): Promise<OpenedSides | undefined> {
  const open = async (bytes: Uint8Array, side: Opening['side'], closed: ReadonlySet<string>): Promise<OpenedContainer> =>
    await openContainer(bytes, { loadXz, side, closed, signal })
  const whole = await open(old, 'old', new Set())
  const opened = await open(next, 'new', whole.met)
  // What is the same on both sides is a copy, as long as both have it closed.
  const closed = new Set([...opened.kept].filter((digest) => whole.met.has(digest)))
  const sides = { old: closed.size === 0 ? whole : await open(old, 'old', closed), new: opened }
  return sides.old.packed.length + sides.new.packed.length === 0 ? undefined : sides
}

export type ContainerInput = Pick<DeltaInput, 'effort' | 'jobs' | 'threads' | 'signal' | 'meter'> & {
  readonly old: Uint8Array
  readonly new: Uint8Array
  readonly explains: boolean
}

/** A delta as it lies in memory: of containers it is at most as large as they are. */
export type MadeDelta = {
  readonly way: 'opened' | 'as bytes'
  readonly size: number
  readonly parts: readonly Uint8Array[]
  readonly account: DeltaAccount | undefined
  /** What opening and closing costs of it: the front and the recipes. */
  readonly containerSize: number
  readonly pieces: readonly PieceAccount[]
}

/** Never larger than a delta between the files as they are: that is made, too. */
export async function makeContainerDelta(sides: OpenedSides | undefined, input: ContainerInput): Promise<MadeDelta> {
  const asBytes = await makeInMemory(partsSource([input.old]), partsSource([input.new]), input, undefined)
  const plain = { ...asBytes, way: 'as bytes', containerSize: 0, pieces: sides?.new.pieces ?? [] } as const
  if (sides === undefined) return plain
  const opened = await makeOpened(sides, input)
  return opened !== undefined && opened.size < plain.size ? opened : plain
}

/** Undefined where applying it would take more memory than is usually granted. */
export async function makeOpened({ old, new: next }: OpenedSides, input: ContainerInput): Promise<MadeDelta | undefined> {
  const inner = await makeInMemory(partsSource(old.parts), partsSource(next.parts), input, { old: old.members, new: next.members })
  const { memory } = await readDeltaInfo(concatBytes(inner.parts))
  const plan = { old: old.packed, new: next.packed }
  const encoded = encodePlan(plan)
  const coded = smallestCode(encoded)
  const blockSize = blockSizeFor(input.new.length)
  const header: ContainerHeader = {
    kind: kindOfContainer(input.old),
    old: { size: input.old.length, sha256: sha256(input.old) },
    new: { size: input.new.length, sha256: sha256(input.new) },
    blockSize,
    memory: memory + planNeed(plan, encoded.length, Math.min(blockSize, input.new.length)),
    plan: { codec: coded.codec, size: encoded.length, codedSize: coded.bytes.length },
  }
  if (header.memory > usualContainerMemory) return undefined
  const front = encodeContainerFront(header, blockDigests(input.new, blockSize))
  const containerSize = front.length + coded.bytes.length
  return {
    ...inner,
    way: 'opened',
    size: inner.size + containerSize,
    parts: [front, coded.bytes, ...inner.parts],
    containerSize,
    pieces: next.pieces,
  }
}

type Inner = Pick<MadeDelta, 'size' | 'parts' | 'account'>

async function makeInMemory(old: ByteSource, next: ByteSource, input: ContainerInput, members: DeltaInput['members']): Promise<Inner> {
  const watch = input.explains ? deltaAccountant(next.size) : undefined
  const { effort, jobs, threads, signal } = input
  const parts: Uint8Array[] = []
  for await (const part of makeDelta({ old, new: next, oldName: '', newName: '', effort, jobs, threads, signal, watch, members })) {
    parts.push(part)
    input.meter?.advance(0)
  }
  return { parts, size: parts.reduce((sum, part) => sum + part.length, 0), account: watch?.account() }
}

/** In the order of `PlanCodec`: the first of equals. */
function smallestCode(bytes: Uint8Array): { readonly codec: PlanCodec; readonly bytes: Uint8Array } {
  const best = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  const ways = [
    { codec: 'raw', bytes },
    { codec: 'zstd', bytes: zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 19 } }) },
    { codec: 'brotli', bytes: bytes.length <= mostForBrotli ? brotliCompressSync(bytes, { params: best }) : bytes },
  ] as const
  return ways.reduce((least, way) => (way.bytes.length < least.bytes.length ? way : least))
}

const mostForBrotli = 4 << 20

const smallFile = 16 << 20
const usualBlock = 4 << 20

function blockSizeFor(size: number): number {
  return size <= smallFile ? smallFile : usualBlock
}

function blockDigests(bytes: Uint8Array, blockSize: number): Uint8Array {
  const hash = createHash('sha256')
  const digests: Uint8Array[] = [emptyBytes]
  for (let end = blockSize; end < bytes.length; end += blockSize) {
    hash.update(bytes.subarray(end - blockSize, end))
    digests.push(sumSoFar(hash).subarray(0, containerDigestSize))
  }
  return concatBytes(digests)
}
