import { mkdir, readdir, rename, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { about } from '../base/about.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { maxRecord, member, requestName } from '../engine/farm/sign/request.ts'
import { openTransport, wholeOf } from '../engine/farm/sign/transport.ts'
import { stageDigest } from '../engine/repo/stage-digest.ts'
import { folderOf } from '../format/handover.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { isFolder, isThere, openSource } from '../host/source.ts'
import { acceptInto } from './farm-acceptance.ts'
import { lineOf } from './farm-controller.ts'
import { readRequest } from './farm-publish-accepted.ts'
import { acceptStage, putStageAway, releaseNamed } from './farm-release-accept.ts'
import { acceptedFolder, becomeStale, packageKeyOf, publishFolder } from './farm-signing.ts'
import type { Sha256 } from '../base/digest.ts'
import type { ReleaseConfig } from '../format/farm-config.ts'
import type { Handover, HandoverState } from '../port/farm-catalog.ts'
import type { Controller } from './farm-controller.ts'

/** What came back from the signer: put into the folder of signed files, or brought there by `farm accept`. */
export type Taking = Pick<Controller, 'context' | 'folder' | 'config' | 'farm' | 'key' | 'turns'>

export type Taken = {
  readonly handover: number
  /** None where it was signed already. */
  readonly packages: readonly { readonly folder: string; readonly file: string }[]
}

/** Files that were looked at: as long as they stay as they are, they say the same. */
export type Seen = Map<string, string>

export function signedFolder(farm: string): string {
  return join(farm, 'signed')
}

export async function hasUnseen(farm: string, seen: Seen): Promise<boolean> {
  return (await signedFiles(farm)).some(({ name, stamp }) => seen.get(name) !== stamp)
}

type SignedFile = { readonly name: string; readonly path: string; readonly stamp: string }

async function signedFiles(farm: string): Promise<readonly SignedFile[]> {
  const folder = signedFolder(farm)
  await mkdir(folder, { recursive: true })
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.') && name !== 'accepted').toSorted()
  const found = await Promise.all(names.map(async (name) => await signedFile(join(folder, name), name)))
  return found.filter((file) => file !== undefined)
}

/** A tar of packages, or a folder with the stage of a release. */
async function signedFile(path: string, name: string): Promise<SignedFile | undefined> {
  const { size, mtimeMs, isFolder } = await stampOf(path)
  if (!isFolder) return name.endsWith('.tar') ? { name, path, stamp: `${size} ${mtimeMs}` } : undefined
  // It may have been copied to where it is, file by file.
  const metadata = join(path, 'metadata')
  const inside = await readdir(metadata).catch(() => [])
  const stamps = await Promise.all([metadata, ...inside.map((file) => join(metadata, file))].map(stampOf))
  return { name, path, stamp: [{ size, mtimeMs }, ...stamps].map((one) => `${one.size} ${one.mtimeMs}`).join(' ') }
}

type Stamp = { readonly size: number; readonly mtimeMs: number; readonly isFolder: boolean }

async function stampOf(path: string): Promise<Stamp> {
  const found = await stat(path).catch(() => undefined)
  return { size: found?.size ?? -1, mtimeMs: found?.mtimeMs ?? 0, isFolder: found?.isDirectory() === true }
}

export async function takeSigned(controller: Controller, seen: Seen): Promise<void> {
  for (const { name, path, stamp } of await signedFiles(controller.folder)) {
    if (seen.get(name) === stamp) continue
    seen.set(name, stamp)
    try {
      const { handover, packages } = await takeOne(controller, { file: path, name, actor: 'signer' })
      if (packages.length === 0) controller.context.say(`${path}: handover ${handover} is signed already`)
    } catch (error) {
      if (!isBinderyError(error) || error.code === 'stopped') throw error
      controller.context.say(lineOf(error))
    }
  }
}

/** `name` is what people know the file by. */
export type Answer = { readonly file: string; readonly name: string; readonly actor: string }

/** One at a time: a person and the folder may bring the same. What is refused stands in the audit trail, too. */
export async function takeOne(taking: Taking, answer: Answer): Promise<Taken> {
  return await taking.turns('signed', async () => {
    try {
      return await takeInTurn(taking, answer)
    } catch (error) {
      if (isBinderyError(error) && error.code !== 'stopped')
        await taking.farm.catalog.addEvent({ actor: answer.actor, kind: 'signed', subject: answer.name, what: lineOf(error) })
      throw error
    }
  })
}

async function takeInTurn(taking: Taking, { file, actor }: Answer): Promise<Taken> {
  const { farm, context, folder } = taking
  const handover = await about(file, async () => answeredBy(await farm.catalog.handovers(anyState), await recordDigest(file)))
  if (handover.state !== 'requested') {
    await putAway(folder, file, handover)
    return { handover: handover.id, packages: [] }
  }
  const packages = await accept(taking, handover, file)
  await farm.catalog.moveHandover(handover.id, 'signed', { actor })
  await putAway(folder, file, handover)
  context.say(`${handover.branch}/${handover.arch}: handover ${handover.id} is signed`)
  return { handover: handover.id, packages }
}

const anyState: readonly HandoverState[] = ['requested', 'signed', 'published', 'withdrawn', 'stale']

async function recordDigest(file: string): Promise<Sha256> {
  if (await isFolder(file)) return await stageDigest(await openRepositoryFolder(file))
  const source = await openSource(file)
  try {
    return sha256(await wholeOf(member(await openTransport(source), requestName), maxRecord))
  } finally {
    await source.close()
  }
}

/** A request that was withdrawn and made again is the same to the byte. */
function answeredBy(handovers: readonly Handover[], digest: Sha256): Handover {
  const its = handovers.filter((one) => one.digest === digest)
  const found = its.find(({ state }) => state === 'requested') ?? its.at(-1)
  if (found === undefined) throw new BinderyError('mix-and-match', 'answers no request of this farm')
  if (found.state !== 'withdrawn' && found.state !== 'stale') return found
  throw new BinderyError('downgrade', `answers handover ${found.id}, which is ${found.state}`, { hint: 'sign the request that is open' })
}

async function accept(taking: Taking, handover: Handover, file: string): Promise<Taken['packages']> {
  const release = releaseNamed(taking.config, handover.branch)
  return release === undefined
    ? await acceptPackages(taking, handover, file)
    : await acceptRelease(taking, release, { handover, signed: file })
}

type Signed = { readonly handover: Handover; readonly signed: string }

async function acceptRelease(taking: Taking, release: ReleaseConfig, { handover, signed }: Signed): Promise<Taken['packages']> {
  const {
    context,
    folder: farm,
    farm: { catalog },
  } = taking
  const output = acceptedFolder(farm, handover)
  await mkdir(join(farm, 'accepted'), { recursive: true })
  try {
    await acceptStage(output, { context, farm, release, request: join(farm, handover.file), signed })
  } catch (error) {
    if (isBinderyError(error, 'conflict') || isBinderyError(error, 'expired')) await becomeStale(taking, handover, lineOf(error))
    throw error
  }
  const builds = await catalog.buildsIn(['handed-over'], { branch: handover.branch, arch: handover.arch })
  return builds.flatMap((build) => build.packages.map((file) => ({ folder: `${handover.branch}/${handover.arch}`, file })))
}

async function acceptPackages(taking: Taking, handover: Handover, file: string): Promise<Taken['packages']> {
  const { folder, context } = taking
  const key = packageKeyOf(taking)
  const output = acceptedFolder(folder, handover)
  await mkdir(join(folder, 'accepted'), { recursive: true })
  try {
    if (!(await isThere(output)))
      await acceptInto(output, { request: join(folder, handover.file), signed: file, key, last: publishFolder(taking) })
  } catch (error) {
    if (isBinderyError(error, 'downgrade')) await becomeStale(taking, handover, lineOf(error))
    throw error
  }
  const { sets } = await readRequest(context, join(output, requestName))
  return sets.flatMap((set) => set.packages.map((one) => ({ folder: folderOf(set), file: one.file })))
}

/** Beside the others that were accepted; the first one that was stays. */
async function putAway(folder: string, file: string, { id }: Handover): Promise<void> {
  if (await isFolder(file)) return await putStageAway(file, join(signedFolder(folder), 'accepted', String(id)))
  const place = join(signedFolder(folder), 'accepted', `${id}.tar`)
  if (await isThere(place)) return
  await mkdir(join(signedFolder(folder), 'accepted'), { recursive: true })
  await rename(file, place)
}

/** What `farm accept` has brought: the name of a file in the folder of signed ones, which nobody else looks at. */
export const broughtName = /^\.accept-[0-9a-f]{16}\.part$/

export async function takeBrought(taking: Taking, brought: unknown, name: unknown, actor: unknown): Promise<Taken> {
  if (typeof brought !== 'string' || !broughtName.test(brought)) throw new BinderyError('not-supported', 'is no file that was brought')
  return await takeOne(taking, { file: join(signedFolder(taking.folder), brought), name: basename(String(name)), actor: String(actor) })
}
