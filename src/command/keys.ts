import { BinderyError } from '../base/error.ts'
import { warningKinds } from '../engine/repo/key-doctor.ts'
import { sharedFlags } from './flags.ts'
import { lifetimeOptions } from './repository-options.ts'
import type { Command, Context, Input } from './command.ts'

export const keys: Command = {
  name: 'keys',
  summary: "show a repository's keys, warn of what goes wrong with them before long, and change them",
  operands:
    'list | doctor | show DIR | add ROLE KEY ... | revoke ROLE KEY ... | rotate ROLE [OLD] [NEW] | announce ROLE KEY ... | renew ROLE',
  operandCount: { min: 1, max: Infinity },
  options: {
    repo: sharedFlags.repo,
    keys: { ...sharedFlags.keys, help: 'the folder of secret keys to sign with; doctor: that of the machine that refreshes' },
    threshold: { kind: 'value', value: 'N', help: 'how many of its keys must sign for ROLE from now on' },
    unsigned: { kind: 'value', value: 'DIR', help: 'write into DIR what is to be signed elsewhere; no key is needed' },
    signed: { kind: 'value', value: 'DIR', help: 'carry out what was signed in DIR' },
    accept: { kind: 'list', value: 'KIND', help: `doctor: do not warn of ${warningKinds.slice(1).join(', ')}` },
    ...lifetimeOptions,
    json: { ...sharedFlags.json, help: 'list, doctor: print JSON, one role or warning a line' },
  },
  examples: [
    'bindery keys list -r repo',
    'bindery keys doctor -r /var/www/updates -k /etc/bindery/online-keys',
    'bindery keys doctor https://updates.example.org/ root.json',
    'bindery keys add root carol.pub -r repo -k keys --threshold 2',
    'bindery keys rotate timestamp timestamp-2.pub -r repo --unsigned request',
    'bindery keys show request',
    'bindery keys rotate -r repo -k online-keys --signed request',
  ],
  run: async (context, input) => {
    const [action = '', ...operands] = input.operands
    return await actionOf(action)(context, input, operands)
  },
}

export type KeysAction = (context: Context, input: Input, operands: readonly string[]) => Promise<number>

/** Each loads what it needs. */
function actionOf(action: string): KeysAction {
  switch (action) {
    case 'list':
      return async (...call) => await (await import('./keys-list.ts')).listKeys(...call)
    case 'doctor':
      return async (...call) => await (await import('./keys-doctor.ts')).examine(...call)
    case 'show':
      return async (...call) => await (await import('./keys-list.ts')).showStage(...call)
    case 'add':
    case 'revoke':
    case 'rotate':
    case 'announce':
    case 'renew':
      return async (...call) => await (await import('./keys-change.ts')).changeKeys(action, ...call)
    default:
      throw new BinderyError('usage', `'${action}' is none of list, doctor, show, add, revoke, rotate, announce, renew`)
  }
}
