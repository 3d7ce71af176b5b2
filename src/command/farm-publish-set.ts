import { mkdir, readFile, stat, unlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { about } from '../base/about.ts'
import { collectBytes, equalBytes, oneChunk, utf8 } from '../base/bytes.ts'
import { digestStream, sha256 } from '../base/digest.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { readSignedList } from '../engine/farm/sign/new-list.ts'
import { mirrorIndex } from '../engine/pkg/index/mirror-index.ts'
import { readMirror } from '../engine/pkg/index/read-mirror.ts'
import { verifyPackage } from '../engine/pkg/verify-package.ts'
import { encodeIndexTxt } from '../format/openbsd/index-txt.ts'
import { encodePkgupIndex } from '../format/openbsd/pkgup-index.ts'
import { decodeSignedMessage } from '../format/signify.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import { openInput, writeFileAtomically } from '../host/source.ts'
import { staleError } from './farm-acceptance.ts'
import { publishedFolder } from './farm-published.ts'
import { writeGzipIfNew } from './pkgindex-output.ts'
import type { Sha256 } from '../base/digest.ts'
import type { HandedSet } from '../format/handover.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { Context } from './command.ts'

/**
 * One release and architecture. Packages first; then the lists that name them; what no list names any more goes last, and late, since
 * somebody may be reading by the list before. Each step finds out whether it was done: whoever was killed starts again.
 */
export type SetToPublish = {
  readonly set: HandedSet
  readonly from: string
  readonly output: string
  readonly key: SignifyPublicKey
  readonly graceSeconds: number
}

export type PublishedSet = { readonly written: readonly string[]; readonly waiting: readonly string[]; readonly removed: readonly string[] }

const maxList = 64 << 20

export async function publishSet(context: Context, work: SetToPublish): Promise<PublishedSet> {
  const { set, from, output, key, graceSeconds } = work
  const folder = publishedFolder(output, set)
  const listFile = await wholeFile(join(from, 'SHA256.sig'))
  const list = await readSignedList(set, listFile, key)
  await refuseOthers(work, folder, listFile)
  await mkdir(folder, { recursive: true })
  const written: string[] = []
  for (const { file } of set.packages) {
    context.signal.throwIfAborted()
    const digest = list.get(file)
    if (digest === undefined) throw new BinderyError('mix-and-match', 'is not in the signed list', { subject: join(from, file) })
    if (await putPackage({ from: join(from, file), to: join(folder, file), digest, key })) written.push(file)
  }
  await requireAll(folder, [...list.keys()])
  await writeIndexes(context, folder, { list, listFile })
  return { written, ...(await retire(folder, list, { now: Math.floor(context.clock.now() / 1000), graceSeconds })) }
}

/** What is published must be what the request follows, or, when a run was cut off, this very list. */
async function refuseOthers({ set }: SetToPublish, folder: string, listFile: Uint8Array): Promise<void> {
  const current = await mirrorFolder(folder).read('SHA256.sig', maxList)
  if (current !== undefined && equalBytes(current, listFile)) return
  if ((current === undefined ? undefined : sha256(current)) !== set.basis) throw staleError(set)
}

type PackageToPut = { readonly from: string; readonly to: string; readonly digest: Sha256; readonly key: SignifyPublicKey }

/** With the time of its signature, which is the same on every mirror. Answers whether it was not there yet. */
async function putPackage({ from, to, digest, key }: PackageToPut): Promise<boolean> {
  const { facts, bytes } = await about(
    from,
    async () => await verifyPackage(await openInput(from, oneChunk(new Uint8Array(0))), async () => key),
  )
  await about(from, async () => await digestStream(bytes))
  if ((await digestOf(from)) !== digest) throw new BinderyError('bad-digest', 'is not what the signed list names', { subject: from })
  const isThere = (await digestOf(to)) === digest
  if (!isThere) await writeFileAtomically(to, await openInput(from, oneChunk(new Uint8Array(0))))
  const signed = Date.parse(facts.date) / 1000
  if (!Number.isNaN(signed)) await utimes(to, signed, signed)
  return !isThere
}

async function digestOf(file: string): Promise<Sha256 | undefined> {
  try {
    return (await digestStream(await openInput(file, oneChunk(new Uint8Array(0))))).sha256
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

async function requireAll(folder: string, files: readonly string[]): Promise<void> {
  const there = new Set((await mirrorFolder(folder).list()).map(({ name }) => name))
  const missing = files.find((file) => !there.has(file))
  if (missing !== undefined) throw new BinderyError('not-found', 'is in the signed list, and not here', { subject: join(folder, missing) })
}

type Lists = { readonly list: ReadonlyMap<string, Sha256>; readonly listFile: Uint8Array }

async function writeIndexes(context: Context, folder: string, { list, listFile }: Lists): Promise<void> {
  await writePkgup(context, folder, list)
  await writeIfNew(join(folder, 'SHA256'), decodeSignedMessage(listFile).message)
  await writeIfNew(join(folder, 'SHA256.sig'), listFile)
  const shown = new Set([...list.keys(), 'SHA256', 'SHA256.sig', 'index.pkgup.gz'])
  const names = (await mirrorFolder(folder).list()).map(({ name }) => name).filter((name) => shown.has(name))
  const files = await Promise.all(names.map(async (name) => await listed(folder, name)))
  await writeIfNew(join(folder, 'index.txt'), encodeIndexTxt(files))
}

async function listed(folder: string, name: string): Promise<{ readonly name: string; readonly size: number; readonly seconds: number }> {
  const { size, mtimeMs } = await stat(join(folder, name))
  return { name, size, seconds: Math.floor(mtimeMs / 1000) }
}

const readAtOnce = 8

/** The date of such an index is that of a quirks package: without one there is none. */
async function writePkgup(context: Context, folder: string, list: Lists['list']): Promise<void> {
  const mirror = mirrorFolder(folder)
  const files = (await mirror.list()).filter(({ name }) => list.has(name))
  const reading = await readMirror(mirror, files, { known: new Map(), key: undefined, atOnce: readAtOnce, signal: context.signal })
  const [wrong] = reading.unreadable
  if (wrong !== undefined) throw wrong.error
  if (!files.some(({ name }) => name.startsWith('quirks-')))
    return context.explain(`${folder}: no quirks package, and so no index.pkgup.gz`)
  await writeGzipIfNew(join(folder, 'index.pkgup.gz'), encodePkgupIndex(mirrorIndex(files, reading.packages)))
}

/** Since when no list names a file, by file. Nothing that a mirror would take: its name is hidden. */
const retiredName = '.retired'

async function retire(
  folder: string,
  list: Lists['list'],
  { now, graceSeconds }: { readonly now: number; readonly graceSeconds: number },
): Promise<{ readonly waiting: readonly string[]; readonly removed: readonly string[] }> {
  const known = await readRetired(join(folder, retiredName))
  const unnamed = (await mirrorFolder(folder).list()).map(({ name }) => name).filter((name) => name.endsWith('.tgz') && !list.has(name))
  const since = unnamed.map((name) => [name, Math.min(now, known.get(name) ?? now)] as const)
  const removed = since.filter(([, time]) => now - time >= graceSeconds).map(([name]) => name)
  const waiting = since.filter(([name]) => !removed.includes(name))
  await writeIfNew(join(folder, retiredName), utf8(waiting.map(([name, time]) => `${time} ${name}\n`).join('')))
  for (const name of removed) await unlink(join(folder, name))
  return { waiting: waiting.map(([name]) => name), removed }
}

async function readRetired(file: string): Promise<ReadonlyMap<string, number>> {
  const text = await readFile(file, 'latin1').catch((error: unknown) =>
    error instanceof Error && 'code' in error && error.code === 'ENOENT' ? '' : Promise.reject(error as Error),
  )
  // What is damaged waits anew.
  return new Map(
    text
      .split('\n')
      .flatMap((line) => (/^\d{1,12} \S+$/.test(line) ? [[line.split(' ')[1] as string, Number(line.split(' ')[0])] as const] : [])),
  )
}

/** A file that says the same keeps its time. */
async function writeIfNew(file: string, bytes: Uint8Array): Promise<void> {
  if ((await digestOf(file)) !== sha256(bytes)) await writeFileAtomically(file, oneChunk(bytes))
}

async function wholeFile(file: string): Promise<Uint8Array> {
  const bytes = await collectBytes(await openInput(file, oneChunk(new Uint8Array(0))), maxList)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${maxList} bytes`, { subject: file })
  return bytes
}
