import { utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { markVerified } from '../../src/base/verified.ts'
import { blobUrl } from '../../src/engine/client/fetch/download-attempt.ts'
import { channelFile, channelFiles, statePaths } from '../../src/engine/client/state.ts'
import { releaseTargets } from '../../src/engine/update/compose.ts'
import { encodeEnrolled } from '../../src/format/enrolled.ts'
import { encodeReleaseState } from '../../src/format/release-state.ts'
import { encodeUpdate } from '../../src/format/update.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { memoryHttp } from '../../src/host/memory-http.ts'
import { testSession } from './client.ts'
import { plant } from './plant.ts'
import { releaseName } from './repository.ts'
import type { Channel } from '../../src/base/name.ts'
import type { Session } from '../../src/engine/client/fetch/session.ts'
import type { TargetInfo, Trust } from '../../src/engine/repo/trust-types.ts'
import type { Enrolled } from '../../src/format/enrolled.ts'
import { encodeListing } from '../../src/format/listing.ts'
import type { Listing } from '../../src/format/listing.ts'
import type { Digest, ReleaseState } from '../../src/format/release-state.ts'
import type { Update } from '../../src/format/update.ts'
import type { MemoryHttp } from '../../src/host/memory-http.ts'
import type { TestSession } from './client.ts'
import type { Literal } from './plant.ts'

/** Releases as a repository lists them, put together by hand: nobody has signed anything, and it is trusted all the same. */

export const address = 'http://updates.test/'
export const amd64 = (product: string): Channel => ({ product, arch: 'amd64' })
export const digestOf = (content: string): Digest => ({ sha256: sha256(utf8(content)), size: content.length })

/** The record of a release whose revision is its sequence. */
export function record(sequence: number, more: Partial<Update> = {}, product = 'base'): Update {
  const name = releaseName(String(sequence), { product })
  const targets = releaseTargets(name)
  return {
    sequence,
    release: { name, tar: digestOf(`tar of ${product} ${sequence}`) },
    manifest: { target: targets.manifest, size: 10 },
    full: [{ target: targets.full('zstd'), size: 100_000, codec: 'zstd' }],
    deltas: [],
    notices: [],
    postSteps: [],
    reboot: 'none',
    security: false,
    ...more,
  }
}

/** A target, and what is served for it. */
export type Served = { readonly info: TargetInfo; readonly bytes: Uint8Array }

export function served(path: string, bytes: Uint8Array, custom?: TargetInfo['custom']): Served {
  return { info: { path, length: bytes.length, sha256: sha256(bytes), ...(custom === undefined ? {} : { custom }) }, bytes }
}

export function servedRecord(update: Update, listing: Partial<Listing> = {}): Served {
  return served(releaseTargets(update.release.name).update, encodeUpdate(update), encodeListing({ sequence: update.sequence, ...listing }))
}

/** All that these roles list, each under its name. */
export function trustIn(roles: Readonly<Record<string, readonly Served[]>>, more: Partial<Trust> = {}): Trust {
  const infos = new Map(Object.values(roles).flatMap((all) => all.map(({ info }) => [info.path, info] as const)))
  const listed = Object.fromEntries(Object.entries(roles).map(([role, all]) => [role, all.map(({ info }) => info)]))
  return {
    target: async (path) => (infos.has(path) ? markVerified(infos.get(path) as TargetInfo) : undefined),
    findTarget: async () => undefined,
    targetsOf: async (role) => markVerified(listed[role] as readonly TargetInfo[]),
    delegated: Object.keys(roles),
    staleSince: () => undefined,
    now: 0,
    changed: false,
    root: undefined as never,
    ...more,
  }
}

export function serve(http: MemoryHttp, blobs: readonly Served[], at = address): void {
  for (const { info, bytes } of blobs) http.pages.set(blobUrl(at, info), { bytes })
}

/** What a client says of a channel, by its product. */
export type Following = Readonly<
  Record<string, Partial<ReleaseState> & { readonly repository?: string; readonly urls?: readonly string[] }>
>

export const enrolledOf = (product: string, more: Partial<Enrolled> = {}): Enrolled => ({
  channel: amd64(product),
  repository: '0'.repeat(16),
  basis: 'tar',
  urls: [address],
  ...more,
})

export const installedOf = (product: string, sequence: number, more: Partial<ReleaseState> = {}): ReleaseState => ({
  name: releaseName(String(sequence), { product }),
  sequence,
  tar: record(sequence, {}, product).release.tar,
  manifest: digestOf(''),
  ...more,
})

/** A client on which the first release of each is installed, where nothing else is said. */
export async function follower(following: Following, on: Literal = {}, change: Partial<Session> = {}): Promise<TestSession> {
  const disk = memoryDisk()
  const http = memoryHttp()
  const session = await testSession({ disk, http, clock: { now: () => 0 }, ...change })
  const all = Object.entries(following).map(([product, { repository, urls, ...state }]) => ({
    enrolled: enrolledOf(product, { ...(repository === undefined ? {} : { repository }), ...(urls === undefined ? {} : { urls }) }),
    state: installedOf(product, state.sequence ?? 1, state),
  }))
  const file = (content: Uint8Array): Literal[string] => ({ kind: 'file', content })
  const states = all.map(({ enrolled, state }) => [channelFile(enrolled.channel, channelFiles.release), file(encodeReleaseState(state))])
  const enrolled = all.length === 0 ? {} : { [statePaths.enrolled]: file(encodeEnrolled(all.map((one) => one.enrolled))) }
  await plant(disk, { ...enrolled, ...Object.fromEntries(states), ...on })
  return session
}
