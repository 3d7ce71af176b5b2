import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { journalOf, look, mixtureFaults, startFaults, wholeFaults } from './judge.ts'
import { countFiles, readRepository } from './repository-judge.ts'
import { environmentOf, recoveries, runOf } from './scenarios.ts'
import { copyFolder } from './site.ts'
import { killBehind } from './strace.ts'
import type { Machine, Sides } from './judge.ts'
import type { Place, Scenario } from './scenarios.ts'
import type { Call } from './strace.ts'

/** Killed behind one call: what is wrong with what is left, and with what recovery makes of it. */
export async function killFaults(
  scenario: Scenario,
  place: Place,
  { known, call, turn }: { readonly known: Known; readonly call: Call; readonly turn: number },
): Promise<readonly string[] | undefined> {
  if (!(await hasKilled(scenario, place, call))) return undefined
  return scenario.kind === 'machine'
    ? await machineFaults(scenario, place, known as Sides, turn)
    : repositoryFaults(scenario, place, known as Counts)
}

/** On a busy machine a call is now and then not seen among others; some names are by chance. */
async function hasKilled(scenario: Scenario, place: Place, call: Call): Promise<boolean> {
  for (const by of call.path === '' ? (['kind', 'kind', 'kind'] as const) : (['path', 'kind', 'kind'] as const)) {
    copyFolder(place.work, scenario.from, place.root)
    if (await killBehind(runOf(scenario, place), call, by)) return true
  }
  return false
}

/** What is to be expected: of a machine, or of a repository. */
export type Known = Sides | Counts

/** Versions before and after, and the files that the run leaves. */
export type Counts = { readonly versions: readonly [number, number]; readonly files: string }

async function machineFaults(scenario: Scenario, place: Place, sides: Sides, turn: number): Promise<readonly string[]> {
  const { work, root } = place
  const killed = await look(root)
  const faults = [...mixtureFaults(killed, sides), ...startFaults(root)]
  copyFolder(work, root, 'killed')
  for (const [i, command] of recoveries(scenario, place).entries()) {
    if (i > 0) copyFolder(work, 'killed', root)
    const words = (turn + i) % 2 === 0 ? command : ([...command, '--undo'] as const)
    faults.push(...(await recoverFaults(words, place, killed, sides)))
  }
  return faults
}

/** Without a journal the tree is whole already, and only rests are swept away. */
export async function recoverFaults(
  command: readonly [string, ...string[]],
  place: Place,
  killed: Machine,
  sides: Sides,
): Promise<readonly string[]> {
  const journal = journalOf(place.root)
  const name = command.slice(command[0].endsWith('/sh') ? 0 : 2).join(' ')
  const { status, text } = runRecovery(command, place)
  if (status !== 0 && status !== 6) return [`${name}: exit status ${String(status)}: ${text}`]
  const seen = await look(place.root)
  const isUndone = command.at(-1) === '--undo' || journal?.isBackward === true
  const wanted = journal === undefined ? nearest(killed, sides) : isUndone ? sides.before : sides.after
  return [...wholeFaults(seen, wanted), ...startFaults(place.root)].map((fault) => `${name}: ${fault}`)
}

export function nearest(seen: Machine, { before, after }: Sides): Machine {
  return wholeFaults(seen, after).length < wholeFaults(seen, before).length ? after : before
}

/** sh has base tools alone in its PATH: Node is out of reach. */
export function runRecovery(
  [program, ...words]: readonly [string, ...string[]],
  place: Place,
): { readonly status: number | null; readonly text: string } {
  const env = environmentOf(place)
  const tools = join(place.work, 'tools')
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8', env: program.startsWith(tools) ? { ...env, PATH: tools } : env })
  return { status, text: stderr.trim() }
}

/** The old or the new, each whole; and the same run once more ends it. */
export function repositoryFaults(scenario: Scenario, place: Place, { versions, files }: Counts): readonly string[] {
  const left = readRepository(place.root)
  const faults = [...left.faults]
  if (!versions.includes(left.version)) faults.push(`version ${left.version} is neither old nor new`)
  const again = runRecovery(scenario.command(place), place)
  // What was published cannot be published again, and that is said.
  if (again.status !== 0 && left.version === versions[0]) faults.push(`once more: exit status ${String(again.status)}: ${again.text}`)
  const seen = readRepository(place.root)
  faults.push(...seen.faults.map((fault) => `once more: ${fault}`))
  if (seen.version !== versions[1]) faults.push(`once more: version ${seen.version}`)
  if (countFiles(place.root) !== files) faults.push(`once more: ${countFiles(place.root)} instead of ${files}`)
  return faults
}
