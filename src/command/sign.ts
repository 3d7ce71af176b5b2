import { basename } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { openSigner, signatureBy } from '../engine/repo/keys.ts'
import { encodeSignature, encodeSignedMessage } from '../format/signify.ts'
import { sharedFlags } from './flags.ts'
import { signStaged } from './sign-stage.ts'
import { isRegularFile } from '../host/source.ts'
import { readKeyFile, readMessage, signatureComment, signatureFile, writeResult } from './signed-files.ts'
import type { Command, Context, Input } from './command.ts'

export const sign: Command = {
  name: 'sign',
  summary: 'sign a file, what an unsigned publication waits for, or a handover of packages',
  operands: '[DIR | REQUEST]',
  operandCount: { min: 0, max: 1 },
  options: {
    seckey: sharedFlags.seckey,
    message: { ...sharedFlags.message, help: 'the file to sign' },
    signature: { ...sharedFlags.signature, help: 'the signature file to write (default: MESSAGE.sig)' },
    embed: { ...sharedFlags.embed, help: 'write the message into the signature file as well' },
    keys: { ...sharedFlags.keys, help: 'the folder of secret role keys, to sign DIR with' },
    output: { ...sharedFlags.output, help: 'of a REQUEST: the file for what goes back to the farm' },
  },
  examples: [
    'bindery sign -s release.sec -m SHA256 -e -x SHA256.sig',
    'bindery sign -s release.sec -m install.iso',
    'bindery sign -k /media/keys /media/staged',
    'bindery sign -s /keys/openbsd-76-pkg.sec -o /media/usb/signed.tar /media/usb/request.tar',
  ],
  run: async (context, input) => {
    const [operand] = input.operands
    if (operand !== undefined && (await isRegularFile(operand))) return await signRequested(context, input, operand)
    if (input.value('output') !== undefined) throw new BinderyError('usage', '--output goes with a request that farm handover has made')
    if (operand !== undefined) return await signStaged(context, input, operand)
    if (input.value('keys') !== undefined) throw new BinderyError('usage', '--keys goes with the folder that publish --unsigned has made')
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
  const target = signatureFile(input.value('signature'), messageFile)
  const signer = await readKeyFile(context, secretKeyFile, (bytes) =>
    openSigner(bytes, async () => await context.askPassphrase(`passphrase for ${basename(secretKeyFile)}: `)),
  )
  const message = await readMessage(context, messageFile)
  const signature = signatureBy(signer, message, signatureComment(secretKeyFile, signer.comment))
  await writeResult(context, target, input.flag('embed') ? encodeSignedMessage({ signature, message }) : encodeSignature(signature))
}
