import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { sha256 } from '../base/digest.ts'
import { BinderyError, isBinderyError, toldOf } from '../base/error.ts'
import { isHandoverDue } from '../engine/farm/handover-due.ts'
import { requestText } from '../engine/farm/sign/request.ts'
import { encodeHandover } from '../format/handover.ts'
import { builtFolder } from './farm-built-folder.ts'
import { lineOf } from './farm-controller.ts'
import { draftHandover, writeHandover } from './farm-handover-draft.ts'
import { notifySigners } from './farm-notify.ts'
import { publishAccepted } from './farm-publish-accepted.ts'
import { releaseNamed } from './farm-release-accept.ts'
import { publishedFolder } from './farm-published.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import { isFolder, openSource } from '../host/source.ts'
import type { ErrorCode } from '../base/error.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { BranchConfig } from '../format/farm-config.ts'
import type { Build } from '../port/farm-build.ts'
import type { FarmPackage, Handover } from '../port/farm-catalog.ts'
import type { Controller } from './farm-controller.ts'
import type { HandoverDraft } from './farm-handover-draft.ts'

/** From what is built to what is published: requests, and the published folder. Each step can be done again. */

export function publishFolder({ folder, config }: Pick<Controller, 'folder' | 'config'>): string {
  return resolve(folder, config.publish)
}

/** A farm that makes releases alone has none. */
export function packageKeyOf({ key }: Pick<Controller, 'key'>): SignifyPublicKey {
  if (key === undefined) throw new BinderyError('usage', 'key is missing', { subject: 'farm.toml' })
  return key
}

export async function handOver(controller: Controller): Promise<void> {
  const open = await controller.farm.catalog.handovers(['requested', 'signed'])
  for (const branch of controller.config.branches)
    for (const arch of branch.archs)
      if (!open.some((one) => one.branch === branch.name && one.arch === arch)) await handOverOne(controller, branch, arch)
  await tellSigners(controller)
}

/** Of each request once, also of one that a controller made which was killed then. Who cannot be reached hears of it when it goes on. */
async function tellSigners(controller: Controller): Promise<void> {
  const { farm, context } = controller
  for (const handover of await farm.catalog.handovers(['requested'])) {
    if (handover.notified !== undefined) continue
    for (const failure of await tellOf(controller, handover)) context.say(`handover ${handover.id}: a notice was lost: ${lineOf(failure)}`)
    await farm.catalog.noteNotified(handover.id)
  }
}

async function tellOf(controller: Controller, { branch, arch, file: name }: Handover): Promise<readonly BinderyError[]> {
  const file = join(controller.folder, name)
  try {
    return await notifySigners(controller, { branch, arch, file, text: await textOf(file) })
  } catch (error) {
    if (!isBinderyError(error)) throw error
    return [toldOf(error, file) as BinderyError]
  }
}

/** What a person reads before signing; of a release the request is a folder. */
async function textOf(file: string): Promise<string> {
  if (await isFolder(file)) return await (await import('./farm-release-signing.ts')).stageText(file)
  const source = await openSource(file)
  try {
    return await requestText(source)
  } finally {
    await source.close()
  }
}

async function handOverOne(controller: Controller, branch: BranchConfig, arch: string): Promise<void> {
  const { farm, context, config } = controller
  const where = { branch: branch.name, arch }
  const built = await farm.catalog.buildsIn(['built'], where)
  if (built.length === 0) return
  const unfinished = (await farm.catalog.buildsIn(['waiting', 'building'], where)).length
  if (!isHandoverDue({ built, unfinished, now: context.clock.now(), mostSeconds: config.handoverSeconds })) return
  const packages = (await Promise.all(built.map(async ({ id }) => await farm.catalog.packagesOf(id)))).flat()
  const draft = await draftRequest(controller, { branch, arch, built, packages })
  const handed = new Set(draft.handover.sets.flatMap(({ packages: its }) => its.map((one) => `${one.file} ${one.sha256}`)))
  const asked = packages.filter((one) => handed.has(`${one.file} ${one.sha256}`))
  await settlePublished(controller, built, asked)
  if (asked.length > 0) await request(controller, { draft, branch: branch.name, arch, asked })
}

type Draft = {
  readonly branch: BranchConfig
  readonly arch: string
  readonly built: readonly Build[]
  readonly packages: readonly FarmPackage[]
}

