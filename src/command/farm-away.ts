import { pauseAfter } from '../engine/farm/back-off.ts'
import { systemWait } from '../host/ambient.ts'
import { isPassing } from '../host/farm/database-error.ts'
import type { Context } from './command.ts'

/** A database that is away: told once, by whoever of a controller meets it first, and once when it answers again. */
export type Away = {
  /** Whether it is what the error says. */
  isTold(error: unknown): boolean
  over(): void
}

export function databaseAway({ say }: Pick<Context, 'say'>): Away {
  let isAway = false
  return {
    isTold: (error) => {
      if (!isPassing(error)) return false
      if (!isAway) say(`the database does not answer: ${error.message}; trying on`)
      isAway = true
      return true
    },
    over: () => {
      if (isAway) say('the database answers again')
      isAway = false
    },
  }
}

/** Asks the database until it answers, so that what was done meanwhile is not lost. What is wrong with the question is thrown. */
export async function untilAnswered<T>(
  { away, context }: { readonly away: Away; readonly context: Pick<Context, 'random'> },
  ask: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await ask()
      if (tries > 0) away.over()
      return answer
    } catch (error) {
      signal.throwIfAborted()
      if (!away.isTold(error)) throw error
    }
    await systemWait(pauseAfter(tries, context.random), signal)
  }
}
