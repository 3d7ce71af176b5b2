import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { inTurn } from '../engine/farm/remote/in-turn.ts'
import { listenForCalls } from '../host/office-socket.ts'
import { wakened } from '../host/wakened.ts'
import { databaseAway } from './farm-away.ts'
import { officeCalls, officeSocket } from './farm-ask.ts'
import { endClaims, watchClaims } from './farm-claims.ts'
import { watchHold, watchMirrors, watchReleases, watchSigning, watchSources } from './farm-duties.ts'
import { buildAll, readLocalBuilder, runLocalBuilder } from './farm-local-builder.ts'
import { lookAtSources, noted } from './farm-look.ts'
import { farmOffice } from './farm-office.ts'
import { withHeldFarm } from './farm-hold.ts'
import { readFarmConfig, readPackageKey } from './farm-open.ts'
import { prepareFarm } from './farm-prepare.ts'
import { dropOld, watchAge } from './farm-prune.ts'
import { handOverReleases, lookAtRelease } from './farm-releases.ts'
import { handOver, publishSigned } from './farm-signing.ts'
import { takeBrought, takeSigned } from './farm-take-signed.ts'
import { visitMirrors } from './farm-watch-mirrors.ts'
import { addressOf } from './listen.ts'
import { openTls } from './tls-options.ts'
import type { ServerCertificate } from '../port/server-certificate.ts'
import type { Wakened } from '../host/wakened.ts'
import type { RunningWebServer } from '../web/server.ts'
import type { Command, Context, Input } from './command.ts'
import type { Controller } from './farm-controller.ts'
import type { LocalBuilder } from './farm-local-builder.ts'
import type { Taken } from './farm-take-signed.ts'

export const farmRun: Command = {
  name: 'farm run',
  summary: 'look after a farm: from a commit to mirrors that have the packages',
  operands: 'FARM',
  operandCount: { min: 1, max: 1 },
  options: {
    once: { kind: 'flag', help: 'do what is to be done now, and end' },
    listen: { kind: 'value', value: 'ADDRESS:PORT', help: 'serve the pages of the farm there, and the calls of its builders' },
  },
  examples: [
    'bindery farm run /var/farm',
    'DATABASE_URL=postgresql:///farm bindery farm run /var/farm',
    'bindery farm run --once /var/farm',
  ],
  run: async (context, input) => {
    const folder = resolve(input.operands[0] as string)
    const config = await readFarmConfig(folder)
    const builders = config.builders.map((builder) => readLocalBuilder(context, builder))
    const key = await readPackageKey(context, folder, config)
    const listen = await readListen(context, input, { folder, config })
    await withHeldFarm(context, { folder, config, verb: 'farm run' }, async ({ farm, hold }) => {
      const ousted = new AbortController()
      const signal = AbortSignal.any([context.signal, ousted.signal])
      const controller: Controller = {
        context,
        folder,
        config,
        farm,
        key,
        turns: inTurn(),
        done: wakened(),
        away: databaseAway(context),
        signal,
      }
      await prepareFarm(controller, builders)
      if (input.flag('once')) await runOnce(controller, builders)
      else await Promise.all([runUntilStopped(controller, builders, listen), watchHold(controller, hold, ousted)])
      ousted.signal.throwIfAborted()
    })
    return 0
  },
}

/** All that there is to do, step after step; what fails ends it. */
async function runOnce(controller: Controller, builders: readonly LocalBuilder[]): Promise<void> {
  for (const branch of controller.config.branches) await noted(controller, branch, async () => await lookAtSources(controller, branch))
  for (const release of controller.config.releases) await noted(controller, release, async () => await lookAtRelease(controller, release))
  await endClaims(controller)
  const troubles = await Promise.all(builders.flatMap((one) => slotsOf(one).map(async (slot) => await buildAll(controller, one, slot))))
  controller.signal.throwIfAborted()
  for (const trouble of troubles) if (trouble !== undefined) throw trouble
  await takeSigned(controller, new Map())
  await publishSigned(controller)
  await handOverReleases(controller)
  await handOver(controller)
  await visitMirrors(controller, new Map())
  await dropOld(controller)
}

function slotsOf({ config: { jobs } }: LocalBuilder): readonly number[] {
  return Array.from({ length: jobs }, (_, index) => index + 1)
}

async function runUntilStopped(controller: Controller, builders: readonly LocalBuilder[], listen: Listen | undefined): Promise<void> {
  const { context, folder, config, farm, signal } = controller
  const looks = new Map([...config.branches, ...config.releases].map((branch) => [branch.name, wakened()]))
  const hook = async (name: string): Promise<void> => await lookNow(looks, name)
  const office = await listenForCalls(officeSocket(folder), {
    ...officeCalls(farmOffice(farm)),
    look: async (name) => await hook(String(name)),
    accept: async (...args) => await acceptNow(controller, args),
  })
  const web = listen === undefined ? undefined : await openWeb(controller, listen, hook)
  try {
    context.say(`runs: ${looks.size} branches, ${builders.length} builders here${web === undefined ? '' : `, pages at ${web.url}`}`)
    await Promise.all([
      ...config.branches.map(async (branch) => {
        await watchSources(controller, branch, looks.get(branch.name) as Wakened, async () => await lookAtSources(controller, branch))
      }),
      ...config.releases.map(async (release) => {
        const look = async (): Promise<void> => await lookAtRelease(controller, release)
        await watchSources(controller, release, looks.get(release.name) as Wakened, look)
      }),
      ...builders.flatMap((builder) => slotsOf(builder).map(async (slot) => await runLocalBuilder(controller, builder, slot))),
      watchClaims(controller),
      watchSigning(controller),
      watchReleases(controller),
      watchMirrors(controller),
      watchAge(controller),
    ])
    context.say(`ends: ${signal.reason instanceof Error ? signal.reason.message : 'stopped'}`)
  } finally {
    await web?.close()
    await office.close()
  }
}

type Listen = { readonly listen: ReturnType<typeof addressOf>; readonly tls: ServerCertificate | undefined }

async function readListen(
  context: Context,
  input: Input,
  { folder, config }: Pick<Controller, 'folder' | 'config'>,
): Promise<Listen | undefined> {
  const text = input.value('listen')
  if (text === undefined) return undefined
  if (input.flag('once')) throw new BinderyError('usage', '--once and --listen do not go together')
  const { tls } = config.web
  const files = tls && { certificate: resolve(folder, tls.certificate), key: resolve(folder, tls.key) }
  return { listen: addressOf(text), tls: files && (await openTls(context, files)) }
}

async function openWeb(controller: Controller, listen: Listen, hook: (branch: string) => Promise<void>): Promise<RunningWebServer> {
  const { context, folder, config, farm } = controller
  const { web, leaseSeconds } = config
  return await (
    await import('./farm-web.ts')
  ).startFarmWeb(context, { folder, farm, ...listen, web, leaseSeconds, hook, tell: context.say })
}

/** Somebody says that the sources of a branch have changed. */
async function lookNow(looks: ReadonlyMap<string, Wakened>, name: string): Promise<void> {
  const look = looks.get(name)
  if (look === undefined) throw new BinderyError('not-found', `there is no branch '${name}'`)
  await Promise.resolve(look.wake())
}

async function acceptNow(controller: Controller, [brought, name, actor]: readonly unknown[]): Promise<Taken> {
  const taken = await takeBrought(controller, brought, name, actor)
  controller.done.wake()
  return taken
}
