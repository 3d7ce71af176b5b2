import { BinderyError } from '../base/error.ts'
import type { Threads, Works } from '../port/thread.ts'

/** Threads that are none: tasks are copied and done later, as on real ones, but here. */
export function sameThread(works: Works): Threads {
  return {
    start: (work, given) => {
      const begun = works[work]().then((begin) => begin(structuredClone(given) as never))
      let last: Promise<unknown> = Promise.resolve()
      let ended = false
      const after = async (before: Promise<unknown>, task: unknown): Promise<unknown> => {
        await before.catch(() => {})
        const does = await begun
        if (ended) throw new BinderyError('stopped', 'the threads were ended')
        return structuredClone(does(task as never))
      }
      return {
        run: (task) => (last = after(last, structuredClone(task))),
        end: async () => void (ended = true),
      }
    },
  }
}
