import { matchesAny } from '../../../format/conf.ts'
import { readPresentManifest } from '../phase.ts'
import { withFormer } from './former.ts'
import { neededLibraries } from './needed-libraries.ts'
import { nodeTree } from './nodes.ts'
import { joinTrees } from './parts.ts'
import { makePlan } from './plan.ts'
import { planScope } from './policy.ts'
import { nextTransaction } from './receipts.ts'
import type { Channel } from '../../../base/name.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { ReleaseState } from '../../../format/release-state.ts'
import type { Clock } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { Processes, ReplacedFile, StaleReport } from '../../../port/processes.ts'
import type { Change } from './changes.ts'
import type { Former } from './former.ts'
import type { Need } from './needed-libraries.ts'
import type { NodeTree } from './nodes.ts'
import type { Plan } from './plan.ts'

/** What former releases left here because something needed it, without a new release: what nothing needs any more goes. */

export type FinishInput = {
  readonly disk: Disk
  readonly processes: Processes
  readonly channels: readonly { readonly channel: Channel; readonly installed: ReleaseState }[]
  readonly config: Pick<ClientConfig, 'ignore' | 'protect' | 'programs'>
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
}

export type Finishing = {
  readonly plan: Plan
  /** What stays, with the programs that need it. */
  readonly needed: readonly Need[]
  /** Processes that use something of what could go. */
  readonly running: StaleReport
}

export async function planFinish(input: FinishInput): Promise<Finishing> {
  const { disk, config, clock, signal } = input
  const scope = await planScope(disk, config)
  const { base, next, formers } = await treesOf(input)
  let found!: Pick<Finishing, 'needed' | 'running'>
  const plan = await makePlan({
    disk,
    base,
    next,
    scope,
    signal,
    suffix: '.new',
    way: 'install',
    isProtected: (path) => matchesAny(config.protect, path),
    neededOf: async (changes) => {
      const running = await input.processes.usersOf(await goingFiles(disk, changes))
      const linked = await neededLibraries({ disk, base, next, folders: config.programs, signal }, changes)
      found = { needed: [...linked, ...mappedAlone(running, linked)], running }
      return found.needed
    },
    originOf: (path) => ({ kind: 'content', path }),
    stateFiles: (changes) => formers.flatMap(({ stateFiles }) => stateFiles(changes)),
    header: {
      transaction: await nextTransaction(disk),
      purpose: 'install',
      direction: 'forward',
      time: Math.floor(clock.now() / 1000),
      releases: [],
      undoes: [],
      postSteps: [],
      reboot: [],
    },
  })
  return { plan, ...found }
}

type Trees = { readonly base: NodeTree; readonly next: NodeTree; readonly formers: readonly Former[] }

async function treesOf({ disk, channels, config, signal }: FinishInput): Promise<Trees> {
  const scope = await planScope(disk, config)
  const trees: NodeTree[] = []
  for (const { channel, installed } of channels) trees.push(nodeTree(await readPresentManifest(disk, channel, installed), scope))
  const next = joinTrees(trees)
  const together = channels.map(({ channel }) => channel)
  const formers: Former[] = []
  for (const [i, incoming] of channels.entries())
    formers.push(await withFormer({ disk, incoming, together, base: trees[i] as NodeTree, next, scope, look: { signal } }))
  // What a channel has now is that one's, whatever another one had there before.
  const base = joinTrees(
    formers.map((former) => former.base),
    (path) => trees.findIndex(({ nodes }) => nodes.has(path)),
  )
  return { base, next, formers }
}

/** Of changes that are removals all of them. */
async function goingFiles(disk: Disk, changes: ReadonlyMap<RelPath, Change>): Promise<readonly ReplacedFile[]> {
  const found: ReplacedFile[] = []
  for (const path of changes.keys()) found.push({ path, inode: (await disk.lstat(path))?.inode })
  return found
}

/** What a process has mapped and no program on the disk asks for: it was started by one that has gone. */
function mappedAlone({ processes }: StaleReport, linked: readonly Need[]): readonly Need[] {
  const known = new Set(linked.map(({ path }) => path))
  const mapped = new Set(processes.flatMap(({ files }) => files).filter((path) => !known.has(path)))
  return [...mapped].map((path) => ({ path, by: undefined, users: [] }))
}
