import { isBinderyError } from '../../../base/error.ts'
import { showText } from '../../../base/show-text.ts'
import { parseSignedDate } from './skew.ts'
import { unsettled } from './settled.ts'
import type { Candidate, Catalog } from './candidate.ts'
import type { FetchedDirectory, FetchedPath } from './fetch-path.ts'
import type { Listing, Wanted } from './listing.ts'
import type { PackagePath } from './repository-url.ts'
import type { SignedDate } from './skew.ts'

/** What one path offers, and whether index and packages belong together. */
export type PathOffer = {
  readonly path: PackagePath
  readonly catalog: Catalog
  /** One line each: entries of an index that are broken, directories that failed while another one did not. */
  readonly problems: readonly string[]
  /** Undefined where the index is the one of the quirks package itself. */
  readonly indexDate: SignedDate | undefined
  readonly mirrorDate: SignedDate
  /** Which index there was of each directory. */
  readonly sources: readonly string[]
}

type Listed = { readonly directory: FetchedDirectory; readonly listing: Listing }

/** Throws obsdpkgup's words where there is no index, and where the mirror's date is not to be had. */
export async function offerOf({ path, directories }: FetchedPath, wanted: Wanted): Promise<PathOffer> {
  const listed: Listed[] = []
  const failures: unknown[] = []
  for (const fetched of directories) {
    try {
      const directory = unsettled(fetched)
      listed.push({ directory, listing: await directory.list(wanted) })
    } catch (error) {
      // Without the first directory the others are no answer, unless it is not there at all.
      if (listed.length === 0 && !isAbsent(error)) throw error
      failures.push(error)
    }
  }
  const [first] = listed
  if (first === undefined) throw failures[0]
  const { quirksDate } = first.listing
  return {
    path,
    catalog: listed.map(({ listing }) => byStem(listing.candidates)),
    problems: [...listed.flatMap(brokenLines), ...failures.filter((error) => !isAbsent(error)).map(lineOf)],
    indexDate: quirksDate === undefined ? undefined : parseSignedDate(quirksDate, 'pkgUp'),
    mirrorDate: parseSignedDate(unsettled(first.directory.quirks).date, 'mirror'),
    sources: listed.map(({ directory }) => directory.source),
  }
}

/** A directory that is not there, or has no index, is none: the release has been there before the first stable package is. */
function isAbsent(error: unknown): boolean {
  return isBinderyError(error, 'not-found')
}

function brokenLines({ listing, directory }: Listed): readonly string[] {
  return listing.broken.map((file) => `${directory.source}: the entry of ${showText(file.slice(0, 128))} is broken`)
}

function lineOf(error: unknown): string {
  if (!isBinderyError(error)) throw error
  return error.subject === undefined ? error.message : `${error.subject}: ${error.message}`
}

function byStem(candidates: readonly Candidate[]): ReadonlyMap<string, readonly Candidate[]> {
  const stems = new Map<string, Candidate[]>()
  for (const candidate of candidates) {
    const same = stems.get(candidate.stem)
    if (same === undefined) stems.set(candidate.stem, [candidate])
    else same.push(candidate)
  }
  return stems
}
