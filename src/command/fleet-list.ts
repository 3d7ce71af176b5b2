import { BinderyError, isBinderyError } from '../base/error.ts'
import { showSpan } from '../base/show-span.ts'
import { showText } from '../base/show-text.ts'
import { readFleet } from '../engine/client/fleet.ts'
import { lastText, reportLimits, reportSuffix } from '../format/report.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import { isTree } from './tree-input.ts'
import { needsAttention } from './outcome.ts'
import { print } from './output.ts'
import { table } from './text-table.ts'
import type { Fleet, FleetMachine, RefusedReport, ReportFile } from '../engine/client/fleet.ts'
import type { Context } from './command.ts'

/** `list --fleet`: what the machines say that left their reports in a folder. */
export async function listFleet(context: Context, folder: string, json: boolean): Promise<number> {
  if (!isTree(folder)) throw new BinderyError('wrong-type', 'is no directory', { subject: folder })
  const now = context.clock.now()
  const fleet = await readFleet(readReports(folder), now)
  await print(context, json ? jsonOf(fleet, now) : textOf(fleet, now))
  for (const { file, why } of fleet.refused) context.say(`${file}: ${why}`)
  return fleet.refused.length > 0 ? needsAttention : 0
}

async function* readReports(folder: string): AsyncIterable<ReportFile> {
  const files = mirrorFolder(folder)
  const names = (await files.list()).map(({ name }) => name).filter((name) => name.endsWith(reportSuffix))
  for (const file of names) {
    try {
      const bytes = await files.read(file, reportLimits.bytes)
      // What has gone since is not there.
      if (bytes !== undefined) yield { file, bytes }
    } catch (error) {
      if (!isBinderyError(error)) throw error
      yield { file, bytes: error }
    }
  }
}

function jsonOf({ machines, refused }: Fleet, now: number): string {
  const told = ({ at, last, ...machine }: FleetMachine): object => ({
    ...machine,
    at: new Date(at).toISOString(),
    ageSeconds: Math.round((now - at) / 1000),
    last: { verb: last.verb, status: last.status, ...(last.code === undefined ? {} : { code: last.code }) },
  })
  return [...machines.map(told), ...refused.map(({ file, why }: RefusedReport) => ({ file, refused: why }))]
    .map((record) => `${JSON.stringify(record)}\n`)
    .join('')
}

/** A line for each machine and channel, then one for each release, then all in one. */
function textOf(fleet: Fleet, now: number): string {
  const { machines } = fleet
  const lines = machines.length === 0 ? [] : [...table(rowsOf(machines, now)), '', ...table(releaseRows(machines)), '']
  return `${[...lines, totals(fleet)].join('\n')}\n`
}

function rowsOf(machines: readonly FleetMachine[], now: number): readonly (readonly string[])[] {
  const rows = machines.flatMap(({ machine, at, last, reboot, releases, remarks }) => {
    const notes = [...(reboot === 'none' ? [] : ['waits for a reboot']), ...remarks].join(', ')
    return releases.map(({ channel, release }) => [machine, channel, release, showSpan(now - at), lastText(last), notes])
  })
  return [['MACHINE', 'CHANNEL', 'RELEASE', 'AGE', 'LAST RUN', 'REMARKS'], ...rows].map((row) => row.map(showText))
}

function releaseRows(machines: readonly FleetMachine[]): readonly (readonly string[])[] {
  const counts = new Map<string, number>()
  for (const { releases } of machines) for (const { release } of releases) counts.set(release, (counts.get(release) ?? 0) + 1)
  const rows = [...counts].toSorted(([a, many], [b, more]) => more - many || (a < b ? -1 : 1))
  return [['RELEASE', 'MACHINES'], ...rows.map(([release, count]) => [release, String(count)])]
}

function totals({ machines, refused }: Fleet): string {
  const failed = machines.filter(({ last }) => last.status !== 0).length
  const waiting = machines.filter(({ reboot }) => reboot !== 'none').length
  const odd = machines.filter(({ remarks }) => remarks.length > 0).length
  const told = [
    [failed, 'whose last run did not end well'],
    [waiting, 'that wait for a reboot'],
    [odd, 'with remarks'],
    [refused.length, 'reports refused'],
  ] as const
  return [`${machines.length} machines`, ...told.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)].join(', ')
}
