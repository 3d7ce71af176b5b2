import { renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { look } from './judge.ts'
import { countFiles, readRepository } from './repository-judge.ts'
import { runOf } from './scenarios.ts'
import { copyFolder, makeBundle } from './site.ts'
import { callsOf, killBehind } from './strace.ts'
import type { Known } from './kill.ts'
import type { Place, Scenario } from './scenarios.ts'
import type { Call, Run } from './strace.ts'

/** A scenario that was left alone once: its calls, and what it comes to. */
export type Prepared = { readonly calls: readonly Call[]; readonly known: Known }

export async function prepare(scenario: Scenario, place: Place, run: Run = runOf(scenario, place)): Promise<Prepared> {
  const { work, root } = place
  if (scenario.name === 'bundle') makeBundle(work)
  copyFolder(work, scenario.from, root)
  const calls = await callsOf(run, join(work, 'trace'))
  if (scenario.kind === 'machine') {
    const [before, after] = scenario.sides ?? [scenario.from, root]
    return { calls, known: { before: await look(resolve(work, before)), after: await look(resolve(work, after)) } }
  }
  const versions = [readRepository(join(work, scenario.from)).version, readRepository(root).version] as const
  return { calls, known: { versions, files: countFiles(root) } }
}

/** An install that was killed in the middle of its commit, in the site as `interrupted`. */
export async function interruptInstall(install: Scenario, place: Place): Promise<void> {
  copyFolder(place.work, install.from, place.root)
  const renames = (await callsOf(runOf(install, place), join(place.work, 'trace'))).filter(({ kind }) => kind === 'rename')
  const first = renames.findIndex(({ text }) => text.includes('/journal"'))
  const middle = renames[first + 5]
  if (middle === undefined) throw new Error('an install makes fewer renames than expected')
  copyFolder(place.work, install.from, place.root)
  if (!(await killBehind(runOf(install, place), middle))) throw new Error('the install was not killed')
  rmSync(join(place.work, 'interrupted'), { recursive: true, force: true })
  renameSync(place.root, join(place.work, 'interrupted'))
}
