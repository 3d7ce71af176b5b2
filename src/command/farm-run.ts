import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { inTurn } from '../engine/farm/remote/in-turn.ts'
import { decodePublicKey } from '../format/signify.ts'
import { sweepFolder } from '../host/folder-store.ts'
import { listenForCalls } from '../host/office-socket.ts'
import { wakened } from '../host/wakened.ts'
import { databaseAway } from './farm-away.ts'
import { officeCalls, officeSocket } from './farm-ask.ts'
import { endClaims, watchClaims } from './farm-claims.ts'
import { keepDoing, pauseFor } from './farm-controller.ts'
import { buildAll, readLocalBuilder, runLocalBuilder } from './farm-local-builder.ts'
import { lookAtSources, mayHaveChanged, noted } from './farm-look.ts'
import { farmOffice } from './farm-office.ts'
import { withHeldFarm } from './farm-hold.ts'
import { readFarmConfig } from './farm-open.ts'
import { addressOf } from './listen.ts'
import { handOver, publishSigned } from './farm-signing.ts'
import { hasUnseen, signedFolder, takeBrought, takeSigned } from './farm-take-signed.ts'
import { visitMirrors } from './farm-watch-mirrors.ts'
import { dropOld, watchAge } from './farm-prune.ts'
import { readKeyFile } from './signed-files.ts'
import type { Hold } from '../host/farm/only-one.ts'
import type { BranchConfig } from '../format/farm-config.ts'
import type { Build } from '../port/farm-build.ts'
import type { WantedAnew } from '../port/farm-catalog.ts'
import type { Wakened } from '../host/wakened.ts'
import type { RunningWebServer } from '../web/server.ts'
import type { Command, Context, Input } from './command.ts'
import type { MirrorTargets } from './farm-watch-mirrors.ts'
import type { Controller } from './farm-controller.ts'
import type { LocalBuilder } from './farm-local-builder.ts'
import type { Seen, Taken } from './farm-take-signed.ts'

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
    const key = await readKeyFile(context, resolve(folder, config.key), decodePublicKey)
    const address = listenAddress(input)
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
      await prepare(controller, builders)
      if (input.flag('once')) await runOnce(controller, builders)
      else await Promise.all([runUntilStopped(controller, builders, address), watchHold(controller, hold, ousted)])
      ousted.signal.throwIfAborted()
    })
    return 0
  },
}

/** What farm.toml says, into the catalog. Places of the controller build nothing yet, whatever the catalog says. */
async function prepare(controller: Controller, builders: readonly LocalBuilder[]): Promise<void> {
  const { config, farm, context, folder } = controller
  const { catalog, queue } = farm
  await sweepFolder(signedFolder(folder))
  tellAnew(context, await catalog.putBranches(config.branches, 'farm'))
  for (const { config: one } of builders) await catalog.putBuilder({ ...one, publicKey: undefined }, 'farm')
  const names = new Set(builders.map(({ config: { name } }) => name))
  const local = (await catalog.builders()).filter(({ publicKey }) => publicKey === undefined)
  for (const { name } of local) if (!names.has(name)) await catalog.removeBuilder(name, 'farm')
  const given = await queue.releaseAll(
    local.map(({ name }) => name),
    'the controller was started anew',
  )
  const repaired = await queue.repair()
  await tellLoad(controller)
  if (given.length > 0) context.say(`${given.length} builds that were being built wait again`)
  if (repaired > 0) context.say(`${repaired} builds were in no queue, and are again`)
}

function tellAnew({ say }: Context, { cancelled, waiting }: WantedAnew): void {
  for (const [line, builds] of byLine(cancelled)) say(`${line}: no longer in farm.toml: ${builds.length} builds are cancelled`)
  for (const [line, builds] of byLine(waiting)) say(`${line}: in farm.toml again: ${builds.length} builds wait`)
}

function byLine(builds: readonly Build[]): ReadonlyMap<string, readonly Build[]> {
  return Map.groupBy(builds, ({ branch, arch }) => `${branch}/${arch}`)
}

/** Beyond this, pages and claims of PGlite take long: it has one connection. */
const comfortable = { builds: 200_000, builders: 8 }

async function tellLoad({ farm: { engine, catalog }, context }: Controller): Promise<void> {
  if (engine.kind !== 'pglite') return
  const builds = (await catalog.counts()).reduce((sum, { count }) => sum + count, 0)
  const builders = (await catalog.builders()).length
  if (builds <= comfortable.builds && builders <= comfortable.builders) return
  context.say(
    `the database in the folder has ${builds} builds and ${builders} builders: a PostgreSQL serves so many better (farm export, DATABASE_URL)`,
  )
}

/** All that there is to do, step after step; what fails ends it. */
async function runOnce(controller: Controller, builders: readonly LocalBuilder[]): Promise<void> {
  for (const branch of controller.config.branches) await noted(controller, branch, async () => await lookAtSources(controller, branch))
  await endClaims(controller)
  const troubles = await Promise.all(builders.flatMap((one) => slotsOf(one).map(async (slot) => await buildAll(controller, one, slot))))
  controller.signal.throwIfAborted()
  for (const trouble of troubles) if (trouble !== undefined) throw trouble
  await takeSigned(controller, new Map())
  await publishSigned(controller)
  await handOver(controller)
  await visitMirrors(controller, new Map())
  await dropOld(controller)
}

