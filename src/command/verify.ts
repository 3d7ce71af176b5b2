import { about, aboutStream } from '../base/about.ts'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { equalBytes } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { verifyPackage } from '../engine/pkg/verify-package.ts'
import { verifyMessage } from '../engine/repo/verify-message.ts'
import { decodeChecksumList } from '../format/checksum-list.ts'
import { decodePublicKey, decodeSignature, decodeSignedMessage } from '../format/signify.ts'
import { openInput } from '../host/source.ts'
import { sharedFlags } from './flags.ts'
import { readKeyFile, readMessage, readSigned, signatureFile, writeResult } from './signed-files.ts'
import { print, writeOutput } from './output.ts'
import type { Checksum } from '../format/checksum-list.ts'
import type { SignedMessage, SignifyPublicKey, SignifySignature } from '../format/signify.ts'
import type { Command, Context, Input } from './command.ts'

export const verify: Command = {
  name: 'verify',
  summary: 'verify a signify signature, or a signed list of checksums',
  operands: '[FILE...]',
  operandCount: { min: 0, max: Infinity },
  options: {
    pubkey: { ...sharedFlags.pubkey, help: 'the public key (default: the one in /etc/signify that the signature names)' },
    message: { ...sharedFlags.message, help: 'the message; with --embed, the file to write it to' },
    signature: { ...sharedFlags.signature, help: 'the signature file (default: MESSAGE.sig)' },
    embed: { ...sharedFlags.embed, help: 'the signature file holds the message' },
    gzip: { ...sharedFlags.gzip, help: 'the signature is in the header of a gzip file: pass the file on, each block once it is verified' },
    check: { kind: 'flag', help: 'the signature file holds a list of checksums: verify the FILEs, or all that it lists' },
  },
  examples: [
    'bindery verify -p release.pub -m install.iso',
    'bindery verify -p release.pub -e -x SHA256.sig -m -',
    'bindery verify -p release.pub --check -x SHA256.sig base.tgz',
    'ftp -o - https://cdn.openbsd.org/pub/OpenBSD/snapshots/packages/amd64/curl-8.2.1.tgz | bindery verify -z -p pkg.pub | tar tzf -',
  ],
  run: async (context, input) => {
    if (input.flag('check')) return await verifyList(context, input)
    if (input.operands[0] !== undefined) throw new BinderyError('usage', `unexpected operand '${input.operands[0]}'`)
    if (input.flag('gzip')) await verifyGzip(context, input)
    else await (input.flag('embed') ? verifyEmbedded(context, input) : verifyDetached(context, input))
    return 0
  },
}

async function verifyDetached(context: Context, input: Input): Promise<void> {
  const messageFile = input.required('message')
  const file = signatureFile(input.value('signature'), messageFile)
  const signature = await readKeyFile(context, file, decodeSignature)
  const key = await publicKeyFor(context, input, signature)
  const message = await readMessage(context, messageFile)
  await about(file, () => verifyMessage(key, signature, message))
}

/** Nothing of the message is written before its signature is good. */
async function verifyEmbedded(context: Context, input: Input): Promise<void> {
  const target = input.required('message')
  const { message } = await readVerified(context, input)
  await writeResult(context, target, message)
}

/** A filter: what comes out is good as far as it goes, and the exit status says whether that was all. */
async function verifyGzip(context: Context, input: Input): Promise<void> {
  const file = input.value('signature') ?? '-'
  const stream = await openInput(file, context.stdin)
  const { bytes } = await about(
    file,
    async () => await verifyPackage(stream, async (signature) => await publicKeyFor(context, input, signature)),
  )
  await writeOutput(context, input.value('message') ?? '-', aboutStream(file, bytes))
}

async function readVerified(context: Context, input: Input): Promise<SignedMessage> {
  const file = signatureFile(input.value('signature'), input.value('message'))
  const signed = await readSigned(context, file, decodeSignedMessage)
  const key = await publicKeyFor(context, input, signed.signature)
  await about(file, () => verifyMessage(key, signed.signature, signed.message))
  return signed
}

async function publicKeyFor(context: Context, input: Input, signature: SignifySignature): Promise<SignifyPublicKey> {
  return await readKeyFile(context, input.value('pubkey') ?? installedKey(signature.comment), decodePublicKey)
}

/** As signify: the comment is not trusted, but the folder is, and only a plain name is looked for in it. */
function installedKey(comment: string): string {
  const name = /^verify with ([A-Za-z0-9][A-Za-z0-9._+-]{0,200}\.pub)$/.exec(comment)?.[1]
  if (name === undefined)
    throw new BinderyError('usage', '--pubkey is missing, and the signature does not name a key', { hint: 'name the public key with -p' })
  return join('/etc/signify', name)
}

async function verifyList(context: Context, input: Input): Promise<number> {
  const file = input.required('signature')
  const { message } = await readVerified(context, input)
  const list = await about(file, () => decodeChecksumList(message))
  const tell = async (line: string): Promise<void> => (context.verbosity === 'quiet' ? undefined : await print(context, `${line}\n`))
  await tell('Signature Verified')
  const failed: string[] = []
  for (const { name, checksums } of wanted(list, input.operands)) {
    if (checksums.length > 0 && (await fit(context, checksums))) await tell(`${showPath(name)}: OK`)
    else failed.push(showPath(name))
  }
  for (const name of failed) context.say(`${name}: FAIL`)
  if (failed.length > 0) throw new BinderyError('bad-digest', `${failed.length} of the files failed`, { subject: file })
  return 0
}

/** Every listed file, or those named; one that is named and not listed has no checksum and fails. */
function wanted(list: readonly Checksum[], named: readonly string[]): { readonly name: string; readonly checksums: readonly Checksum[] }[] {
  const names = named.length > 0 ? named.map((name) => Buffer.from(name, 'utf8').toString('latin1')) : list.map(({ file }) => file)
  return [...new Set(names)].map((name) => ({ name, checksums: list.filter(({ file }) => file === name) }))
}

/** A file that is listed twice must fit both times. */
async function fit(context: Context, checksums: readonly Checksum[]): Promise<boolean> {
  try {
    for (const checksum of checksums) if (!(await fitsOne(context, checksum))) return false
    return true
  } catch (error) {
    if (!isBinderyError(error)) throw error
    context.explain(`${error.subject ?? ''}: ${error.message}`)
    return false
  }
}

async function fitsOne({ stdin }: Context, { file, algorithm, digest }: Checksum): Promise<boolean> {
  const hash = createHash(algorithm)
  // `./-` since a file called `-` is a file here.
  const stream = await openInput(file === '-' ? './-' : Buffer.from(file, 'latin1').toString('utf8'), stdin)
  for await (const bytes of stream) hash.update(bytes)
  return equalBytes(new Uint8Array(hash.digest()), digest)
}
