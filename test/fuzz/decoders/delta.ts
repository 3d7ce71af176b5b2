import { byteReader } from '../../../src/base/byte-reader.ts'
import { concatBytes, oneChunk } from '../../../src/base/bytes.ts'
import { readDeltaInfo } from '../../../src/engine/delta/apply.ts'
import { readContainerFront } from '../../../src/engine/delta/container/apply.ts'
import { readBatch } from '../../../src/engine/delta/read-batch.ts'
import { readFront } from '../../../src/engine/delta/read-front.ts'
import { decodeSections, encodeSections } from '../../../src/engine/delta/sections.ts'
import {
  containerPrefixSize,
  decodeContainerHeader,
  decodeContainerPrefix,
  decodePlan,
  encodeContainerFront,
  encodePlan,
} from '../../../src/format/container-delta.ts'
import { decodeBatchHead, encodeBatchHead } from '../../../src/format/delta-batch.ts'
import { decodeDeltaHeader, decodeDeltaPrefix, deltaPrefixSize, encodeDeltaFront } from '../../../src/format/delta.ts'
import { deltaOf } from '../../helpers/delta.ts'
import { noise as noiseOf } from '../../helpers/repository.ts'
import { decoder, digest } from '../decoder.ts'
import type { ContainerFront } from '../../../src/engine/delta/container/apply.ts'
import type { ContainerHeader, ContainerPlan, Packed } from '../../../src/format/container-delta.ts'
import type { BlockDigests, DeltaHeader } from '../../../src/format/delta.ts'
import type { Sha256 } from '../../../src/base/digest.ts'
import type { Decoder } from '../decoder.ts'

/** Heads and parts of deltas; whole ones, with digests that fit, are the matter of `make fuzz-delta`. */

const old = noiseOf(1, 3000)
const delta = await deltaOf(old, concatBytes([old.subarray(0, 1500), noiseOf(2, 200), old.subarray(1500)]))
const end = deltaPrefixSize + decodeDeltaPrefix(delta)

const container: ContainerHeader = {
  kind: 'other',
  old: { size: 1000, sha256: digest as Sha256 },
  new: { size: 1100, sha256: digest as Sha256 },
  blockSize: 65_536,
  memory: 1 << 20,
  plan: { codec: 'raw', size: 8, codedSize: 8 },
}
const containerFront = encodeContainerFront(container, new Uint8Array(0))
const none = new Uint8Array(0)
const packed: Packed = { gap: 3, method: 'gzip', size: 100, contentSize: 300, recipe: none, inner: [] }
const plan: ContainerPlan = {
  old: [packed, { ...packed, method: 'deflate', inner: [{ ...packed, gap: 1, size: 9 }] }],
  new: [{ ...packed, recipe: Uint8Array.of(1, 2, 3) }],
}
const sections = encodeSections([
  { kind: 'plain', size: 100 },
  { kind: 'gzip', size: 50, seek: -4, oldSize: 40, oldContentSize: 200, contentSize: 210, recipeSize: 7 },
])
const head = {
  newSize: 300,
  streams: [
    { name: 'copies', codec: 'raw', size: 4, codedSize: 4 },
    { name: 'literals', codec: 'zstd', size: 90, codedSize: 40 },
  ],
} as const
const withoutLength = (bytes: Uint8Array): Uint8Array => bytes.subarray(1)
/** A header alone: prefix, then nothing of a table or check sum. */
const headerOf = (front: Uint8Array, prefix: number, length: number): Uint8Array => front.subarray(prefix, prefix + length)
const encodedHeader = (header: DeltaHeader): Uint8Array => {
  const front = encodeDeltaFront(header, noDigests)
  return headerOf(front, deltaPrefixSize, decodeDeltaPrefix(front))
}
const encodedContainer = (header: ContainerHeader): Uint8Array => {
  const front = encodeContainerFront(header, none)
  return headerOf(front, containerPrefixSize, decodeContainerPrefix(front))
}
const noDigests: BlockDigests = { old: none, new: none }
const most = 1 << 20

async function batches(bytes: Uint8Array): Promise<number> {
  const reader = byteReader(oneChunk(bytes), 'the delta')
  let count = 0
  while ((await readBatch(reader, most)) !== undefined) count++
  return count
}

export const deltaDecoders: readonly Decoder[] = [
  decoder(
    'delta-front',
    [delta],
    async (bytes) => await readFront(byteReader(oneChunk(bytes), 'the delta')),
    ({ header, digests }) => encodeDeltaFront(header, digests),
  ),
  decoder('delta-info', [delta], async (bytes) => await readDeltaInfo(bytes)),
  decoder('delta-header', [delta.subarray(deltaPrefixSize, end)], decodeDeltaHeader, encodedHeader),
  decoder(
    'batch-head',
    [withoutLength(encodeBatchHead(head))],
    (bytes) => decodeBatchHead(bytes, most),
    (one) => withoutLength(encodeBatchHead(one)),
  ),
  decoder('batches', [delta.subarray(end + 4)], batches),
  decoder('sections', [sections], (bytes) => [...decodeSections({ bytes, at: 0 }, 150)], encodeSections),
  decoder(
    'container-front',
    [concatBytes([containerFront, new Uint8Array(8)])],
    async (bytes): Promise<ContainerFront> => await readContainerFront(byteReader(oneChunk(bytes), 'the delta')),
    ({ header, digests }) => encodeContainerFront(header, digests),
  ),
  decoder(
    'container-header',
    [headerOf(containerFront, containerPrefixSize, decodeContainerPrefix(containerFront))],
    decodeContainerHeader,
    encodedContainer,
  ),
  decoder('container-plan', [encodePlan(plan)], (bytes) => decodePlan(bytes, { old: 1000, new: 1100 }), encodePlan),
]
