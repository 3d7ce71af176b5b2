import { BinderyError } from '../../base/error.ts'
import { channelOfRole } from '../../base/name.ts'
import { inParallel } from '../../base/parallel.ts'
import { joinPath } from '../../base/path.ts'
import { storeSlot } from './apply/area.ts'
import { unreadDigest } from './apply/look.ts'
import { sameTime } from './apply/nodes.ts'
import { readOldNames } from './apply/old-names.ts'
import { listReceipts, readReceipt, receiptPath } from './apply/receipts.ts'
import { savesOld } from './apply/stage.ts'
import { readLeft } from './apply/steps.ts'
import { readBootHook } from './boot-hook.ts'
import { inState, isSame, readSoundChecksums } from './checksums.ts'
import { cachePath } from './fetch/cache.ts'
import { readingTrustStore } from './fetch/trust-store.ts'
import { loadTrustedRoot } from '../repo/update-root.ts'
import { readInstalledManifest } from './installed.ts'
import { mendedBit } from './mended-bit.ts'
import { readPhase, readPresentManifest } from './phase.ts'
import { channelsLeft } from './rest.ts'
import { channelFile, channelFiles, keptDeltaFile, readEnrolled, readReleaseState, stateFolder, statePaths } from './state.ts'
import type { ErrorCode } from '../../base/error.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { Enrolled } from '../../format/enrolled.ts'
import type { Action } from '../../format/journal.ts'
import type { Digest } from '../../format/release-state.ts'
import type { Checksum } from '../../format/state-checksums.ts'
import type { DiskReader } from '../../port/disk.ts'
import type { Receipt } from './apply/receipts.ts'

/** A file of the state that is not what it was when it was written. */
export type StateFinding = {
  readonly path: RelPath
  readonly code: ErrorCode
  readonly message: string
  readonly mend: Mend
}

/**
 * `bytes`: what it was is known; `remove`: it is made, or fetched, anew when it is next needed; `program`: bindery has it; `channel`: the
 * repository has it, or the tree; `none`: a person has to decide.
 */
export type Mend =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'remove' | 'program' }
  | { readonly kind: 'channel'; readonly channel: Channel }
  | { readonly kind: 'none'; readonly hint: string }

type Work = { readonly disk: DiskReader; readonly signal?: AbortSignal | undefined; readonly found: Map<RelPath, StateFinding> }

