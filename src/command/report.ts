import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { collectBytes, latin1 } from '../base/bytes.ts'
import { BinderyError, exitStatusOf, isBinderyError } from '../base/error.ts'
import { makeReport } from '../engine/client/report.ts'
import { isMachineName } from '../format/machine-name.ts'
import { reportPlace } from '../format/report-place.ts'
import { leaveReport } from '../host/report-place.ts'
import type { RelPath } from '../base/path.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { LastRun } from '../format/report.ts'
import type { ReportPlace } from '../format/report-place.ts'
import type { Context } from './command.ts'

/** Of `--report`; undefined where the configuration says it. Throws `usage`. */
export function placesOf(given: readonly string[]): readonly ReportPlace[] | undefined {
  if (given.length === 0) return undefined
  if (!given.includes('none')) return given.map(reportPlace)
  if (given.length > 1) throw new BinderyError('usage', '--report none goes with no other place')
  return []
}

export type Reporting = { readonly verb: string; readonly places: readonly ReportPlace[] }

/**
 * Does `work`, and leaves a report of how it ended, also where it failed. A report that cannot be left is told and changes nothing:
 * whether a machine was updated does not depend on whether somebody hears of it.
 */
export async function reporting<T extends { readonly result: number }>(
  context: Context,
  session: Session,
  { verb, places }: Reporting,
  work: () => Promise<T>,
): Promise<T> {
  let done: T
  try {
    done = await work()
  } catch (error) {
    const code = isBinderyError(error) ? error.code : undefined
    await report(context, session, places, { verb, status: exitStatusOf[code ?? 'io'], code })
    throw error
  }
  await report(context, session, places, { verb, status: done.result, code: undefined })
  return done
}

async function report(context: Context, session: Session, places: readonly ReportPlace[], last: LastRun): Promise<void> {
  // Whoever stops us does not wait for a server.
  if (context.signal.aborted) return
  try {
    const machine = await machineName(context, session)
    const { boot, clock, random } = context
    const made = await makeReport({ disk: session.disk, boot, clock, random, machine }, last)
    if (made === undefined) return
    for (const place of places) await leave(context, place, made)
  } catch (error) {
    tellFailure(context, error)
  }
}

async function leave(
  context: Context,
  place: ReportPlace,
  { file, bytes }: { readonly file: string; readonly bytes: Uint8Array },
): Promise<void> {
  try {
    await leaveReport(place, file, bytes, context)
  } catch (error) {
    tellFailure(context, error)
  }
}

function tellFailure({ say }: Context, error: unknown): void {
  if (!isBinderyError(error)) throw error
  say(`no report was left: ${error.subject === undefined ? '' : `${error.subject}: `}${error.message}`)
  if (error.hint !== undefined) say(`hint: ${error.hint}`)
}

/** Another root is another machine, whose name stands in its files. */
async function machineName({ root }: Context, { disk, config }: Session): Promise<string> {
  const name = config.machine ?? (resolve(root) === '/' ? hostname() : await nameInFiles(disk))
  if (name !== undefined && isMachineName(name)) return name
  const what = name === undefined ? 'nothing says what this machine is called' : `'${name}' cannot stand in a report`
  throw new BinderyError('not-found', what, { hint: "'machine NAME' in bindery.conf names it" })
}

const nameFiles = ['etc/hostname', 'etc/myname'] as readonly string[] as readonly RelPath[]
const maxNameBytes = 4096

async function nameInFiles(disk: Session['disk']): Promise<string | undefined> {
  for (const path of nameFiles) {
    if ((await disk.lstat(path))?.kind !== 'file') continue
    const text = latin1((await collectBytes(disk.read(path), maxNameBytes)) ?? new Uint8Array(0))
    const name = text.split('\n')[0]?.trim()
    if (name !== undefined && name !== '') return name
  }
  return undefined
}
