import { BinderyError } from '../../../base/error.ts'
import { decodePkgupIndex, pkgupVersion } from '../../../format/openbsd/pkgup-index.ts'
import { whole } from './body.ts'
import { fetchPage } from './fetch-page.ts'
import { candidateOf, wantsFile } from './listing.ts'
import type { OtherIndex } from '../../../format/openbsd/pkgup-index.ts'
import type { Fetching, Page } from './fetch-page.ts'
import type { Listing, Wanted } from './listing.ts'

const maxIndex = 64 << 20

/** obsdpkgup's index, without its gzip. */
export async function fetchPkgupIndex(fetching: Fetching, url: string): Promise<Page> {
  return await fetchPage(fetching, { url, make: async (body) => (await import('./unpack.ts')).unpacked(await whole(body, maxIndex)) })
}

/** Throws obsdpkgup's words where the format is another one. */
export function listPkgupIndex(content: Uint8Array, wanted: Wanted): Listing {
  const index = decodePkgupIndex(content, wantsFile(wanted))
  if (index.kind !== 'index') throw otherIndex(index)
  const broken = [...index.broken]
  const candidates = index.packages.flatMap(({ file, signature, pkgpath }) => {
    const candidate = control.test(signature + pkgpath) ? undefined : candidateOf(file, { pkgpath, evidence: { kind: 'text', signature } })
    if (candidate === undefined) broken.push(file)
    return candidate ?? []
  })
  return { quirksDate: index.quirksDate, candidates, broken }
}

/** No package has any; a terminal would act on it. */
const control = /[\u0000-\u001f\u007f-\u009f]/

function otherIndex(index: OtherIndex): BinderyError {
  if (index.kind === 'no-version') {
    const hint = index.era === undefined ? undefined : `${eras[index.era]}; it has to be made again`
    return new BinderyError('bad-format', `expected index version ${pkgupVersion}, got: ${printable(index.line)}`, { hint })
  }
  return new BinderyError('not-supported', `expected index version ${pkgupVersion}, got: ${index.version}`, {
    hint:
      index.version > pkgupVersion
        ? 'please update obsdpkgup and try again'
        : 'wait for remote mirror to update to the current pkgup index format and try again later',
  })
}

const eras = {
  hashes: 'this is an index of summer 2020, with hashes',
  'hashes-and-paths': 'this is an index of autumn 2020, with hashes and paths',
  'without-version': 'this is an index of January 2021, before there was a version',
} as const

function printable(text: string): string {
  return text.slice(0, 64).replaceAll(/[^\u0020-\u007e]/g, '?')
}
