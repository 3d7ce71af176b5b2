import { digestStream } from '../../../base/digest.ts'
import { equalBytes } from '../../../base/bytes.ts'
import { emptyMember } from '../../../format/openbsd/signed-gzip.ts'
import { gzipHeaderOf } from '../../pkg/gzip-header.ts'
import { bytesOfSource } from './transport.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { ByteSource } from '../../../port/source.ts'

/** What a package holds, signed or not: all behind its gzip header. Signing changes the header, and may add an empty member at the end. */
export async function payloadDigest(gzip: ByteSource): Promise<Sha256> {
  const { start } = await gzipHeaderOf(gzip)
  const last = gzip.size - emptyMember.length
  const isPadded = last > start && equalBytes(await gzip.read(last, gzip.size), emptyMember)
  return (await digestStream(bytesOfSource(gzip, start, isPadded ? last : gzip.size))).sha256
}
