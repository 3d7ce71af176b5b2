import { join, resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { decodePublicKey } from '../format/signify.ts'
import { listenForCalls } from '../host/office-socket.ts'
import { wakened } from '../host/wakened.ts'
import { officeCalls, officeSocket } from './farm-ask.ts'
import { keepDoing } from './farm-controller.ts'
import { readLocalBuilder, runLocalBuilder } from './farm-local-builder.ts'
import { lookAtSources, mayHaveChanged } from './farm-look.ts'
import { farmOffice } from './farm-office.ts'
import { openFarmAt, readFarmConfig } from './farm-open.ts'
import { handOver, lockFarm, publishSigned, takeSigned } from './farm-signing.ts'
import { visitMirrors } from './farm-watch-mirrors.ts'
import { readKeyFile } from './signed-files.ts'
import type { BranchConfig } from '../format/farm-config.ts'
import type { Wakened } from '../host/wakened.ts'
import type { Command, Context } from './command.ts'
import type { Controller } from './farm-controller.ts'
import type { LocalBuilder } from './farm-local-builder.ts'
import type { Seen } from './farm-signing.ts'

export const farmRun: Command = {
  name: 'farm run',
  summary: 'look after a farm: from a commit to mirrors that have the packages',
  operands: 'FARM',
  operandCount: { min: 1, max: 1 },
  options: {
    once: { kind: 'flag', help: 'do what is to be done now, and end' },
  },
  examples: ['bindery farm run /var/farm', 'DATABASE_URL=postgresql:///farm bindery farm run /var/farm', 'bindery farm run --once /var/farm'],
  run: async (context, input) => {
    const folder = resolve(input.operands[0] as string)
    const config = await readFarmConfig(folder)
    const builders = config.builders.map((builder) => readLocalBuilder(context, builder))
    const key = await readKeyFile(context, resolve(folder, config.key), decodePublicKey)
    const lock = await lockFarm(folder)
    try {
      const farm = await openFarmAt(context, folder, config, 'farm run')
      const controller: Controller = { context, folder, config, farm, key, done: wakened(), signal: context.signal }
      try {
        await prepare(controller, builders)
        if (input.flag('once')) await runOnce(controller, builders)
        else await runUntilStopped(controller, builders)
      } finally {
        await farm.close()
      }
    } finally {
      await lock.release()
    }
    return 0
  },
}

/** What farm.toml says, into the catalog. Places of the controller build nothing yet, whatever the catalog says. */
async function prepare({ config, farm, context }: Controller, builders: readonly LocalBuilder[]): Promise<void> {
  const { catalog, queue } = farm
  await catalog.putBranches(config.branches, 'farm')
  for (const { config: one } of builders) await catalog.putBuilder({ ...one, publicKey: undefined }, 'farm')
  const names = new Set(builders.map(({ config: { name } }) => name))
  const local = (await catalog.builders()).filter(({ publicKey }) => publicKey === undefined)
  for (const { name } of local) if (!names.has(name)) await catalog.removeBuilder(name, 'farm')
  const given = await queue.releaseAll(
    local.map(({ name }) => name),
    'the controller was started anew',
  )
  const repaired = await queue.repair()
  if (given.length > 0) context.say(`${given.length} builds that were being built wait again`)
  if (repaired > 0) context.say(`${repaired} builds were in no queue, and are again`)
}

/** All that there is to do, step after step; what fails ends it. */
async function runOnce(controller: Controller, builders: readonly LocalBuilder[]): Promise<void> {
  for (const branch of controller.config.branches) await lookAtSources(controller, branch)
  await controller.farm.queue.expire()
  const ending: Controller = { ...controller, signal: AbortSignal.any([controller.signal, AbortSignal.abort()]) }
  void ending
  await Promise.all(builders.flatMap((builder) => slotsOf(builder).map(async (slot) => await runLocalBuilder(controller, builder, slot, 'once'))))
  controller.signal.throwIfAborted()
  await takeSigned(controller, new Map())
  await publishSigned(controller)
  await handOver(controller)
  await visitMirrors(controller)
}

function slotsOf({ config: { jobs } }: LocalBuilder): readonly number[] {
  return Array.from({ length: jobs }, (_, index) => index + 1)
}

async function runUntilStopped(controller: Controller, builders: readonly LocalBuilder[]): Promise<void> {
  const { context, folder, config, farm, signal } = controller
  const looks = new Map(config.branches.map((branch) => [branch.name, wakened()]))
  const office = await listenForCalls(officeSocket(folder), { ...officeCalls(farmOffice(farm)), look: async (name) => lookNow(looks, name) })
  try {
    context.say(`runs: ${config.branches.length} branches, ${builders.length} builders here`)
    await Promise.all([
      ...config.branches.map(async (branch) => await watchSources(controller, branch, looks.get(branch.name) as Wakened)),
      ...builders.flatMap((builder) => slotsOf(builder).map(async (slot) => await runLocalBuilder(controller, builder, slot))),
      sweep(controller),
      watchSigning(controller),
      watchMirrors(controller),
    ])
    context.say(`ends: ${signal.reason instanceof Error ? signal.reason.message : 'stopped'}`)
  } finally {
    await office.close()
  }
}

/** Somebody says that the sources of a branch have changed. */
async function lookNow(looks: ReadonlyMap<string, Wakened>, name: unknown): Promise<void> {
  const look = looks.get(String(name))
  if (look === undefined) throw new BinderyError('not-found', `there is no branch '${String(name)}'`)
  await Promise.resolve(look.wake())
}
