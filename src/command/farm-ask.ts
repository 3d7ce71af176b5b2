import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { callOver } from '../host/office-socket.ts'
import { farmOffice } from './farm-office.ts'
import { openFarmAt, readFarmConfig } from './farm-open.ts'
import type { Context } from './command.ts'
import type { Calls } from '../host/office-socket.ts'
import type { Office } from './farm-office.ts'

/** Where the controller of a farm can be asked. Short, since names of sockets must be. */
export function officeSocket(folder: string): string {
  return join(folder, 'run.sock')
}

type Method = (...args: readonly unknown[]) => Promise<unknown>

/** Whoever can open the socket may do all of it: it is the controller's own user, or root. */
export function officeCalls(office: Office): Calls {
  return Object.fromEntries(Object.entries(office).map(([name, method]) => [name, method as Method]))
}

export type Asking = { readonly farm: string; readonly verb: string }

/** Asks the running controller, which has the database; where none runs, the database itself. */
export async function askFarm<K extends keyof Office>(
  context: Context,
  { farm, verb }: Asking,
  name: K,
  ...args: Parameters<Office[K]>
): Promise<Awaited<ReturnType<Office[K]>>> {
  const folder = resolve(farm)
  type Answer = Awaited<ReturnType<Office[K]>>
  const answered = await callOver(officeSocket(folder), name, args)
  if (answered !== undefined) return answered.value as Answer
  const opened = await openFarmAt(context, folder, verb, await readFarmConfig(folder))
  try {
    return (await (farmOffice(opened)[name] as Method)(...args)) as Answer
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
