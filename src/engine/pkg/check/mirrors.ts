import { isBinderyError } from '../../../base/error.ts'
import { offerOf } from './offer.ts'
import { skewOf } from './skew.ts'
import type { BinderyError } from '../../../base/error.ts'
import type { FetchedPath } from './fetch-path.ts'
import type { Wanted } from './listing.ts'
import type { PathOffer } from './offer.ts'
import type { PackagePath } from './repository-url.ts'

/** The best of several mirrors, and what there is to say of the others. */
export type MirrorChoice = {
  readonly best: PathOffer
  readonly others: readonly PathOffer[]
  readonly failures: readonly { readonly path: PackagePath; readonly error: BinderyError }[]
}

/**
 * One whose index and packages belong together before one that is being synced; then the newest; then the first. Throws what the first one
 * fails with where all do.
 */
export async function chooseMirror(fetched: readonly FetchedPath[], wanted: Wanted): Promise<MirrorChoice> {
  const results = await Promise.all(fetched.map(async (path) => await tryPath(path, wanted)))
  const offers = results.flatMap((result) => ('offer' in result ? result.offer : []))
  const failures = results.flatMap((result) => ('error' in result ? result : []))
  const [best, ...others] = offers.toSorted((a, b) => Number(inStep(b)) - Number(inStep(a)) || b.mirrorDate.ms - a.mirrorDate.ms)
  if (best === undefined) throw (failures[0] as MirrorChoice['failures'][number]).error
  return { best, others, failures }
}

type Tried = { readonly offer: PathOffer } | { readonly path: PackagePath; readonly error: BinderyError }

async function tryPath(fetched: FetchedPath, wanted: Wanted): Promise<Tried> {
  try {
    return { offer: await offerOf(fetched, wanted) }
  } catch (error) {
    if (!isBinderyError(error) || error.code === 'stopped') throw error
    return { path: fetched.path, error }
  }
}

export function inStep({ indexDate, mirrorDate }: PathOffer): boolean {
  return indexDate === undefined || skewOf(indexDate, mirrorDate) === 'none'
}
