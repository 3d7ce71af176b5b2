import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { fetchPkgupIndex, listPkgupIndex } from './pkgup-source.ts'
import { fetchUpdateDb, findQuirks, quirksDate } from './quirks.ts'
import { settled } from './settled.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { OpenbsdSystem } from '../../../port/openbsd-system.ts'
import type { Fetching, Page } from './fetch-page.ts'
import type { Listing, Wanted } from './listing.ts'
import type { QuirksFile } from './quirks.ts'
import type { PackagePath } from './repository-url.ts'
import type { Settled } from './settled.ts'

/** All that is asked of the directories of a path; nothing of it is decoded yet. */
export type FetchedPath = {
  readonly path: PackagePath
  readonly directories: readonly Settled<FetchedDirectory>[]
}

export type FetchedDirectory = {
  readonly quirks: Settled<Quirks>
  /** Which index it is. */
  readonly source: string
  /** What the server calls it. */
  readonly version: string | undefined
  /** Throws what is wrong with the index. */
  readonly list: (wanted: Wanted) => Promise<Listing>
}

export type Quirks = { readonly file: QuirksFile; readonly date: string }

export type PathFetching = Fetching & {
  readonly system: Pick<OpenbsdSystem, 'signifyKey'>
  /** Only an index that is signed by it will do. */
  readonly key: SignifyPublicKey | undefined
  readonly now: number
  /** Where the index is, when it is not beside the packages. */
  readonly separateIndex: string | undefined
}

export async function fetchPath(fetching: PathFetching, path: PackagePath): Promise<FetchedPath> {
  const used = fetching.separateIndex === undefined ? path : path.slice(0, 1)
  return { path, directories: await Promise.all(used.map(async (directory) => await settled(fetchDirectory(fetching, directory)))) }
}

/** The same text for the same answers of all servers; undefined where one of them does not tell, or failed. */
export function versionOfPath({ directories }: FetchedPath): string | undefined {
  const versions = directories.map((one) => {
    // A directory without an index stays out of it as long as it has none.
    if (!one.isFine) return isBinderyError(one.error, 'not-found') ? `none: ${one.error.message}` : undefined
    const { source, version, quirks } = one.value
    return version === undefined || !quirks.isFine ? undefined : [source, version, quirks.value.file.stamp, quirks.value.date].join(' ')
  })
  return versions.includes(undefined) ? undefined : versions.join('\n')
}

async function fetchDirectory(fetching: PathFetching, directory: string): Promise<FetchedDirectory> {
  const url = indexUrl(fetching, directory)
  // Both are asked for at once; whichever fails, the index is told of first.
  const quirks = settled(fetchQuirks(fetching, directory))
  const page = await fetchIndex(fetching, url)
  if (page.kind === 'page')
    return {
      quirks: await quirks,
      source: url,
      version: page.version,
      list: async (wanted) => await listIndex(fetching, url, page.content(), wanted),
    }
  if (page.status !== 404) throw new BinderyError('network', `unexpected HTTP response: ${page.status}`)
  const mayHaveOther = fetching.separateIndex === undefined && fetching.key === undefined
  const own = mayHaveOther ? await ownIndex(fetching, await quirks) : undefined
  if (own === undefined) throw new BinderyError('not-found', `unable to locate pkgup index at '${url}'.`)
  return own
}

function indexUrl({ separateIndex, key }: PathFetching, directory: string): string {
  const url = separateIndex ?? `${directory}index.pkgup.gz`
  return key === undefined ? url : url.replace(/index\.pkgup\.gz$/, 'index.bindery.zst')
}

/** The rarer indexes are loaded by whoever uses them: most of a run is starting up. */
async function fetchIndex(fetching: PathFetching, url: string): Promise<Page> {
  if (fetching.key === undefined) return await fetchPkgupIndex(fetching, url)
  return await (await import('./signed-source.ts')).fetchSignedIndex(fetching, url, fetching.key)
}

async function listIndex({ key, now }: PathFetching, url: string, content: Uint8Array, wanted: Wanted): Promise<Listing> {
  if (key === undefined) return listPkgupIndex(content, wanted)
  return await (await import('./signed-source.ts')).listSignedIndex(content, { url, key, now, wanted })
}

async function fetchQuirks(fetching: PathFetching, directory: string): Promise<Quirks> {
  const file = await findQuirks(fetching, directory)
  return { file, date: await quirksDate(fetching, file) }
}

/** A mirror that nobody made an index for has pkg_add's own. */
async function ownIndex(fetching: PathFetching, quirks: Settled<Quirks>): Promise<FetchedDirectory | undefined> {
  if (!quirks.isFine) {
    if (isBinderyError(quirks.error, 'not-found')) return undefined
    throw quirks.error
  }
  const { file } = quirks.value
  const page = await fetchUpdateDb(fetching, file, fetching.system)
  if (page === undefined) return undefined
  const list = async (wanted: Wanted): Promise<Listing> => (await import('./update-db-source.ts')).listUpdateDb(page.content(), wanted)
  return { quirks, source: `update.db of ${file.url}`, version: page.version, list }
}
