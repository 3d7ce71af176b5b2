import { actorHere, askFarm } from './farm-ask.ts'
import type { Command } from './command.ts'

export const farmForget: Command = {
  name: 'farm forget',
  summary: 'forget machines of the fleet, and by which keys they are known',
  operands: 'FARM MACHINE...',
  operandCount: { min: 2, max: Infinity },
  options: {},
  examples: ['bindery farm forget /var/farm www1.example.org'],
  run: async (context, input) => {
    const [farm, ...machines] = input.operands as [string, ...string[]]
    for (const machine of machines) await askFarm(context, { farm, verb: 'farm forget' }, 'forgetMachine', machine, actorHere(context))
    return 0
  },
}
