import { actorHere, askFarm, buildNumber } from './farm-ask.ts'
import type { Command } from './command.ts'

export const farmRetry: Command = {
  name: 'farm retry',
  summary: 'have builds that failed, were quarantined or cancelled tried again at once',
  operands: 'FARM BUILD...',
  operandCount: { min: 2, max: Infinity },
  options: {},
  examples: ['bindery farm retry /var/farm 1042 1043'],
  run: async (context, input) => {
    const [farm, ...builds] = input.operands as [string, ...string[]]
    for (const id of builds.map(buildNumber)) await askFarm(context, { farm, verb: 'farm retry' }, 'retry', id, actorHere(context))
    return 0
  },
}
