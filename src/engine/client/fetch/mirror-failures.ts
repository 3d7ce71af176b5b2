import { BinderyError, exitStatusOf, isBinderyError } from '../../../base/error.ts'
import type { Session } from './session.ts'

/** What the mirrors of one thing failed with. Each failure is told once: when the next mirror is asked, or as the error of the verb. */
export type MirrorFailures = {
  /** `next` is who is asked now. */
  add(error: BinderyError, next: string | undefined): void
  /** What to throw when nobody is left. */
  last(): BinderyError
}

export function mirrorFailures(session: Pick<Session, 'say' | 'explain'>, subject: string): MirrorFailures {
  const errors: BinderyError[] = []
  return {
    add: (error, next) => {
      errors.push(error)
      // A mirror that is away is nobody's alarm; one that serves what must be refused is.
      const talk = isRefused(error) ? session.say : session.explain
      if (next !== undefined) talk(`${error.subject === undefined ? '' : `${error.subject}: `}${error.message}; going on with ${next}`)
    },
    last: () => lastOf(errors, subject),
  }
}

function isRefused({ code }: BinderyError): boolean {
  return exitStatusOf[code] === exitStatusOf.hostile
}

/** That the last one was away does not make good what another one served. */
function lastOf(errors: readonly BinderyError[], subject: string): BinderyError {
  const last = errors.at(-1)
  if (last === undefined) return new BinderyError('no-way', 'no mirror is known', { subject })
  const before = errors.slice(0, -1)
  const code = (isAway(last) ? before.find(isRefused)?.code : undefined) ?? last.code
  const hint = before.every(isRefused) ? last.hint : "'bindery -v' tells what failed before"
  return new BinderyError(code, last.message, { subject: last.subject, hint, cause: last })
}

/** It does not answer, not in time, or does not have it. */
export function isAway({ code }: BinderyError): boolean {
  return ['network', 'too-slow', 'not-found', 'incomplete'].includes(code)
}

/** What one mirror fails a download with, and another may not. */
export function isMirrorFault(error: unknown): error is BinderyError {
  return isBinderyError(error) && (isAway(error) || error.code === 'bad-digest' || error.code === 'over-limit')
}
