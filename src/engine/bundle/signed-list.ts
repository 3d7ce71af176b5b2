import { withSubject } from '../../base/about.ts'
import { collectBytes, equalBytes, fromHex, oneChunk } from '../../base/bytes.ts'
import { sha256, sha256Hasher } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { bundleFileName, bundleIndexName, decodeBundleIndex, encodeBundleIndex, serialOfIndexName } from '../../format/bundle-index.ts'
import { decodeChecksumList, encodeChecksumList } from '../../format/checksum-list.ts'
import { decodeSignedMessage, encodeSignedMessage } from '../../format/signify.ts'
import { signatureBy } from '../repo/key-file.ts'
import { verifyMessage } from '../repo/verify-message.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { BundleEntry, BundleIndex, BundleStep } from '../../format/bundle-index.ts'
import type { Checksum } from '../../format/checksum-list.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Signer } from '../repo/key-file.ts'
import type { BundleFile } from './make.ts'

/** What machines with base tools alone verify bundles by: `signify -C -p KEY -x SHA256.sig FILE`. */
export const signedListKey = 'SHA256.sig'

const maxListBytes = 1 << 20
const daySeconds = 86_400

/** Who signs the list. */
export type ListSigner = {
  readonly signer: Signer
  /** One char per byte. */
  readonly comment: string
  readonly clock: Clock
}

export type SignedBundles = ListSigner & {
  readonly files: readonly BundleFile[]
  /** How long the list is good; undefined: for ever. */
  readonly days: number | undefined
}

/** The bundles first, then the index, then the list that names them: a reader never finds a name whose file is not there. */
export async function putBundles(store: Store, { files, days, ...signing }: SignedBundles): Promise<void> {
  const known = await readKnown(store, signing.signer)
  const written: { readonly entry: BundleEntry; readonly checksum: Checksum }[] = []
  for (const { step, open } of files) {
    const name = bundleFileName(step)
    const { size, digest } = await putCounted(store, `bundles/${name}`, open())
    written.push({ entry: { ...step, size }, checksum: entryOf(name, digest) })
  }
  const names = new Set(written.map(({ checksum }) => checksum.file))
  await writeList(store, known, {
    ...signing,
    seconds: days === undefined ? undefined : days * daySeconds,
    bundles: written.reduce((bundles, { entry }) => withEntry(bundles, entry), known.index?.bundles ?? []),
    checksums: [...known.list.filter(({ file }) => !names.has(file)), ...written.map(({ checksum }) => checksum)],
  })
}

/** Signs the list anew, good for as long as before. Undefined where there is none, or one that never expires. */
export async function renewBundles(store: Store, signing: ListSigner): Promise<number | undefined> {
  const known = await readKnown(store, signing.signer)
  const seconds = lifetimeOf(known.index)
  if (known.index === undefined || seconds === undefined) return undefined
  return await writeList(store, known, { ...signing, seconds, bundles: known.index.bundles, checksums: known.list })
}

/** Takes out of the list, and then away, the bundles that are not wanted any more. Answers their names. */
export async function dropBundles(
  store: Store,
  { isKept, ...signing }: ListSigner & { readonly isKept: (step: BundleStep) => boolean },
): Promise<readonly string[]> {
  const known = await readKnown(store, signing.signer)
  const bundles = known.index?.bundles ?? []
  const dropped = bundles.filter((bundle) => !isKept(bundle)).map(bundleFileName)
  if (dropped.length === 0) return []
  await writeList(store, known, {
    ...signing,
    seconds: lifetimeOf(known.index),
    bundles: bundles.filter(isKept),
    checksums: known.list.filter(({ file }) => !dropped.includes(file)),
  })
  for (const name of dropped) await store.delete(`bundles/${name}`)
  return dropped
}

type Known = { readonly list: readonly Checksum[]; readonly index: BundleIndex | undefined }

async function readKnown(store: Store, signer: Signer): Promise<Known> {
  const list = await readList(store, signer)
  return { list, index: await readIndex(store, list) }
}

