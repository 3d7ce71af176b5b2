import type { Commit, SourceChange } from '../base/source-change.ts'

/** A source tree under version control, between two of its states (tags, branches, commits). */
export type SourceControl = {
  /**
   * Paths are relative to the tree. Throws `not-found` for a tag that does not exist, `command-failed` with what the program
   * said where it ends otherwise: half a list is no list.
   */
  changes(from: string, to: string): Promise<readonly SourceChange[]>
  /** Why they changed, newest first where the version control keeps an order. */
  commits(from: string, to: string): Promise<readonly Commit[]>
  /** What `name` means now, by a name that goes on meaning it where there is one. */
  pinned(name: string): Promise<string>
}