async function draftRequest(controller: Controller, { branch, arch, built, packages }: Draft): Promise<HandoverDraft> {
  const wanted = new Set(packages.map((one) => `${one.file} ${one.sha256}`))
  const folder = builtFolder(controller.folder, branch.name, arch)
  await mkdir(join(folder, '.lock'), { recursive: true })
  return await draftHandover(controller.context, {
    folders: [folder],
    last: publishFolder(controller),
    security: await controller.farm.catalog.securityOf(built.map(({ id }) => id)),
    isWanted: (one) => wanted.has(`${one.file} ${one.sha256}`),
  })
}

/** What is signed and published already needs no signer. */
async function settlePublished({ farm, context }: Controller, built: readonly Build[], asked: readonly FarmPackage[]): Promise<void> {
  const waiting = new Set(asked.map(({ build }) => build))
  const done = built.filter(({ id }) => !waiting.has(id))
  if (done.length === 0) return
  await farm.catalog.move(
    done.map(({ id }) => id),
    'published',
    { actor: 'farm', why: 'its packages are published already' },
  )
  for (const { id, pkgpath } of done) context.say(`${pkgpath}: build ${id}: its packages are published already`)
}

type Asking = { readonly draft: HandoverDraft; readonly branch: string; readonly arch: string; readonly asked: readonly FarmPackage[] }

async function request(controller: Controller, { draft, branch, arch, asked }: Asking): Promise<void> {
  const { farm, folder, context } = controller
  const digest = sha256(encodeHandover(draft.handover))
  const file = join('request', `${branch}-${arch}-${digest.slice(0, 12)}.tar`)
  await mkdir(join(folder, 'request'), { recursive: true })
  await writeHandover(context, join(folder, file), draft)
  const basis = draft.handover.sets[0]?.basis
  const id = await farm.catalog.addHandover({ branch, arch, digest, file, basis, packages: asked.map((one) => one.id) }, 'farm')
  context.say(`${branch}/${arch}: handover ${id}: ${asked.length} packages to sign: ${join(folder, file)}`)
}

/** Nobody is to sign its request any more. */
export async function becomeStale(
  { farm, context, folder }: Pick<Controller, 'farm' | 'context' | 'folder'>,
  { id, branch, arch, file }: Handover,
  why: string,
): Promise<void> {
  await farm.catalog.moveHandover(id, 'stale', { actor: 'farm', why })
  await rm(join(folder, file), { recursive: true, force: true })
  context.say(`${branch}/${arch}: handover ${id} is stale: ${why}`)
}

export function acceptedFolder(folder: string, { id }: Handover): string {
  return join(folder, 'accepted', String(id))
}

/** What says that another publication was faster; of a release also that it is good no more, or that nobody here can sign its snapshot anew. */
function overtakenBy({ config }: Controller, { branch }: Handover): readonly ErrorCode[] {
  return releaseNamed(config, branch) === undefined ? ['downgrade'] : ['conflict', 'expired', 'wrong-key']
}

/** Answers whether something was. */
export async function publishSigned(controller: Controller): Promise<boolean> {
  const signed = await controller.farm.catalog.handovers(['signed'])
  for (const handover of signed) {
    try {
      await publishOne(controller, handover)
    } catch (error) {
      if (!isBinderyError(error) || !overtakenBy(controller, handover).includes(error.code)) throw error
      await becomeStale(controller, handover, lineOf(error))
    }
  }
  return signed.length > 0
}

async function publishOne(controller: Controller, handover: Handover): Promise<void> {
  const release = releaseNamed(controller.config, handover.branch)
  if (release === undefined) return await publishPackages(controller, handover)
  const { publishRelease } = await import('./farm-release-signing.ts')
  await publishRelease(controller, release, handover)
}

async function publishPackages(controller: Controller, handover: Handover): Promise<void> {
  const { farm, context, config, folder } = controller
  const key = packageKeyOf(controller)
  const [accepted, output] = [acceptedFolder(folder, handover), publishFolder(controller)]
  await publishAccepted(context, { accepted, output, key, graceSeconds: config.graceHours * 3600 }, async (set, { written }) => {
    const list = (await mirrorFolder(publishedFolder(output, set)).read('SHA256.sig', 64 << 20)) as Uint8Array
    const { branch, arch, id } = handover
    await farm.catalog.addPublication({ branch, arch, handover: id, digest: sha256(list), packages: written.length })
  })
  await farm.catalog.moveHandover(handover.id, 'published', { actor: 'farm' })
  context.say(`${handover.branch}/${handover.arch}: handover ${handover.id} is published`)
  await rm(accepted, { recursive: true, force: true })
}