function slotsOf({ config: { jobs } }: LocalBuilder): readonly number[] {
  return Array.from({ length: jobs }, (_, index) => index + 1)
}

async function runUntilStopped(controller: Controller, builders: readonly LocalBuilder[], address: Address | undefined): Promise<void> {
  const { context, folder, config, farm, signal } = controller
  const looks = new Map(config.branches.map((branch) => [branch.name, wakened()]))
  const hook = async (name: string): Promise<void> => await lookNow(looks, name)
  const office = await listenForCalls(officeSocket(folder), {
    ...officeCalls(farmOffice(farm)),
    look: async (name) => await hook(String(name)),
    accept: async (...args) => await acceptNow(controller, args),
  })
  const web = address === undefined ? undefined : await openWeb(controller, address, hook)
  try {
    context.say(
      `runs: ${config.branches.length} branches, ${builders.length} builders here${web === undefined ? '' : `, pages at ${web.url}`}`,
    )
    await Promise.all([
      ...config.branches.map(async (branch) => await watchSources(controller, branch, looks.get(branch.name) as Wakened)),
      ...builders.flatMap((builder) => slotsOf(builder).map(async (slot) => await runLocalBuilder(controller, builder, slot))),
      watchClaims(controller),
      watchSigning(controller),
      watchMirrors(controller),
      watchAge(controller),
    ])
    context.say(`ends: ${signal.reason instanceof Error ? signal.reason.message : 'stopped'}`)
  } finally {
    await web?.close()
    await office.close()
  }
}

type Address = ReturnType<typeof addressOf>

function listenAddress(input: Input): Address | undefined {
  const text = input.value('listen')
  if (text !== undefined && input.flag('once')) throw new BinderyError('usage', '--once and --listen do not go together')
  return text === undefined ? undefined : addressOf(text)
}

async function openWeb(controller: Controller, listen: Address, hook: (branch: string) => Promise<void>): Promise<RunningWebServer> {
  const { context, folder, config, farm } = controller
  const { web, leaseSeconds } = config
  return await (await import('./farm-web.ts')).startFarmWeb(context, { folder, farm, listen, web, leaseSeconds, hook, tell: context.say })
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

/** The first look is whole: what the poll command said to a run that was killed, it says to no other. */
async function watchSources(controller: Controller, branch: BranchConfig, look: Wakened): Promise<void> {
  const { context, signal } = controller
  let isDue = true
  await keepDoing(controller, {
    name: branch.name,
    work: async () =>
      await noted(controller, branch, async () => {
        isDue ||= await mayHaveChanged(controller, branch)
        if (isDue) await lookAtSources(controller, branch)
        isDue = false
      }),
    pause: async () => await look.changed(withJitter(context, branch.everySeconds * 1000), signal),
  })
}

/** A tenth more or less, so that farms do not all ask at once. */
function withJitter({ random }: Context, milliseconds: number): number {
  const [high = 0, low = 0] = random.bytes(2)
  return milliseconds * (0.9 + ((high << 8) | low) / 65_536 / 5)
}

const sweepMs = 15_000

/** A server that was restarted has forgotten who looks after the farm: where somebody else does by now, this controller ends. */
async function watchHold(controller: Controller, hold: Hold, ousted: AbortController): Promise<void> {
  const { done, signal } = controller
  await keepDoing(controller, {
    name: 'database',
    work: async () => {
      await hold.check().catch((error: unknown) => {
        if (!isBinderyError(error, 'locked')) throw error
        ousted.abort(error)
      })
    },
    pause: async () => await pauseFor(done, sweepMs, signal),
  })
}

const signingMs = 30_000

async function watchSigning(controller: Controller): Promise<void> {
  const { farm, done, signal } = controller
  const seen: Seen = new Map()
  await keepDoing(controller, {
    name: 'signing',
    work: async () => {
      await takeSigned(controller, seen)
      if (await publishSigned(controller)) done.wake()
      await handOver(controller)
    },
    pause: async () => await Promise.race([done.changed(signingMs, signal), farm.queue.changed(signingMs), untilSigned(controller, seen)]),
  })
}

/** What comes into the folder of signed files makes no noise: it is looked for, without asking the database. */
const lookMs = 2000

async function untilSigned({ folder, signal }: Controller, seen: Seen): Promise<void> {
  for (let waited = 0; waited < signingMs && !signal.aborted; waited += lookMs) {
    await sleep(lookMs, undefined, { signal }).catch(() => {})
    if (await hasUnseen(folder, seen)) return
  }
}

/** At their time, and as soon as something was published. */
async function watchMirrors(controller: Controller): Promise<void> {
  const { config, farm, done, signal, context } = controller
  let visited: string | undefined
  let next = 0
  const targets: MirrorTargets = new Map()
  await keepDoing(controller, {
    name: 'mirrors',
    work: async () => {
      const published = await farm.catalog.lastPublication()
      if (published === visited && context.clock.now() < next) return
      await visitMirrors(controller, targets)
      visited = published
      next = context.clock.now() + withJitter(context, config.mirrors.everySeconds * 1000)
    },
    pause: async () => await done.changed(sweepMs, signal),
  })
}
