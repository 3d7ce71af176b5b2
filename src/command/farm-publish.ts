import { resolve } from 'node:path'
import { folderOf } from '../format/handover.ts'
import { decodePublicKey } from '../format/signify.ts'
import { publishAccepted } from './farm-publish-accepted.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import { readKeyFile } from './signed-files.ts'
import { wholeOf } from './whole-number.ts'
import type { Command } from './command.ts'

export const farmPublish: Command = {
  name: 'farm publish',
  summary: 'put signed packages where mirrors and users find them',
  operands: 'ACCEPTED',
  operandCount: { min: 1, max: 1 },
  options: {
    output: { ...sharedFlags.output, value: 'DIR', help: 'the folder that VERSION/packages-stable/ARCH are below' },
    pubkey: { ...sharedFlags.pubkey, help: 'the key that everything is signed with' },
    grace: { kind: 'value', value: 'HOURS', help: 'how long packages stay that no list names any more (default: 24)' },
    json: { ...sharedFlags.json, help: 'print JSON, one release and architecture a line' },
  },
  examples: ['bindery farm publish accepted -p /etc/signify/openbsd-76-pkg.pub -o /var/www/pub/OpenBSD'],
  run: async (context, input) => {
    const [accepted] = input.operands as [string]
    const graceHours = wholeOf(input, 'grace', 0, 100_000) ?? 24
    const key = await readKeyFile(context, input.required('pubkey'), decodePublicKey)
    const order = { accepted, output: resolve(input.required('output')), key, graceSeconds: graceHours * 3600 }
    await publishAccepted(context, order, async (set, done) => {
      const text = `${folderOf(set)}: ${done.written.length} new, ${done.waiting.length} waiting to go, ${done.removed.length} gone\n`
      await print(context, input.flag('json') ? `${JSON.stringify({ folder: folderOf(set), ...done })}\n` : text)
    })
    return 0
  },
}
