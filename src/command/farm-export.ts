import { resolve } from 'node:path'
import { openFarmAt, readFarmConfig } from './farm-open.ts'
import type { Command } from './command.ts'

export const farmExport: Command = {
  name: 'farm export',
  summary: 'write all that a farm remembers, as lines of JSON',
  operands: 'FARM',
  operandCount: { min: 1, max: 1 },
  options: {},
  examples: ['bindery farm export /var/farm >farm.jsonl'],
  run: async (context, input) => {
    const folder = resolve(input.operands[0] as string)
    const farm = await openFarmAt(context, folder, 'farm export', await readFarmConfig(folder))
    try {
      await farm.exportTo(async (line) => await context.out(`${line}\n`))
    } finally {
      await farm.close()
    }
    return 0
  },
}
