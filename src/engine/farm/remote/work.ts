import { BinderyError } from '../../../base/error.ts'
import { encodeBeat, encodeEnd } from '../../../format/farm-work.ts'
import { builtOrFailed, whileHeld } from '../build/lease-work.ts'
import { sendLog, sendPackage } from './send.ts'
import { beatTarget, endTarget } from './targets.ts'
import type { Lease } from '../../../format/farm-work.ts'
import type { Wait } from '../../../port/ambient.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { BuildEnd, Holding, Made, WorkEnd } from '../build/lease-work.ts'
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

export async function workOn(work: Work): Promise<WorkEnd> {
  if (await isLost(work)) return { kind: 'lost' }
  return await whileHeld(holdingOf(work), async (signal) => await buildAndSend(work, signal))
}

/** Asked first: who comes back after a night may find that others have built it. */
async function isLost(work: Work): Promise<boolean> {
  try {
    return (await beat(work, work.signal)) === 'lost'
  } catch (error) {
    if (!work.signal.aborted) throw error
    return false
  }
}

async function beat({ link, lease, load }: Work, signal: AbortSignal): Promise<'held' | 'lost'> {
  const answer = await link.call({ target: beatTarget(lease.id), body: encodeBeat({ load: load() }), signal })
  return answer.kind === 'lost' ? 'lost' : 'held'
}

function holdingOf(work: Work): Holding {
  const { lease, link, wait, signal } = work
  return {
    seconds: lease.seconds,
    wait,
    signal,
    beat: async (until) => await beat(work, until),
    giveBack: async (why, until) => {
      await link.call({ target: endTarget(lease.id), body: encodeEnd({ kind: 'released', why }), signal: until })
    },
  }
}

async function buildAndSend(work: Work, signal: AbortSignal): Promise<WorkEnd> {
  const { link, lease, log, wait, build, lastLines } = work
  const ended = new AbortController()
  const stopLog = new AbortController()
  const sendingLog = sendLog({ link, lease, signal: AbortSignal.any([signal, stopLog.signal]) }, log, ended.signal, wait)
  // Looked at below, where there is something to say of it.
  sendingLog.catch(() => {})
  try {
    const end = await builtOrFailed({ build: async () => await build(signal), logSize: () => lease.log + log.size(), lastLines }, signal)
    ended.abort()
    if ((await sendingLog) === 'lost') return { kind: 'lost' }
    return await sendAll(work, end, signal)
  } finally {
    stopLog.abort()
    await sendingLog.catch(() => {})
  }
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
