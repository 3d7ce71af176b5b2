import { about } from '../../../base/about.ts'
import { digestStream } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { encodeChecksumList } from '../../../format/checksum-list.ts'
import { encodeSignedMessage } from '../../../format/signify.ts'
import { readPackageHead } from '../../pkg/index/package-head.ts'
import { signPackage } from '../../pkg/sign-package.ts'
import { signatureBy } from '../../repo/key-file.ts'
import { newList, readSignedList } from './new-list.ts'
import { listName, packageName, requestName } from './request.ts'
import { bytesOfSource, carriedBytes, carriedSource } from './transport.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { HandedPackage } from '../../../format/handover.ts'
import type { ByteSource, Spool } from '../../../port/source.ts'
import type { Signing } from '../../pkg/sign-package.ts'
import type { Request } from './request.ts'
import type { Carried } from './transport.ts'

/**
 * What goes back to the farm: the request's record as it came, each package signed as `signify -z` does, and for each set a signed list of
 * all its packages, those that stay among them. What stays is known from the last list, which this key itself must have signed.
 */
export async function* signRequest(request: Request, signing: Signing, spool: Spool): AsyncGenerator<Carried> {
  yield carriedBytes(requestName, request.record)
  for (const set of request.handover.sets) {
    const lastList = await request.lastListOf(set)
    const last = lastList === undefined ? new Map<string, Sha256>() : await readSignedList(set, lastList, keyOf(signing))
    const signed = new Map<string, Sha256>()
    for (const one of set.packages) {
      const source = request.fileOf(set, one)
      await about(packageName(set, one), async () => await requireNamed(source, one))
      const file = await spool(signPackage(source, signing))
      try {
        signed.set(one.file, (await digestStream(bytesOfSource(file))).sha256)
        yield carriedSource(packageName(set, one), file)
      } finally {
        await file.close()
      }
    }
    const message = encodeChecksumList(newList(set, last, signed))
    yield carriedBytes(listName(set), encodeSignedMessage({ signature: signatureBy(signing.signer, message, signing.comment), message }))
  }
}

function keyOf({ signer }: Signing): { readonly comment: string; readonly keynum: Uint8Array; readonly publicKey: Uint8Array } {
  return { comment: '', keynum: signer.keynum, publicKey: signer.publicKey }
}

const headBytes = 1 << 20

/** The summary that was read says what is signed: a package is not somebody else's under its name. */
async function requireNamed(source: ByteSource, { file, pkgpath }: HandedPackage): Promise<void> {
  for (let count = headBytes; ; count *= 8) {
    const bytes = await source.read(0, Math.min(count, source.size))
    const head = readPackageHead(bytes, bytes.length === source.size)
    if (head === 'more') continue
    if (`${head.info.names[0] ?? ''}.tgz` === file && head.info.pkgpath === pkgpath) return
    throw new BinderyError('bad-format', 'is another package than the request says')
  }
}