/** Its number is the time of its signing, or nearly. */
function lifetimeOf(index: BundleIndex | undefined): number | undefined {
  return index?.expires === undefined ? undefined : Math.max(daySeconds, index.expires - index.serial)
}

type NewList = ListSigner & {
  readonly seconds: number | undefined
  readonly bundles: readonly BundleEntry[]
  /** With or without the index before. */
  readonly checksums: readonly Checksum[]
}

/** Answers when it expires. */
async function writeList(
  store: Store,
  known: Known,
  { signer, comment, clock, seconds, bundles, checksums }: NewList,
): Promise<number | undefined> {
  const now = Math.floor(clock.now() / 1000)
  const serial = Math.max(now, (known.index?.serial ?? 0) + 1)
  const expires = seconds === undefined ? undefined : now + seconds
  const indexBytes = encodeBundleIndex({ serial, expires, bundles })
  const indexName = bundleIndexName(serial)
  await store.put(`bundles/${indexName}`, oneChunk(indexBytes))
  const list = [...checksums.filter(({ file }) => serialOfIndexName(file) === undefined), entryOf(indexName, sha256(indexBytes))]
  const message = encodeChecksumList(list.sort((a, b) => (a.file < b.file ? -1 : 1)))
  await store.put(signedListKey, oneChunk(encodeSignedMessage({ signature: signatureBy(signer, message, comment), message })))
  await dropIndexes(store, [serial, known.index?.serial])
  return expires
}

function entryOf(file: string, digest: string): Checksum {
  return { file, algorithm: 'SHA256', digest: fromHex(digest) as Uint8Array }
}

async function putCounted(store: Store, key: string, content: ByteStream): Promise<{ readonly digest: string; readonly size: number }> {
  const hasher = sha256Hasher()
  let size = 0
  const counting = async function* (): ByteStream {
    for await (const bytes of content) {
      hasher.update(bytes)
      size += bytes.length
      yield bytes
    }
  }
  await store.put(key, counting())
  return { digest: hasher.digest(), size }
}

function withEntry(bundles: readonly BundleEntry[], entry: BundleEntry): readonly BundleEntry[] {
  const name = bundleFileName(entry)
  return [...bundles.filter((one) => bundleFileName(one) !== name), entry].sort((a, b) => (bundleFileName(a) < bundleFileName(b) ? -1 : 1))
}

/** What is in it is signed again: it must have been by the same key. */
async function readList(store: Store, { publicKey, keynum }: Signer): Promise<readonly Checksum[]> {
  const bytes = await readBounded(store, signedListKey)
  if (bytes === undefined) return []
  try {
    const { signature, message } = decodeSignedMessage(bytes)
    verifyMessage({ comment: '', keynum, publicKey }, signature, message)
    return decodeChecksumList(message)
  } catch (error) {
    throw withSubject(error, signedListKey)
  }
}

async function readIndex(store: Store, list: readonly Checksum[]): Promise<BundleIndex | undefined> {
  const entry = list.find(({ file }) => serialOfIndexName(file) !== undefined)
  if (entry === undefined) return undefined
  const key = `bundles/${entry.file}`
  const bytes = await readBounded(store, key)
  if (bytes === undefined) throw new BinderyError('not-found', 'is not in the repository', { subject: key })
  if (!equalBytes(fromHex(sha256(bytes)) as Uint8Array, entry.digest))
    throw new BinderyError('bad-digest', `is not what ${signedListKey} says`, { subject: key })
  try {
    return decodeBundleIndex(bytes)
  } catch (error) {
    throw withSubject(error, key)
  }
}

export async function readBounded(store: Store, key: string): Promise<Uint8Array | undefined> {
  if ((await store.size(key)) === undefined) return undefined
  const bytes = await collectBytes(store.stream(key), maxListBytes)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxListBytes} bytes`, { subject: key })
  return bytes
}

/** Who reads the list before this one still finds its index. */
async function dropIndexes(store: Store, kept: readonly (number | undefined)[]): Promise<void> {
  for (const key of await store.list('bundles/index.')) {
    const serial = serialOfIndexName(key.slice('bundles/'.length))
    if (serial !== undefined && !kept.includes(serial)) await store.delete(key)
  }
}
