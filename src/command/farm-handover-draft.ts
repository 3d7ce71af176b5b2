import { join, resolve } from 'node:path'
import { about } from '../base/about.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { packageKey, readBuilt } from '../engine/farm/build/collect.ts'
import { handedPackage } from '../engine/farm/sign/choose.ts'
import { payloadDigest } from '../engine/farm/sign/payload.ts'
import { requestFiles } from '../engine/farm/sign/request.ts'
import { packTransport } from '../engine/farm/sign/transport.ts'
import { readMirror } from '../engine/pkg/index/read-mirror.ts'
import { folderOf } from '../format/handover.ts'
import { folderStore } from '../host/folder-store.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import { openSource } from '../host/source.ts'
import { publishedFolder } from './farm-published.ts'
import { writeOutput } from './output.ts'
import type { BuiltPackage } from '../format/built.ts'
import type { HandedPackage, HandedSet, Handover } from '../format/handover.ts'
import type { LastSet } from '../engine/farm/sign/choose.ts'
import type { OpenSource } from '../host/source.ts'
import type { Context } from './command.ts'

/** What is to be handed over, and where it is. */
export type HandoverDraft = { readonly handover: Handover; readonly found: readonly FoundSet[]; readonly last: ReadonlyMap<string, Last> }

export type HandoverOrder = {
  /** As `farm build` leaves them. */
  readonly folders: readonly string[]
  /** What `farm publish` writes to. */
  readonly last: string | undefined
  /** By pkgpath. */
  readonly security: ReadonlyMap<string, readonly string[]>
  readonly isWanted: (built: BuiltPackage) => boolean
}

export async function draftHandover(
  context: Context,
  { folders, last: published, security, isWanted }: HandoverOrder,
): Promise<HandoverDraft> {
  const found = await gather(folders, isWanted)
  const last = new Map<string, Last>()
  for (const set of found) last.set(folderOf(set), await readLast(context, published, set))
  const sets = await Promise.all(found.map(async (set) => await handedSet(set, last.get(folderOf(set)) as Last, security)))
  return { handover: { sets: sets.filter(({ packages }) => packages.length > 0) }, found, last }
}

/** The packages of one release and architecture, of all folders that have some. */
type FoundSet = { readonly release: string; readonly arch: string; readonly packages: ReadonlyMap<string, FoundPackage> }
type FoundPackage = { readonly built: BuiltPackage; readonly file: string }

async function gather(folders: readonly string[], isWanted: HandoverOrder['isWanted']): Promise<readonly FoundSet[]> {
  const sets = new Map<string, { release: string; arch: string; packages: Map<string, FoundPackage> }>()
  for (const folder of folders) {
    const built = await about(folder, async () => await readBuilt(folderStore(folder)))
    if (built === undefined) throw new BinderyError('not-found', 'holds nothing that farm build has built', { subject: folder })
    const set = sets.get(folderOf(built)) ?? { release: built.release, arch: built.arch, packages: new Map<string, FoundPackage>() }
    sets.set(folderOf(built), set)
    for (const one of built.packages.filter(isWanted)) {
      const twin = set.packages.get(one.file)
      if (twin !== undefined && twin.built.sha256 !== one.sha256)
        throw new BinderyError('conflict', `was built twice, and is not the same in ${folder}`, { subject: twin.file })
      set.packages.set(one.file, { built: one, file: join(folder, packageKey(one.file)) })
    }
  }
  return [...sets.values()].toSorted((a, b) => (folderOf(a) < folderOf(b) ? -1 : 1))
}

type Last = LastSet & { readonly list: Uint8Array | undefined }

const maxList = 64 << 20
const readAtOnce = 8

async function readLast(context: Context, published: string | undefined, set: FoundSet): Promise<Last> {
  const none: Last = {
    list: undefined,
    pkgpaths: new Map(),
    payloadOf: async () => await Promise.reject(new Error('there is no last set')),
  }
  if (published === undefined) return none
  const folder = publishedFolder(resolve(published), set)
  const mirror = mirrorFolder(folder)
  const list = await mirror.read('SHA256.sig', maxList)
  if (list === undefined) return none
  const files = (await mirror.list()).filter(({ name }) => name.endsWith('.tgz'))
  const reading = await readMirror(mirror, files, { known: new Map(), key: undefined, atOnce: readAtOnce, signal: context.signal })
  const [wrong] = reading.unreadable
  if (wrong !== undefined) throw wrong.error
  return {
    list,
    pkgpaths: new Map(reading.packages.map(({ file, pkgpath }) => [file, pkgpath])),
    payloadOf: async (file) => await withSource(join(folder, file), payloadDigest),
  }
}

async function withSource<T>(file: string, use: (source: OpenSource) => Promise<T>): Promise<T> {
  const source = await openSource(file)
  try {
    return await about(file, async () => await use(source))
  } finally {
    await source.close()
  }
}

async function handedSet(set: FoundSet, last: Last, security: ReadonlyMap<string, readonly string[]>): Promise<HandedSet> {
  const packages: HandedPackage[] = []
  for (const [, { built, file }] of [...set.packages].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const choice = { built, payload: async () => await withSource(file, payloadDigest), security: security.get(portOf(built)) }
    const handed = await handedPackage(choice, last)
    if (handed !== undefined) packages.push(handed)
  }
  return { release: set.release, arch: set.arch, basis: last.list === undefined ? undefined : sha256(last.list), packages }
}

function portOf({ pkgpath }: BuiltPackage): string {
  return pkgpath.replace(/,.*/, '')
}

export async function writeHandover(context: Context, output: string, { handover, found, last }: HandoverDraft): Promise<void> {
  let open: OpenSource | undefined
  const fileOf = async (set: HandedSet, { file }: HandedPackage): Promise<OpenSource> => {
    await open?.close()
    const its = found.find((one) => folderOf(one) === folderOf(set))?.packages.get(file) as FoundPackage
    open = await openSource(its.file)
    if (open.size !== its.built.size) throw new BinderyError('bad-digest', 'is not what was built', { subject: its.file })
    return open
  }
  const lastListOf = (set: HandedSet): Uint8Array => last.get(folderOf(set))?.list as Uint8Array
  try {
    await writeOutput(context, output, packTransport(requestFiles(handover, { fileOf, lastListOf })))
  } finally {
    await open?.close()
  }
}
