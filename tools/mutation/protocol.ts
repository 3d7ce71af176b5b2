/** What `node-test-runner.ts` asks of a process of tests, and what comes back: one message each, as often as wanted. */
export type TestRequest = {
  /** Relative to the working directory. */
  readonly files: readonly string[]
  /** Names of tests in them that are not run. */
  readonly leaveOut: readonly string[]
  /** Ids of the only tests to be run, in this order; absent for all. */
  readonly only?: readonly string[]
  /** The id of the mutant that is switched on; absent in a dry run. */
  readonly mutant?: string
  /** It is reached while modules are loaded, too, so that it has to be on by then. */
  readonly whileLoading?: boolean
  /** So many times the mutant's code may be reached before it counts as endless. */
  readonly hitLimit?: number
}

export type TestReport = {
  readonly tests: readonly RunTest[]
  /** What its process has used until now, on a processor and with its children. */
  readonly milliseconds: number
  /** The first test that failed: nothing was run after it. */
  readonly failed?: { readonly id: string; readonly message: string }
  /** It passes without the mutant, in the same process. */
  readonly passesOtherwise?: boolean
  /** Which mutants' code was reached, by test: as Stryker's instrumenter counts it. */
  readonly coverage?: unknown
  /** The mutant's code was reached more often than `hitLimit`. */
  readonly endless: boolean
}

export type RunTest = {
  /** `FILE > NAME`, with the names of the suites around it. */
  readonly id: string
  readonly file: string
  /** On a processor, with its children. */
  readonly milliseconds: number
  /** Of its definition, from 0. */
  readonly line: number
  readonly column: number
}
