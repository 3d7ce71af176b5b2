import { inParallel } from '../base/parallel.ts'
import { targetAt } from './farm-mirror-target.ts'
import { publishedSets, visitMirror } from './farm-mirror-visit.ts'
import { publishFolder } from './farm-signing.ts'
import type { BranchConfig } from '../format/farm-config.ts'
import type { MirrorTarget } from '../host/mirror-target.ts'
import type { Controller } from './farm-controller.ts'
import type { Standing } from './farm-mirror-visit.ts'

/** By place: what a mirror was seen to have is remembered between two visits. */
export type MirrorTargets = Map<string, MirrorTarget>

/** What is brought shares a line and disks with all else; a look is waiting for others, and one that hangs is to hold up few. */
const [bringsAtOnce, looksAtOnce] = [4, 32]

/** Brings mirrors up to date, looks at those that somebody else keeps, and notes how they stand. */
export async function visitMirrors(controller: Controller, targets: MirrorTargets): Promise<void> {
  const { config, context, farm, signal } = controller
  const ours = publishFolder(controller)
  const sets = await publishedSets(ours)
  if (sets.length === 0) return
  const before = new Map((await farm.catalog.sightings()).map((one) => [`${one.mirror} ${one.branch}/${one.arch}`, one.state]))
  const visit = async (place: string, bring: boolean): Promise<void> => {
    if (signal.aborted) return
    await farm.catalog.putMirror(place)
    const target = targets.get(place) ?? targetAt(context, place)
    targets.set(place, target)
    await visitMirror(context, { target, ours, sets, bring }, async (set, state) => {
      const branch = branchOf(config.branches, set)
      if (branch === undefined) return
      const found = { place, branch: branch.name, arch: set.split('/').at(-1) as string, state }
      await note(controller, found, before.get(`${place} ${found.branch}/${found.arch}`))
    })
  }
  await inParallel(config.mirrors.bring, bringsAtOnce, async (place) => await visit(place, true))
  await inParallel(config.mirrors.look, looksAtOnce, async (place) => await visit(place, false))
}

function branchOf(branches: readonly BranchConfig[], set: string): BranchConfig | undefined {
  const [release, , arch] = set.split('/')
  return branches.find((branch) => branch.release === release && branch.archs.includes(arch as string))
}

type Found = { readonly place: string; readonly branch: string; readonly arch: string; readonly state: Standing }

/** Told where it is another than at the last visit. */
async function note({ farm, context }: Controller, { place, branch, arch, state }: Found, before: string | undefined): Promise<void> {
  await farm.catalog.addSighting({
    mirror: place,
    branch,
    arch,
    state: state.kind,
    lagSeconds: state.kind === 'behind' || state.kind === 'torn' ? state.seconds : undefined,
    files: state.kind === 'torn' ? state.files.slice(0, mostFiles) : [],
    why: state.kind === 'failed' ? state.why : '',
  })
  if (before !== state.kind) context.say(`${place}: ${branch}/${arch}: ${state.kind}${state.kind === 'failed' ? `: ${state.why}` : ''}`)
}

const mostFiles = 100
