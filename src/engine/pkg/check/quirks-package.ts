import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { readAnyTar } from '../../../format/any-tar.ts'
import { readSignedGzip } from '../../../format/openbsd/signed-gzip.ts'
import { decodePublicKey } from '../../../format/signify.ts'
import { verifyPackage } from '../verify-package.ts'
import { limited, whole } from './body.ts'
import { unpacked } from './unpack.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { SignifyPublicKey, SignifySignature } from '../../../format/signify.ts'
import type { OpenbsdSystem } from '../../../port/openbsd-system.ts'

/** What is inside the quirks package. Loaded only when it is read: usually it has not changed. */

const maxQuirks = 32 << 20

/** When it was signed, as text. */
export async function dateOf(body: ByteStream): Promise<string> {
  const date = await signedDate(body)
  if (date === '') throw new BinderyError('bad-format', 'could not find date in signify block')
  return date
}

async function signedDate(body: ByteStream): Promise<string> {
  try {
    return (await readSignedGzip(body)).head.facts.date
  } catch (error) {
    if (isBinderyError(error, 'not-supported')) return ''
    throw error
  }
}

/** `share/update.db` of a package that a key of the machine has signed; empty where it has none. */
export async function updateDbOf(body: ByteStream, system: Pick<OpenbsdSystem, 'signifyKey'>): Promise<Uint8Array> {
  const { bytes } = await verifyPackage(limited(body, maxQuirks), async (signature) => keyFor(signature, system))
  const tar = unpacked(await whole(bytes, maxQuirks))
  const entry = (await readAnyTar(tar)).find(({ path }) => path === 'share/update.db')
  return entry?.kind === 'file' ? entry.content : new Uint8Array(0)
}

/** `verify with openbsd-78-pkg.pub` names the file: whoever may write /etc/signify decides whom to believe. */
function keyFor({ comment }: SignifySignature, system: Pick<OpenbsdSystem, 'signifyKey'>): SignifyPublicKey {
  const name = /^verify with ([A-Za-z0-9._+-]+-pkg)\.pub$/.exec(comment)?.[1]
  const file = name === undefined ? undefined : system.signifyKey(name)
  if (file === undefined) throw new BinderyError('wrong-key', `is signed by a key that /etc/signify does not have: ${name ?? 'unnamed'}`)
  return decodePublicKey(file)
}
