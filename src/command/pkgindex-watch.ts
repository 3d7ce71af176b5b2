import { isBinderyError } from '../base/error.ts'
import { indexMirror } from './pkgindex-once.ts'
import type { MirrorFile } from '../port/package-mirror.ts'
import type { Context } from './command.ts'
import type { Indexing } from './pkgindex-once.ts'

/** Also without a change, since a signed index must not expire while nothing happens. */
const renewMs = 3_600_000

/**
 * Indexes a folder at once, again whenever it has changed and then stayed the same for one interval, and once an hour, until a signal ends
 * it. What goes wrong in one run is told, and the next one tries again.
 */
export async function watchMirror(context: Context, indexing: Indexing, seconds: number): Promise<number> {
  let done: { readonly seen: string; readonly at: number } | undefined
  let former: string | undefined
  while (!context.signal.aborted) {
    const seen = await look(context, indexing)
    const at = context.clock.now()
    const isDue = done === undefined || (seen === former && (seen !== done.seen || Math.abs(at - done.at) >= renewMs))
    if (seen !== undefined && isDue) {
      await tryOnce(context, indexing)
      done = { seen, at }
    }
    former = seen
    await pause(seconds, context.signal)
  }
  return 0
}

async function look(context: Context, { mirror }: Indexing): Promise<string | undefined> {
  try {
    return fingerprint(await mirror.list())
  } catch (error) {
    if (!isBinderyError(error)) throw error
    context.say(`${mirror.place}: ${error.message}`)
    return undefined
  }
}

/** The index itself may be written into the folder. */
function fingerprint(files: readonly MirrorFile[]): string {
  const counting = files.filter(({ name }) => name.endsWith('.tgz') || name.startsWith('SHA256'))
  return counting.map(({ name, size, stamp }) => `${name} ${size} ${stamp}`).join('\n')
}

async function tryOnce(context: Context, indexing: Indexing): Promise<void> {
  try {
    await indexMirror(context, indexing)
  } catch (error) {
    if (!isBinderyError(error)) throw error
    if (error.code !== 'stopped') context.say(`${error.subject ?? indexing.mirror.place}: ${error.message}`)
  }
}

/** Ends early on a signal. */
async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, seconds * 1000)
    signal.addEventListener('abort', end, { once: true })
  })
}
