import { mkdir, mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { oneChunk } from '../base/bytes.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { filesOf, inOrder } from './mirror-files.ts'
import { mirrorFolder } from './mirror-folder.ts'
import { openInput, writeFileAtomically } from './source.ts'
import { toolError } from './disk-tools.ts'
import type { ListedFile } from '../format/openbsd/index-txt.ts'
import type { Exec } from '../port/exec.ts'
import type { FileFacts } from './mirror-files.ts'

/** A mirror of a published folder: brought up to date, and looked at. Names are paths below it. */
export type MirrorTarget = {
  readonly place: string
  /**
   * Packages first, then what names them, then what is no longer in one of these folders of it goes; what a mirror has beside them is
   * not ours. Undefined: others do that.
   */
  readonly bring: ((folder: string, sets: readonly string[]) => Promise<void>) | undefined
  /** Undefined where it has none. */
  read(name: string): Promise<Uint8Array | undefined>
  /** Sizes of the files of one folder, by name; those of `listed` at least, which its index names. */
  sizes(folder: string, listed: readonly ListedFile[]): Promise<ReadonlyMap<string, number>>
}

const maxIndex = 64 << 20

export function folderTarget(place: string): MirrorTarget {
  return {
    place,
    bring: async (folder, sets) => await copySets(folder, place, sets),
    read: async (name) => await mirrorFolder(join(place, dirname(name))).read(basename(name), maxIndex),
    sizes: async (folder) => await sizesIn(join(place, folder)),
  }
}

async function sizesIn(folder: string): Promise<ReadonlyMap<string, number>> {
  try {
    return new Map((await mirrorFolder(folder).list()).map(({ name, size }) => [name, size as number]))
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return new Map()
    throw error
  }
}

async function copySets(from: string, to: string, sets: readonly string[]): Promise<void> {
  const [ours, theirs] = [await filesOf(from, sets), await filesOf(to, sets)]
  for (const name of inOrder(ours.keys())) {
    const [source, target] = [ours.get(name) as FileFacts, theirs.get(name)]
    if (target?.size === source.size && target.seconds === source.seconds) continue
    await mkdir(dirname(join(to, name)), { recursive: true })
    await writeFileAtomically(join(to, name), await openInput(join(from, name), oneChunk(new Uint8Array(0))))
    await utimes(join(to, name), source.seconds, source.seconds)
  }
  for (const name of theirs.keys()) if (!ours.has(name)) await rm(join(to, name))
}

/** A daemon (`host::module/path`, `rsync://`), or a folder behind ssh (`host:path`). */
export function rsyncTarget(exec: Exec, place: string): MirrorTarget {
  const url = `${withoutTrailing(place, '/')}/`
  const run = async (words: readonly string[]): Promise<Uint8Array> => {
    const result = await exec.run('rsync', words)
    if (result.status === 0) return result.stdout
    if (result.status === missingStatus) throw new BinderyError('not-found', 'is not there', { subject: place })
    throw toolError('rsync', result, place)
  }
  return {
    place,
    bring: async (folder, sets) => {
      const common = ['-rt', '--chmod=D755,F644', '--exclude=.*']
      await run([...common, '--include=*/', '--include=*.tgz', '--include=/blobs/**', '--exclude=*', `${folder}/`, url])
      for (const set of sets) await run([...common, '--delay-updates', '--delete-after', `${folder}/${set}/`, `${url}${set}/`])
    },
    read: async (name) => await readByRsync(run, url, name),
    sizes: async (folder) => await sizesByRsync(run, `${url}${folder}/`),
  }
}

/** Of rsync(1): some files could not be transferred, as those that are not there. */
const missingStatus = 23

type Rsync = (words: readonly string[]) => Promise<Uint8Array>

async function readByRsync(run: Rsync, url: string, name: string): Promise<Uint8Array | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'bindery-mirror-'))
  try {
    await run(['-t', `${url}${name}`, `${folder}/`])
    return await mirrorFolder(folder).read(basename(name), maxIndex)
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function sizesByRsync(run: Rsync, url: string): Promise<ReadonlyMap<string, number>> {
  const lines = Buffer.from(await run(['--list-only', url]))
    .toString('latin1')
    .split('\n')
  return new Map(
    lines.flatMap((line) => {
      const match = /^-\S+ +([\d,.]+) \S+ \S+ (.+)$/.exec(line)
      return match === null ? [] : [[match[2] as string, Number((match[1] as string).replaceAll(/[,.]/g, ''))] as const]
    }),
  )
}
