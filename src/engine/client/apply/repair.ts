import { BinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { matchesAny } from '../../../format/conf.ts'
import { pathsOf, sharedInodes } from './audit.ts'
import { makePlan } from './plan.ts'
import { planScope } from './policy.ts'
import { nextTransaction } from './receipts.ts'
import { runPlan } from './transaction.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { FileEntry, Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { Clock, Meter } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'
import type { Audit, Finding } from './audit.ts'
import type { Contents } from './contents.ts'
import type { LiveView } from './look.ts'
import type { NodeTree } from './nodes.ts'
import type { Plan } from './plan.ts'
import type { Done } from './transaction.ts'

export type RepairInput = {
  readonly disk: Disk
  /** The channel's role and the installed release, for the receipt. */
  readonly role: string
  readonly release: string
  readonly config: Pick<ClientConfig, 'ignore' | 'protect' | 'keepReleases'>
  readonly clock: Clock
  readonly recovery: RecoveryProgram
  readonly signal?: AbortSignal | undefined
  readonly meter?: Meter | undefined
}

/**
 * Makes what was found what the release says: a plan as any other, from what is there to what shall be. What is protected is
 * left as it is, also where it is another name of a file that is mended.
 */
export async function planRepair(input: RepairInput, { wanted, live }: Audit, findings: readonly Finding[]): Promise<Plan> {
  const { disk, config, clock, role, release } = input
  const isProtected = (path: RelPath): boolean => matchesAny(config.protect, path)
  const paths = new Set([...withGroups(pathsOf(findings), wanted)].filter((path) => !isProtected(path)))
  return await makePlan({
    disk,
    scope: await planScope(disk, config),
    base: liveTree(live, paths),
    next: { nodes: new Map([...wanted.nodes].filter(([path]) => paths.has(path))), groups: wanted.groups, leaders: wanted.leaders },
    signal: input.signal,
    suffix: '.new',
    way: 'install',
    isProtected,
    originOf: (path) => ({ kind: 'content', path: wanted.leaders.get(path) ?? path }),
    stateFiles: () => [],
    header: {
      transaction: await nextTransaction(disk),
      purpose: 'repair',
      direction: 'forward',
      time: Math.floor(clock.now() / 1000),
      releases: [{ role, old: release, new: release }],
      undoes: [],
      postSteps: [],
      reboot: [],
    },
  })
}

/** A group is mended as a whole. */
function withGroups(paths: ReadonlySet<RelPath>, { groups }: NodeTree): ReadonlySet<RelPath> {
  return new Set([...paths].flatMap((path) => [path, ...(groups.get(path) ?? [])]))
}

/** What is there, taken for what belongs there: then nothing of it counts as a local change. */
function liveTree(live: LiveView, paths: ReadonlySet<RelPath>): NodeTree {
  const groups = new Map<RelPath, readonly RelPath[]>()
  for (const names of sharedInodes(live).values()) if (names.length > 1) for (const name of names) groups.set(name, names)
  return { nodes: new Map([...live.nodes].filter(([path]) => paths.has(path))), groups, leaders: new Map() }
}

/** The files whose contents the plan needs from a release. */
export function neededFiles(plan: Plan, manifest: Manifest): readonly FileEntry[] {
  const needed = new Set(plan.stage.flatMap(({ source }) => (source.kind === 'content' ? [source.path] : [])))
  return manifest.entries.filter((entry): entry is FileEntry => entry.kind === 'file' && needed.has(entry.path))
}

/** `read` gives the content of one of `files`. */
export async function runRepair(
  { disk, config, recovery, signal, meter }: RepairInput,
  plan: Plan,
  files: readonly FileEntry[],
  read: (entry: FileEntry) => ByteStream,
): Promise<Done> {
  return await runPlan(disk, plan, { contents: contentsOf(files, read), keepReleases: config.keepReleases, recovery, signal, meter })
}

function contentsOf(files: readonly FileEntry[], read: (entry: FileEntry) => ByteStream): Contents {
  const byPath = new Map(files.map((entry) => [entry.path, entry]))
  return async function* (wanted) {
    for (const path of wanted.keys()) {
      const entry = byPath.get(path)
      if (entry === undefined) throw new BinderyError('not-found', 'has no content in the release', { subject: showPath(path) })
      yield { path, content: read(entry) }
    }
  }
}
