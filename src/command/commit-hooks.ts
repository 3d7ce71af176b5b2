import { BinderyError, isBinderyError } from '../base/error.ts'
import { failureOf, stepEnvironment } from '../engine/client/apply/run-steps.ts'
import { makeStateFolders, stateFolder, statePaths, writeStateFile } from '../engine/client/state.ts'
import { mayWriteState } from './client-session.ts'
import { needsAttention } from './outcome.ts'
import { encodeCommitHooks } from '../format/commit-hooks.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Disk } from '../port/disk.ts'
import type { Context } from './command.ts'

/**
 * The commands of bindery.conf around whatever changes the root: `before-commit` makes it writable, `after-commit` puts it back at
 * the end of the run, whatever came of that. A file of the state says in between that the second is due, and has both: after a kill
 * the next run begins with the one and ends with the other, be it of bindery or of the program beside the journal.
 */
export async function betweenHooks(context: Context, opened: Session, work: (session: Session) => Promise<number>): Promise<number> {
  const isDue = (await opened.disk.lstat(statePaths.commitHooks)) !== undefined
  let hasBegun = false
  const begin = async (): Promise<void> => {
    await opened.beforeCommit()
    if (!hasBegun) {
      hasBegun = true
      await beginCommit(context, opened)
    }
    // Of a root that is being enrolled, there was no state yet.
    await note(context, opened)
  }
  let status: number
  try {
    if (isDue) await begin()
    const session = await withWritableState(context, opened, begin)
    status = await work({ ...session, beforeCommit: begin })
  } catch (error) {
    // Who holds the lock is in the middle of it, and puts it back.
    if ((hasBegun || isDue) && !isBinderyError(error, 'locked')) await endCommit(context, opened)
    throw error
  }
  return hasBegun || isDue ? Math.max(status, await endCommit(context, opened)) : status
}

/** Where the state lies on what is mounted read-only, nothing can be done before the hook. */
async function withWritableState(context: Context, opened: Session, begin: () => Promise<void>): Promise<Session> {
  const { disk, access } = opened
  if (access === 'write' || (await disk.lstat(stateFolder)) === undefined || !(await disk.space(stateFolder)).readOnly) return opened
  await begin()
  if (!(await mayWriteState(context.root))) return opened
  await makeStateFolders(disk)
  return { ...opened, access: 'write' }
}

async function beginCommit(context: Context, session: Session): Promise<void> {
  const { beforeCommit } = session.config
  await note(context, session)
  const failure = beforeCommit === undefined ? undefined : await runHook(context, 'before-commit', beforeCommit)
  if (failure !== undefined)
    throw new BinderyError('command-failed', `before-commit of bindery.conf ${failure}`, { hint: 'nothing was changed' })
}

/** As soon as it can be written. */
async function note(context: Context, { disk, config }: Session): Promise<void> {
  if (!(await mayWriteState(context.root)) || (await disk.lstat(statePaths.commitHooks)) !== undefined) return
  const hooks = { before: config.beforeCommit, after: config.afterCommit }
  await writeStateFile(disk, statePaths.commitHooks, encodeCommitHooks(hooks))
}

/** What cannot be put back is told, and tried again by the next run. */
async function endCommit(context: Context, session: Session): Promise<number> {
  const { disk, config } = session
  const isWritable = await mayWriteState(context.root)
  // It may be gone with the hook that the state can be written.
  if (isWritable) await forget(disk)
  const failure = config.afterCommit === undefined ? undefined : await runHook(context, 'after-commit', config.afterCommit)
  if (failure === undefined) return 0
  if (isWritable) await note(context, session)
  context.say(`after-commit of bindery.conf ${failure}; the next run tries it again`)
  return needsAttention
}

async function forget(disk: Disk): Promise<void> {
  if ((await disk.lstat(statePaths.commitHooks)) === undefined) return
  await disk.unlink(statePaths.commitHooks)
  await disk.sync(stateFolder)
}

const hookSeconds = 300

async function runHook({ steps, explain }: Context, title: string, text: string): Promise<string | undefined> {
  explain(`running ${title}`)
  // Not the signal of the run: whoever stops that wants its root as it was.
  const { signal } = new AbortController()
  return failureOf(await steps.run({ title, text, env: stepEnvironment, seconds: hookSeconds, log: undefined, signal }))
}
