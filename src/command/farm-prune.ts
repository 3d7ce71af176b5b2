import { join } from 'node:path'
import { removeIfThere } from '../host/remove-file.ts'
import { keepDoing, pauseFor } from './farm-controller.ts'
import { signedFolder } from './farm-take-signed.ts'
import type { OldFile } from '../port/farm-catalog.ts'
import type { Controller } from './farm-controller.ts'

const everyMs = 6 * 3600 * 1000
const logsAtOnce = 1000

/** What has grown old and no page needs goes, as farm.toml says. */
export async function watchAge(controller: Controller): Promise<void> {
  await keepDoing(controller, {
    name: 'old ones',
    work: async () => await dropOld(controller),
    pause: async () => await pauseFor(controller.done, everyMs, controller.signal),
  })
}

/** What the work needs of a controller. */
export type Pruned = {
  readonly config: Pick<Controller['config'], 'keep'>
  readonly farm: {
    readonly catalog: Pick<Controller['farm']['catalog'], 'dropEvents' | 'oldLogs' | 'forgetLogs' | 'oldRequests' | 'forgetRequests'>
  }
  readonly folder: string
  readonly context: Pick<Controller['context'], 'say'>
  readonly signal: AbortSignal
}

export async function dropOld({ config: { keep }, farm: { catalog }, folder, context, signal }: Pruned): Promise<void> {
  const events = await catalog.dropEvents(keep.eventDays)
  let logs = 0
  for (let old = await catalog.oldLogs(keep.logDays, logsAtOnce); old.length > 0; old = await catalog.oldLogs(keep.logDays, logsAtOnce)) {
    signal.throwIfAborted()
    for (const { file } of old) await removeIfThere(join(folder, file))
    await catalog.forgetLogs(old.map(({ id }) => id))
    logs += old.length
  }
  const requests = await catalog.oldRequests(keep.requestDays)
  for (const one of requests) await removeRequest(folder, one)
  await catalog.forgetRequests(requests.map(({ id }) => id))
  const told = [`${events} events`, `${logs} logs`, `${requests.length} requests`].filter((text) => !text.startsWith('0 '))
  if (told.length > 0) context.say(`dropped as old: ${told.join(', ')}`)
}

async function removeRequest(folder: string, { id, file }: OldFile): Promise<void> {
  await removeIfThere(join(folder, file))
  await removeIfThere(join(signedFolder(folder), 'accepted', `${id}.tar`))
}
