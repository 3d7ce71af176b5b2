import { gunzipSync } from 'node:zlib'
import { collectBytes, concatBytes, latin1, utf8 } from '../../../base/bytes.ts'
import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { decodeIndexTxt } from '../../../format/openbsd/index-txt.ts'
import { readSignedGzip } from '../../../format/openbsd/signed-gzip.ts'
import { decodePublicKey } from '../../../format/signify.ts'
import { readAnyTar } from '../../../format/any-tar.ts'
import { verifyPackage } from '../verify-package.ts'
import { fetchPage } from './fetch-page.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { SignifyPublicKey, SignifySignature } from '../../../format/signify.ts'
import type { OpenbsdSystem } from '../../../port/openbsd-system.ts'
import type { Fetching } from './fetch-page.ts'

/** The quirks package of a directory: when it was signed tells when the directory was made, and it carries pkg_add's own index. */

const maxIndexTxt = 64 << 20
const maxQuirks = 32 << 20
const maxUnpacked = 128 << 20
/** Where its signature ends: 65 bytes for each 64 KiB of it. */
const headBytes = 16 << 10

/** Where it is, and whether the listing is the one that was read last time. */
export type QuirksFile = { readonly url: string; readonly isUnchanged: boolean }

/** Throws obsdpkgup's words where there is no listing, or no quirks in it. */
export async function findQuirks(fetching: Fetching, directory: string): Promise<QuirksFile> {
  const url = `${directory}index.txt`
  const page = await fetchPage(fetching, { url, make: async (body) => utf8(quirksIn(await whole(body, maxIndexTxt))) })
  if (page.kind === 'other') {
    const words = page.status === 404 ? '404 encountered' : `unexpected HTTP response (${page.status})`
    throw new BinderyError('not-found', `${words} while downloading index: ${url}`)
  }
  const name = latin1(page.content)
  if (name === '') throw new BinderyError('not-found', "couldn't find quirks package in index")
  return { url: directory + name, isUnchanged: page.isUnchanged }
}

/** Only its lines are taken apart: there are ten thousand others. */
function quirksIn(listing: Uint8Array): string {
  const lines = latin1(listing)
    .split('\n')
    .filter((line) => line.includes('quirks-'))
  const files = decodeIndexTxt(Buffer.from(lines.join('\n'), 'latin1'))
  return files.find(({ name }) => name.startsWith('quirks-'))?.name ?? ''
}

/** When it was signed, out of its first bytes. */
export async function quirksDate(fetching: Fetching, { url, isUnchanged }: QuirksFile): Promise<string> {
  // The listing has its size and time: where that is the same, so is the file.
  const known = isUnchanged ? fetching.cache.load(url) : undefined
  if (known !== undefined) return latin1(known.content)
  const page = await fetchPage(fetching, { url, make: dateOf, firstBytes: headBytes })
  if (page.kind === 'page') return latin1(page.content)
  const words = page.status === 404 ? `404 while downloading quirks: "${url}"` : undefined
  throw new BinderyError('not-found', words ?? `unexpected HTTP response (${page.status}) while downloading quirks: ${url}`)
}

async function dateOf(body: ByteStream): Promise<Uint8Array> {
  const date = await signedDate(body)
  if (date === '') throw new BinderyError('bad-format', 'could not find date in signify block')
  return utf8(date)
}

async function signedDate(body: ByteStream): Promise<string> {
  try {
    return (await readSignedGzip(body)).head.facts.date
  } catch (error) {
    if (isBinderyError(error, 'not-supported')) return ''
    throw error
  }
}

/**
 * `share/update.db`, verified by the key that the machine has for it, or by `key`. Undefined where the package has none, or is not there.
 * Throws `wrong-key`, `bad-signature` and `bad-digest`.
 */
export async function fetchUpdateDb(
  fetching: Fetching,
  { url }: QuirksFile,
  system: Pick<OpenbsdSystem, 'signifyKey'>,
): Promise<Uint8Array | undefined> {
  const page = await fetchPage(fetching, { url, part: 'update.db', make: async (body) => await updateDbOf(body, system) })
  return page.kind === 'page' && page.content.length > 0 ? page.content : undefined
}

async function updateDbOf(body: ByteStream, system: Pick<OpenbsdSystem, 'signifyKey'>): Promise<Uint8Array> {
  const { bytes } = await verifyPackage(limited(body, maxQuirks), async (signature) => keyFor(signature, system))
  const tar = unpacked(await whole(bytes, maxQuirks))
  const entry = (await readAnyTar(tar)).find(({ path }) => path === 'share/update.db')
  return entry?.kind === 'file' ? entry.content : new Uint8Array(0)
}

/** `verify with openbsd-78-pkg.pub` names the file: whoever may write /etc/signify decides whom to believe. */
function keyFor({ comment }: SignifySignature, system: Pick<OpenbsdSystem, 'signifyKey'>): SignifyPublicKey {
  const name = /^verify with ([A-Za-z0-9._+-]+-pkg)\.pub$/.exec(comment)?.[1]
  const file = name === undefined ? undefined : system.signifyKey(name)
  if (file === undefined) throw new BinderyError('wrong-key', `is signed by a key that /etc/signify does not have: ${name ?? 'unnamed'}`)
  return decodePublicKey(file)
}

async function* limited(body: ByteStream, limit: number): ByteStream {
  let size = 0
  for await (const bytes of body) {
    size += bytes.length
    if (size > limit) throw new BinderyError('over-limit', `is larger than ${limit} bytes`)
    yield bytes
  }
}

export function unpacked(gzip: Uint8Array): Uint8Array {
  try {
    return gunzipSync(gzip, { maxOutputLength: maxUnpacked })
  } catch (cause) {
    if (cause instanceof RangeError) throw new BinderyError('over-limit', `unpacks to more than ${maxUnpacked} bytes`)
    throw new BinderyError('bad-format', 'is no gzip file, or a damaged one', { cause })
  }
}

export async function whole(body: ByteStream, limit: number): Promise<Uint8Array> {
  return (await collectBytes(limited(body, limit), limit)) ?? concatBytes([])
}
