import { withSubject } from '../../base/about.ts'
import { collectBytes, fromHex, oneChunk } from '../../base/bytes.ts'
import { sha256Hasher } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeChecksumList, encodeChecksumList } from '../../format/checksum-list.ts'
import { decodeSignedMessage, encodeSignedMessage } from '../../format/signify.ts'
import { signatureBy } from '../repo/keys.ts'
import { verifyMessage } from '../repo/verify-message.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Checksum } from '../../format/checksum-list.ts'
import type { Store } from '../../port/store.ts'
import type { Signer } from '../repo/keys.ts'

/** What machines with base tools alone verify bundles by: `signify -C -p KEY -x SHA256.sig FILE`. */
export const signedListKey = 'SHA256.sig'

const maxListBytes = 16 << 20

export type SignedBundle = {
  readonly name: string
  readonly content: ByteStream
  readonly signer: Signer
  /** One char per byte. */
  readonly comment: string
}

/** The bundle first, the list that names it after it: a reader never finds a name whose file is not there. */
export async function putBundle(store: Store, { name, content, signer, comment }: SignedBundle): Promise<void> {
  const before = await readList(store, signer)
  const hasher = sha256Hasher()
  await store.put(`bundles/${name}`, hashing(content, hasher))
  const entry: Checksum = { file: name, algorithm: 'SHA256', digest: fromHex(hasher.digest()) as Uint8Array }
  const list = [...before.filter(({ file }) => file !== name), entry].sort((a, b) => (a.file < b.file ? -1 : 1))
  const message = encodeChecksumList(list)
  const signed = encodeSignedMessage({ signature: signatureBy(signer, message, comment), message })
  await store.put(signedListKey, oneChunk(signed))
}

/** What is in it is signed again: it must have been by the same key. */
async function readList(store: Store, { publicKey, keynum }: Signer): Promise<readonly Checksum[]> {
  if ((await store.size(signedListKey)) === undefined) return []
  const bytes = await collectBytes(store.stream(signedListKey), maxListBytes)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxListBytes} bytes`, { subject: signedListKey })
  try {
    const { signature, message } = decodeSignedMessage(bytes)
    verifyMessage({ comment: '', keynum, publicKey }, signature, message)
    return decodeChecksumList(message)
  } catch (error) {
    throw withSubject(error, signedListKey)
  }
}

async function* hashing(content: ByteStream, hasher: { update(bytes: Uint8Array): void }): ByteStream {
  for await (const bytes of content) {
    hasher.update(bytes)
    yield bytes
  }
}
