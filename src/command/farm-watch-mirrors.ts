import { publishedSets, targetAt, visitMirror } from './farm-mirror-visit.ts'
import { publishFolder } from './farm-signing.ts'
import type { BranchConfig } from '../format/farm-config.ts'
import type { Controller } from './farm-controller.ts'
import type { Standing } from './farm-mirror-visit.ts'

/** Brings mirrors up to date, looks at those that somebody else keeps, and notes how they stand. */
export async function visitMirrors(controller: Controller): Promise<void> {
  const { config, context, farm, signal } = controller
  const ours = publishFolder(controller)
  const sets = await publishedSets(ours)
  if (sets.length === 0) return
  const visits = [
    ...config.mirrors.bring.map((place) => ({ place, bring: true })),
    ...config.mirrors.look.map((place) => ({ place, bring: false })),
  ]
  for (const { place, bring } of visits) {
    if (signal.aborted) return
    await farm.catalog.putMirror(place)
    await visitMirror(context, { target: targetAt(context, place), ours, sets, bring }, async (set, state) => {
      const branch = branchOf(config.branches, set)
      if (branch !== undefined) await note(controller, { place, branch: branch.name, arch: set.split('/').at(-1) as string, state })
    })
  }
}

function branchOf(branches: readonly BranchConfig[], set: string): BranchConfig | undefined {
  const [release, , arch] = set.split('/')
  return branches.find((branch) => branch.release === release && branch.archs.includes(arch as string))
}

type Found = { readonly place: string; readonly branch: string; readonly arch: string; readonly state: Standing }

/** Told where it is another than at the last visit. */
async function note({ farm, context }: Controller, { place, branch, arch, state }: Found): Promise<void> {
  const before = (await farm.catalog.sightings()).find((one) => one.mirror === place && one.branch === branch && one.arch === arch)
  await farm.catalog.addSighting({
    mirror: place,
    branch,
    arch,
    state: state.kind,
    lagSeconds: state.kind === 'behind' || state.kind === 'torn' ? state.seconds : undefined,
    files: state.kind === 'torn' ? state.files.slice(0, mostFiles) : [],
    why: state.kind === 'failed' ? state.why : '',
  })
  if (before?.state !== state.kind)
    context.say(`${place}: ${branch}/${arch}: ${state.kind}${state.kind === 'failed' ? `: ${state.why}` : ''}`)
}

const mostFiles = 100
