import { closeStream } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { blobKey } from '../../repo/layout.ts'
import { discardPart, partPath, readPartOrigin, writePartOrigin } from './cache.ts'
import { checkerBehind } from './download-pieces.ts'
import { isMirrorFault } from './mirror-failures.ts'
import { validatorOf } from './mirrors.ts'
import { refusedBy, request } from './request.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { HttpResponse } from '../../../port/http.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { TargetInfo } from '../../repo/trust-types.ts'
import type { PieceChecker } from './download-pieces.ts'
import type { Session } from './session.ts'

/** One try to complete the part of a blob from one mirror. Nothing here is trusted: the digest is checked afterwards. */
export type Attempt = {
  /** The repository's or mirror's address. */
  readonly base: string
  readonly info: TargetInfo
  readonly meter: Meter
  /** When this mirror was first asked for it. */
  readonly since: number
  /** Whether the part that is there may go, where this mirror only has the whole: nobody else is left to be asked. */
  readonly mayRestart: boolean
}

export type Outcome =
  /** The part has its full length; `resumedAt` bytes of it were there before. */
  | { readonly kind: 'complete'; readonly resumedAt: number }
  /**
   * `reached`: how far the part goes now. `wouldRestart`: another mirror may go on where this one would begin anew. `wasBegun`: a bad piece
   * had begun before this try.
   */
  | {
      readonly kind: 'failed'
      readonly error: BinderyError
      readonly reached: number
      readonly wouldRestart?: boolean
      readonly wasBegun?: boolean
    }

export function blobUrl(base: string, info: TargetInfo): string {
  return base + blobKey(info.path, info.sha256).split('/').map(encodeURIComponent).join('/').replaceAll('%2B', '+')
}

export function wrongDigest(base: string, info: TargetInfo): BinderyError {
  return new BinderyError('bad-digest', 'does not have the digest that is signed', { subject: blobUrl(base, info) })
}

export async function attemptDownload(session: Session, attempt: Attempt): Promise<Outcome> {
  const have = await usablePart(session, attempt.info)
  if (have === attempt.info.length) return { kind: 'complete', resumedAt: have }
  try {
    const response = await ask(session, attempt, have)
    return await receive(session, attempt, response, have)
  } catch (error) {
    if (isMirrorFault(error)) return { kind: 'failed', error, reached: have }
    throw error
  }
}

/** How many bytes are there already; a part that is too long is nothing. */
async function usablePart({ disk }: Session, info: TargetInfo): Promise<number> {
  const stat = await disk.lstat(partPath(info.sha256))
  if (stat === undefined) return 0
  if (stat.kind === 'file' && stat.size <= info.length) return stat.size
  await discardPart(disk, info.sha256)
  return 0
}

async function ask(session: Session, { base, info, since }: Attempt, have: number): Promise<HttpResponse> {
  const url = blobUrl(base, info)
  if (have === 0) return await request(session, url, { since })
  const origin = await readPartOrigin(session.disk, info.sha256)
  // An entity tag means something only to the server that gave it; from another mirror the digest has to decide.
  const condition = origin?.url === url ? { 'if-range': origin.validator } : {}
  return await request(session, url, { headers: { range: `bytes=${have}-`, ...condition }, since })
}

async function receive(session: Session, attempt: Attempt, response: HttpResponse, have: number): Promise<Outcome> {
  const { disk } = session
  const { base, info } = attempt
  const url = blobUrl(base, info)
  const start = startOf(response, have, info.length)
  if (typeof start !== 'number') {
    await closeStream(response.body)
    const error = start === 'refused' ? refusedBy(response, url) : new BinderyError('network', start.fault, { subject: url })
    return { kind: 'failed', error, reached: have }
  }
  if (start === 0 && have > 0 && !attempt.mayRestart) {
    await closeStream(response.body)
    return { kind: 'failed', error: new BinderyError('network', 'would begin anew', { subject: url }), reached: have, wouldRestart: true }
  }
  if (start === 0) await startOver(session, attempt, response, url)
  const hasLength = response.headers['content-length'] !== undefined
  const checker = await checkerBehind(session, info, start)
  const watched = watch(session, attempt, response.body, { start, hasLength, checker })
  await disk.append(partPath(info.sha256), watched.stream)
  const { received, error, bad } = watched.result()
  if (bad !== undefined) await disk.truncate(partPath(info.sha256), bad)
  if (error !== undefined) return { kind: 'failed', error, reached: bad ?? start + received, wasBegun: bad !== undefined && bad < start }
  return { kind: 'complete', resumedAt: start }
}

