import { mkdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isHandoverDue } from '../engine/farm/handover-due.ts'
import { usualLifetimes } from '../engine/repo/commit.ts'
import { emptyKeyring } from '../engine/repo/keyring.ts'
import { overlayStore } from '../engine/repo/overlay-store.ts'
import { stageDigest } from '../engine/repo/stage-digest.ts'
import { publishStage } from '../engine/repo/stage-publish.ts'
import { describeStage, stageLines } from '../engine/repo/stage-summary.ts'
import { openStage } from '../engine/repo/stage.ts'
import { folderStore } from '../host/folder-store.ts'
import { writeRepositoryFolder } from '../host/repository-folder.ts'
import { builtFolder } from './farm-built-folder.ts'
import { distFile } from './farm-release-build.ts'
import { acceptedFolder } from './farm-signing.ts'
import { parseInput } from './parse.ts'
import { publish } from './publish.ts'
import { keyringOf } from './repository-options.ts'
import type { ReleaseConfig } from '../format/farm-config.ts'
import type { Build } from '../port/farm-build.ts'
import type { Handover } from '../port/farm-catalog.ts'
import type { Controller } from './farm-controller.ts'

/** From a release that is built to one that is published: a stage for the signer, by the engine of `publish --unsigned`, and its way back. */

export async function handOverReleases(controller: Controller): Promise<void> {
  const open = await controller.farm.catalog.handovers(['requested', 'signed'])
  for (const release of controller.config.releases)
    for (const arch of release.archs)
      if (!open.some((one) => one.branch === release.name && one.arch === arch)) await handOverOne(controller, release, arch)
}

async function handOverOne(controller: Controller, release: ReleaseConfig, arch: string): Promise<void> {
  const { farm, context, config } = controller
  const where = { branch: release.name, arch }
  const built = await farm.catalog.buildsIn(['built'], where)
  const newest = built.at(-1)
  if (newest === undefined) return
  const unfinished = (await farm.catalog.buildsIn(['waiting', 'building'], where)).length
  if (!isHandoverDue({ built, unfinished, now: context.clock.now(), mostSeconds: config.handoverSeconds })) return
  // Of those whose request became stale, after a newer one was built.
  const past = built.slice(0, -1).map(({ id }) => id)
  await farm.catalog.move(past, 'superseded', { actor: 'farm', why: `build ${newest.id} takes its place` })
  await request(controller, release, newest)
}

async function request(controller: Controller, release: ReleaseConfig, build: Build): Promise<void> {
  const { farm, folder, context } = controller
  const { name: branch } = release
  const { arch } = build
  const requests = join(folder, 'request')
  const aside = join(requests, `.${branch}-${arch}.part`)
  await rm(aside, { recursive: true, force: true })
  await mkdir(aside, { recursive: true })
  await stageRelease(controller, release, build, aside)
  const stage = folderStore(aside)
  const named = `${build.pkgpath} ${branch}/${arch}: build ${build.id}`
  if ((await stage.list('metadata/')).length === 0) {
    await rm(aside, { recursive: true, force: true })
    await farm.catalog.move([build.id], 'published', { actor: 'farm', why: 'the repository has it already' })
    return context.say(`${named}: the repository has it already`)
  }
  const digest = await stageDigest(stage)
  const file = join('request', `${branch}-${arch}-${digest.slice(0, 12)}`)
  await rm(join(folder, file), { recursive: true, force: true })
  await rename(aside, join(folder, file))
  const packages = (await farm.catalog.packagesOf(build.id)).map(({ id }) => id)
  const id = await farm.catalog.addHandover({ branch, arch, digest, file, basis: undefined, packages }, 'farm')
  context.say(`${branch}/${arch}: handover ${id}: ${build.packages[0] as string} to sign: ${join(folder, file)}`)
  // Whoever tells signers.
  controller.done.wake()
}

/** What a person reads before signing. */
export async function stageText(folder: string): Promise<string> {
  const lines = stageLines(await describeStage(await openStage(folderStore(folder))), () => undefined)
  return lines.map((line) => `${line}\n`).join('')
}

async function stageRelease({ context, folder, signal }: Controller, release: ReleaseConfig, build: Build, stage: string): Promise<void> {
  const dist = join(builtFolder(folder, release.name, build.arch), distFile(build))
  const security = build.isSecurity && !release.flags.publish.includes('--security') ? ['--security'] : []
  const words = ['-r', resolve(folder, release.repository), '--unsigned', stage, ...security, ...release.flags.publish, dist]
  await publish.run({ ...context, signal }, parseInput(publish, words))
}

/** The metadata that came back, with the blobs that we have: nothing else of what was brought is looked at. */
export async function publishRelease(controller: Controller, release: ReleaseConfig, handover: Handover): Promise<void> {
  const { farm, context, folder } = controller
  const { id, branch, arch, digest, packages } = handover
  const [accepted, requested] = [acceptedFolder(folder, handover), join(folder, handover.file)]
  const keyring = release.keys === undefined ? emptyKeyring : await keyringOf(context, resolve(folder, release.keys))
  const stage = overlayStore(folderStore(accepted), folderStore(requested))
  await writeRepositoryFolder(resolve(folder, release.repository), 'farm run', async (store) => {
    await publishStage({ store, stage, keyring, clock: context.clock, lifetimes: usualLifetimes })
  })
  await farm.catalog.addPublication({ branch, arch, handover: id, digest, packages: packages.length })
  await farm.catalog.moveHandover(id, 'published', { actor: 'farm' })
  context.say(`${branch}/${arch}: handover ${id} is published`)
  for (const done of [accepted, requested]) await rm(done, { recursive: true, force: true })
}
