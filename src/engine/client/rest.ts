import { oneChunk } from '../../base/bytes.ts'
import { formatChannel, formatDistName } from '../../base/name.ts'
import { isWithin } from '../../base/path.ts'
import { decodeRest, encodeRest, maxRestBytes } from '../../format/rest.ts'
import { readPresentManifest } from './phase.ts'
import { naming, readEnrolled, readReleaseState, readStateFile, statePaths } from './state.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { Rest } from '../../format/rest.ts'
import type { DiskReader } from '../../port/disk.ts'
import type { InstallInput } from './apply/install.ts'

/** An install that brings another bindery, and what of it is left for that one. */

/** Of these channels the one whose installed release has one of the paths. */
export async function ownerOf(disk: DiskReader, channels: readonly Channel[], paths: readonly RelPath[]): Promise<Channel | undefined> {
  for (const channel of paths.length === 0 ? [] : channels) {
    const { entries } = await readPresentManifest(disk, channel, await readReleaseState(disk, channel))
    if (entries.some(({ path }) => isOwn(paths, path))) return channel
  }
  return undefined
}

function isOwn(paths: readonly RelPath[], path: RelPath): boolean {
  return paths.some((own) => isWithin(path, own))
}

/** The channels that an install has left, and that are still at the release that they had then. */
export async function channelsLeft(disk: DiskReader): Promise<ReadonlySet<string>> {
  const rest = new Map((await readRest(disk)).map((one) => [formatChannel(one.channel), formatDistName(one.installed)]))
  const left = new Set<string>()
  for (const { channel } of rest.size === 0 ? [] : await readEnrolled(disk)) {
    const installed = formatDistName((await readReleaseState(disk, channel)).name)
    if (rest.get(formatChannel(channel)) === installed) left.add(formatChannel(channel))
  }
  return left
}

async function readRest(disk: DiskReader): Promise<readonly Rest[]> {
  const bytes = await readStateFile(disk, statePaths.rest, maxRestBytes)
  return bytes === undefined ? [] : naming(statePaths.rest, () => decodeRest(bytes))
}

/**
 * How the file changes with a plan of `now` that leaves `later`: it is written with the first plan that changes `paths`, and gone with
 * the last channel that it names.
 */
export async function restBeside(
  disk: DiskReader,
  paths: readonly RelPath[],
  { now, later }: { readonly now: readonly Channel[]; readonly later: readonly Rest[] },
): Promise<InstallInput['beside']> {
  const isThere = (await disk.lstat(statePaths.rest)) !== undefined
  const [before, left] = [await readRest(disk), await channelsLeft(disk)]
  const known = new Set([...now, ...later.map(({ channel }) => channel)].map(formatChannel))
  const rest = [...later, ...before.filter(({ channel }) => left.has(formatChannel(channel)) && !known.has(formatChannel(channel)))]
  const bytes = encodeRest(rest)
  const file = { path: statePaths.rest, mode: 0o644, size: bytes.length }
  return ({ changes }) => {
    if (rest.length === 0) return isThere ? [{ ...file, content: 'remove' }] : []
    return isThere || changes.some(({ path }) => isOwn(paths, path)) ? [{ ...file, content: () => oneChunk(bytes) }] : []
  }
}

export function describeLeft(channel: string): string {
  return `${channel}: an install ended here when it brought another bindery; 'bindery install' brings the rest`
}
