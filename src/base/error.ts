/**
 * The one error class. Everything that a user can meet is a BinderyError with a code of the closed list below;
 * anything else that reaches main is a bug and is shown with its stack. main.ts alone turns an error into text
 * and an exit status.
 */

/** Code -> exit status (bindery(1), EXIT STATUS). Tests assert codes, never texts. */
export const exitStatusOf = {
  // 1: failed, and nothing was changed
  'not-found': 1,
  exists: 1,
  io: 1,
  'no-space': 1,
  'read-only': 1,
  permission: 1,
  'not-supported': 1,
  network: 1,
  'too-slow': 1,
  incomplete: 1,
  'not-enrolled': 1,
  'no-way': 1,
  conflict: 1,
  'unmet-need': 1,
  'wrong-type': 1,
  stopped: 1,
  'command-failed': 1,
  // 2: usage
  usage: 2,
  // 3: refused
  'bad-format': 3,
  'bad-digest': 3,
  'bad-signature': 3,
  'under-threshold': 3,
  'bad-passphrase': 3,
  'wrong-base': 3,
  'wrong-key': 3,
  expired: 3,
  downgrade: 3,
  'fast-forward': 3,
  'mix-and-match': 3,
  'over-limit': 3,
  hostile: 3,
  // 4: interrupted with a journal left
  interrupted: 4,
  // 5: locked
  locked: 5,
} as const

export type ErrorCode = keyof typeof exitStatusOf

/** Extra facts of an error: what it happened to, what to do about it, and what caused it. */
export type ErrorFacts = {
  /** The file, URL or role that the error is about; printed before the message. */
  readonly subject?: string | undefined
  /** One sentence that says what to do; printed on a line of its own. */
  readonly hint?: string | undefined
  readonly cause?: unknown
}

export class BinderyError extends Error {
  override readonly name = 'BinderyError'
  readonly code: ErrorCode
  readonly subject: string | undefined
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.subject = facts.subject
    this.hint = facts.hint
  }
}

export function isBinderyError(error: unknown, code?: ErrorCode): error is BinderyError {
  return error instanceof BinderyError && (code === undefined || error.code === code)
}

/** The same failure, told of what the user knows it by; what is no failure of ours stays as it is. */
export function toldOf(error: unknown, subject: string, hint?: string): unknown {
  if (!(error instanceof BinderyError)) return error
  return new BinderyError(error.code, error.message, { subject, hint: hint ?? error.hint, cause: error })
}

/** What came of work whose failure ends nothing: undefined where all went well. A bug stays one. */
export async function failureIn(work: () => Promise<void>): Promise<BinderyError | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    return error
  }
}

/** The reader of our output went away (`bindery list | head -1`). */
export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}

/** For `default:` arms of exhaustive switches: a new variant becomes a type error here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
