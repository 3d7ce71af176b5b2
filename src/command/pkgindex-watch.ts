import { isBinderyError } from '../base/error.ts'
import { indexMirror } from './pkgindex-once.ts'
import type { MirrorFile } from '../port/package-mirror.ts'
import type { Context } from './command.ts'
import type { Indexing } from './pkgindex-once.ts'

/**
 * Indexes a folder at once, and again whenever it has changed and then stayed the same for one interval, until a signal ends it. What goes
 * wrong in one run is told, and the next change tries again.
 */
export async function watchMirror(context: Context, indexing: Indexing, seconds: number): Promise<number> {
  let done: string | undefined
  let former: string | undefined
  while (!context.signal.aborted) {
    const seen = await look(context, indexing)
    if (seen !== undefined && seen !== done && (seen === former || done === undefined)) {
      await tryOnce(context, indexing)
      done = seen
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

function fingerprint(files: readonly MirrorFile[]): string {
  return files.map(({ name, size, stamp }) => `${name} ${size} ${stamp}`).join('\n')
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
