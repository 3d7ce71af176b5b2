import { BinderyError } from '../../../base/error.ts'
import { fileTarget, logTarget } from './targets.ts'
import type { Lease } from '../../../format/farm-work.ts'
import type { Wait } from '../../../port/ambient.ts'
import type { ByteSource } from '../../../port/source.ts'
import type { GoodAnswer, Link } from './link.ts'
import type { WholeFile } from './targets.ts'

/** Files on their way to the controller, piece by piece. What it says that it has counts, so that a sending goes on where one before was cut off. */

export type Sending = { readonly link: Link; readonly lease: Lease; readonly signal: AbortSignal }

/** Small enough to be held by both sides, and to be sent again. */
const pieceBytes = 4 << 20
const checkMs = 300_000
const mostTries = 3

export async function sendPackage(sending: Sending, whole: WholeFile, source: ByteSource): Promise<'sent' | 'lost'> {
  for (let tries = 1; ; tries++) {
    const end = await sendOnce(sending, whole, source)
    if (end.kind !== 'altered') return end.kind
    if (tries === mostTries) throw new BinderyError('bad-digest', `is refused by the controller: ${end.why}`, { subject: whole.file })
  }
}

type PackageEnd = { readonly kind: 'sent' } | { readonly kind: 'lost' } | { readonly kind: 'altered'; readonly why: string }

async function sendOnce({ link, lease, signal }: Sending, whole: WholeFile, source: ByteSource): Promise<PackageEnd> {
  for (let at = 0; ;) {
    const body = await source.read(at, Math.min(whole.size, at + pieceBytes))
    // The last piece has the controller look at all of it.
    const answer = await link.call({ target: fileTarget(lease.id, whole, at), body, signal, answerMs: checkMs })
    if (answer.kind === 'altered' || answer.kind === 'lost') return answer
    at = sizeIn(answer, { most: whole.size })
    if (at === whole.size) return { kind: 'sent' }
  }
}

/** What a build prints, while it grows. */
export type GrowingLog = {
  size(): number
  read(start: number, end: number): Promise<Uint8Array>
}

const logPieceBytes = 1 << 20
/** The pages look once a second. */
const logPauseMs = 1000

/** Sends what is there, and what comes until `ended`. It stands behind what the controller had before. */
export async function sendLog(sending: Sending, log: GrowingLog, ended: AbortSignal, wait: Wait): Promise<'sent' | 'lost'> {
  const { link, lease, signal } = sending
  for (let at = 0; ;) {
    const isLast = ended.aborted
    const size = log.size()
    if (at === size && isLast) return 'sent'
    if (at < size) {
      const body = await log.read(at, Math.min(size, at + logPieceBytes))
      const answer = await link.call({ target: logTarget(lease.id, lease.log + at), body, signal })
      if (answer.kind === 'lost') return 'lost'
      at = sizeIn(answer, { least: lease.log, most: lease.log + log.size() }) - lease.log
    } else await pause(wait, ended, signal)
  }
}

async function pause(wait: Wait, ended: AbortSignal, signal: AbortSignal): Promise<void> {
  await wait(logPauseMs, AbortSignal.any([ended, signal])).catch(() => signal.throwIfAborted())
}

function sizeIn(answer: GoodAnswer, { least = 0, most }: { readonly least?: number; readonly most: number }): number {
  if (answer.kind !== 'size') throw new BinderyError('bad-format', `the controller answers '${answer.kind}' to a piece of a file`)
  if (answer.size >= least && answer.size <= most) return answer.size
  throw new BinderyError('bad-format', `the controller has ${answer.size} bytes of a file, which is not what was sent`)
}
