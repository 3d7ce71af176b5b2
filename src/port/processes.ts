import type { RelPath } from '../base/path.ts'

/** The processes of this machine. */
export type Processes = {
  /** Those that run or have mapped one of `files`, as far as they can be seen. */
  usersOf(files: readonly ReplacedFile[]): Promise<StaleReport>
}

/** A file that was replaced or removed below the root; `inode` is that of the file that went, where it is known. */
export type ReplacedFile = { readonly path: RelPath; readonly inode: bigint | undefined }

export type StaleProcess = { readonly pid: number; readonly program: string; readonly files: readonly RelPath[] }

export type StaleReport = {
  /** By process id. */
  readonly processes: readonly StaleProcess[]
  /** What could not be looked at: one line, for instance that others' processes need root. */
  readonly unseen?: string
}
