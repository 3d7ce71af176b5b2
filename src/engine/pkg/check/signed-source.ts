import { BinderyError } from '../../../base/error.ts'
import { openSealedIndex } from '../index/open-index.ts'
import { whole } from './body.ts'
import { fetchPage } from './fetch-page.ts'
import { candidateOf, keyed, wantsFile } from './listing.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { Fetching } from './fetch-page.ts'
import type { Listing, Missing, Wanted } from './listing.ts'

const maxIndex = 64 << 20

/** bindery's own, signed. Throws `expired` where its time is over, and what opening it throws. */
export async function fetchSignedIndex(
  fetching: Fetching,
  url: string,
  how: { readonly key: SignifyPublicKey; readonly now: number; readonly wanted: Wanted },
): Promise<Listing | Missing> {
  const before = fetching.cache.load(url)
  const page = await fetchPage(fetching, {
    url,
    make: async (body) => await checkedIndex(await whole(body, maxIndex), before?.content, how.key),
  })
  if (page.kind === 'other') return { kind: 'missing', status: page.status }
  const index = await openSealedIndex(page.content, how.key, wantsFile(how.wanted))
  if (index.expires * 1000 < how.now)
    throw new BinderyError('expired', `expired on ${new Date(index.expires * 1000).toISOString()}`, {
      subject: url,
      hint: 'its maker has to sign a newer one',
    })
  const candidates = index.packages.flatMap(({ file, size, info }) => candidateOf(file, { ...keyed(info), size }) ?? [])
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
