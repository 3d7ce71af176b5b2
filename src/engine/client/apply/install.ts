import { channelRole, formatDistName } from '../../../base/name.ts'
import { matchesAny } from '../../../format/conf.ts'
import { keepOldOfProduct } from '../../../format/keep-old.ts'
import { isOwnState } from '../../tree/scan.ts'
import { afterInstall, recordsOf } from './after.ts'
import { namedConfiguration } from './configuration.ts'
import { mergingOf } from './merge-versions.ts'
import { neededLibraries } from './needed-libraries.ts'
import { contentsOfParts, joinParts } from './parts.ts'
import { makePlan } from './plan.ts'
import { planScope } from './policy.ts'
import { raisedPaths } from './raised.ts'
import { nextTransaction } from './receipts.ts'
import { generatedHere } from '../generated.ts'
import { channelFile } from '../state.ts'
import { runPlan } from './transaction.ts'
import type { Entry, Manifest } from '../../../base/entry.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { Journal } from '../../../format/journal.ts'
import type { Clock, Meter, Progress } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'
import type { Incoming } from '../incoming.ts'
import type { Changes } from './changes.ts'
import type { Part } from './parts.ts'
import type { PartPhase } from './phases.ts'
import type { Plan, Source, StateChange } from './plan.ts'
import type { Done } from './transaction.ts'

export type InstallInput = {
  readonly disk: Disk
  readonly incoming: Incoming
  /** The manifest of the release that is replaced, with what has come of the next one. */
  readonly installed: Manifest
  /** What of the release comes; all of it where it has no phases, or these are in place. */
  readonly phase?: PartPhase | undefined
  /** Releases of other channels that come by the same plan. */
  readonly together?: readonly Part[] | undefined
  /** Files of the state besides those of the channels, by what the plan is found to change. */
  readonly beside?: ((found: Changes) => readonly StateChange[]) | undefined
  readonly config: Pick<
    ClientConfig,
    'ignore' | 'protect' | 'generated' | 'without' | 'configProtect' | 'merge' | 'keepOld' | 'programs' | 'keepReleases'
  >
  readonly clock: Clock
  readonly recovery: RecoveryProgram
  readonly progress?: Progress | undefined
  /** Heard until the commit begins. */
  readonly signal?: AbortSignal | undefined
}

/** Everything that the release changes here, decided before anything is written. Throws `conflict`. */
export async function planInstall(input: InstallInput): Promise<Plan> {
  const { disk, config } = input
  const parts = partsOf(input)
  const scope = await planScope(disk, config)
  const records = parts.flatMap(({ incoming }) => recordsOf(incoming))
  const isGenerated = await generatedHere(disk, config, records)
  return await metered(input, { label: 'reading the files that change', total: undefined }, async (meter) => {
    const look = { meter, signal: input.signal }
    const { base, next, stateFiles } = await joinParts({ disk, parts, scope, look })
    return await makePlan({
      disk,
      base,
      next,
      scope,
      ...look,
      relinked: raisedPaths(base, next),
      suffix: '.new',
      way: 'install',
      isProtected: (path) => matchesAny(config.protect, path),
      isGenerated,
      isOptional: (path) => matchesAny(config.without, path),
      merging: mergingOf({ ...input, parts, config: withConfiguration(config, parts) }),
      neededOf: async (changes) => await neededLibraries({ disk, base, next, folders: config.programs, signal: input.signal }, changes),
      originOf: (path) => ({ kind: 'content', path: next.leaders.get(path) ?? path }),
      stateFiles: (found) => [
        ...stateFiles(found),
        ...parts.flatMap(({ incoming: { channel, stateFiles: whole }, phase }) =>
          (phase?.stateFiles ?? whole).map((file) => ({ ...file, path: channelFile(channel, file.path) })),
        ),
        ...(input.beside?.(found) ?? []),
      ],
      keepOld: [...new Set(parts.flatMap(({ incoming }) => keepOldOfProduct(config.keepOld, incoming.channel.product)))],
      header: await headerOf(input),
    })
  })
}

