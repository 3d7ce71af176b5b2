import { BinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { matchesAny } from '../../../format/conf.ts'
import { encodeStep } from '../../../format/journal-step.ts'
import { strongestReboot } from '../../../format/update.ts'
import { composeHistory, receiptsBackTo } from './history.ts'
import { lookAt } from './look.ts'
import { sameContent, sameTime } from './nodes.ts'
import { makePlan } from './plan.ts'
import { planScope } from './policy.ts'
import { nextTransaction } from './receipts.ts'
import { runPlan } from './transaction.ts'
import { generatedHere } from '../generated.ts'
import type { FileEntry } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Kept } from '../../../format/journal.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { Clock } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'
import type { Goal, History, KeptFile } from './history.ts'
import type { NodeScope } from './nodes.ts'
import type { Origin, Plan, StateChange } from './plan.ts'
import type { Receipt } from './receipts.ts'
import type { Done } from './transaction.ts'

export type RollbackInput = {
  readonly disk: Disk
  readonly goal: Goal
  readonly config: Pick<ClientConfig, 'ignore' | 'protect' | 'generated' | 'keepReleases'>
  readonly clock: Clock
  readonly recovery: RecoveryProgram
  readonly signal?: AbortSignal | undefined
}

/**
 * The way back as a plan like any other: from what the undone installs left to what they found, with the kept files as
 * contents. What was changed here since stays, and the older version comes to lie beside as `.old`.
 */
export async function planRollback(input: RollbackInput): Promise<Plan> {
  const { disk, config, clock } = input
  const receipts = await receiptsBackTo(disk, input.goal)
  const history = composeHistory(receipts)
  const scope = await planScope(disk, config)
  const twins = await sameTwins(disk, history, scope)
  const plan = await makePlan({
    disk,
    scope,
    base: within(scope, history.base),
    next: within(scope, history.next),
    relinked: history.relinked,
    signal: input.signal,
    suffix: '.old',
    way: 'rollback',
    isProtected: (path) => matchesAny(config.protect, path),
    isGenerated: await generatedHere(disk, config),
    originOf: (path) => twins.get(path) ?? originIn(history, path),
    stateFiles: () => [...history.state].map(([path, before]) => stateChange(disk, path, before)),
    header: {
      transaction: await nextTransaction(disk),
      purpose: 'rollback',
      direction: 'forward',
      time: Math.floor(clock.now() / 1000),
      releases: history.releases,
      undoes: receipts.map(({ transaction }) => transaction),
      ...afterRollback(receipts),
    },
  })
  await checkKept(disk, plan)
  return await withChangedOrigins(disk, plan, history)
}

/** Of the releases that go, newest first, and each once: what they bring along is made anew from the files that are back. */
function afterRollback(receipts: readonly Receipt[]): Pick<Receipt, 'postSteps' | 'reboot'> {
  const steps = receipts.flatMap(({ postSteps }) => postSteps.filter((step) => step.kind !== 'notice' && step.afterRollback))
  const once = new Map(steps.map((step) => [encodeStep(step), step]))
  const byRole = Map.groupBy(
    receipts.flatMap(({ reboot }) => reboot),
    ({ role }) => role,
  )
  const reboot = [...byRole].map(([role, all]) => ({ role, class: strongestReboot(all.map((one) => one.class)) }))
  return { postSteps: [...once.values()], reboot }
}

/** What somebody took out of the store cannot come back, and is missed before anything begins. */
async function checkKept(disk: Disk, { stage }: Plan): Promise<void> {
  for (const { node, source } of stage) {
    const from = 'from' in source ? source.from : undefined
    if (from === undefined || (await disk.lstat(from)) !== undefined) continue
    throw new BinderyError('not-found', `cannot be brought back: ${showPath(from)} is not there`, {
      subject: `/${showPath(node.path)}`,
      hint: 'put it back from a backup; nothing was changed',
    })
  }
}

/**
 * A kept file may have had another name that stayed in the tree, and have been changed through it since: as a name of
 * that file it comes back, and it is told.
 */
async function withChangedOrigins(disk: Disk, plan: Plan, { origins }: History): Promise<Plan> {
  const kept: Kept[] = []
  // By where they are kept: they also come to lie beside, under other names.
  const keptNodes = new Map([...origins.values()].map(({ from, node }) => [from, node] as const))
  for (const { node, source } of plan.stage) {
    if (source.kind !== 'link') continue
    const origin = keptNodes.get(source.from)
    if (origin?.kind !== 'file') continue
    if ((await disk.digest(source.from)).sha256 === origin.sha256) continue
    await refuseDamaged(disk, source.from, origin)
    kept.push({ path: node.path, reason: 'modified' })
  }
  return { ...plan, journal: { ...plan.journal, kept: [...plan.journal.kept, ...kept] } }
}

/** Whoever writes leaves another time: with the same one, the disk has lost what it was. */
async function refuseDamaged(disk: Disk, from: RelPath, origin: FileEntry): Promise<void> {
  const stat = await disk.lstat(from)
  if (stat?.size !== origin.size || !sameTime(origin, stat)) return
  throw new BinderyError('bad-digest', `cannot be brought back: ${showPath(from)} is damaged`, {
    subject: `/${showPath(origin.path)}`,
    hint: 'put it back from a backup; nothing was changed',
  })
}

function within(scope: NodeScope, tree: History['base']): History['base'] {
  return { ...tree, nodes: new Map([...tree.nodes].filter(([path]) => !scope.excluded(path))) }
}

/** Live files that a path was a name of, where they still hold what they held. */
async function sameTwins(disk: Disk, { origins }: History, scope: NodeScope): Promise<ReadonlyMap<RelPath, Origin>> {
  const wanted = [...origins].flatMap(([path, { twin }]) => (twin === undefined ? [] : [[path, twin] as const]))
  const live = await lookAt(disk, [...new Set(wanted.map(([, twin]) => twin))], { scope, guess: () => undefined })
  return new Map(
    wanted.flatMap(([path, twin]): [RelPath, Origin][] => {
      const node = live.nodes.get(twin)
      return node !== undefined && sameContent(node, (origins.get(path) as KeptFile).node)
        ? [[path, { kind: 'link', from: twin, node }]]
        : []
    }),
  )
}

function originIn({ origins }: History, path: RelPath): Origin {
  const origin = origins.get(path)
  if (origin === undefined) throw new Error(`the receipts keep no content for ${path}`)
  return origin
}

function stateChange(disk: Disk, path: RelPath, before: KeptFile | undefined): StateChange {
  if (before === undefined) return { path, content: 'remove', mode: 0, size: 0 }
  const { node, from } = before
  return { path, content: () => disk.read(from), mode: node.mode, size: node.kind === 'file' ? node.size : 0, from }
}

export async function rollback(input: RollbackInput): Promise<Done> {
  return await rollbackPlan(input, await planRollback(input))
}

export async function rollbackPlan({ disk, config, recovery, signal }: RollbackInput, plan: Plan): Promise<Done> {
  return await runPlan(disk, plan, { contents: noContents, keepReleases: config.keepReleases, recovery, signal })
}

/** Everything that is needed is kept. */
async function* noContents(): AsyncGenerator<never> {}
