import { collectBytes, oneChunk } from '../../../base/bytes.ts'
import { encodeBinderyIndex, sealIndex } from '../../../format/openbsd/bindery-index.ts'
import { compress } from '../../dist/wire.ts'
import { signMessage } from '../../repo/keys.ts'
import type { BinderyIndex } from '../../../format/openbsd/bindery-index.ts'
import type { Signer } from '../../repo/key-file.ts'

/** bindery's index as a file: compressed, then signed, so that nothing unverified is ever decompressed. */

export async function sealedIndex(index: BinderyIndex, by: { readonly signer: Signer; readonly comment: string }): Promise<Uint8Array> {
  const compressed = (await collectBytes(compress(oneChunk(encodeBinderyIndex(index)), 'zstd'), Infinity)) as Uint8Array
  return sealIndex(signMessage(by.signer, compressed, by.comment), compressed)
}
