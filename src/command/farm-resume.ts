import { actorHere, askFarm } from './farm-ask.ts'
import { pausableOf, pausableOptions } from './farm-pause.ts'
import type { Command } from './command.ts'

export const farmResume: Command = {
  name: 'farm resume',
  summary: 'undo farm pause',
  operands: 'FARM',
  operandCount: { min: 1, max: 1 },
  options: pausableOptions,
  examples: ['bindery farm resume /var/farm --branch 7.6'],
  run: async (context, input) => {
    const [farm] = input.operands as [string]
    await askFarm(context, { farm, verb: 'farm resume' }, 'resume', pausableOf(input), actorHere(context))
    return 0
  },
}
