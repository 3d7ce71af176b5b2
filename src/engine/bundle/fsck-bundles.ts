import { emptyBytes, equalBytes, fromHex } from '../../base/bytes.ts'
import { digestStream } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { bundleFileName, bundleIndexName, decodeBundleIndex, encodeBundleIndex, serialOfIndexName } from '../../format/bundle-index.ts'
import { decodeChecksumList } from '../../format/checksum-list.ts'
import { decodeSignedMessage } from '../../format/signify.ts'
import { attempt, report } from '../repo/fsck-findings.ts'
import { verifyMessage } from '../repo/verify-message.ts'
import { readBounded, signedListKey } from './signed-list.ts'
import type { BundleIndex } from '../../format/bundle-index.ts'
import type { Checksum } from '../../format/checksum-list.ts'
import type { SignifyPublicKey } from '../../format/signify.ts'
import type { Finding, FsckContext, FsckInput } from '../repo/fsck-findings.ts'

/** With `publicKey` the signature of the list is verified; nothing in a repository says whose it must be. */
export type BundleFsck = FsckInput & { readonly publicKey?: SignifyPublicKey }

/** What is wrong with `bundles/` and with the signed list of them. */
export async function checkBundles(input: BundleFsck): Promise<readonly Finding[]> {
  const context = { ...input, findings: [] as Finding[] }
  const keys = await input.store.list('bundles/')
  const list = await attempt(context, signedListKey, async () => await readList(context, input.publicKey))
  if (list === undefined) return context.findings
  for (const entry of list) await attempt(context, `bundles/${entry.file}`, async () => await checkFile(context, entry))
  for (const key of keys.filter((name) => serialOf(name) !== undefined))
    await attempt(context, key, async () => await checkIndex(context, key, list))
  const listed = new Set(list.map(({ file }) => `bundles/${file}`))
  for (const key of keys)
    if (!listed.has(key) && serialOf(key) === undefined)
      context.findings.push({ severity: 'note', code: 'orphan', key, message: 'is not in the list of bundles' })
  return context.findings
}

function serialOf(key: string): number | undefined {
  return serialOfIndexName(key.slice('bundles/'.length))
}

/** Empty where there is none. */
async function readList({ store }: FsckContext, key: SignifyPublicKey | undefined): Promise<readonly Checksum[]> {
  const bytes = await readBounded(store, signedListKey)
  if (bytes === undefined) return []
  const { signature, message } = decodeSignedMessage(bytes)
  if (key !== undefined) verifyMessage(key, signature, message)
  return decodeChecksumList(message)
}

async function checkFile({ store, meter }: FsckContext, { file, digest }: Checksum): Promise<void> {
  const key = `bundles/${file}`
  if ((await store.size(key)) === undefined) throw new BinderyError('not-found', 'is missing', { subject: key })
  const found = await digestStream(store.stream(key))
  meter.advance(found.size)
  if (!equalBytes(fromHex(found.sha256) as Uint8Array, digest))
    throw new BinderyError('bad-digest', `is not what ${signedListKey} says`, { subject: key })
}

/** That of the list says what the list says; the one before it is for readers who still have the list before, which has its digest. */
async function checkIndex(context: FsckContext, key: string, list: readonly Checksum[]): Promise<void> {
  const bytes = (await readBounded(context.store, key)) ?? emptyBytes
  const index = decodeBundleIndex(bytes)
  if (bundleIndexName(index.serial) !== key.slice('bundles/'.length) || !equalBytes(encodeBundleIndex(index), bytes))
    throw new BinderyError('bad-format', 'is not the index that its name says', { subject: key })
  if (list.some(({ file }) => `bundles/${file}` === key)) compareNames(context, index, list)
}

function compareNames(context: FsckContext, { bundles }: BundleIndex, list: readonly Checksum[]): void {
  const listed = new Set(list.map(({ file }) => file))
  for (const bundle of bundles)
    if (!listed.has(bundleFileName(bundle)))
      report(context, signedListKey, new BinderyError('mix-and-match', `does not name ${bundleFileName(bundle)}, which the index names`))
}
