import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { callOver } from '../host/office-socket.ts'
import { farmOffice } from './farm-office.ts'
import { openFarmAt, readFarmConfig } from './farm-open.ts'
import type { Context } from './command.ts'
import type { Calls } from '../host/office-socket.ts'
import type { Office, Pausable } from './farm-office.ts'

/** Where the controller of a farm can be asked. Short, since names of sockets must be. */
export function officeSocket(folder: string): string {
  return join(folder, 'run.sock')
}

export function officeCalls(office: Office): Calls {
  return {
    status: async () => await office.status(),
    cancel: async (build, actor) => await office.cancel(Number(build), String(actor)),
    retry: async (build, actor) => await office.retry(Number(build), String(actor)),
    pause: async (what, actor) => await office.pause(what as Pausable, String(actor)),
    resume: async (what, actor) => await office.resume(what as Pausable, String(actor)),
  }
}

/** Asks the running controller, which has the database; where none runs, the database itself. */
export async function askFarm<K extends keyof Office>(
  context: Context,
  farm: string,
  verb: string,
  name: K,
  args: Parameters<Office[K]>,
): Promise<Awaited<ReturnType<Office[K]>>> {
  const folder = resolve(farm)
  const config = await readFarmConfig(folder)
  const answered = await callOver(officeSocket(folder), name, args)
  if (answered !== undefined) return answered.value as Awaited<ReturnType<Office[K]>>
  const opened = await openFarmAt(context, folder, config, verb)
  try {
    const office: Record<string, (...args: never[]) => Promise<unknown>> = farmOffice(opened)
    return (await (office[name] as (...given: readonly unknown[]) => Promise<unknown>)(...args)) as Awaited<ReturnType<Office[K]>>
  } finally {
    await opened.close()
  }
}

/** Who stands in the audit trail. */
export function actorHere(context: Context): string {
  return context.environment['SUDO_USER'] ?? context.environment['DOAS_USER'] ?? userInfo().username
}

export function buildNumber(text: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  throw new BinderyError('usage', `'${text}' is no number of a build`)
}