/** Where the body begins in the file, or why it is of no use. */
function startOf(response: HttpResponse, have: number, length: number): number | 'refused' | { readonly fault: string } {
  const announced = response.headers['content-length']
  if (response.status === 200) {
    // A portal's page, an error page or another file: known before a byte of it is stored over what is there.
    if (response.headers['content-type']?.startsWith('text/html') === true) return { fault: 'answered with a page of HTML' }
    return announced === undefined || Number(announced) === length ? 0 : { fault: `has ${announced} bytes instead of ${length}` }
  }
  if (response.status !== 206) return 'refused'
  const place = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/.exec(response.headers['content-range'] ?? '')
  if (place === null || have === 0) return { fault: 'answered with a part that was not asked for' }
  const [, first, last, total] = place as unknown as [string, string, string, string]
  if (Number(first) !== have || Number(last) !== length - 1) return { fault: 'answered with another part than was asked for' }
  return total === '*' || Number(total) === length ? have : { fault: `has ${total} bytes instead of ${length}` }
}

/** The server ignores ranges, or has another version: what was there is worth nothing to it. */
async function startOver({ disk }: Session, { info }: Attempt, response: HttpResponse, url: string): Promise<void> {
  await discardPart(disk, info.sha256)
  const validator = validatorOf(response.headers)
  // A weak entity tag cannot be used with If-Range (RFC 9110, 13.1.5).
  if (validator !== undefined && !validator.value.startsWith('W/'))
    await writePartOrigin(disk, info.sha256, { url, validator: validator.value })
}

type Watched = { readonly stream: ByteStream; result(): Result }

/** `bad`: where a piece begins that is not as it is signed. */
type Result = { readonly received: number; readonly error: BinderyError | undefined; readonly bad: number | undefined }

type Place = { readonly start: number; readonly hasLength: boolean; readonly checker: PieceChecker | undefined }

/**
 * Lets at most the missing bytes pass, and no more behind a bad piece. A failure of the network ends the stream, so that what came is kept for the next
 * try; only the disk's own errors and a stop go through as errors.
 */
function watch(session: Session, attempt: Attempt, body: ByteStream, { start, hasLength, checker }: Place): Watched {
  let received = 0
  let bad: number | undefined
  let error: BinderyError | undefined
  const url = blobUrl(attempt.base, attempt.info)
  async function* stream(): ByteStream {
    try {
      for await (const chunk of body) {
        session.signal.throwIfAborted()
        const wanted = chunk.subarray(0, attempt.info.length - start - received)
        received += wanted.length
        attempt.meter.advance(wanted.length)
        yield wanted
        bad = checker?.update(wanted) ?? (start + received === attempt.info.length ? checker?.end() : undefined)
        if (bad !== undefined) throw wrongDigest(attempt.base, attempt.info)
        // Where no length was announced, the end may never be told.
        if (!hasLength && start + received === attempt.info.length && wanted.length === chunk.length) return
        if (wanted.length < chunk.length)
          throw new BinderyError('over-limit', `sends more than the ${attempt.info.length} bytes that are signed`, { subject: url })
      }
      if (start + received < attempt.info.length) throw new BinderyError('network', 'broken off', { subject: url })
    } catch (cause) {
      if (!isMirrorFault(cause)) throw cause
      error = cause
    }
  }
  return { stream: stream(), result: () => ({ received, error, bad }) }
}
