import { actorHere, askFarm, buildNumber } from './farm-ask.ts'
import type { Command } from './command.ts'

export const farmCancel: Command = {
  name: 'farm cancel',
  summary: 'take builds out of the queue, and end those that are being built',
  operands: 'FARM BUILD...',
  operandCount: { min: 2, max: Infinity },
  options: {},
  examples: ['bindery farm cancel /var/farm 1042'],
  run: async (context, input) => {
    const [farm, ...builds] = input.operands as [string, ...string[]]
    for (const id of builds.map(buildNumber)) await askFarm(context, { farm, verb: 'farm cancel' }, 'cancel', id, actorHere(context))
    return 0
  },
}
