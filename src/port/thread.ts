/** Work on other cores. */
export type Threads = {
  /** So many threads, of which each begins the work with `given`. */
  start(work: ThreadWork, given: unknown, count: number): ThreadPool
}

/** Whichever thread is free does the next task, in the order of the calls. */
export type ThreadPool = {
  /**
   * Resolves with the answer; rejects with the BinderyError that the task threw. Task and answer are copied on their way, but the
   * memory that an answer alone holds is handed over.
   */
  run(task: unknown): Promise<unknown>
  /** Tasks that are not done yet are given up: their promises reject. */
  end(): Promise<void>
}

/** What threads can do. */
export type ThreadWork = 'match'

/** For each work what loads and begins it. */
export type Works = Readonly<Record<ThreadWork, () => Promise<BeginWork>>>

/** Types of tasks and answers are known to the two ends alone. */
export type BeginWork = (given: never) => (task: never) => unknown
