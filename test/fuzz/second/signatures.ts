import { createRequire } from 'node:module'
import { equalBytes, utf8 } from '../../../src/base/bytes.ts'
import { makeKeyPair, openKeyFile, signatureBy, unsealed } from '../../../src/engine/repo/key-file.ts'
import { verifyMessage } from '../../../src/engine/repo/verify-message.ts'
import { isSatisfied } from '../../../src/engine/repo/verify-signatures.ts'
import { decodePublicKey, decodeSignedMessage, encodeSignedMessage } from '../../../src/format/signify.ts'
import { decodeRoot } from '../../../src/format/tuf.ts'
import { decoder } from '../decoder.ts'
import { signedFiles } from '../decoders/repository.ts'
import { decoderNamed } from './archives.ts'
import { judgeBy } from './judge.ts'
import { answersOf } from './programs.ts'
import type { Signed } from '../../../src/format/tuf.ts'
import type { Judge, Taken } from './judge.ts'

/** Signatures: what counts as signed here has to count there. */

// --- signify

const { publicKeyFile, secretKeyFile } = await makeKeyPair({ bytes: (count) => new Uint8Array(count).fill(7) }, 'key', unsealed)
const signer = await openKeyFile(secretKeyFile, async () => await Promise.resolve(new Uint8Array(64)))
const key = decodePublicKey(publicKeyFile)
const message = utf8('SHA256 (a.sh) = 00\na second line\n')
const signed = encodeSignedMessage({ signature: signatureBy(signer, message, 'verify with key.pub'), message })

/** The message, where its signature is that of the key. */
const verified = decoder('signify-verified', [signed], (bytes) => {
  const file = decodeSignedMessage(bytes)
  verifyMessage(key, file.signature, file.message)
  return file.message
})

const signify = judgeBy<Uint8Array>({ reader: 'signify-openbsd', decoder: verified, needs: ['signify-openbsd'] }, async (taken) => {
  const command = "sh -c 'signify-openbsd -V -q -e -p key.pub -x $1 -m $1.msg && cat $1.msg' sh $1"
  const answers = await answersOf(
    command,
    taken.map(({ input }) => input),
    { 'key.pub': publicKeyFile },
  )
  return answers.map(({ status, stdout, stderr }, i) => {
    if (status !== 0) return `refuses with ${status}: ${stderr}`
    return equalBytes(stdout, (taken[i] as Taken<Uint8Array>).value) ? undefined : 'verifies another message'
  })
})

// --- tuf-js

type TufJsMetadata = {
  readonly signed: { readonly version: number; readonly expires: string }
  verifyDelegate(role: string, metadata: TufJsMetadata): void
}
type TufJs = { readonly Metadata: { fromJSON(kind: string, data: unknown): TufJsMetadata } }
const models = createRequire(createRequire(import.meta.url).resolve('tuf-js'))('@tufjs/models') as TufJs

const rootFile = signedFiles.root
const root = decodeRoot(rootFile).value
const theirRoot = models.Metadata.fromJSON('root', JSON.parse(Buffer.from(rootFile).toString('utf8')))

/** Whether a top role is signed as the root demands. */
function isSigned(file: Signed): boolean {
  const role = root.roles[file.value.kind]
  return isSatisfied(file, { role, keys: root.keys, of: file.value.kind })
}

function readThere(input: Uint8Array, { value }: Signed): { readonly metadata: TufJsMetadata; readonly isSigned: boolean } {
  const metadata = models.Metadata.fromJSON(value.kind, JSON.parse(Buffer.from(input).toString('utf8')))
  try {
    theirRoot.verifyDelegate(value.kind, metadata)
    return { metadata, isSigned: true }
  } catch {
    return { metadata, isSigned: false }
  }
}

function tufDifference(input: Uint8Array, file: Signed): string | undefined {
  try {
    const there = readThere(input, file)
    if (there.metadata.signed.version !== file.value.version) return `reads version ${there.metadata.signed.version}`
    if (Date.parse(there.metadata.signed.expires) !== file.value.expires) return `reads that it expires ${there.metadata.signed.expires}`
    // Delegated targets are signed by others than the root says.
    if (isSigned(file) && !there.isSigned) return 'finds it not signed'
    return !isSigned(file) && there.isSigned ? 'finds it signed' : undefined
  } catch (error) {
    return `refuses: ${error instanceof Error ? error.message : String(error)}`
  }
}

const knownOfTuf: Judge['known'] = [
  {
    difference: /consistent_snapshot must be a boolean/,
    reason: 'consistent_snapshot may be left out here, and is false then, as python-tuf reads it',
  },
  { difference: /terminating must be a boolean/, reason: 'terminating may be left out here, and is false then' },
  { difference: /^finds it signed$/, reason: 'a signature is hex to its end here; tuf-js passes over what is no hex behind it' },
]

const tufJs = (name: string): Judge =>
  judgeBy<Signed>(
    { reader: 'tuf-js', decoder: decoderNamed(name), needs: ['npm:tuf-js'], known: knownOfTuf },
    async (taken) => await Promise.resolve(taken.map(({ input, value }) => tufDifference(input, value))),
  )

export const signatureJudges: readonly Judge[] = [signify, ...['tuf-root', 'tuf-timestamp', 'tuf-snapshot', 'tuf-targets'].map(tufJs)]
