import { unlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { generateKey } from '../engine/repo/keys.ts'
import { refuseExisting, writeNewFile } from '../host/new-file.ts'
import { sharedFlags } from './flags.ts'
import { newPassphrase } from './new-passphrase.ts'
import type { Command, Context, Input } from './command.ts'

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a signify key pair',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    pubkey: { ...sharedFlags.pubkey, help: 'where the public key goes, NAME.pub' },
    seckey: { ...sharedFlags.seckey, help: 'where the secret key goes, NAME.sec' },
    comment: sharedFlags.comment,
    'no-passphrase': { kind: 'flag', help: 'do not encrypt the secret key' },
  },
  examples: [
    'bindery keygen -p release.pub -s release.sec',
    "bindery keygen --no-passphrase -c 'nightly builds' -p nightly.pub -s nightly.sec",
  ],
  run: async (context, input) => {
    const files = keyFiles(input)
    await refuseExisting(files.secret)
    await refuseExisting(files.public)
    const passphrase = input.flag('no-passphrase') ? {} : { passphrase: await askFor(context, files.secret) }
    const pair = await generateKey(context.random, { comment: commentOf(input), ...passphrase })
    await writeNewFile(files.secret, pair.secretKeyFile, 0o600)
    // A secret key without its public half is of no use and in the way of the next try.
    await writeNewFile(files.public, pair.publicKeyFile, 0o644).catch(async (error: unknown) => {
      await unlink(files.secret)
      throw error
    })
    return 0
  },
}

/** Like signify: the names say which keys belong together, and signatures name the public one after the secret one. */
function keyFiles(input: Input): { readonly public: string; readonly secret: string } {
  const files = { public: input.required('pubkey'), secret: input.required('seckey') }
  const name = basename(files.secret, '.sec')
  if (basename(files.secret) !== `${name}.sec` || basename(files.public) !== `${name}.pub`) {
    throw new BinderyError('usage', 'the keys must be called NAME.pub and NAME.sec')
  }
  return files
}

async function askFor({ askPassphrase }: Context, file: string): Promise<string> {
  return await newPassphrase(askPassphrase, `the new ${basename(file)}`)
}

/** One char per byte. */
function commentOf(input: Input): string {
  return Buffer.from(input.value('comment') ?? 'bindery', 'utf8').toString('latin1')
}
