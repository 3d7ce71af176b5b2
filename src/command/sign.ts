import { basename } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { signPackage } from '../engine/pkg/sign-package.ts'
import { signatureBy } from '../engine/repo/key-file.ts'
import { openSigner } from '../engine/repo/keys.ts'
import { encodeSignature, encodeSignedMessage } from '../format/signify.ts'
import { isRegularFile, openSource } from '../host/source.ts'
import { sharedFlags } from './flags.ts'
import { writeOutput } from './output.ts'
import { signStaged } from './sign-stage.ts'
import { readKeyFile, readMessage, signatureComment, signatureFile, writeResult } from './signed-files.ts'
import type { Signing } from '../engine/pkg/sign-package.ts'
import type { Command, Context, Input } from './command.ts'

export const sign: Command = {
  name: 'sign',
  summary: 'sign a file, what an unsigned publication waits for, or a handover of packages',
  operands: '[DIR [ROOT.json] | REQUEST]',
  operandCount: { min: 0, max: 2 },
  options: {
    seckey: sharedFlags.seckey,
    message: { ...sharedFlags.message, help: 'the file to sign' },
    signature: { ...sharedFlags.signature, help: 'the signature file to write (default: MESSAGE.sig)' },
    embed: { ...sharedFlags.embed, help: 'write the message into the signature file as well' },
    gzip: { ...sharedFlags.gzip, help: 'sign a gzip file in its header, as packages of OpenBSD are signed' },
    'no-date': { kind: 'flag', help: 'with --gzip: date the signature 1970-01-01, so that the same input gives the same bytes' },
    keys: { ...sharedFlags.keys, help: 'the folder of secret role keys, to sign DIR with' },
    output: { ...sharedFlags.output, help: 'of a REQUEST: the file for what goes back to the farm' },
  },
  examples: [
    'bindery sign -s release.sec -m SHA256 -e -x SHA256.sig',
    'bindery sign -s release.sec -m install.iso',
    'bindery sign -z -s pkg.sec -m curl-8.2.1.tgz -x signed/curl-8.2.1.tgz',
    'bindery sign -k /media/keys /media/staged',
    'bindery sign -s /media/keys/alice.sec /media/staged 3.root.json',
    'bindery sign -s /keys/openbsd-76-pkg.sec -o /media/usb/signed.tar /media/usb/request.tar',
  ],
  run: async (context, input) => {
    const [operand, root] = input.operands
    if (operand !== undefined && root === undefined && (await isRegularFile(operand))) return await signRequested(context, input, operand)
    if (input.value('output') !== undefined) throw new BinderyError('usage', '--output goes with a request that farm handover has made')
    if (operand !== undefined) return await signStaged(context, input, operand)
    if (input.value('keys') !== undefined) throw new BinderyError('usage', '--keys goes with the folder that --unsigned has made')
    await signFile(context, input)
    return 0
  },
}

/** Loaded for this alone. */
async function signRequested(context: Context, input: Input, file: string): Promise<number> {
  return await (await import('./sign-handover.ts')).signHandover(context, input, file)
}

async function signFile(context: Context, input: Input): Promise<void> {
  const secretKeyFile = input.required('seckey')
  const messageFile = input.required('message')
  if (secretKeyFile === '-' && messageFile === '-') throw new BinderyError('usage', 'key and message cannot both come from stdin')
  if (input.flag('gzip') && input.flag('embed')) throw new BinderyError('usage', '--gzip and --embed exclude each other')
  if (input.flag('no-date') && !input.flag('gzip')) throw new BinderyError('usage', '--no-date goes with --gzip')
  const target = signatureFile(input.value('signature'), messageFile)
  const signer = await readKeyFile(context, secretKeyFile, (bytes) =>
    openSigner(bytes, async () => await context.askPassphrase(`passphrase for ${basename(secretKeyFile)}: `)),
  )
  const comment = signatureComment(secretKeyFile, signer.comment)
  if (input.flag('gzip')) return await signGzip(context, input, { messageFile, target, signer, comment, key: basename(secretKeyFile) })
  const message = await readMessage(context, messageFile)
  const signature = signatureBy(signer, message, comment)
  await writeResult(context, target, input.flag('embed') ? encodeSignedMessage({ signature, message }) : encodeSignature(signature))
}

type GzipSigning = Omit<Signing, 'date'> & { readonly messageFile: string; readonly target: string }

/** As signify, of a regular file alone, since it is read twice. */
async function signGzip(context: Context, input: Input, { messageFile, target, ...signing }: GzipSigning): Promise<void> {
  const source = await openSource(messageFile)
  const date = `${new Date(input.flag('no-date') ? 0 : context.clock.now()).toISOString().slice(0, 19)}Z`
  try {
    await writeOutput(context, target, signPackage(source, { ...signing, date }))
  } finally {
    await source.close()
  }
}
