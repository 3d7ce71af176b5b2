import { emptyBytes, fromLatin1, latin1, utf8 } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { decodeIndexTxt } from '../../../format/openbsd/index-txt.ts'
import { limited } from './body.ts'
import { linesWith } from './lines-with.ts'
import { fetchPage } from './fetch-page.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { OpenbsdSystem } from '../../../port/openbsd-system.ts'
import type { Fetching, Page } from './fetch-page.ts'

/** The quirks package of a directory: when it was signed tells when the directory was made, and it carries pkg_add's own index. */

const maxIndexTxt = 64 << 20
/** Where its signature ends: 65 bytes for each 64 KiB of it. */
const headBytes = 16 << 10

/** Where it is, and what the listing says of it: another file has another size or time. */
export type QuirksFile = { readonly url: string; readonly stamp: string }

/** Throws obsdpkgup's words where there is no listing, or no quirks in it. */
export async function findQuirks(fetching: Fetching, directory: string): Promise<QuirksFile> {
  const url = `${directory}index.txt`
  const page = await fetchPage(fetching, { url, make: async (body) => utf8(await quirksIn(body)) })
  if (page.kind === 'other') {
    const words = page.status === 404 ? '404 encountered' : `unexpected HTTP response (${page.status})`
    throw new BinderyError('not-found', `${words} while downloading index: ${url}`)
  }
  const [name, stamp = ''] = latin1(page.content()).split('\n') as [string, string?]
  if (name === '') throw new BinderyError('not-found', "couldn't find quirks package in index")
  return { url: directory + name, stamp }
}

/** Its name and what stands beside it. Only its lines are taken apart: there are ten thousand others. */
async function quirksIn(listing: ByteStream): Promise<string> {
  const lines: string[] = []
  for await (const line of linesWith('quirks-', limited(listing, maxIndexTxt))) lines.push(line)
  const file = decodeIndexTxt(fromLatin1(lines.join('\n'))).find(({ name }) => name.startsWith('quirks-'))
  return file === undefined ? '' : `${file.name}\n${file.size ?? 0} ${file.time}`
}

/** When it was signed, out of its first bytes. One that the listing shows as it was is not asked for. */
export async function quirksDate(fetching: Fetching, { url, stamp }: QuirksFile): Promise<string> {
  const [known, stampThen] = latin1(fetching.cache.load(url)?.content() ?? emptyBytes).split('\n') as [string, string?]
  if (stampThen === stamp) return known
  const make = async (body: ByteStream): Promise<Uint8Array> =>
    utf8(`${await (await import('./quirks-package.ts')).dateOf(body)}\n${stamp}`)
  const page = await fetchPage(fetching, { url, make, firstBytes: headBytes })
  if (page.kind === 'page') return latin1(page.content()).split('\n')[0] as string
  const words = page.status === 404 ? `404 while downloading quirks: "${url}"` : undefined
  throw new BinderyError('not-found', words ?? `unexpected HTTP response (${page.status}) while downloading quirks: ${url}`)
}

/**
 * `share/update.db`, verified by the key that the machine has for it. Undefined where the package has none, or is not there.
 * Throws `wrong-key`, `bad-signature` and `bad-digest`.
 */
export async function fetchUpdateDb(
  fetching: Fetching,
  { url }: QuirksFile,
  system: Pick<OpenbsdSystem, 'signifyKey'>,
): Promise<(Page & { readonly kind: 'page' }) | undefined> {
  const page = await fetchPage(fetching, {
    url,
    part: 'update.db',
    make: async (body) => await (await import('./quirks-package.ts')).updateDbOf(body, system),
  })
  return page.kind === 'page' && page.size > 0 ? page : undefined
}
