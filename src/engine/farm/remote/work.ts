import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { encodeBeat, encodeEnd } from '../../../format/farm-work.ts'
import { sendLog, sendPackage } from './send.ts'
import { beatTarget, endTarget } from './targets.ts'
import type { FailedPort } from '../../../format/built.ts'
import type { EndCall, Lease, MadePackage } from '../../../format/farm-work.ts'
import type { Wait } from '../../../port/ambient.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { Link } from './link.ts'
import type { GrowingLog } from './send.ts'

/** One lease on a builder: built, sent, told; all the while its controller hears that somebody works on it. */
export type Work = {
  readonly lease: Lease
  readonly link: Link
  readonly wait: Wait
  readonly build: (signal: AbortSignal) => Promise<Made>
  readonly log: GrowingLog
  readonly openPackage: (file: string) => Promise<ByteSource & { close(): Promise<void> }>
  /** The end of the log. */
  readonly lastLines: () => Promise<readonly string[]>
  readonly load: () => number
  /** The builder is to stop. */
  readonly signal: AbortSignal
}

export type Made = { readonly packages: readonly MadePackage[]; readonly failed: readonly FailedPort[] }

/** `trouble`: given back for what is wrong with this machine. */
export type WorkEnd =
  | { readonly kind: 'built'; readonly packages: number }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'released' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'trouble'; readonly error: BinderyError }

export async function workOn(work: Work): Promise<WorkEnd> {
  if (await isLost(work)) return { kind: 'lost' }
  const lost = new AbortController()
  const over = new AbortController()
  const signal = AbortSignal.any([work.signal, lost.signal])
  const beats = keepBeating(work, lost, AbortSignal.any([signal, over.signal]))
  // Awaited at the end; a bug in it is told then.
  beats.catch(() => {})
  try {
    return await buildAndSend(work, signal)
  } catch (error) {
    if (lost.signal.aborted) return { kind: 'lost' }
    if (!work.signal.aborted && !isBinderyError(error)) throw error
    await giveBack(work, work.signal.aborted ? 'the builder was stopped' : (error as BinderyError).message)
    return work.signal.aborted ? { kind: 'released' } : { kind: 'trouble', error: error as BinderyError }
  } finally {
    over.abort()
    await beats
  }
}

/** Asked first: who comes back after a night may find that others have built it. */
async function isLost({ link, lease, load, signal }: Work): Promise<boolean> {
  try {
    const answer = await link.call({ target: beatTarget(lease.id), body: encodeBeat({ load: load() }), signal })
    return answer.kind === 'lost'
  } catch (error) {
    if (!signal.aborted) throw error
    return false
  }
}

/** Three of them until the lease would be lost. Aborts `lost` where it is lost already. */
async function keepBeating({ link, lease, load, wait }: Work, lost: AbortController, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await wait((lease.seconds * 1000) / 3, signal)
      const answer = await link.call({ target: beatTarget(lease.id), body: encodeBeat({ load: load() }), signal })
      if (answer.kind === 'lost') return lost.abort()
    }
  } catch (error) {
    // Without beats the lease ends, and whoever builds meets the same refusal.
    if (!signal.aborted && !isBinderyError(error)) throw error
  }
}

async function buildAndSend(work: Work, signal: AbortSignal): Promise<WorkEnd> {
  const { link, lease, log, wait } = work
  const ended = new AbortController()
  const stopLog = new AbortController()
  const sendingLog = sendLog({ link, lease, signal: AbortSignal.any([signal, stopLog.signal]) }, log, ended.signal, wait)
  // Looked at below, where there is something to say of it.
  sendingLog.catch(() => {})
  try {
    const end = await builtOrFailed(work, signal)
    ended.abort()
    if ((await sendingLog) === 'lost') return { kind: 'lost' }
    return await sendAll(work, end, signal)
  } finally {
    stopLog.abort()
    await sendingLog.catch(() => {})
  }
}

type BuildEnd = Exclude<EndCall, { readonly kind: 'released' }>

/** A port that does not build is a result; a machine that cannot build is none. */
async function builtOrFailed(work: Work, signal: AbortSignal): Promise<BuildEnd> {
  try {
    const { packages, failed } = await work.build(signal)
    if (failed.length === 0) return { kind: 'built', packages, log: logSize(work) }
    return { kind: 'failed', why: reasonOf(failed), lines: failed.flatMap(({ lines }) => lines).slice(0, 100), log: logSize(work) }
  } catch (error) {
    if (signal.aborted || !(isBinderyError(error, 'command-failed') || isBinderyError(error, 'bad-format'))) throw error
    return { kind: 'failed', why: error.message, lines: await work.lastLines(), log: logSize(work) }
  }
}

function logSize({ lease, log }: Work): number {
  return lease.log + log.size()
}

const maxReason = 1000

function reasonOf(failed: readonly FailedPort[]): string {
  const text = failed.map(({ pkgpath, why }) => `${pkgpath}: ${why}`).join('; ')
  return text.length > maxReason ? `${text.slice(0, maxReason)}…` : text
}

async function sendAll(work: Work, end: BuildEnd, signal: AbortSignal): Promise<WorkEnd> {
  const { link, lease, openPackage } = work
  for (const one of end.kind === 'built' ? end.packages : []) {
    const source = await openPackage(one.file)
    try {
      if ((await sendPackage({ link, lease, signal }, one, source)) === 'lost') return { kind: 'lost' }
    } finally {
      await source.close()
    }
  }
  return await tellEnd(work, end, signal)
}

/** It looks at every package for itself. */
const acceptMs = 600_000

async function tellEnd(work: Work, end: BuildEnd, signal: AbortSignal): Promise<WorkEnd> {
  const { link, lease } = work
  const answer = await link.call({ target: endTarget(lease.id), body: encodeEnd(end), signal, answerMs: acceptMs })
  if (answer.kind === 'lost') return { kind: 'lost' }
  if (answer.kind === 'altered' && end.kind === 'built')
    return await tellEnd(work, { kind: 'failed', why: answer.why, lines: [], log: end.log }, signal)
  if (answer.kind !== 'held') throw new BinderyError('bad-format', `the controller answers '${answer.kind}' to the end of a build`)
  return end.kind === 'built' ? { kind: 'built', packages: end.packages.length } : { kind: 'failed', why: end.why }
}

const giveBackMs = 5000

/** Also when all else was stopped; but nobody waits long for a controller that is away. */
async function giveBack({ link, lease, wait }: Work, why: string): Promise<void> {
  const limit = new AbortController()
  const over = new AbortController()
  const timer = wait(giveBackMs, over.signal).then(
    () => limit.abort(),
    () => {},
  )
  try {
    await link.call({ target: endTarget(lease.id), body: encodeEnd({ kind: 'released', why }), signal: limit.signal })
  } catch {
    // It ends by itself when nobody beats for it.
  } finally {
    over.abort()
    await timer
  }
}
