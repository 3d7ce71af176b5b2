/** Work on another core. */
export type Threads = {
  /** `given` is what the work begins with. Undefined where there is no second core. */
  start(work: ThreadWork, given: unknown): Thread | undefined
}

/** Does one task after the other, in the order of the calls. */
export type Thread = {
  /**
   * Resolves when `task` is done; rejects with the BinderyError that it threw, as does every task after it, undone. A task is
   * copied on its way, but for views of shared memory, and for the memory that it takes with it.
   */
  run(task: unknown, takes?: readonly ArrayBuffer[]): Promise<void>
  /** Lets answers in that are there. */
  breathe(): Promise<void>
  end(): Promise<void>
}

/** What threads can do. */
export type ThreadWork = 'sections'

/** For each work what loads and begins it. */
export type Works = Readonly<Record<ThreadWork, () => Promise<BeginWork>>>

/** Task types are known to the two ends alone. */
export type BeginWork = (given: never) => (task: never) => void
