/**
 * One running verb per root. `take` fails with `locked` (naming the verb and process that hold it) when another live
 * process has it; what a dead process left is swept away.
 */
export type Locker = {
  take(verb: string): Promise<Lock>
}

export type Lock = { release(): Promise<void> }
