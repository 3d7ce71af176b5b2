import { isBinderyError } from '../base/error.ts'
import type { Away } from './farm-away.ts'
import type { Turns } from '../engine/farm/remote/in-turn.ts'
import type { FarmConfig } from '../format/farm-config.ts'
import type { SignifyPublicKey } from '../format/signify.ts'
import type { Farm } from '../host/farm/open.ts'
import type { Wakened } from '../host/wakened.ts'
import type { Context } from './command.ts'

/** What the parts of a running controller share. */
export type Controller = {
  readonly context: Context
  /** Of the farm. */
  readonly folder: string
  readonly config: FarmConfig
  readonly farm: Farm
  /** That signs packages. */
  readonly key: SignifyPublicKey
  /** What two could do at once, and must not. */
  readonly turns: Turns
  /** Something was built, signed or published: whoever goes on with it looks again. */
  readonly done: Wakened
  readonly away: Away
  readonly signal: AbortSignal
}

const longestPause = 60_000

/**
 * One duty, again and again until the controller ends. What fails is told once for as long as it goes on failing in the same way, and tried
 * again, later each time: a database or a mirror that is away comes back.
 */
export async function keepDoing(
  { context, done, away, signal }: Pick<Controller, 'context' | 'done' | 'away' | 'signal'>,
  duty: { readonly name: string; readonly work: () => Promise<void>; readonly pause: () => Promise<void> },
): Promise<void> {
  let told = ''
  let wasAway = false
  for (let failures = 0; !signal.aborted;) {
    try {
      await duty.work()
      if (wasAway) away.over()
      wasAway = false
      failures = 0
      told = ''
      if (!signal.aborted) await duty.pause()
    } catch (error) {
      if (signal.aborted) return
      failures++
      wasAway = away.isTold(error)
      const line = wasAway ? '' : lineOf(error)
      if (line !== '' && line !== told) context.say(`${duty.name}: ${line}`)
      told = line
      await done.changed(Math.min(longestPause, 500 * 2 ** failures), signal)
    }
  }
}

export async function pauseFor(done: Wakened, milliseconds: number, signal: AbortSignal): Promise<void> {
  const until = AbortSignal.timeout(milliseconds)
  while (!until.aborted && !signal.aborted) await done.changed(milliseconds, AbortSignal.any([until, signal]))
}

/** A fault of ours is told with where it was: a controller does not end by it. */
export function lineOf(error: unknown): string {
  if (isBinderyError(error)) return `${error.subject === undefined ? '' : `${error.subject}: `}${error.message}`
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message).split('\n').slice(0, 2).join(' ')
}
