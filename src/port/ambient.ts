/** The small ports: time, chance, and telling a person how far a long job is. */

/** Milliseconds since the epoch. */
export type Clock = { now(): number }

export type Random = { bytes(count: number): Uint8Array }

/** Silent unless stderr is a terminal. `total` is undefined where the end is not known. Bytes are counted, or what `unit` names. */
export type Progress = {
  start(label: string, total: number | undefined, unit?: string): Meter
}

export type Meter = { advance(by: number): void; end(): void }

/** Asks a person on the terminal, who sees the answer; undefined where it ends before a line of it. */
export type Ask = (question: string) => Promise<string | undefined>

/** Asks a person for a passphrase on the terminal; `usage` with a hint where there is none. */
export type AskPassphrase = (prompt: string) => Promise<string>

/** Resolves after so long; rejects with the signal's reason when it is aborted before. */
export type Wait = (milliseconds: number, signal: AbortSignal) => Promise<void>
