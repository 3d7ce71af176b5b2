import { BinderyError } from '../../../base/error.ts'
import { isPlainPackageName, splitFromRight, stemFromRight } from '../../../format/openbsd/package-name.ts'
import { decodePkgupIndex, pkgupVersion } from '../../../format/openbsd/pkgup-index.ts'
import { updateDbPackages } from '../../../format/openbsd/update-db.ts'
import { readUpdateInfo } from '../../../format/openbsd/update-info.ts'
import { updateSignature } from '../../../format/openbsd/update-signature.ts'
import { openSealedIndex } from '../index/open-index.ts'
import { fetchPage } from './fetch-page.ts'
import { unpacked, whole } from './quirks.ts'
import type { OtherIndex } from '../../../format/openbsd/pkgup-index.ts'
import type { UpdateInfo } from '../../../format/openbsd/update-info.ts'
import type { UpdateDbPackage } from '../../../format/openbsd/update-db.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { Candidate, Evidence } from './candidate.ts'
import type { Fetching } from './fetch-page.ts'

/** What one index offers. */
export type Listing = {
  /** Of the quirks package that it was made beside; undefined where it is that package's own. */
  readonly quirksDate: string | undefined
  readonly candidates: readonly Candidate[]
  /** Files whose entries are broken. */
  readonly broken: readonly string[]
}

/** Whether packages of this stem are of interest. */
export type Wanted = (stem: string) => boolean

const maxIndex = 64 << 20

export type Missing = { readonly kind: 'missing'; readonly status: number }

/** obsdpkgup's index. Throws its words where the format is another one. */
export async function fetchPkgupIndex(fetching: Fetching, url: string, wanted: Wanted): Promise<Listing | Missing> {
  const page = await fetchPage(fetching, { url, make: async (body) => unpacked(await whole(body, maxIndex)) })
  if (page.kind === 'other') return { kind: 'missing', status: page.status }
  const index = decodePkgupIndex(page.content, wantsFile(wanted))
  if (index.kind !== 'index') throw otherIndex(index)
  const broken = [...index.broken]
  const candidates = index.packages.flatMap(({ file, signature, pkgpath }) => {
    const candidate = candidateOf(file, { pkgpath, evidence: { kind: 'text', signature } })
    if (candidate === undefined) broken.push(file)
    return candidate ?? []
  })
  return { quirksDate: index.quirksDate, candidates, broken }
}

function wantsFile(wanted: Wanted): (file: string) => boolean {
  return (file) => {
    const stem = stemFromRight(file.slice(0, -'.tgz'.length))
    // One without a version is told of.
    return stem === undefined || wanted(stem)
  }
}

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

type More = Pick<Candidate, 'pkgpath' | 'evidence'> & Partial<Pick<Candidate, 'formerPaths' | 'size' | 'depends'>>

/** Undefined for what is no name that may be printed, or has no version. */
function candidateOf(file: string, more: More): Candidate | undefined {
  const name = file.endsWith('.tgz') ? file.slice(0, -'.tgz'.length) : file
  const split = isPlainPackageName(name) ? splitFromRight(name) : undefined
  return split === undefined ? undefined : { ...split, name, formerPaths: [], size: undefined, depends: undefined, ...more }
}

/** pkg_add's own, out of the quirks package. */
export function listUpdateDb(database: Uint8Array, wanted: Wanted): Listing {
  const broken: string[] = []
  const candidates: Candidate[] = []
  for (const one of updateDbPackages(database, (name) => wantsFile(wanted)(`${name}.tgz`))) {
    const candidate = candidateOfUpdateDb(one)
    if (candidate === undefined) broken.push(one.name)
    else candidates.push(candidate)
  }
  return { quirksDate: undefined, candidates, broken }
}

function candidateOfUpdateDb({ name, lines }: UpdateDbPackage): Candidate | undefined {
  const hash = lines.length === 1 ? /^@option always-update (\S+)$/.exec(lines[0] as string)?.[1] : undefined
  if (hash !== undefined) return candidateOf(name, { pkgpath: undefined, evidence: { kind: 'hash', hash } })
  try {
    const info = readUpdateInfo(Buffer.from(`${lines.join('\n')}\n`, 'latin1'))
    return candidateOf(name, keyed(info))
  } catch (error) {
    if (error instanceof BinderyError) return undefined
    throw error
  }
}

function keyed(info: UpdateInfo): More {
  const evidence: Evidence = { kind: 'keyed', signature: updateSignature(info, () => '') }
  return { pkgpath: info.pkgpath, evidence, formerPaths: info.formerPaths, depends: info.depends.map(({ default: name }) => name) }
}

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
