import type { RelPath } from '../base/path.ts'
import type { DiskReader } from './disk.ts'

/**
 * A place in which commands take a tree for their world (or install into a copy of it), and in which what they changed
 * can be found afterwards. The contract, checked by test/conformance/sandbox.ts against every implementation:
 *
 * - `run` ends when nothing of what it started runs any more, daemons included, whether it ended by itself, by its time
 *   limit or by the signal. On Linux the same holds when bindery itself is killed.
 * - Commands have a fixed world: environment, host name, time zone and umask are the same on every machine, stdin is
 *   empty, there is no network unless it was asked for.
 * - After `close`, after a failed `open`, and after the death of bindery, no mount and no scratch file is left.
 */
export type Sandboxes = {
  /**
   * `not-supported` with the reason where this system, or this root, cannot have a sandbox of the kind; that is found out
   * before anything is changed. `root` is a path of the system.
   */
  open(kind: SandboxKind, root: string, options: SandboxOptions): Promise<Sandbox>
}

/**
 * `overlay`: the tree is only read, changes go elsewhere. `snapshot`: commands change the tree itself. `destdir`: commands
 * run outside, and install into a copy of the tree that `$DESTDIR` names.
 */
export type SandboxKind = 'overlay' | 'snapshot' | 'destdir'

export type SandboxOptions = {
  /** A folder of the system for what is changed (overlay) or for the copy (destdir); the default is the adapter's to choose. */
  readonly scratch?: string
}

export type Sandbox = {
  readonly kind: SandboxKind
  /** The tree as it was; the same as `after` where commands change it in place, so that it must be read before `run`. */
  readonly before: DiskReader
  /** The tree as the commands have left it. Good until `close`. */
  readonly after: DiskReader
  /** Paths that `before` and `after` show, with all that is below, and that are no part of the tree: what the kernel mounts. */
  readonly outside: readonly RelPath[]
  /** What this system cannot keep of the promises above, or of the tree; a line each, for people. */
  readonly remarks: readonly string[]
  /** May be called again: the next command finds what the one before has left. */
  run(job: SandboxJob): Promise<SandboxResult>
  /**
   * Every path that may differ between `before` and `after` in anything, names of the same inode included, in no
   * particular order; undefined where only comparing everything can tell. `conflict` where the tree below was changed by
   * others meanwhile, as far as can be seen.
   */
  touched(): Promise<readonly RelPath[] | undefined>
  /** May be called again, and while a command runs, which it ends. */
  close(): Promise<void>
}

export type SandboxJob = {
  /** A program and its arguments, looked up in the fixed PATH (inside the tree, but for destdir). */
  readonly command: readonly string[]
  /** Where it starts: inside the tree (`/` by default); for destdir the current directory, unless given. */
  readonly folder?: string
  /** Added to the fixed environment. */
  readonly env?: Readonly<Record<string, string>>
  /** What it reads on stdin; nothing by default. */
  readonly input?: Uint8Array
  readonly network: boolean
  readonly timeLimitMs?: number
  /**
   * Lets it see the clock this much ahead, as far as the system can: programs that ask the kernel themselves (static ones,
   * those of Go) see the true time, and where there is no way at all, all do. A program that was asked tells.
   */
  readonly clockAheadSeconds?: number
  /** Its stdout and stderr, as they come. */
  readonly output: (bytes: Uint8Array) => void
  readonly signal: AbortSignal
}

/** `status` is 128 and more where a signal ended it. A job that the signal stopped throws the signal's reason instead. */
export type SandboxResult = { readonly kind: 'ended'; readonly status: number } | { readonly kind: 'out of time' }

/** The environment of every job (environ(7)); DESTDIR is added for a sandbox of that kind. */
export const fixedEnvironment: Readonly<Record<string, string>> = {
  HOME: '/root',
  LANG: 'C',
  LC_ALL: 'C',
  LOGNAME: 'root',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/X11R6/bin',
  SHELL: '/bin/sh',
  TERM: 'dumb',
  TZ: 'UTC',
  USER: 'root',
}

/** Of every job where the system can give it one of its own. */
export const fixedHostName = 'bindery'

export const fixedUmask = 0o022
