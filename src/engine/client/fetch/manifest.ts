import { oneChunk } from '../../../base/bytes.ts'
import { readBlob } from './download.ts'
import { blamed } from './fault.ts'
import { maxManifestBytes, maxManifestFileBytes, readInstalledText, unpackManifest } from '../installed.ts'
import { keepPatched } from './patched.ts'
import type { Manifest } from '../../../base/entry.ts'
import type { Verified } from '../../../base/verified.ts'
import type { TargetRef, Update } from '../../../format/update.ts'
import type { Route } from '../../update/route.ts'
import type { CachedBlob } from './download.ts'
import type { FaultFinder } from './fault.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

export type ManifestWanted = {
  readonly offer: Offer
  readonly update: Update
  readonly route: Exclude<Route, { kind: 'none' }>
  readonly finder: FaultFinder
  readonly fetchTarget: (path: string) => Promise<Verified<CachedBlob>>
}

export type FetchedManifest = {
  /** Compressed: as it was downloaded, or here. */
  readonly file: Verified<CachedBlob>
  readonly manifest: Verified<Manifest>
  /** It, and what was downloaded to make it. */
  readonly files: readonly CachedBlob[]
}

/** The manifest of the next release, as the route says: by deltas from the installed one, or whole. */
export async function fetchManifest(session: Session, wanted: ManifestWanted): Promise<FetchedManifest> {
  const { route, update, fetchTarget } = wanted
  const deltas = manifestDeltasOf(route)
  if (deltas.length > 0) return await patchManifest(session, wanted, deltas)
  const file = await fetchTarget(update.manifest.target)
  return { file, manifest: await readBlob(session, file, maxManifestFileBytes, unpackManifest), files: [file.value] }
}

/** Empty when it comes whole. */
export function manifestDeltasOf(route: ManifestWanted['route']): readonly TargetRef[] {
  if (route.kind === 'full' || route.manifest === 'whole') return []
  return route.steps.map(({ delta }) => delta.manifest).filter((ref) => ref !== undefined)
}

async function patchManifest(session: Session, wanted: ManifestWanted, refs: readonly TargetRef[]): Promise<FetchedManifest> {
  const { offer, finder, fetchTarget } = wanted
  const text = await readInstalledText(session.disk, offer.enrolled.channel, offer.installed)
  const deltas: Verified<CachedBlob>[] = []
  for (const { target } of refs) deltas.push(await fetchTarget(target))
  const file = await keepPatched(session, { old: oneChunk(text), deltas, limit: maxManifestBytes, finder })
  try {
    const manifest = await readBlob(session, file, maxManifestFileBytes, unpackManifest)
    return { file, manifest, files: [file.value, ...deltas.map(({ value }) => value)] }
  } catch (error) {
    // A delta may well lead to something that is no manifest.
    throw blamed(finder, { kind: 'target', target: file.value.target }, error)
  }
}
