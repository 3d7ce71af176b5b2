import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { parseChannel } from '../base/name.ts'
import { mirrorOrder } from '../engine/client/fetch/mirror-order.ts'
import { listReceipts } from '../engine/client/apply/receipts.ts'
import { throttle } from '../engine/client/fetch/throttle.ts'
import { selectChannels } from '../engine/client/fetch/offer.ts'
import { refreshAfter } from '../engine/repo/look-first.ts'
import { refreshTrust } from '../engine/repo/trust.ts'
import { noteChecksums } from '../engine/client/checksums.ts'
import { machineId } from '../engine/client/machine-id.ts'
import { refuseNewerState } from '../engine/client/state-version.ts'
import { makeStateFolders, readEnrolled, stateFolder, statePaths } from '../engine/client/state.ts'
import { hostDisk } from '../host/disk.ts'
import { hostHttp } from '../host/http.ts'
import { configuredProxy } from '../host/http-proxy.ts'
import { hostLocker } from '../host/lock.ts'
import { recoveryProgram } from '../host/recovery-program.ts'
import { readConfig } from './client-config.ts'
import { isTree } from './tree-input.ts'
import type { Channel } from '../base/name.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { ClientConfig } from '../format/conf.ts'
import type { DiskReader } from '../port/disk.ts'
import type { Context, Input } from './command.ts'
import type { Staging } from './staging.ts'

/** What every client verb begins with: the root, its configuration, and the lock. */

/** `fetching`: for a verb that always asks the network, so that what this needs starts while the state is read. */
export async function openSession(context: Context, use: 'fetching' | 'any' = 'any'): Promise<Session> {
  if (!isTree(context.root)) throw new BinderyError('wrong-type', 'is no directory', { subject: context.root })
  const config = await readConfig(context)
  const network = await networkOf(context, config, use)
  const disk = hostDisk(context.root)
  await refuseNewerState(disk, context.program.version)
  const mayWrite = await mayWriteState(context.root)
  // What someone removed by hand, the cache for instance, is made again.
  if (mayWrite) await makeStateFolders(disk)
  return {
    disk,
    ...network,
    throttle: throttle(config.network.rateLimit, context),
    clock: context.clock,
    recovery: recoveryProgram,
    config,
    mirrors: mirrorOrder(config.mirrors),
    progress: context.progress,
    say: context.say,
    explain: context.explain,
    signal: context.signal,
    access: mayWrite ? 'write' : 'read',
    beforeCommit: context.committing,
    machineId: async () => await machineId(disk, context.random, mayWrite ? 'write' : 'read'),
  }
}

/** Root lets another process fetch, and look first at what it brings. */
async function networkOf(
  { http, fetcher, environment }: Context,
  config: ClientConfig,
  use: 'fetching' | 'any',
): Promise<Pick<Session, 'http' | 'refresh'>> {
  const isOwn = config.proxy !== undefined || config.noProxy !== undefined
  const proxies = isOwn ? configuredProxy(environment, config) : environment
  const other = await fetcher({ user: config.fetchUser, proxies })
  if (other === undefined) return { http: isOwn ? hostHttp(proxies) : http, refresh: refreshTrust }
  if (use === 'fetching') other.start()
  return { http: other.http, refresh: refreshAfter(other.look) }
}

