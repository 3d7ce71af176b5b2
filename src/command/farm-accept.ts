import { BinderyError } from '../base/error.ts'
import { folderOf } from '../format/handover.ts'
import { decodePublicKey } from '../format/signify.ts'
import { isFolder } from '../host/source.ts'
import { acceptInto } from './farm-acceptance.ts'
import { acceptForFarm } from './farm-accept-farm.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { readKeyFile } from './signed-files.ts'
import type { Command, Context, Input } from './command.ts'

export const farmAccept: Command = {
  name: 'farm accept',
  summary: 'check what came back from the signer against what was asked for',
  operands: 'FARM SIGNED | REQUEST SIGNED',
  operandCount: { min: 2, max: 2 },
  options: {
    pubkey: { ...sharedFlags.pubkey, help: 'REQUEST: the key that must have signed all of it' },
    output: { ...sharedFlags.output, value: 'DIR', help: 'REQUEST: the folder for what is accepted; it must not be there yet' },
    last: { kind: 'value', value: 'DIR', help: 'REQUEST: what farm publish writes to: refuse what was overtaken by another publication' },
    json: { ...sharedFlags.json, help: 'print JSON, one package a line' },
  },
  examples: [
    'bindery farm accept /var/farm /media/usb/signed.tar',
    'bindery farm accept request.tar signed.tar -p /etc/signify/openbsd-76-pkg.pub --last /var/www/pub/OpenBSD -o accepted',
  ],
  run: async (context, input) => {
    const [first, signed] = input.operands as [string, string]
    const given = ['pubkey', 'output', 'last'].find((name) => input.value(name) !== undefined)
    await refuseOther(first, given)
    const accepted = given === undefined ? await acceptForFarm(context, first, signed) : await acceptFiles(context, input)
    for (const { folder, file } of accepted)
      await print(context, input.flag('json') ? `${JSON.stringify({ folder, file })}\n` : `${folder}/${file}\n`)
    return 0
  },
}

/** A farm knows its key and its folders; a request in a file does not. Which is meant is said twice, so that neither is taken for the other. */
async function refuseOther(first: string, given: string | undefined): Promise<void> {
  const isFarm = await isFolder(first)
  if (isFarm && given !== undefined) throw new BinderyError('usage', `${first} is a farm, which takes no --${given}: farm.toml says it`)
  if (!isFarm && given === undefined)
    throw new BinderyError('usage', `${first} is no folder of a farm; with a request in a file, -p and -o are needed`)
}

type Accepted = { readonly folder: string; readonly file: string }

async function acceptFiles(context: Context, input: Input): Promise<readonly Accepted[]> {
  const [request, signed] = input.operands as [string, string]
  const [output, last] = [input.required('output'), input.value('last')]
  const key = await readKeyFile(context, input.required('pubkey'), decodePublicKey)
  const { sets } = await acceptInto(output, { request, signed, key, last })
  return sets.flatMap((set) => set.packages.map(({ file }) => ({ folder: folderOf(set), file })))
}
