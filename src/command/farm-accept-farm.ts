import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { hex } from '../base/bytes.ts'
import { BinderyError, toldOf } from '../base/error.ts'
import { inTurn } from '../engine/farm/remote/in-turn.ts'
import { callOver } from '../host/office-socket.ts'
import { isFolder, openInput, writeFileAtomically } from '../host/source.ts'
import { systemError } from '../host/system-error.ts'
import { actorHere, officeSocket } from './farm-ask.ts'
import { withHeldFarm } from './farm-hold.ts'
import { readFarmConfig, readPackageKey } from './farm-open.ts'
import { copyMetadata } from './farm-release-accept.ts'
import { signedFolder, takeBrought } from './farm-take-signed.ts'
import type { Context } from './command.ts'
import type { Taken } from './farm-take-signed.ts'

/**
 * A signed file into a farm, by its controller, or where none runs by ourselves. It is copied first: the controller may run as somebody who cannot
 * read what we can.
 */
export async function acceptForFarm(context: Context, farm: string, signed: string): Promise<Taken['packages']> {
  const folder = resolve(farm)
  // What is no farm is told before anything is written there.
  await readFarmConfig(folder)
  const brought = `.accept-${hex(context.random.bytes(8))}.part`
  const file = join(signedFolder(folder), brought)
  try {
    await bring(context, signed, file)
    const { handover, packages } = await take(context, folder, [brought, signed, actorHere(context)])
    if (packages.length === 0) context.say(`${signed}: handover ${handover} is signed already`)
    return packages
  } catch (error) {
    // Nobody knows the name that it had meanwhile.
    throw error instanceof BinderyError && error.subject?.startsWith(file) === true ? toldOf(error, signed) : error
  } finally {
    await rm(file, { recursive: true, force: true })
  }
}

async function bring(context: Context, signed: string, file: string): Promise<void> {
  const content = (await isFolder(signed)) ? undefined : await openInput(signed, context.stdin)
  await mkdir(signedFolder(resolve(file, '../..')), { recursive: true }).catch((cause: unknown) => Promise.reject(systemError(cause, file)))
  // The stage of a release is a folder, and large.
  if (content === undefined) await copyMetadata(signed, file)
  else await writeFileAtomically(file, content)
}

async function take(context: Context, folder: string, args: readonly [string, string, string]): Promise<Taken> {
  const answered = await callOver(officeSocket(folder), 'accept', args)
  if (answered !== undefined) return answered.value as Taken
  const config = await readFarmConfig(folder)
  const key = await readPackageKey(context, folder, config)
  return await withHeldFarm(
    context,
    { folder, config, verb: 'farm accept' },
    async (held) => await takeBrought({ context, folder, config, key, farm: held.farm, turns: inTurn() }, ...args),
  )
}
