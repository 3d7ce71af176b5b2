import { hostname } from 'node:os'
import { isBinderyError } from '../base/error.ts'
import { draw } from '../engine/client/draw.ts'
import { changeTold, readTold } from '../engine/client/told.ts'
import { dateOf } from '../format/date.ts'
import { withLock } from './client-session.ts'
import type { BinderyError } from '../base/error.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Context } from './command.ts'

/** A run that nobody watches: whatever it prints becomes a mail, so it prints what somebody should read. */
export type Unattended<T> = {
  readonly verb: string
  /** The answer of a run that had nothing to do, or could not. */
  readonly quiet: T
}

/** The machines of a fleet have one crontab, and shall not all come in one minute. The same moment all day long. */
export async function waitForMoment({ wait, signal }: Context, session: Session): Promise<void> {
  const { config, clock } = session
  const machine = (await session.machineId()) ?? hostname()
  await wait(Math.floor(draw('jitter', machine, dateOf(clock.now())) * config.jitter) * 1000, signal)
}

/** Does `work` under the lock. */
export async function unattended<T>(
  context: Context,
  session: Session,
  { verb, quiet }: Unattended<T>,
  work: () => Promise<T>,
): Promise<T> {
  const reaching = async (): Promise<T> => await overlooking(session, quiet, work)
  try {
    return session.access === 'write' ? await withLock(context, verb, reaching) : await reaching()
  } catch (error) {
    if (!isBinderyError(error, 'locked')) throw error
    context.explain(error.message)
    return quiet
  }
}

/** A network that is away for a night is nobody's alarm; one that is away for days is. */
async function overlooking<T>(session: Session, quiet: T, work: () => Promise<T>): Promise<T> {
  try {
    const done = await work()
    await changeTold(session, ({ unreachable: _, ...told }) => told)
    return done
  } catch (error) {
    if (!isUnreachable(error) || !(await isNews(session))) throw error
    session.explain(lineOf(error))
    return quiet
  }
}

function isUnreachable(error: unknown): error is BinderyError {
  return isBinderyError(error, 'network') || isBinderyError(error, 'too-slow')
}

/** Whether it began not long ago, which is noted. */
async function isNews(session: Session): Promise<boolean> {
  const now = Math.floor(session.clock.now() / 1000)
  const { unreachable } = await readTold(session.disk)
  // A clock that was set back begins anew.
  const since = unreachable === undefined || unreachable > now ? now : unreachable
  await changeTold(session, (told) => ({ ...told, unreachable: since }))
  return session.access === 'write' && now - since < session.config.staleGrace * 86_400
}

function lineOf({ subject, message }: BinderyError): string {
  return subject === undefined ? message : `${subject}: ${message}`
}
