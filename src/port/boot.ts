/** Which start of the machine this is. */
export type Boot = {
  /**
   * A word of `[A-Za-z0-9._:-]` that stays the same until the machine starts again, and is another one then. Undefined where the
   * system does not tell.
   */
  id(): Promise<string | undefined>
  /** The same for the root that is worked on: undefined where another system runs than that of the root, whose next start nobody here sees. */
  ofRoot(): Promise<string | undefined>
}
