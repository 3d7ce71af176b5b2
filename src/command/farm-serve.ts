import { resolve } from 'node:path'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { startWebServer } from '../web/server.ts'
import { dashboardRoutes } from './dashboard.ts'
import { openFarmAt } from './farm-open.ts'
import { certificateOf, tlsOptions } from './tls-options.ts'
import { addressOf, listenOption, untilStopped, usualAddress } from './listen.ts'
import type { Command } from './command.ts'

export const farmServe: Command = {
  name: 'farm serve',
  summary: 'serve the pages of a farm, for reading',
  operands: 'DIR',
  operandCount: { min: 1, max: 1 },
  options: {
    listen: listenOption,
    title: { kind: 'value', value: 'TEXT', help: 'what stands at the top of each page (default: bindery)' },
    repo: { kind: 'value', short: 'r', value: 'REPO', help: 'also show the channels and releases of this repository' },
    ...tlsOptions,
    private: { kind: 'flag', help: 'only for those who have a token' },
    https: { kind: 'flag', help: 'browsers come by https, through a proxy: let their cookie go no other way' },
    proxy: { kind: 'list', value: 'ADDRESS', help: 'believe what this proxy says of whom it asks for' },
  },
  examples: [
    'bindery farm serve /var/farm',
    'DATABASE_URL=postgresql:///farm bindery farm serve /var/farm --listen 127.0.0.1:8081 --private --https --proxy 127.0.0.1',
  ],
  run: async (context, input) => {
    const [operand] = input.operands as [string]
    const folder = resolve(operand)
    await openRepositoryFolder(folder)
    const tls = await certificateOf(context, input)
    const farm = await openFarmAt(context, folder, 'farm serve')
    try {
      const routes = await dashboardRoutes(context, {
        title: input.value('title') ?? 'bindery',
        read: input.flag('private') ? 'token' : 'public',
        secure: input.flag('https') || tls !== undefined,
        farm: { folder, farm, acts: false, enroll: 'known' },
        repository: input.value('repo'),
      })
      const address = addressOf(input.value('listen') ?? usualAddress)
      const server = await startWebServer({ ...address, modules: [routes], log: context.explain, proxies: input.list('proxy'), tls })
      await context.out(`${server.url}\n`)
      await untilStopped(context.signal)
      await server.close()
      return 0
    } finally {
      await farm.close()
    }
  },
}
