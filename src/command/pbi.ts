import { BinderyError } from '../base/error.ts'
import { sharedFlags } from './flags.ts'
import { diffPbis } from './pbi-diff.ts'
import { extractPbi } from './pbi-extract.ts'
import { showPbis } from './pbi-info.ts'
import { pack } from './pbi-pack.ts'
import { patchPbi } from './pbi-patch.ts'
import type { Command, Context, Input } from './command.ts'

export const pbi: Command = {
  name: 'pbi',
  summary: "show, unpack, make and patch PBIs, PC-BSD's packages",
  operands: 'info FILE ... | extract FILE | pack DIR | diff OLD NEW | patch DIR PATCH',
  operandCount: { min: 2, max: Infinity },
  options: {
    output: {
      ...sharedFlags.output,
      help: 'extract, patch: the folder to make; pack, diff: the file (default: named as PC-BSD did, here)',
    },
    pubkey: { ...sharedFlags.pubkey, help: 'info, extract, diff, patch: check the signatures by this RSA key in PEM' },
    sign: { kind: 'value', value: 'FILE', help: 'pack, diff: sign with this secret RSA key in PEM' },
    bzip2: { kind: 'flag', help: 'pack, diff: compress the payload with bzip2 instead of xz' },
    header: { kind: 'value', value: 'HEADER', help: "patch: where the header of an installed PBI is, in PC-BSD's database" },
    'links-out': { kind: 'flag', help: 'extract, patch: take symbolic links that lead out of the package' },
    json: { ...sharedFlags.json, help: 'info: print JSON, one object a file' },
  },
  examples: [
    'bindery pbi info firefox-20.0-amd64.pbi',
    'bindery pbi extract firefox-20.0-amd64.pbi -o firefox -p repokey.ssl',
    'bindery pbi pack firefox --sign secret.pem',
    'bindery pbi diff firefox-20.0-amd64.pbi firefox-20.1-amd64.pbi',
    'bindery pbi patch firefox firefox-20.0_to_20.1-amd64.pbp -o firefox-new',
  ],
  run: async (context, input) => {
    await actionOf(input)(context, input)
    return 0
  },
}

type Action = {
  readonly operands: number
  readonly options: readonly string[]
  readonly run: (context: Context, input: Input) => Promise<void>
}

const actions: Readonly<Record<string, Action>> = {
  info: { operands: Infinity, options: ['pubkey', 'json'], run: showPbis },
  extract: { operands: 1, options: ['output', 'pubkey', 'links-out'], run: extractPbi },
  pack: { operands: 1, options: ['output', 'sign', 'bzip2'], run: pack },
  diff: { operands: 2, options: ['output', 'pubkey', 'sign', 'bzip2'], run: diffPbis },
  patch: { operands: 2, options: ['output', 'pubkey', 'header', 'links-out'], run: patchPbi },
}

const flags = ['bzip2', 'links-out', 'json']
const values = ['output', 'pubkey', 'sign', 'header']

function actionOf(input: Input): Action['run'] {
  const [name = '', ...operands] = input.operands
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (action === undefined) throw new BinderyError('usage', `'${name}' is none of ${Object.keys(actions).join(', ')}`)
  if (operands.length > action.operands || (action.operands === 2 && operands.length < 2))
    throw new BinderyError('usage', `'${name}' takes ${action.operands === 1 ? 'one operand' : 'two operands'}`)
  const given = [...flags.filter((flag) => input.flag(flag)), ...values.filter((value) => input.value(value) !== undefined)]
  const odd = given.find((option) => !action.options.includes(option))
  if (odd !== undefined) throw new BinderyError('usage', `--${odd} does not go with '${name}'`)
  return action.run
}