/** Everything below the state folder, while nothing is half done. Goes on after each finding. */
export async function auditState(disk: DiskReader, signal?: AbortSignal): Promise<readonly StateFinding[]> {
  const work: Work = { disk, signal, found: new Map() }
  await compareNoted(work)
  await readEach(work)
  await readChannels(work)
  await compareKept(work)
  await compareCache(work)
  return [...work.found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** A damage is met by several checks; the first knows best what it was. */
async function attempt(work: Work, path: RelPath, read: () => Promise<unknown>): Promise<void> {
  work.signal?.throwIfAborted()
  if (work.found.has(path)) return
  try {
    await read()
  } catch (error) {
    if (!(error instanceof BinderyError) || error.code === 'permission' || error.code === 'io') throw error
    work.found.set(path, { path, code: error.code, message: error.message, mend: mendOf(path, error.hint) })
  }
}

async function compareNoted(work: Work): Promise<void> {
  let noted: readonly Checksum[] = []
  await attempt(work, statePaths.checksums, async () => (noted = await readSoundChecksums(work.disk)))
  for (const one of noted) {
    const path = inState(one.path)
    const stat = await work.disk.lstat(path)
    if (stat?.kind !== 'file' || !isSame(one, stat) || (await work.disk.digest(path)).sha256 === one.sha256) continue
    const bytes = await mendedBit(work.disk, path, one)
    const mend: Mend = bytes === undefined ? mendOf(path) : { kind: 'bytes', bytes }
    work.found.set(path, { path, code: 'bad-digest', message: 'is not as it was written', mend })
  }
}

/** Each file by who reads it: for those that nothing was noted of, and for what only its reader can know. */
async function readEach(work: Work): Promise<void> {
  const { disk } = work
  await attempt(work, statePaths.oldNames, async () => await readOldNames(disk))
  await attempt(work, statePaths.rest, async () => await channelsLeft(disk))
  await attempt(work, statePaths.bootHook, async () => await readBootHook(disk))
  await attempt(work, statePaths.steps, async () => await readLeft(disk))
}

async function readChannels(work: Work): Promise<void> {
  const { disk } = work
  let all: readonly Enrolled[] = []
  await attempt(work, statePaths.enrolled, async () => (all = await readEnrolled(disk)))
  for (const { channel, repository } of all) {
    const root = joinPath(joinPath(statePaths.trust, repository), 'root.json')
    await attempt(work, root, async () => await loadTrustedRoot({ store: readingTrustStore(disk, repository) }))
    await readChannel(work, channel)
  }
}

async function readChannel(work: Work, channel: Channel): Promise<void> {
  const { disk } = work
  const path = (file: RelPath): RelPath => channelFile(channel, file)
  let state: Awaited<ReturnType<typeof readReleaseState>> | undefined
  await attempt(work, path(channelFiles.release), async () => (state = await readReleaseState(disk, channel)))
  const installed = state
  if (installed === undefined) return
  await attempt(work, path(channelFiles.manifest), async () => await readInstalledManifest(disk, channel, installed))
  await attempt(work, path(channelFiles.phase), async () => await readPhase(disk, channel, installed))
  if (![channelFiles.manifest, channelFiles.phase].some((file) => work.found.has(path(file))))
    await attempt(work, path(channelFiles.nextManifest), async () => await readPresentManifest(disk, channel, installed))
  const { base } = installed
  if (base === undefined) return
  await compareFile(work, path(channelFiles.base), base.file)
  for (const [i, { file }] of base.deltas.entries()) await compareFile(work, path(keptDeltaFile(i + 1)), file)
}

async function compareFile(work: Work, path: RelPath, wanted: Pick<Digest, 'sha256' | 'size'>): Promise<void> {
  await attempt(work, path, async () => {
    const stat = await work.disk.lstat(path)
    if (stat?.kind !== 'file') throw new BinderyError('not-found', 'is not there')
    if (stat.size !== wanted.size || (await work.disk.digest(path)).sha256 !== wanted.sha256)
      throw new BinderyError('bad-digest', 'is damaged')
  })
}

/** Receipts, and what they keep: those of rollbacks keep nothing. */
async function compareKept(work: Work): Promise<void> {
  const receipts: Receipt[] = []
  for (const transaction of await listReceipts(work.disk))
    await attempt(work, receiptPath(transaction), async () => receipts.push(await readReceipt(work.disk, transaction)))
  const undone = new Set(receipts.flatMap(({ undoes }) => undoes))
  for (const receipt of receipts) {
    if (receipt.purpose === 'rollback' || undone.has(receipt.transaction)) continue
    await inParallel(receipt.actions.filter(savesOld), 4, async (action) => await compareSlot(work, receipt, action))
  }
}

async function compareSlot(work: Work, receipt: Receipt, { slot, old }: Extract<Action, { kind: 'swap' | 'drop' }>): Promise<void> {
  const path = storeSlot(receipt, slot)
  await attempt(work, path, async () => {
    const stat = await work.disk.lstat(path)
    if (stat?.kind !== old.kind) throw new BinderyError('not-found', 'is not there')
    if (old.kind === 'symlink' && (await work.disk.readlink(path)) !== old.target) throw new BinderyError('bad-digest', 'is damaged')
    if (old.kind !== 'file' || old.sha256 === unreadDigest) return
    // With another time it was changed through another name of it, which a rollback tells.
    if (sameTime(old, stat) && (await work.disk.digest(path)).sha256 !== old.sha256) throw new BinderyError('bad-digest', 'is damaged')
  })
}

async function compareCache(work: Work): Promise<void> {
  for (const name of await work.disk.readdir(statePaths.cache)) {
    if (!/^[0-9a-f]{64}$/.test(name)) continue
    const path = cachePath(name as Sha256)
    await attempt(work, path, async () => {
      if ((await work.disk.digest(path)).sha256 !== name) throw new BinderyError('bad-digest', 'is damaged')
    })
  }
}

/** By name; what is not named here is for a person, who hears of `hint`. */
function mendOf(path: RelPath, hint?: string): Mend {
  const [place = '', inside = '', file = ''] = path.slice(stateFolder.length + 1).split('/')
  if (remade.has(place) || (place === 'trust' && file !== 'root.json')) return { kind: 'remove' }
  if (place === 'recover') return { kind: 'program' }
  const channel = place === 'channel' && (ofRelease.has(file) || file.endsWith('.delta')) ? channelOfRole(inside) : undefined
  if (channel !== undefined) return { kind: 'channel', channel }
  const known = place === 'channel' ? channelHints.get(file) : hints.get(place)
  return { kind: 'none', hint: known ?? hint ?? 'put it back from a backup' }
}

const remade: ReadonlySet<string> = new Set(['told', 'machine-id', 'checksums', 'cache'])
const ofRelease: ReadonlySet<string> = new Set([channelFiles.release, channelFiles.terms, channelFiles.manifest, channelFiles.base])

const enrollAgain = 'enroll the channel again with --force'
const channelHints: ReadonlyMap<string, string> = new Map([
  [channelFiles.phase, enrollAgain],
  [channelFiles.nextManifest, enrollAgain],
  [channelFiles.obsolete, 'remove it: what former releases left here then stays'],
])

const hints: ReadonlyMap<string, string> = new Map([
  ['enrolled', enrollAgain],
  ['store', 'what it keeps cannot be rolled back; put it back from a backup'],
  ['receipt', 'this install cannot be rolled back, and only newer ones can; put it back from a backup'],
  ['log', 'only people read it'],
  ['trust', 'enroll its channels again with --force, and a ROOT.json that you trust'],
  ['rest', "remove it, and run 'bindery install'"],
  ['reboot', 'remove it: a reboot that was asked for may still be due'],
  ['machine.sec', 'remove it: the machine then signs its reports with a new key'],
])