/** Not on a file system that is mounted read-only either: `check` works there, too. */
export async function mayWriteState(root: string): Promise<boolean> {
  try {
    await access(join(root, stateFolder), constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The same of a verb for which a staged root gets a new tree. `isNeeded`: whether there is anything to do in it. */
export async function changingRoot(
  context: Context,
  verb: string,
  work: (here: Context, session: Session) => Promise<number>,
  isNeeded: (current: Context) => Promise<boolean> = async () => true,
): Promise<number> {
  const opened = await openSession(context)
  const run = async (here: Context): Promise<number> =>
    await changing(here, here === context ? opened : await openSession(here), async (session) => await work(here, session))
  if (isInPlace(context, opened.config)) return await run(context)
  return await (await stagingOf(context)).inOtherTree(context, { verb, isNeeded, work: run })
}

/** The work of a verb that may change the root, with what bindery.conf runs before and after that. */
export async function changing(context: Context, session: Session, work: (session: Session) => Promise<number>): Promise<number> {
  await refuseTree(context, session)
  const { beforeCommit, afterCommit } = session.config
  if (beforeCommit === undefined && afterCommit === undefined) return await work(session)
  return await (await import('./commit-hooks.ts')).betweenHooks(context, session, work)
}

/** Whether the root is changed where it is. */
export function isInPlace({ staged }: Pick<Context, 'staged'>, { rootMake, rootSwitch, rootRemove }: ClientConfig): boolean {
  return staged === undefined && (rootMake ?? rootSwitch ?? rootRemove) === undefined
}

/** Throws `not-supported` in a bundle that changes roots in place alone. */
export async function stagingOf({ staging, root }: Pick<Context, 'staging' | 'root'>): Promise<Staging> {
  if (staging !== undefined) return await staging()
  throw new BinderyError('not-supported', 'is, or would be, in staged mode, which bindery-client alone has not', {
    subject: root,
    hint: 'use the whole bindery; nothing was changed',
  })
}

/** Files of a tree are those of other trees, too: it is only changed by the link that leads to it, or not at all. */
async function refuseTree({ staged, root }: Context, { disk }: Session): Promise<void> {
  if (staged !== undefined || (await disk.lstat(statePaths.tree)) === undefined) return
  throw new BinderyError('conflict', 'is a tree of a staged root, and no link leads here', {
    subject: root,
    hint: 'name it by its link; where that was replaced by a folder, move the folder away and make the link anew (doc/staged.md)',
  })
}

/** One verb at a time on a root: `locked` otherwise, `not-enrolled` where there is no state, `permission` without root. Notes the state that it leaves. */
export async function withLock<T>(context: Context, verb: string, work: () => Promise<T>): Promise<T> {
  return await withBareLock(context, verb, async () => {
    const result = await work()
    await noteState(context)
    return result
  })
}

/** The same for who changes which tree a root is. */
export async function withBareLock<T>({ root }: Pick<Context, 'root'>, verb: string, work: () => Promise<T>): Promise<T> {
  const lock = await hostLocker(join(root, statePaths.lock)).take(verb)
  try {
    return await work()
  } finally {
    await lock.release()
  }
}

/** Whatever the work was, it is done: what cannot be noted is told, and no more. */
async function noteState(context: Context): Promise<void> {
  try {
    await noteChecksums(hostDisk(context.root))
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    context.say(`the checksums of the state were not written: ${error.subject ?? ''}: ${error.message}`)
  }
}

/** For verbs that write the state: `not-enrolled` where there is none, `read-only`, or `permission` for others than root. */
export async function refuseReader(session: Session): Promise<void> {
  selectChannels(await readEnrolled(session.disk), [])
  await refuseUnwritable(session)
}

/** For verbs that go by receipts and the journal: a bundle leaves some, or what a killed one had begun, where nothing is enrolled. */
export async function refuseStranger(session: Session): Promise<void> {
  if ((await session.disk.lstat(statePaths.receipt)) === undefined) selectChannels(await readEnrolled(session.disk), [])
  await refuseUnwritable(session)
}

export async function hasHistory(disk: DiskReader): Promise<boolean> {
  return (await disk.lstat(statePaths.journal)) !== undefined || (await listReceipts(disk)).length > 0
}

async function refuseUnwritable({ disk, access: granted }: Session): Promise<void> {
  if (granted === 'write') return
  if ((await disk.space(stateFolder)).readOnly) throw new BinderyError('read-only', 'is mounted read-only', { subject: stateFolder })
  throw new BinderyError('permission', 'cannot be written', { subject: stateFolder, hint: 'this verb needs root' })
}

/** Operands that name channels; none means all that are enrolled. */
export function channelsOf(input: Input): readonly Channel[] {
  return input.operands.map(parseChannel)
}
