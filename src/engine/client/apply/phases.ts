import { oneChunk } from '../../../base/bytes.ts'
import { digestStream } from '../../../base/digest.ts'
import { formatDistName } from '../../../base/name.ts'
import { encodeManifest } from '../../../format/manifest.ts'
import { encodePhaseState } from '../../../format/phase-state.ts'
import { strongestReboot } from '../../../format/update.ts'
import { mixedTree } from '../mixed-tree.ts'
import { coveredBy, readPhase, readPresentManifest } from '../phase.ts'
import { channelFiles } from '../state.ts'
import { afterInstall, recordsOf } from './after.ts'
import type { Manifest } from '../../../base/entry.ts'
import type { Phase } from '../../../format/phase.ts'
import type { PhaseState } from '../../../format/phase-state.ts'
import type { Update } from '../../../format/update.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { Incoming, StateFile } from '../incoming.ts'
import type { After } from './after.ts'
import type { Part } from './parts.ts'

/** What of a release an install brings: its next phase, or all that is left. A phase is a plan like any other, of fewer paths. */

export type PartPhase = {
  readonly name: string
  /** The tree as it is to be behind this phase. */
  readonly wanted: Manifest
  readonly after: After
  readonly stateFiles: readonly StateFile[]
}

/** Of releases that need each other those with a phase come first, and the rest together at the end. */
export async function nextParts(disk: DiskReader, all: readonly Incoming[], boot: string | undefined): Promise<readonly Part[]> {
  const parts: Part[] = []
  for (const incoming of all) parts.push(await nextPart(disk, incoming, boot))
  const inPhases = parts.filter(({ phase }) => phase !== undefined)
  return inPhases.length === 0 ? parts : inPhases
}

async function nextPart(disk: DiskReader, incoming: Incoming, boot: string | undefined): Promise<Part> {
  const { channel, installed: release, update } = incoming
  const installed = await readPresentManifest(disk, channel, release)
  const state = await readPhase(disk, channel, release)
  const isGoingOn = state !== undefined && formatDistName(state.release) === formatDistName(update.value.release.name)
  const before = isGoingOn ? state : { done: [], paths: [] }
  const found = nextPhase(incoming, installed, before)
  if (found === undefined) return { incoming: { ...incoming, stateFiles: [...incoming.stateFiles, ...endOfPhases] }, installed }
  const done = { done: [...before.done, ...found.passed, found.phase.name], paths: [...before.paths, ...found.paths] }
  const { name } = found.phase
  const stateFiles = await phaseFiles(incoming, { ...done, installed: release.name, release: update.value.release.name, boot })
  return { incoming, installed, phase: { name, wanted: found.wanted, after: afterPhase(recordsOf(incoming), found.phase), stateFiles } }
}

type Found = { readonly phase: Phase; readonly wanted: Manifest; readonly passed: readonly string[]; readonly paths: readonly string[] }

/** One in which nothing happens here is passed over, and asks for no reboot. */
function nextPhase(incoming: Incoming, installed: Manifest, { done, paths: known }: Pick<PhaseState, 'done' | 'paths'>): Found | undefined {
  const passed: string[] = []
  const paths: string[] = []
  const before = withoutTimes(installed)
  for (const phase of phasesOf(recordsOf(incoming)).filter(({ name }) => !done.includes(name))) {
    paths.push(...phase.paths)
    const wanted = mixedTree(installed, incoming.manifest.value, coveredBy([...known, ...paths]))
    if (!before.equals(withoutTimes(wanted))) return { phase, wanted, passed, paths }
    passed.push(phase.name)
  }
  return undefined
}

/** What was built anew, and is the same, is nothing to start again for. */
function withoutTimes({ entries }: Manifest): Buffer {
  return Buffer.from(encodeManifest({ entries: entries.map((entry) => ({ ...entry, mtime: { sec: 0, nsec: 0 } })) }))
}

/** Of all records of a step, oldest first: a phase of a release that is passed over still has to come before the rest. */
export function phasesOf(records: readonly Update[]): readonly Phase[] {
  const phases = new Map<string, Phase>()
  for (const { name, paths, steps, check: own } of records.flatMap((record) => record.phases ?? [])) {
    const known = phases.get(name)
    // The newest says how it is with its own kernel.
    const check = own ?? known?.check
    phases.set(name, {
      name,
      paths: union(known?.paths, paths),
      steps: union(known?.steps, steps),
      ...(check === undefined ? {} : { check }),
    })
  }
  return [...phases.values()]
}

function union(some: readonly string[] = [], more: readonly string[]): readonly string[] {
  return [...new Set([...some, ...more])]
}

/** The notices are for the end, and so are the steps, which bear being run again. */
function afterPhase(records: readonly Update[], phase: Phase): After {
  const { postSteps, reboot } = afterInstall(records)
  return {
    postSteps: postSteps.filter((step) => step.kind !== 'notice' && phase.steps.includes(step.name)),
    reboot: strongestReboot(['reboot', reboot]),
  }
}

const endOfPhases: readonly StateFile[] = [channelFiles.phase, channelFiles.nextManifest].map((path) => ({
  path,
  content: 'remove',
  mode: 0o644,
  size: 0,
}))

/** The installed release stays what it was; beside it lies what has come. */
async function phaseFiles({ stateFiles }: Incoming, state: Omit<PhaseState, 'manifest'>): Promise<readonly StateFile[]> {
  const manifest = stateFiles.find(({ path }) => path === channelFiles.manifest)
  if (manifest === undefined || manifest.content === 'remove') throw new Error('a release without a manifest')
  const bytes = encodePhaseState({ ...state, manifest: await digestStream(manifest.content()) })
  return [
    { ...manifest, path: channelFiles.nextManifest },
    { path: channelFiles.phase, content: () => oneChunk(bytes), mode: 0o644, size: bytes.length },
  ]
}