function partsOf({ incoming, installed, phase, together = [] }: InstallInput): readonly Part[] {
  return [{ incoming, installed, phase }, ...together]
}

async function headerOf(input: InstallInput): Promise<Omit<Journal, 'areas' | 'kept' | 'actions'>> {
  const { disk, clock } = input
  const all = partsOf(input).map(({ incoming, phase }) => ({
    ...(phase?.after ?? afterInstall(recordsOf(incoming))),
    role: channelRole(incoming.channel),
    old: formatDistName(incoming.installed.name),
    new: formatDistName(incoming.update.value.release.name),
  }))
  return {
    transaction: await nextTransaction(disk),
    purpose: 'install',
    direction: 'forward',
    time: Math.floor(clock.now() / 1000),
    releases: all.map(({ role, old, new: next }) => ({ role, old, new: next })),
    undoes: [],
    postSteps: all.flatMap(({ postSteps }) => postSteps),
    reboot: all.flatMap(({ role, reboot }) => (reboot === 'none' ? [] : [{ role, class: reboot }])),
  }
}

/** What the records call configuration is merged like what bindery.conf calls so. */
function withConfiguration<T extends Pick<ClientConfig, 'configProtect'>>(config: T, parts: readonly Part[]): T {
  return {
    ...config,
    configProtect: [...config.configProtect, ...namedConfiguration(parts.flatMap(({ incoming }) => recordsOf(incoming)))],
  }
}

/** Plan, stage, commit. The tar is read once, to its end, before anything live is touched. */
export async function installIncoming(input: InstallInput): Promise<Done> {
  const plan = await planInstall(input)
  return await installPlan(input, plan)
}

export async function installPlan(input: InstallInput, plan: Plan): Promise<Done> {
  const { disk, config, recovery, signal } = input
  return await metered(
    input,
    { label: `installing ${plan.journal.releases.map((release) => release.new).join(', ')}`, total: summarize(plan).bytes },
    async (meter) =>
      await runPlan(disk, plan, {
        contents: contentsOfParts(partsOf(input)),
        keepReleases: config.keepReleases,
        recovery,
        signal,
        meter,
      }),
  )
}

/** What a plan amounts to: files that are written, their bytes, and paths that go. */
export type Summary = { readonly files: number; readonly bytes: number; readonly removals: number }

export function summarize({ journal, stage }: Plan): Summary {
  const sizes = stage.flatMap(({ node, source }) =>
    node.kind === 'file' && isWritten(source) && !isOwnState(node.path) ? [node.size] : [],
  )
  const removals = journal.actions.filter(({ kind, path }) => (kind === 'drop' || kind === 'rmdir') && !isOwnState(path)).length
  return { files: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0), removals }
}

function isWritten({ kind }: Source): boolean {
  return kind === 'content' || kind === 'stream'
}

/** Of the entries that come, those with attributes that cannot be set here. */
export async function unsettable(input: InstallInput, { stage }: Plan): Promise<{ readonly xattrs: number; readonly flags: number }> {
  const can = await input.disk.capabilities()
  const coming = new Set(stage.map(({ node }) => node.path))
  const entries = partsOf(input).flatMap(({ incoming }) => incoming.manifest.value.entries.filter(({ path }) => coming.has(path)))
  const count = (has: (entry: Entry) => boolean): number => entries.filter(has).length
  return {
    xattrs: can.xattrs ? 0 : count(({ xattrs }) => xattrs !== undefined && xattrs.size > 0),
    flags: can.flags ? 0 : count(({ flags }) => flags !== undefined && flags.length > 0),
  }
}

type Label = { readonly label: string; readonly total: number | undefined }

async function metered<T>({ progress }: InstallInput, { label, total }: Label, work: (meter: Meter | undefined) => Promise<T>): Promise<T> {
  const meter = progress?.start(label, total)
  try {
    return await work(meter)
  } finally {
    meter?.end()
  }
}
