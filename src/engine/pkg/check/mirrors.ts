import { isBinderyError } from '../../../base/error.ts'
import { pathOffer } from './offer.ts'
import { skewOf } from './skew.ts'
import type { BinderyError } from '../../../base/error.ts'
import type { Offering, PathOffer } from './offer.ts'
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
export async function chooseMirror(offering: Offering, paths: readonly PackagePath[]): Promise<MirrorChoice> {
  const results = await Promise.all(paths.map(async (path) => await tryPath(offering, path)))
  const offers = results.flatMap((result) => ('offer' in result ? result.offer : []))
  const failures = results.flatMap((result) => ('error' in result ? result : []))
  const [best, ...others] = offers.toSorted((a, b) => Number(inStep(b)) - Number(inStep(a)) || b.mirrorDate.ms - a.mirrorDate.ms)
  if (best === undefined) throw (failures[0] as MirrorChoice['failures'][number]).error
  return { best, others, failures }
}

type Tried = { readonly offer: PathOffer } | { readonly path: PackagePath; readonly error: BinderyError }

async function tryPath(offering: Offering, path: PackagePath): Promise<Tried> {
  try {
    return { offer: await pathOffer(offering, path) }
  } catch (error) {
    if (!isBinderyError(error) || error.code === 'stopped') throw error
    return { path, error }
  }
}

export function inStep({ indexDate, mirrorDate }: PathOffer): boolean {
  return indexDate === undefined || skewOf(indexDate, mirrorDate) === 'none'
}
