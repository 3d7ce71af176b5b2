import { basename, resolve } from 'node:path'
import { visitRepository } from './farm-mirror-repository.ts'
import { publishedSets, targetAt, visitMirror } from './farm-mirror-visit.ts'
import { publishFolder } from './farm-signing.ts'
import type { BranchConfig, FarmConfig, ReleaseConfig } from '../format/farm-config.ts'
import type { Controller } from './farm-controller.ts'
import type { Standing } from './farm-mirror-visit.ts'

/** Brings mirrors up to date, looks at those that somebody else keeps, and notes how they stand. */
export async function visitMirrors(controller: Controller): Promise<void> {
  await visitPackages(controller)
  for (const release of controller.config.releases) await visitReleases(controller, release)
}

async function visitPackages(controller: Controller): Promise<void> {
  const { config, context, farm, signal } = controller
  const ours = publishFolder(controller)
  const sets = await publishedSets(ours)
  if (sets.length === 0) return
  for (const { place, bring } of visitsOf(config)) {
    if (signal.aborted) return
    await farm.catalog.putMirror(place)
    await visitMirror(context, { target: targetAt(context, place), ours, sets, bring }, async (set, state) => {
      const branch = branchOf(config.branches, set)
      if (branch !== undefined) await note(controller, { place, branch: branch.name, arch: set.split('/').at(-1) as string, state })
    })
  }
}

function visitsOf({ mirrors: { bring, look } }: FarmConfig): readonly { readonly place: string; readonly bring: boolean }[] {
  return [...bring.map((place) => ({ place, bring: true })), ...look.map((place) => ({ place, bring: false }))]
}

/** A repository has its own name on a mirror. */
async function visitReleases(controller: Controller, { name, archs, repository: folder }: ReleaseConfig): Promise<void> {
  const { config, context, farm, signal } = controller
  const repository = resolve(controller.folder, folder)
  for (const { place, bring } of visitsOf(config)) {
    if (signal.aborted) return
    const target = targetAt(context, `${place.replace(/\/+$/, '')}/${basename(repository)}`)
    const state = await visitRepository(context, { target, repository, bring })
    if (state === undefined) return
    await farm.catalog.putMirror(place)
    for (const arch of archs) await note(controller, { place, branch: name, arch, state })
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
