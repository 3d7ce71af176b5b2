/** Runs a program without a shell; stdout and stderr are collected (at most 64 MiB each). */
export type Exec = {
  run(program: string, args: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /** Whether a program of that name can be run. */
  has(program: string): Promise<boolean>
}

export type ExecOptions = {
  readonly cwd?: string
  readonly input?: Uint8Array
  readonly env?: Readonly<Record<string, string>>
  /** Ctrl-C is for us, and we decide what it stops: the program does not get it from the terminal. It ends when we do. */
  readonly apart?: boolean
}

/** `status` is 128 and more where a signal ended it. */
export type ExecResult = { readonly status: number; readonly stdout: Uint8Array; readonly stderr: Uint8Array }
