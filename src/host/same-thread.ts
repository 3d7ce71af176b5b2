import { setImmediate } from 'node:timers/promises'
import type { Threads, Works } from '../port/thread.ts'

/** Threads that are none: tasks are copied and done later, as on a real one, but here. */
export function sameThread(works: Works): Threads {
  return {
    start: (work, given) => {
      const begun = works[work]().then((begin) => begin(structuredClone(given) as never))
      let last: Promise<void> = Promise.resolve()
      const after = async (before: Promise<void>, task: unknown): Promise<void> => {
        await before
        ;(await begun)(task as never)
      }
      return {
        run: async (task, takes = []) => {
          last = after(last, structuredClone(task, { transfer: [...takes] }))
          await last
        },
        breathe: async () => await setImmediate(),
        end: async () => {},
      }
    },
  }
}
