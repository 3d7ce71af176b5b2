import { unreachable } from '../../base/error.ts'
import { sectionWork } from './section-work.ts'
import type { Threads } from '../../port/thread.ts'
import type { SectionTask } from './section-work.ts'

/** Where executables and gzip files are made: here, or on a thread while plain sections are made here. */
export type SectionMaker = {
  /** Whether so much is to do that the next task is done sooner by somebody else. */
  isBusy(): Promise<boolean>
  /** Undefined when the task is done already. */
  run(task: SectionTask): Promise<void> | undefined
  /** When all tasks are done; fails as the first one did that failed. */
  settled(): Promise<void>
  end(): Promise<void>
}

/** `memory`: what the delta's header grants. */
export function makerHere(memory: number): SectionMaker {
  const work = sectionWork(memory)
  return {
    isBusy: async () => false,
    run: (task) => {
      work(task)
      return undefined
    },
    settled: async () => {},
    end: async () => {},
  }
}

/** Tasks that keep a thread busy until the next ones come. */
const mostPending = 6

/** Undefined where there are no threads. */
export function makerOnThread(threads: Threads, memory: number): SectionMaker | undefined {
  const thread = threads.start('sections', memory)
  if (thread === undefined) return undefined
  let last: Promise<void> = Promise.resolve()
  let pending = 0
  return {
    isBusy: async () => {
      if (pending > mostPending) await thread.breathe()
      return pending > mostPending
    },
    run: (task) => {
      pending++
      const sent = sendable(task)
      last = thread.run(sent, memoryOf(sent))
      // Once a task has failed all do, and the last one is waited for.
      last.finally(() => pending--).catch(() => {})
      return last
    },
    settled: async () => await last,
    end: async () => await thread.end(),
  }
}

/** Of a view the whole memory behind it would be copied. */
function sendable(task: SectionTask): SectionTask {
  switch (task.kind) {
    case 'batch':
      return { ...task, images: compact(task.images), imageChanges: compact(task.imageChanges) }
    case 'image':
      return { ...task, old: task.old.map(compact), plainLiterals: task.plainLiterals && compact(task.plainLiterals) }
    case 'gzip':
      return { ...task, recipe: compact(task.recipe) }
    case 'batchEnd':
    case 'take':
      return task
    default:
      return unreachable(task)
  }
}

/** What nobody here needs any more. */
function memoryOf(task: SectionTask): readonly ArrayBuffer[] {
  return task.kind === 'gzip' && task.content.buffer instanceof ArrayBuffer ? [task.content.buffer] : []
}

function compact(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer || bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice()
}
