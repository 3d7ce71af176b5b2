import { BinderyError } from '../base/error.ts'
import { actorHere, askFarm } from './farm-ask.ts'
import type { Command, Input, OptionTable } from './command.ts'
import type { Pausable } from './farm-office.ts'

export const pausableOptions = {
  branch: { kind: 'value', value: 'NAME', help: 'a branch: nothing of it is given to builders' },
  builder: { kind: 'value', value: 'NAME', help: 'a builder: it is given nothing; what it builds, it ends' },
} as const satisfies OptionTable

export const farmPause: Command = {
  name: 'farm pause',
  summary: 'give out nothing of a branch, or nothing to a builder',
  operands: 'FARM',
  operandCount: { min: 1, max: 1 },
  options: pausableOptions,
  examples: ['bindery farm pause /var/farm --branch 7.6', 'bindery farm pause /var/farm --builder sparc64-1'],
  run: async (context, input) => {
    const [farm] = input.operands as [string]
    await askFarm(context, { farm, verb: 'farm pause' }, 'pause', pausableOf(input), actorHere(context))
    return 0
  },
}

export function pausableOf(input: Input): Pausable {
  const [branch, builder] = [input.value('branch'), input.value('builder')]
  if (branch !== undefined && builder === undefined) return { kind: 'branch', name: branch }
  if (builder !== undefined && branch === undefined) return { kind: 'builder', name: builder }
  throw new BinderyError('usage', 'one of --branch and --builder says what')
}
