import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { showText } from '../../../base/show-text.ts'
import { fetchPkgupIndex } from './pkgup-source.ts'
import { fetchUpdateDb, findQuirks, quirksDate } from './quirks.ts'
import { parseSignedDate } from './skew.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { OpenbsdSystem } from '../../../port/openbsd-system.ts'
import type { Candidate, Catalog } from './candidate.ts'
import type { Fetching } from './fetch-page.ts'
import type { Listing, Missing, Wanted } from './listing.ts'
import type { QuirksFile } from './quirks.ts'
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

export type Offering = Fetching & {
  readonly system: Pick<OpenbsdSystem, 'signifyKey'>
  readonly wanted: Wanted
  /** Only an index that is signed by it will do. */
  readonly key: SignifyPublicKey | undefined
  readonly now: number
  /** Where the index is, when it is not beside the packages. */
  readonly separateIndex: string | undefined
}

/** Throws obsdpkgup's words where there is no index, and where the mirror's date is not to be had. */
export async function pathOffer(offering: Offering, path: PackagePath): Promise<PathOffer> {
  const directories = offering.separateIndex === undefined ? path : path.slice(0, 1)
  const found = await Promise.all(directories.map(async (directory) => await settled(directoryOffer(offering, directory))))
  const present = found.flatMap((one) => (one.isFine ? one.value : []))
  const failures = found.flatMap((one) => (one.isFine ? [] : one.error))
  const [first] = present
  if (first === undefined || found[0]?.isFine === false)
    for (const error of failures) if (first === undefined || !isAbsent(error)) throw error
  const { listing, quirks } = first as DirectoryOffer
  return {
    path,
    catalog: present.map((one) => byStem(one.listing.candidates)),
    problems: [...present.flatMap(brokenLines), ...failures.filter((error) => !isAbsent(error)).map(lineOf)],
    indexDate: listing.quirksDate === undefined ? undefined : parseSignedDate(listing.quirksDate, 'pkgUp'),
    mirrorDate: parseSignedDate((await unsettled(quirks)).date, 'mirror'),
    sources: present.map(({ source }) => source),
  }
}

/** A directory that is not there, or has no index, is none: the release has been there before the first stable package is. */
function isAbsent(error: unknown): boolean {
  return isBinderyError(error, 'not-found')
}

function brokenLines({ listing, source }: DirectoryOffer): readonly string[] {
  return listing.broken.map((file) => `${source}: the entry of ${showText(file.slice(0, 128))} is broken`)
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

type DirectoryOffer = { readonly listing: Listing; readonly quirks: Promise<Settled<Quirks>>; readonly source: string }

async function directoryOffer(offering: Offering, directory: string): Promise<DirectoryOffer> {
  const url = indexUrl(offering, directory)
  // Both are asked for at once; whichever fails, the index is told of first.
  const quirks = settled(quirksOf(offering, directory))
  const listing = await fetchListing(offering, url)
  if (!('kind' in listing)) return { listing, quirks, source: url }
  if (listing.status !== 404) throw new BinderyError('network', `unexpected HTTP response: ${listing.status}`)
  const mayHaveOther = offering.separateIndex === undefined && offering.key === undefined
  const own = mayHaveOther ? await ownIndex(offering, quirks) : undefined
  if (own === undefined) throw new BinderyError('not-found', `unable to locate pkgup index at '${url}'.`)
  return own
}

function indexUrl({ separateIndex, key }: Offering, directory: string): string {
  const url = separateIndex ?? `${directory}index.pkgup.gz`
  return key === undefined ? url : url.replace(/index\.pkgup\.gz$/, 'index.bindery.zst')
}

async function fetchListing(offering: Offering, url: string): Promise<Listing | Missing> {
  const { key, now, wanted } = offering
  if (key === undefined) return await fetchPkgupIndex(offering, url, wanted)
  // Loaded only where it is used, like the other rarer index: most of a run is starting up.
  return await (await import('./signed-source.ts')).fetchSignedIndex(offering, url, { key, now, wanted })
}

type Quirks = { readonly file: QuirksFile; readonly date: string }

async function quirksOf(offering: Offering, directory: string): Promise<Quirks> {
  const file = await findQuirks(offering, directory)
  return { file, date: await quirksDate(offering, file) }
}

/** A mirror that nobody made an index for has pkg_add's own. */
async function ownIndex(offering: Offering, quirks: Promise<Settled<Quirks>>): Promise<DirectoryOffer | undefined> {
  const found = await quirks
  if (!found.isFine) {
    if (isBinderyError(found.error, 'not-found')) return undefined
    throw found.error
  }
  const { file } = found.value
  const database = await fetchUpdateDb(offering, file, offering.system)
  if (database === undefined) return undefined
  const { listUpdateDb } = await import('./update-db-source.ts')
  return { listing: listUpdateDb(database, offering.wanted), quirks, source: `update.db of ${file.url}` }
}

type Settled<T> = { readonly isFine: true; readonly value: T } | { readonly isFine: false; readonly error: unknown }

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { isFine: true, value: await promise }
  } catch (error) {
    return { isFine: false, error }
  }
}

async function unsettled<T>(promise: Promise<Settled<T>>): Promise<T> {
  const result = await promise
  if (result.isFine) return result.value
  throw result.error
}
