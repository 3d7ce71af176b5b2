import { concatBytes } from '../../base/bytes.ts'
import {
  decodeDeltaHeader,
  decodeDeltaPrefix,
  decodeDigestTable,
  deltaChecksumSize,
  deltaPrefixSize,
  digestTableSize,
} from '../../format/delta.ts'
import type { ByteReader } from '../../base/byte-reader.ts'
import type { BlockDigests, DeltaHeader } from '../../format/delta.ts'

export type DeltaFront = { readonly header: DeltaHeader; readonly digests: BlockDigests }

/** Takes everything before the first batch: at most 64 KiB of header and 4 MiB of digests. */
export async function readFront(reader: ByteReader): Promise<DeltaFront> {
  const prefix = await reader.upTo(deltaPrefixSize)
  const body = await reader.exactly(decodeDeltaPrefix(prefix))
  const header = decodeDeltaHeader(body)
  const table = await reader.exactly(digestTableSize(header))
  const checksum = await reader.exactly(deltaChecksumSize)
  return { header, digests: decodeDigestTable(header, concatBytes([prefix, body, table]), checksum) }
}
