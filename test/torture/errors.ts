import { join } from 'node:path'
import { journalOf, look, mixtureFaults, startFaults, wholeFaults } from './judge.ts'
import { nearest, repositoryFaults, runRecovery, type Known, type Counts } from './kill.ts'
import { recoveries, runOf } from './scenarios.ts'
import { copyFolder } from './site.ts'
import { failAt, withSameNames } from './strace.ts'
import type { Sides } from './judge.ts'
import type { Place, Scenario } from './scenarios.ts'
import type { Failed, FailingCall } from './strace.ts'

/** What the system may answer at any time, and how bindery says it. */
export const errors: Readonly<Record<string, RegExp>> = {
  EIO: /the disk failed|input\/output error/i,
  ENOSPC: /no space/i,
  EDQUOT: /quota/i,
  EROFS: /read-only/i,
  EMFILE: /too many open files/i,
  EINTR: /interrupted system call/i,
  EACCES: /permission denied/i,
}

/** What is wrong with how a run ends of which one call fails; undefined where another call came to be the nth of its thread. */
export async function errorFaults(
  scenario: Scenario,
  place: Place,
  { known, call, error }: { readonly known: Known; readonly call: FailingCall; readonly error: string },
): Promise<readonly string[] | undefined> {
  copyFolder(place.work, scenario.from, place.root)
  const failed = await failAt(withSameNames(runOf(scenario, place)), call, error, join(place.work, 'trace'))
  if (failed.failed.length === 0) return undefined
  const faults = [...textFaults(failed, error), ...(call.kind === 'fsync' ? syncFaults(failed, error) : [])]
  const left =
    scenario.kind === 'machine'
      ? await machineFaults(scenario, place, known as Sides, failed)
      : leftRepository(scenario, place, known as Counts, failed)
  return [...faults, ...left]
}

/** The cause is told by a run that failed, and no failure is an internal one. */
function textFaults({ status, text }: Failed, error: string): readonly string[] {
  if (status === null) return [`did not end by itself: ${text.trim()}`]
  if (/internal error/.test(text)) return [`status ${String(status)}: ${text.trim()}`]
  // A shell's own printf says no more than that.
  if (status === 0 || (errors[error] as RegExp).test(text) || text.includes('printf: I/O error')) return []
  return [`does not say why it ended with status ${String(status)}: ${text.trim()}`]
}

/** What could not be synced is not synced again, since the system may have forgotten what it could not write; nor is it done. EINTR is no failure. */
function syncFaults({ failed, calls, status }: Failed, error: string): readonly string[] {
  if (error === 'EINTR') return []
  const file = /<([^>]*)>/.exec(failed[0] ?? '')?.[1] ?? ''
  const behind = calls.slice(calls.lastIndexOf(failed.at(-1) ?? '') + 1)
  const syncs = behind.filter((line) => line.includes('fsync(') && line.includes(`<${file}>`))
  const isFile = !/\/(?:bindery|stage|store|receipt|steps|log|cache|lock|trust|channel|root|\d+)$/.test(file)
  return [
    ...(isFile && syncs.length > 0 ? [`${file} is synced again`] : []),
    ...(status === 0 ? [`${file} is not synced, and the run ended well`] : []),
  ]
}

/** Before the commit all is as it was; behind it the run goes on, or says that it is to be recovered. */
async function machineFaults(scenario: Scenario, place: Place, sides: Sides, { status, text }: Failed): Promise<readonly string[]> {
  const journal = journalOf(place.root)
  const seen = await look(place.root)
  const faults = [...mixtureFaults(seen, sides), ...startFaults(place.root)]
  const isWhole = scenario.sides === undefined
  // What follows on a commit, notices to show for instance, is for the next run.
  const isAllDone = /the files are in place/.test(text)
  if (journal === undefined && status !== 0 && status !== 1 && status !== 6 && !(status === 4 && isAllDone))
    faults.push(`without a journal status ${String(status)}: ${text.trim()}`)
  if (journal !== undefined && status !== 4 && (isWhole || status !== 1))
    faults.push(`with a journal status ${String(status)}: ${text.trim()}`)
  if (journal === undefined && status === 1 && isWhole) faults.push(...wholeFaults(seen, sides.before).filter(isOfTree))
  if (status === 0 || (journal === undefined && isAllDone)) faults.push(...wholeFaults(seen, goalOf(scenario, sides)).filter(isOfTree))
  const [command] = recoveries(scenario, place)
  const done = command === undefined ? undefined : runRecovery(command, place)
  if (done !== undefined && done.status !== 0 && done.status !== 6)
    return [...faults, `recover: status ${String(done.status)}: ${done.text}`]
  const wanted = journal === undefined ? nearest(seen, sides) : journal.isBackward ? sides.before : sides.after
  return [...faults, ...wholeFaults(await look(place.root), wanted).map((fault) => `recovered: ${fault}`)]
}

function goalOf({ name }: Scenario, { before, after }: Sides): Sides['before'] {
  return name === 'undo' ? before : after
}

/** Rests in the state are for the next run. */
function isOfTree(fault: string): boolean {
  return !fault.startsWith('left in the state')
}

function leftRepository(scenario: Scenario, place: Place, counts: Counts, { status, text }: Failed): readonly string[] {
  const faults = status === 0 || status === 1 ? [] : [`status ${String(status)}: ${text.trim()}`]
  return [...faults, ...repositoryFaults(scenario, place, counts)]
}
