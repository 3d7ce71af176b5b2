import { sha256Hasher } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { applyDelta, readDeltaInfo } from '../../delta/apply.ts'
import { decompress } from '../../dist/wire.ts'
import { assemble } from './assemble.ts'
import { streamBlob } from './download.ts'
import { blaming } from './fault.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Manifest } from '../../../base/entry.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Update } from '../../../format/update.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { Route, RouteStep } from '../../update/route.ts'
import type { CachedBlob } from './download.ts'
import type { FaultFinder } from './fault.ts'
import type { FetchedRoute } from './next-base.ts'
import type { KnownTargets, Offer } from './offer.ts'
import type { OldTar } from './old-tar.ts'
import type { Session } from './session.ts'

/** How a way becomes the tar of the next release. */

export type Attempt = {
  readonly offer: Offer
  readonly update: Verified<Update>
  readonly known: KnownTargets
  readonly baseIsGood: boolean
  readonly mayAssemble: boolean
  readonly finder: FaultFinder
}

export type UsableRoute = Exclude<Route, { kind: 'none' }>

export function targetsOf(route: UsableRoute): readonly string[] {
  return route.kind === 'full' ? [route.way.target] : route.steps.map(({ delta }) => delta.target)
}

type Routing = {
  readonly route: UsableRoute
  readonly old: OldTar | undefined
  readonly fetchTarget: (path: string) => Promise<Verified<CachedBlob>>
}

export async function fetchRoute(session: Session, attempt: Attempt, { route, old, fetchTarget }: Routing): Promise<FetchedRoute> {
  const blobs: Verified<CachedBlob>[] = []
  for (const path of targetsOf(route)) blobs.push(await fetchTarget(path))
  return await openRoute(session, attempt, { route, blobs, old })
}

type Opened = { readonly route: UsableRoute; readonly blobs: readonly Verified<CachedBlob>[]; readonly old: OldTar | undefined }

async function openRoute(session: Session, { update, finder, offer }: Attempt, { route, blobs, old }: Opened): Promise<FetchedRoute> {
  const files = blobs.map(({ value }) => value)
  if (route.kind === 'full') {
    const [blob] = blobs as [Verified<CachedBlob>]
    const suspect = { kind: 'target', target: route.way.target } as const
    const { tar } = update.value.release
    return {
      route,
      files,
      dist: blob.value,
      tar: () => blaming(finder, suspect, checkTar(decompress(streamBlob(session, blob), tar.size), tar)),
    }
  }
  let from = offer.installed.tar.sha256
  for (const [i, step] of route.steps.entries()) {
    await checkDelta(session, finder, step, blobs[i] as Verified<CachedBlob>, from)
    from = step.update.release.tar.sha256
  }
  return { route, files, tar: () => chainOf(session, finder, route.steps, blobs, (old as OldTar).open()) }
}

function chainOf(
  session: Session,
  finder: FaultFinder,
  steps: readonly RouteStep[],
  blobs: readonly Verified<CachedBlob>[],
  old: ByteStream,
): ByteStream {
  let tar = blaming(finder, { kind: 'base' }, old)
  for (const [i, { delta }] of steps.entries()) {
    tar = blaming(finder, { kind: 'target', target: delta.target }, applyDelta(streamBlob(session, blobs[i] as Verified<CachedBlob>), tar))
  }
  return tar
}

/** A delta proves its result by the digest in its own header: that must be the one of the signed record. */
async function checkDelta(session: Session, finder: FaultFinder, step: RouteStep, blob: Verified<CachedBlob>, from: Sha256): Promise<void> {
  const info = await readDeltaInfo(streamBlob(session, blob))
  const { tar } = step.update.release
  if (info.old.sha256 === from && info.new.sha256 === tar.sha256 && info.new.size === tar.size) return
  const error = new BinderyError('bad-digest', 'does not lead from and to the releases that its record says', {
    subject: step.delta.target,
  })
  finder.found = { kind: 'target', target: step.delta.target, error }
  throw error
}

/** Passes a tar on; at its end it has the size and digest of the signed record, or fails. */
export async function* checkTar(tar: ByteStream, { sha256, size }: Update['release']['tar']): ByteStream {
  const hasher = sha256Hasher()
  let length = 0
  for await (const bytes of tar) {
    hasher.update(bytes)
    length += bytes.length
    yield bytes
  }
  if (length !== size || hasher.digest() !== sha256)
    throw new BinderyError('bad-digest', 'does not unpack to the release that its record says')
}

type Assembly = { readonly route: UsableRoute; readonly manifest: Manifest; readonly meter: Meter }

/** Instead of a whole release; undefined where that is taken. */
export async function assembledRoute(
  session: Session,
  attempt: Attempt,
  { route, manifest, meter }: Assembly,
): Promise<{ readonly fetched: FetchedRoute; readonly bytes: number } | undefined> {
  if (route.kind !== 'full' || !attempt.mayAssemble) return undefined
  const { offer, known, finder } = attempt
  const budget = Math.max(0, route.way.size - (known.here.get(route.way.target) ?? 0))
  const place = { urls: offer.enrolled.urls, meter }
  const assembled = await assemble(session, { offer, update: attempt.update.value, manifest, place, budget })
  if (assembled === undefined) return undefined
  const { files, bytes } = assembled
  const tar = (): ByteStream => blaming(finder, { kind: 'assembled' }, checkTar(assembled.tar(), route.update.release.tar))
  return { fetched: { route, files, tar }, bytes }
}
