import { utf8 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { actorHere, askFarm } from './farm-ask.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { table } from './text-table.ts'
import type { Command, Context, Input } from './command.ts'
import type { Asking } from './farm-ask.ts'

export const farmToken: Command = {
  name: 'farm token',
  summary: 'say who may read the pages of a farm, and who may act',
  operands: 'DIR add|list|remove [NAME]',
  operandCount: { min: 2, max: 3 },
  options: {
    read: { kind: 'flag', help: 'add: this one may only read' },
    json: { ...sharedFlags.json, help: 'list: print JSON, one name a line' },
  },
  examples: [
    'bindery farm token /var/farm add anna',
    'bindery farm token /var/farm add prometheus --read',
    'bindery farm token /var/farm list --json',
    'bindery farm token /var/farm remove anna',
  ],
  run: async (context, input) => {
    const [folder, what, name] = input.operands as [string, string, string?]
    if (!['add', 'list', 'remove'].includes(what)) throw new BinderyError('usage', `'${what}' is none of add, list and remove`)
    if ((what === 'list') !== (name === undefined))
      throw new BinderyError('usage', what === 'list' ? 'list takes no name' : `${what} takes a name`)
    const asking = { farm: folder, verb: 'farm token' }
    if (what === 'list') await list(context, input, asking)
    else if (what === 'add') await add(context, input, { asking, name: name as string })
    else await remove(context, { asking, name: name as string })
    return 0
  },
}

type Named = { readonly asking: Asking; readonly name: string }

/** The token is shown this once: only its digest is kept. */
async function add(context: Context, input: Input, { asking, name }: Named): Promise<void> {
  if (!/^[\w.@-]{1,64}$/.test(name)) throw new BinderyError('usage', `'${name}' is no name of letters, digits, dots, - and _`)
  if ((await askFarm(context, asking, 'operators')).some((one) => one.name === name))
    throw new BinderyError('exists', 'has a token', { subject: name, hint: 'remove it first' })
  const token = Buffer.from(context.random.bytes(32)).toString('base64url')
  const may = input.flag('read') ? 'read' : 'act'
  const operator = { name, tokenHash: sha256(utf8(token)), may, added: context.clock.now() } as const
  await askFarm(context, asking, 'putOperator', operator, actorHere(context))
  await context.out(`${token}\n`)
}

async function remove(context: Context, { asking, name }: Named): Promise<void> {
  if (!(await askFarm(context, asking, 'operators')).some((one) => one.name === name))
    throw new BinderyError('not-found', 'has no token', { subject: name })
  await askFarm(context, asking, 'removeOperator', name, actorHere(context))
}

async function list(context: Context, input: Input, asking: Asking): Promise<void> {
  const operators = (await askFarm(context, asking, 'operators')).map(({ name, may, added }) => ({
    name,
    may,
    added: new Date(added).toISOString(),
  }))
  if (input.flag('json')) for (const one of operators) await print(context, `${JSON.stringify(one)}\n`)
  else
    for (const line of table([['NAME', 'MAY', 'SINCE'], ...operators.map(({ name, may, added }) => [name, may, added])]))
      await print(context, `${line}\n`)
}
