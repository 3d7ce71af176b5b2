import { basename } from 'node:path'
import { openSigner } from '../engine/repo/keys.ts'
import { readKeyFile, signatureComment } from './signed-files.ts'
import type { ListSigner } from '../engine/bundle/signed-list.ts'
import type { Context } from './command.ts'

/** Who signs the list of bundles: the key of `--seckey`. */
export async function listSigner(context: Context, file: string): Promise<ListSigner> {
  const ask = async (): Promise<string> => await context.askPassphrase(`passphrase for ${basename(file)}: `)
  const signer = await readKeyFile(context, file, (bytes) => openSigner(bytes, ask))
  return { signer, comment: signatureComment(file, signer.comment), clock: context.clock }
}
