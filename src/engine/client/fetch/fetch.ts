import { sha256Hasher } from '../../../base/digest.ts'
import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { applyDelta, readDeltaInfo } from '../../delta/apply.ts'
import { decompress } from '../../dist/wire.ts'
import { downloadBlob, streamBlob } from './download.ts'
import { blaming, isUnobtainable } from './fault.ts'
import { fetchManifest, manifestDeltasOf } from './manifest.ts'
import { nextBase } from './next-base.ts'
import { fetchObsolete, neededList } from './obsolete.ts'
import { newestOf, routeOf, targetsHere } from './offer.ts'
import { readOldContents } from './old-contents.ts'
import { openOldTar } from './old-tar.ts'
import { needTarget } from './releases.ts'
import { stateFilesOf } from './state-files.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Update } from '../../../format/update.ts'
import type { Route, RouteStep } from '../../update/route.ts'
import type { CachedBlob } from './download.ts'
import type { Fault, FaultFinder } from './fault.ts'
import type { Incoming } from '../incoming.ts'
import type { FetchedRoute } from './next-base.ts'
import type { KnownTargets, Offer } from './offer.ts'
import type { OldTar } from './old-tar.ts'
import type { Session } from './session.ts'

export type Used<T> = {
  readonly result: T
  /** Deltas and dists of the repository that did not make what they say: they were reported, and the status is 6. */
  readonly broken: readonly string[]
}

/**
 * Downloads what leads to the newest release and hands it to `use`; undefined when the installed release is the
 * newest. When a way turns out to be broken, also while `use` reads the tar, or no mirror has it as it is signed, this is said and the
 * next way is taken; so `use` may be called again, and must not have changed anything when the tar fails. Throws `no-way` at the
 * end, or why the last way could not be had.
 */
export async function withIncoming<T>(
  session: Session,
  offer: Offer,
  use: (incoming: Incoming) => Promise<T>,
): Promise<Used<T> | undefined> {
  const update = newestOf(offer)
  if (update === undefined) return undefined
  const broken = new Set<string>()
  let baseIsGood = true
  let last: Fault | undefined
  for (;;) {
    const finder: FaultFinder = { found: undefined }
    try {
      const known = { broken, here: await targetsHere(session, offer) }
      const incoming = await fetchIncoming(session, { offer, update, known, baseIsGood, finder })
      return { result: await use(incoming), broken: [...broken] }
    } catch (error) {
      // Why the last way was none tells more than that there is none.
      if (isBinderyError(error, 'no-way') && last?.kind === 'missing') throw last.error
      if (finder.found === undefined) throw error
      report(session, finder.found)
      last = finder.found
      if (finder.found.kind === 'base') baseIsGood = false
      else broken.add(finder.found.target)
    }
  }
}

function report(session: Session, fault: Fault): void {
  const subject = fault.error.subject === undefined ? '' : `${fault.error.subject}: `
  session.say(`${whatOf(fault)}: ${subject}${fault.error.message}; trying another way`)
}

function whatOf(fault: Fault): string {
  switch (fault.kind) {
    case 'target':
      return `${fault.target} is broken`
    case 'missing':
      return `${fault.target} cannot be had`
    case 'base':
      return 'the old release cannot be rebuilt'
  }
}

type Attempt = {
  readonly offer: Offer
  readonly update: Verified<Update>
  readonly known: KnownTargets
  readonly baseIsGood: boolean
  readonly finder: FaultFinder
}

async function fetchIncoming(session: Session, attempt: Attempt): Promise<Incoming> {
  const { offer, update } = attempt
  const old = await oldTarFor(session, attempt)
  const route = usableRoute(offer, routeOf(offer, old !== undefined, attempt.known))
  const meter = session.progress.start(`fetching ${formatDistName(update.value.release.name)}`, route.left)
  const avoidable = new Set([...targetsOf(route), ...manifestDeltasOf(route).map(({ target }) => target)])
  const fetchTarget = async (path: string): Promise<Verified<CachedBlob>> => {
    const target = await needTarget(offer.trust, path)
    return await downloadBlob(session, { urls: offer.enrolled.urls, meter }, target).catch((error: unknown) => {
      if (isUnobtainable(error) && avoidable.has(path)) attempt.finder.found ??= { kind: 'missing', target: path, error }
      throw error
    })
  }
  try {
    const wanted = { offer, update: update.value, route, finder: attempt.finder, fetchTarget }
    const { file: manifestFile, manifest, files: manifestFiles } = await fetchManifest(session, wanted)
    const needed = await neededList(session, offer, update.value)
    const obsolete = await fetchObsolete(session, needed, fetchTarget)
    const blobs: Verified<CachedBlob>[] = []
    for (const path of targetsOf(route)) blobs.push(await fetchTarget(path))
    const fetched = await openRoute(session, attempt, { route, blobs, old })
    const next = await nextBase(session, offer, update.value, fetched)
    const cached = [
      ...manifestFiles,
      ...obsolete.files,
      ...fetched.files,
      ...(next.kind === 'new' ? [next.file] : []),
      ...(old?.files.map(({ entry }) => entry) ?? []),
    ]
    return {
      channel: offer.enrolled.channel,
      installed: offer.installed,
      update,
      passed: offer.updates.slice(0, -1),
      manifest,
      tar: fetched.tar,
      oldContents: async (files) => await readOldContents(session, offer, files),
      obsolete: obsolete.list,
      stateFiles: await stateFilesOf(session, offer.installed, update.value, manifestFile, next),
      fetched: { route: route.kind, steps: route.kind === 'full' ? 0 : route.steps.length, bytes: route.bytes + (needed?.size ?? 0) },
      cached: [...offer.records, ...cached.map(({ sha256 }): Sha256 => sha256)],
    }
  } finally {
    meter.end()
  }
}

/** Only looked for when a delta would be worth it: with `--basis installed` this reads the tree. */
async function oldTarFor(session: Session, { offer, known, baseIsGood }: Attempt): Promise<OldTar | undefined> {
  const hoped = routeOf(offer, baseIsGood, known)
  if (hoped.kind !== 'deltas') return undefined
  const whole = routeOf(offer, false, known)
  return await openOldTar(session, offer, whole.kind === 'none' ? Infinity : whole.left - hoped.left)
}

type UsableRoute = Exclude<Route, { kind: 'none' }>

function usableRoute({ enrolled }: Offer, route: Route): UsableRoute {
  if (route.kind !== 'none') return route
  throw new BinderyError('no-way', 'the repository has no way to the newest release', { subject: formatChannel(enrolled.channel) })
}

function targetsOf(route: UsableRoute): readonly string[] {
  return route.kind === 'full' ? [route.way.target] : route.steps.map(({ delta }) => delta.target)
}

type Opened = { readonly route: UsableRoute; readonly blobs: readonly Verified<CachedBlob>[]; readonly old: OldTar | undefined }

async function openRoute(session: Session, { update, finder, offer }: Attempt, { route, blobs, old }: Opened): Promise<FetchedRoute> {
  const files = blobs.map(({ value }) => value)
  if (route.kind === 'full') {
    const [blob] = blobs as [Verified<CachedBlob>]
    const suspect = { kind: 'target', target: route.way.target } as const
    const { tar } = update.value.release
    return { route, files, tar: () => blaming(finder, suspect, checkTar(decompress(streamBlob(session, blob), tar.size), tar)) }
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
