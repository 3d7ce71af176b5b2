import { BinderyError } from '../../base/error.ts'
import { formatChannel, formatDistName } from '../../base/name.ts'
import { glob } from '../../format/glob.ts'
import { decodePhaseState, maxPhaseStateBytes } from '../../format/phase-state.ts'
import { readInstalledManifest, readManifestFile, unpackManifest } from './installed.ts'
import { mixedTree } from './mixed-tree.ts'
import { channelFile, channelFiles, naming, readStateFile, repairHint } from './state.ts'
import type { Manifest } from '../../base/entry.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { PhaseState } from '../../format/phase-state.ts'
import type { ReleaseState } from '../../format/release-state.ts'
import type { DiskReader } from '../../port/disk.ts'

/** A release that came in part: some of its phases are in place, and the installed release is still the one before it. */

export async function readPhase(disk: DiskReader, channel: Channel, { name }: Pick<ReleaseState, 'name'>): Promise<PhaseState | undefined> {
  const path = channelFile(channel, channelFiles.phase)
  const bytes = await readStateFile(disk, path, maxPhaseStateBytes)
  const state = bytes === undefined ? undefined : naming(path, () => decodePhaseState(bytes))
  return state !== undefined && formatDistName(state.installed) === formatDistName(name) ? state : undefined
}

/** The installed release, with what has come of the next one. */
export async function readPresentManifest(disk: DiskReader, channel: Channel, installed: ReleaseState): Promise<Manifest> {
  const [manifest, state] = [await readInstalledManifest(disk, channel, installed), await readPhase(disk, channel, installed)]
  return state === undefined ? manifest : mixedTree(manifest, await readNextManifest(disk, channel, state), coveredBy(state.paths))
}

async function readNextManifest(disk: DiskReader, channel: Channel, { manifest }: PhaseState): Promise<Manifest> {
  const path = channelFile(channel, channelFiles.nextManifest)
  const bytes = await readManifestFile(disk, path, manifest)
  if (bytes !== undefined) return await unpackManifest(bytes)
  throw new BinderyError('bad-digest', 'is not the manifest of the release that came in part', { subject: path, hint: repairHint })
}

export function coveredBy(patterns: readonly string[]): (path: RelPath) => boolean {
  const globs = patterns.map(glob)
  return (path) => globs.some((one) => one?.matches(path) === true)
}

/** `reboot`: the machine still runs what it ran when the newest phase came. */
export type Standing = { readonly channel: Channel; readonly state: PhaseState; readonly waits: 'reboot' | 'install' }

/** What is known of this start of the machine. */
export type Now = {
  readonly boot: string | undefined
  /** The channel waits for another one since this one (reboot.ts). */
  readonly isPending: boolean
}

export function standingOf(channel: Channel, state: PhaseState, { boot, isPending }: Now): Standing {
  return { channel, state, waits: boot !== undefined && (state.boot === boot || isPending) ? 'reboot' : 'install' }
}

/** `base/amd64: of base-1.1-20260201-amd64 the phase kernel is in place; reboot, then run 'bindery install' again`. */
export function describeStanding({ channel, state: { release, done }, waits }: Standing): string {
  const phases = `${done.length === 1 ? 'the phase' : 'the phases'} ${done.join(', ')} ${done.length === 1 ? 'is' : 'are'} in place`
  const next = waits === 'reboot' ? "reboot, then run 'bindery install' again" : "'bindery install' brings the rest"
  return `${formatChannel(channel)}: of ${formatDistName(release)} ${phases}; ${next}`
}

export function standingJson({ state: { release, done }, waits }: Standing): object {
  return { release: formatDistName(release), done, waitsFor: waits }
}
