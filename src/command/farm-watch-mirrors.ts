import { basename, resolve } from 'node:path'
import { inParallel } from '../base/parallel.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { visitRepository } from './farm-mirror-repository.ts'
import { targetAt } from './farm-mirror-target.ts'
import { publishedSets, visitMirror } from './farm-mirror-visit.ts'
import { publishFolder } from './farm-signing.ts'
import type { BranchConfig, ReleaseConfig } from '../format/farm-config.ts'
import type { MirrorTarget } from '../host/mirror-target.ts'
import type { Controller } from './farm-controller.ts'
import type { Standing } from './farm-mirror-visit.ts'

/** By place: what a mirror was seen to have is remembered between two visits. */
export type MirrorTargets = Map<string, MirrorTarget>

/** What is brought shares a line and disks with all else; a look is waiting for others, and one that hangs is to hold up few. */
const [bringsAtOnce, looksAtOnce] = [4, 32]

/** Brings mirrors up to date, looks at those that somebody else keeps, and notes how they stand. */
export async function visitMirrors(controller: Controller, targets: MirrorTargets): Promise<void> {
  const { config, farm } = controller
  const before = new Map((await farm.catalog.sightings()).map((one) => [`${one.mirror} ${one.branch}/${one.arch}`, one.state]))
  const round: Round = { targets, before }
  await visitPackages(controller, round)
  for (const release of config.releases) await visitReleases(controller, release, round)
}

type Round = { readonly targets: MirrorTargets; readonly before: ReadonlyMap<string, Standing['kind']> }
type Visit = { readonly place: string; readonly bring: boolean }

async function atEach({ config, farm, signal }: Controller, visit: (at: Visit) => Promise<void>): Promise<void> {
  const visitOne = async (at: Visit): Promise<void> => {
    if (signal.aborted) return
    await farm.catalog.putMirror(at.place)
    await visit(at)
  }
  await inParallel(config.mirrors.bring, bringsAtOnce, async (place) => await visitOne({ place, bring: true }))
  await inParallel(config.mirrors.look, looksAtOnce, async (place) => await visitOne({ place, bring: false }))
}

function targetFor({ context }: Controller, targets: MirrorTargets, place: string): MirrorTarget {
  const target = targets.get(place) ?? targetAt(context, place)
  targets.set(place, target)
  return target
}

async function visitPackages(controller: Controller, { targets, before }: Round): Promise<void> {
  const { config, context } = controller
  const ours = publishFolder(controller)
  const sets = await publishedSets(ours)
  if (sets.length === 0) return
  await atEach(controller, async ({ place, bring }) => {
    await visitMirror(context, { target: targetFor(controller, targets, place), ours, sets, bring }, async (set, state) => {
      const branch = branchOf(config.branches, set)
      if (branch === undefined) return
      const found = { place, branch: branch.name, arch: set.split('/').at(-1) as string, state }
      await note(controller, found, before.get(`${place} ${found.branch}/${found.arch}`))
    })
  })
}

/** A repository has a folder of its own name on a mirror. */
async function visitReleases(
  controller: Controller,
  { name, archs, repository: folder }: ReleaseConfig,
  { targets, before }: Round,
): Promise<void> {
  const repository = resolve(controller.folder, folder)
  await atEach(controller, async ({ place, bring }) => {
    const target = targetFor(controller, targets, `${withoutTrailing(place, '/')}/${basename(repository)}`)
    const state = await visitRepository(controller.context, { target, repository, bring })
    if (state === undefined) return
    for (const arch of archs) await note(controller, { place, branch: name, arch, state }, before.get(`${place} ${name}/${arch}`))
  })
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
