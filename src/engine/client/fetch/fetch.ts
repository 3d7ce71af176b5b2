import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { downloadBlob } from './download.ts'
import { isUnobtainable } from './fault.ts'
import { assembledRoute, fetchRoute, targetsOf } from './fetch-route.ts'
import { fetchManifest, manifestDeltasOf } from './manifest.ts'
import { nextBase } from './next-base.ts'
import { fetchObsolete, neededList } from './obsolete.ts'
import { newestOf, routeOf, targetsHere } from './offer.ts'
import { readOldContents } from './old-contents.ts'
import { openOldTar } from './old-tar.ts'
import { needTarget } from './releases.ts'
import { stateFilesOf } from './state-files.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Route } from '../../update/route.ts'
import type { CachedBlob } from './download.ts'
import type { Fault, FaultFinder } from './fault.ts'
import type { Attempt, UsableRoute } from './fetch-route.ts'
import type { Incoming } from '../incoming.ts'
import type { Offer } from './offer.ts'
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
  let [baseIsGood, mayAssemble] = [true, true]
  let last: Fault | undefined
  for (;;) {
    const finder: FaultFinder = { found: undefined }
    try {
      const known = { broken, here: await targetsHere(session, offer) }
      const incoming = await fetchIncoming(session, { offer, update, known, baseIsGood, mayAssemble, finder })
      return { result: await use(incoming), broken: [...broken] }
    } catch (error) {
      // Why the last way was none tells more than that there is none.
      if (isBinderyError(error, 'no-way') && last?.kind === 'missing') throw last.error
      if (finder.found === undefined) throw error
      report(session, finder.found)
      last = finder.found
      if (finder.found.kind === 'base') baseIsGood = false
      else if (finder.found.kind === 'assembled') mayAssemble = false
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
    case 'assembled':
      return 'files changed meanwhile'
  }
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
    const assembled = await assembledRoute(session, attempt, { route, manifest: manifest.value, meter })
    const fetched = assembled?.fetched ?? (await fetchRoute(session, attempt, { route, old, fetchTarget }))
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
      fetched: accountOf(route, assembled, needed?.size ?? 0),
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

function usableRoute({ enrolled }: Offer, route: Route): UsableRoute {
  if (route.kind !== 'none') return route
  throw new BinderyError('no-way', 'the repository has no way to the newest release', { subject: formatChannel(enrolled.channel) })
}

function accountOf(route: UsableRoute, assembled: { readonly bytes: number } | undefined, listSize: number): Incoming['fetched'] {
  if (route.kind === 'deltas') return { route: 'deltas', steps: route.steps.length, bytes: route.bytes + listSize }
  if (assembled === undefined) return { route: 'full', steps: 0, bytes: route.bytes + listSize }
  return { route: 'assembled', steps: 0, bytes: route.bytes - route.way.size + assembled.bytes + listSize }
}
