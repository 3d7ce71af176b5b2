import type { RelPath } from '../base/path.ts'

/** The bindery that runs, as something that an update may bring another one of. */
export type OwnProgram = {
  readonly version: string
  /** What would be another bindery if it changed, and all below it: below the root, by real paths; none where it does not run from there. */
  readonly paths: readonly RelPath[]
  /** Whether another one lies there now than the one that was started. */
  isOther(): boolean
  there(): Promise<ProgramThere>
  /** Becomes the one that lies there, which does the same again; undefined where that has happened once, or the runtime cannot. */
  readonly become: ((status: number) => Promise<never>) | undefined
  /** The exit status of what was done before, in a run that another bindery began. */
  readonly begunWith: number | undefined
}

/** What lies now where this one was started. `why`: with what it ends instead of telling its version. */
export type ProgramThere =
  | { readonly kind: 'starts'; readonly version: string }
  | { readonly kind: 'broken'; readonly why: string }
  | { readonly kind: 'gone' }
