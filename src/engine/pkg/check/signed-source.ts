import { BinderyError } from '../../../base/error.ts'
import { openSealedIndex } from '../index/open-index.ts'
import { whole } from './body.ts'
import { fetchPage } from './fetch-page.ts'
import { candidateOf, keyed, wantsFile } from './listing.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { Fetching, Page } from './fetch-page.ts'
import type { Listing, Wanted } from './listing.ts'

const maxIndex = 64 << 20

/** bindery's own index as it came, verified. Throws what opening it throws, and `downgrade`. */
export async function fetchSignedIndex(fetching: Fetching, url: string, key: SignifyPublicKey): Promise<Page> {
  const make = async (body: ByteStream): Promise<Uint8Array> =>
    await checkedIndex(await whole(body, maxIndex), fetching.cache.load(url)?.content(), key)
  return await fetchPage(fetching, { url, make })
}

/** Throws `expired` where its time is over. */
export async function listSignedIndex(
  file: Uint8Array,
  how: { readonly url: string; readonly key: SignifyPublicKey; readonly now: number; readonly wanted: Wanted },
): Promise<Listing> {
  const index = await openSealedIndex(file, how.key, wantsFile(how.wanted))
  if (index.expires * 1000 < how.now)
    throw new BinderyError('expired', `expired on ${new Date(index.expires * 1000).toISOString()}`, {
      subject: how.url,
      hint: 'its maker has to sign a newer one',
    })
  const candidates = index.packages.flatMap(({ file: name, size, info }) => candidateOf(name, { ...keyed(info), size }) ?? [])
  return { quirksDate: index.quirksDate, candidates, broken: [] }
}

/** Kept as it came, so that it is verified whenever it is read. One that is older than what was here before is a mirror going backwards. */
async function checkedIndex(file: Uint8Array, before: Uint8Array | undefined, key: SignifyPublicKey): Promise<Uint8Array> {
  const none = (): boolean => false
  const { made } = await openSealedIndex(file, key, none)
  const former = before === undefined ? undefined : await openSealedIndex(before, key, none).catch(() => undefined)
  if (former !== undefined && former.made > made)
    throw new BinderyError('downgrade', `is of ${new Date(made * 1000).toISOString()}, and a newer one was here before`)
  return file
}
