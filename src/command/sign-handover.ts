import { basename } from 'node:path'
import { about } from '../base/about.ts'
import { digestStream } from '../base/digest.ts'
import { openRequest } from '../engine/farm/sign/request.ts'
import { signRequest } from '../engine/farm/sign/sign-request.ts'
import { handoverText } from '../engine/farm/sign/summary.ts'
import { bytesOfSource, packTransport } from '../engine/farm/sign/transport.ts'
import { openSigner } from '../engine/repo/keys.ts'
import { openSource, spoolToSource } from '../host/source.ts'
import { print, writeOutput } from './output.ts'
import { readKeyFile, signatureComment } from './signed-files.ts'
import type { Context, Input } from './command.ts'

/** `sign -s KEY -o SIGNED REQUEST`: the request is checked and shown, and the passphrase asked for after that, once for all of it. */
export async function signHandover(context: Context, input: Input, file: string): Promise<number> {
  const [seckey, output] = [input.required('seckey'), input.required('output')]
  const source = await openSource(file)
  try {
    const request = await about(file, async () => await openRequest(source))
    await print(context, `sha256 of the request: ${(await digestStream(bytesOfSource(source))).sha256}\n`)
    await print(context, handoverText(request.handover))
    const signer = await readKeyFile(context, seckey, (bytes) =>
      openSigner(bytes, async () => await context.askPassphrase(`passphrase for ${basename(seckey)}, to sign all of this: `)),
    )
    const date = `${new Date(context.clock.now()).toISOString().slice(0, 19)}Z`
    const signing = { signer, comment: signatureComment(seckey, signer.comment), date, key: basename(seckey) }
    await writeOutput(context, output, packTransport(signRequest(request, signing, async (stream) => await spoolToSource(stream))))
    return 0
  } finally {
    await source.close()
  }
}
