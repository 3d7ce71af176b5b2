import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { quoted } from '../base/shell-word.ts'
import { publicKeyLine } from '../format/signify.ts'
import { hostArch } from '../host/arch.ts'
import { plain } from './farm-build-plan.ts'
import { farmKey } from './farm-key.ts'
import { print } from './output.ts'
import type { Context, Input } from './command.ts'

/** Nothing goes over the network: whoever looks after the controller types what is printed here. */
export async function enrollBuilder(context: Context, input: Input): Promise<number> {
  if (input.operands.length > 0) throw new BinderyError('usage', '--enroll takes no URL: it prints what is to be done on the controller')
  const secret = input.required('seckey')
  const name = plain(input.value('name') ?? (hostname().split('.')[0] as string), 'name')
  const arch = plain(input.value('arch') ?? hostArch(), 'arch')
  const signer = await farmKey(context.random, { secret, public: publicFile(secret), comment: `builder ${name}` })
  await print(context, `bindery farm builders FARM add ${name} ${quoted(publicKeyLine(signer))} --arch ${arch}\n`)
  return 0
}

function publicFile(secret: string): string {
  const name = basename(secret, '.sec')
  if (basename(secret) !== `${name}.sec`) throw new BinderyError('usage', 'the secret key must be called NAME.sec')
  return join(dirname(secret), `${name}.pub`)
}
