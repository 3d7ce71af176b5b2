import { latin1, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { changesOf } from '../engine/capture/changes.ts'
import { folderStore } from '../host/folder-store.ts'
import { openCaptureFolder } from './capture-input.ts'
import { readPlan } from './capture-plan.ts'
import { noiseKey, recordCapture } from './capture-record.ts'
import { reviewText } from './capture-review.ts'
import { jsonLine } from './diff-text.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import type { Command, Context, Input } from './command.ts'

export const capture: Command = {
  name: 'capture',
  summary: 'run a command in a sandbox over a tree, and record what it changed',
  operands: 'ROOT [COMMAND ...]',
  operandCount: { min: 1, max: Infinity },
  options: {
    output: { ...sharedFlags.output, value: 'DIR', help: 'the folder for the capture; it must not be there yet' },
    sandbox: { kind: 'value', value: 'KIND', help: 'overlay, snapshot or destdir (default: overlay, else snapshot)' },
    scratch: { kind: 'value', value: 'DIR', help: 'keep what is changed, or the copy, below DIR meanwhile' },
    exclude: { kind: 'list', value: 'PATH', help: 'leave out changes of PATH and below; may be given again' },
    network: { kind: 'flag', help: 'let the command have the network' },
    'time-limit': { kind: 'value', value: 'SECONDS', help: 'end the command after so long' },
    errata: { kind: 'list', value: 'FILE', help: 'run the instructions of a signed errata patch; again for the next, in order' },
    pubkey: { ...sharedFlags.pubkey, help: 'the key that the errata patches are signed with' },
    unsigned: { kind: 'flag', help: 'take errata patches without looking at a signature' },
    noise: { kind: 'flag', help: 'build twice, and leave out files that differ from the shipped ones in dates and the like alone' },
    review: { kind: 'flag', help: 'print the changes of the capture ROOT, in four lists; no command is run' },
    json: sharedFlags.json,
  },
  examples: [
    "bindery capture /mnt/base -o 001_sshd -- sh -c 'cd /usr/src/usr.bin/ssh && make obj && make && make install'",
    'bindery capture --errata 001_sshd.patch.sig -p openbsd-76-base.pub /mnt/base -o 001_sshd',
    'bindery capture --sandbox destdir -o port /mnt/base -- make install',
    'bindery capture --review 001_sshd',
  ],
  run: async (context, input) => {
    if (input.flag('review')) return await review(context, input)
    await recordCapture(context, await readPlan(context, input))
    return 0
  },
}

async function review(context: Context, input: Input): Promise<number> {
  const [folder, ...others] = input.operands as [string, ...string[]]
  if (others.length > 0) throw new BinderyError('usage', '--review takes one capture, and no command')
  refuseIdle(input)
  const changes = changesOf(await openCaptureFolder(folder))
  const noise = await folderStore(folder).get(noiseKey)
  await print(context, utf8(input.flag('json') ? changes.map(jsonLine).join('') : reviewText(changes, noise && latin1(noise))))
  return 0
}

function refuseIdle(input: Input): void {
  const given = [
    ...['output', 'sandbox', 'scratch', 'time-limit', 'pubkey'].filter((name) => input.value(name) !== undefined),
    ...['exclude', 'errata'].filter((name) => input.list(name).length > 0),
    ...['network', 'unsigned', 'noise'].filter((name) => input.flag(name)),
  ]
  if (given[0] !== undefined) throw new BinderyError('usage', `--${given[0]} means nothing with --review`)
}
