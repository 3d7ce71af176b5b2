import type { RelPath } from '../base/path.ts'

/**
 * Runs the post-steps of an update in the root that was updated. The contract:
 *
 * - `run` ends when the step itself does. What it leaves running goes on, a service for instance, and is not waited for,
 *   whatever it holds open.
 * - A step that is ended (out of time, too much output, the signal) is ended with everything in its process group; so it is when
 *   bindery is killed, so that no step ever runs twice at a time.
 * - It sees the environment of the job, an empty stdin, the umask 022, and starts in the root.
 */
export type StepRunner = { run(job: StepJob): Promise<StepEnd> }

export type StepJob = {
  /** What the log calls it. */
  readonly title: string
  /** For the `/bin/sh -c` of the root. */
  readonly text: string
  readonly env: Readonly<Record<string, string>>
  readonly seconds: number
  /**
   * Where its output is added, below the root; made with mode 0600 where it is not there, emptied where it is larger than `maxLog`.
   * Undefined where nothing can be written yet: then it is kept nowhere.
   */
  readonly log: RelPath | undefined
  readonly signal: AbortSignal
}

export type StepEnd =
  | { readonly kind: 'ended'; readonly status: number; readonly lastLine: string }
  | { readonly kind: 'out of time' | 'too much output' | 'stopped' }

/** Of one step. */
export const maxStepOutput = 16 << 20
/** Before another step adds to it. */
export const maxLog = 64 << 20
