import { isBinderyError } from '../../../base/error.ts'
import type { BinderyError } from '../../../base/error.ts'
import type { FailedPort } from '../../../format/built.ts'
import type { EndCall, MadePackage } from '../../../format/farm-work.ts'
import type { Wait } from '../../../port/ambient.ts'

/** Work on one lease, on the controller or far from it: all the while its holder is heard, and whatever ends it leaves the build to somebody. */
export type Holding = {
  /** After so long without a beat the lease is another's. */
  readonly seconds: number
  readonly wait: Wait
  /** Goes on until there is an answer. */
  readonly beat: (signal: AbortSignal) => Promise<'held' | 'lost'>
  /** For somebody else to take. */
  readonly giveBack: (why: string, signal: AbortSignal) => Promise<void>
  /** Whoever builds is to stop. */
  readonly signal: AbortSignal
}

/** `trouble`: given back for what is wrong with this machine. */
export type WorkEnd =
  | { readonly kind: 'built'; readonly packages: number }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'released' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'trouble'; readonly error: BinderyError }

/** So that a machine with a full disk does not try all builds of a farm in a minute. */
export const troubleMs = 60_000

export async function whileHeld(holding: Holding, work: (signal: AbortSignal) => Promise<WorkEnd>): Promise<WorkEnd> {
  const lost = new AbortController()
  const over = new AbortController()
  const signal = AbortSignal.any([holding.signal, lost.signal])
  const beats = keepBeating(holding, lost, AbortSignal.any([signal, over.signal]))
  // Awaited at the end; a bug in it is told then.
  beats.catch(() => {})
  try {
    return await work(signal)
  } catch (error) {
    if (lost.signal.aborted) return { kind: 'lost' }
    if (holding.signal.aborted) {
      await giveBack(holding, 'the builder was stopped')
      return { kind: 'released' }
    }
    if (!isBinderyError(error)) throw error
    await giveBack(holding, troubleText(error))
    return { kind: 'trouble', error }
  } finally {
    over.abort()
    await beats
  }
}

/** Three of them until the lease would be lost. Aborts `lost` where it is lost already. */
async function keepBeating({ seconds, wait, beat }: Holding, lost: AbortController, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await wait((seconds * 1000) / 3, signal)
      if ((await beat(signal)) === 'lost') return lost.abort()
    }
  } catch (error) {
    // Without beats the lease ends, and whoever builds meets the same refusal.
    if (!signal.aborted && !isBinderyError(error)) throw error
  }
}

const giveBackMs = 5000

/** Also when all else was stopped; but nobody waits long for a controller or a database that is away. */
async function giveBack({ giveBack, wait }: Holding, why: string): Promise<void> {
  const limit = new AbortController()
  const over = new AbortController()
  const timer = wait(giveBackMs, over.signal).then(
    () => limit.abort(),
    () => {},
  )
  try {
    await giveBack(why, limit.signal)
  } catch {
    // It ends by itself when nobody beats for it.
  } finally {
    over.abort()
    await timer
  }
}

export type Made<P = MadePackage> = { readonly packages: readonly P[]; readonly failed: readonly FailedPort[] }

export type BuildEnd<P = MadePackage> =
  | { readonly kind: 'built'; readonly packages: readonly P[]; readonly log: number }
  | Extract<EndCall, { readonly kind: 'failed' }>

export type Building<P> = {
  readonly build: () => Promise<Made<P>>
  readonly logSize: () => number
  /** The end of the log. */
  readonly lastLines: () => Promise<readonly string[]>
}

/** A port that does not build is a result; a machine that cannot build is none. */
export async function builtOrFailed<P>({ build, logSize, lastLines }: Building<P>, signal: AbortSignal): Promise<BuildEnd<P>> {
  try {
    const { packages, failed } = await build()
    if (failed.length === 0) return { kind: 'built', packages, log: logSize() }
    return { kind: 'failed', why: reasonOf(failed), lines: failed.flatMap(({ lines }) => lines).slice(0, 100), log: logSize() }
  } catch (error) {
    if (signal.aborted || !(isBinderyError(error, 'command-failed') || isBinderyError(error, 'bad-format'))) throw error
    return { kind: 'failed', why: error.message, lines: await lastLines(), log: logSize() }
  }
}

const maxReason = 1000

function reasonOf(failed: readonly FailedPort[]): string {
  return shortened(failed.map(({ pkgpath, why }) => `${pkgpath}: ${why}`).join('; '))
}

export function troubleText({ subject, message }: BinderyError): string {
  return shortened(`${subject === undefined ? '' : `${subject}: `}${message}`)
}

function shortened(text: string): string {
  return text.length > maxReason ? `${text.slice(0, maxReason)}…` : text
}
