import { about } from '../../../base/about.ts'
import { equalBytes } from '../../../base/bytes.ts'
import { digestStream } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { hex } from '../../../base/bytes.ts'
import { verifyPackage } from '../../pkg/verify-package.ts'
import { newList, readSignedList } from './new-list.ts'
import { payloadDigest } from './payload.ts'
import { listName, maxList, maxRecord, member, packageName, requestName, requireExactly } from './request.ts'
import { bytesOfSource, openTransport, wholeOf } from './transport.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { HandedPackage, HandedSet } from '../../../format/handover.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { Request } from './request.ts'

/**
 * What the signer sent back, held against what was asked for: this request and no other, every package signed by this key with the contents
 * that it was handed over with, lists that name these and what stays; nothing more, nothing less. Answers the files by their names.
 */
export async function acceptSigned(request: Request, signed: ByteSource, key: SignifyPublicKey): Promise<ReadonlyMap<string, ByteSource>> {
  const files = await openTransport(signed)
  if (!equalBytes(await wholeOf(member(files, requestName), maxRecord), request.record))
    throw new BinderyError('mix-and-match', 'was signed for another request')
  const { sets } = request.handover
  requireExactly(files, [requestName, ...sets.flatMap((set) => [listName(set), ...set.packages.map((one) => packageName(set, one))])])
  for (const set of sets) await acceptSet({ request, files, key }, set)
  return files
}

type Work = { readonly request: Request; readonly files: ReadonlyMap<string, ByteSource>; readonly key: SignifyPublicKey }

async function acceptSet(work: Work, set: HandedSet): Promise<void> {
  const { request, files, key } = work
  const digests = new Map<string, Sha256>()
  for (const one of set.packages) digests.set(one.file, await about(packageName(set, one), async () => await acceptPackage(work, set, one)))
  const lastList = await request.lastListOf(set)
  const last = lastList === undefined ? new Map<string, Sha256>() : await readSignedList(set, lastList, key)
  const list = await readSignedList(set, await wholeOf(member(files, listName(set)), maxList), key)
  await about(listName(set), () => compareLists(list, new Map(newList(set, last, digests).map(({ file, digest }) => [file, hex(digest)]))))
}

async function acceptPackage({ request, files, key }: Work, set: HandedSet, one: HandedPackage): Promise<Sha256> {
  const file = member(files, packageName(set, one))
  const { bytes } = await verifyPackage(bytesOfSource(file), async () => key)
  await digestStream(bytes)
  if ((await payloadDigest(file)) !== (await payloadDigest(request.fileOf(set, one))))
    throw new BinderyError('bad-digest', 'is signed, and not what was handed over')
  return (await digestStream(bytesOfSource(file))).sha256
}

function compareLists(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): void {
  const wrong = [...new Set([...found.keys(), ...wanted.keys()])].find((file) => found.get(file) !== wanted.get(file))
  if (wrong === undefined) return
  const what = !wanted.has(wrong) ? 'lists' : found.has(wrong) ? 'lists another digest for' : 'does not list'
  throw new BinderyError('mix-and-match', `${what} '${showPath(wrong)}'`)
}
