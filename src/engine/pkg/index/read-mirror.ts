import { inParallel } from '../../../base/parallel.ts'
import { about } from '../../../base/about.ts'
import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { obsdpkgupSignature } from '../../../format/openbsd/update-signature.ts'
import { usualBlockSize } from '../../../format/openbsd/signed-gzip.ts'
import { headBytes } from './head-bytes.ts'
import { readPackageHead, signedLength } from './package-head.ts'
import { verifiedPart } from './verified-part.ts'
import type { IndexedInfo } from '../../../format/openbsd/bindery-index.ts'
import { knownPackage } from '../../../format/openbsd/index-state.ts'
import type { KnownPackage } from '../../../format/openbsd/index-state.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { MirrorFile, OpenedHead, PackageMirror } from '../../../port/package-mirror.ts'
import type { PackageHead } from './package-head.ts'

/** What a mirror holds: of each package what its first kilobytes say. A package that cannot be read is told, and hides no other. */
export type MirrorReading = {
  /** In the order of the mirror's list. */
  readonly packages: readonly KnownPackage[]
  readonly unreadable: readonly Unreadable[]
  /** How many of them were read now, the others being known. */
  readonly readNow: number
}

export type Unreadable = { readonly file: string; readonly error: BinderyError }

export type MirrorOptions = {
  /** Of the run before. */
  readonly known: ReadonlyMap<string, KnownPackage>
  /** Verifies all that is read. */
  readonly key: SignifyPublicKey | undefined
  readonly atOnce: number
  readonly onStart?: (count: number) => void
  readonly onRead?: () => void
  readonly signal: AbortSignal
}

export async function readMirror(mirror: PackageMirror, files: readonly MirrorFile[], options: MirrorOptions): Promise<MirrorReading> {
  const packages = files.filter(({ name }) => name.endsWith('.tgz'))
  const found = new Map<string, KnownPackage>()
  const failed = new Map<string, BinderyError>()
  for (const file of packages) {
    const known = options.known.get(file.name)
    if (known !== undefined && isSame(file, known)) found.set(file.name, known)
  }
  const missing = packages.filter(({ name }) => !found.has(name))
  options.onStart?.(missing.length)
  await inParallel(missing, options.atOnce, async (file) => {
    options.signal.throwIfAborted()
    try {
      found.set(file.name, await readPackage(mirror, file, options))
    } catch (error) {
      // A stop is about no package.
      if (!isBinderyError(error) || error.code === 'stopped') throw error
      failed.set(file.name, error)
    }
    options.onRead?.()
  })
  return {
    packages: packages.flatMap(({ name }) => found.get(name) ?? []),
    unreadable: packages.flatMap(({ name }) => (failed.has(name) ? [{ file: name, error: failed.get(name) as BinderyError }] : [])),
    readNow: missing.length - failed.size,
  }
}

function isSame(file: MirrorFile, known: KnownPackage): boolean {
  return file.stamp !== undefined && file.stamp === known.stamp && file.size === known.size
}

const maxHeadBytes = 24 << 20

async function readPackage(mirror: PackageMirror, file: MirrorFile, options: MirrorOptions): Promise<KnownPackage> {
  const known = options.known.get(file.name)
  const subject = `${mirror.place.replace(/\/$/, '')}/${file.name}`
  return await about(subject, async () => {
    const opened = await mirror.open(file, known?.tag)
    if (opened === 'unchanged') {
      if (known === undefined) throw new BinderyError('network', 'the server says that nothing changed, of what was never read')
      return known
    }
    try {
      const size = sizeOf(file, opened)
      const { info, signedOn } = await readHead(opened, size, options.key)
      const found = { file: file.name, size, signature: signatureOf(info), info }
      return knownPackage(found, { stamp: file.stamp, tag: opened.tag, signedOn })
    } finally {
      await opened.close()
    }
  })
}

/** A list that says another size than the file has is older than the file, or newer: the mirror is being filled. */
function sizeOf(file: MirrorFile, opened: OpenedHead): number {
  const size = opened.size ?? file.size
  if (size === undefined) throw new BinderyError('network', 'the server does not tell its size')
  if (file.size !== undefined && file.size !== size)
    throw new BinderyError('io', `has ${size} bytes, and ${file.size} in the list of the mirror`)
  return size
}

async function readHead(
  opened: OpenedHead,
  size: number,
  key: SignifyPublicKey | undefined,
): Promise<Omit<PackageHead, 'info'> & { readonly info: IndexedInfo }> {
  // The first block is verified as a whole.
  const first = headBytes(size) + (key === undefined ? 0 : usualBlockSize)
  for (let count = first; ; count *= 4) {
    const bytes = await opened.upTo(Math.min(count, size))
    const isWhole = bytes.length >= size
    if (!isWhole && bytes.length < count) throw new BinderyError('bad-format', `ends after ${bytes.length} of ${size} bytes`)
    const head = readPackageHead(key === undefined ? bytes : await verifiedPart(bytes, isWhole, key), isWhole)
    if (head !== 'more') {
      checkLength(bytes, size)
      return { info: checkInfo(head.info), signedOn: head.signedOn }
    }
    if (count > maxHeadBytes) throw new BinderyError('over-limit', `has no packing list in its first ${count} bytes`)
  }
}

/** What is still on its way to the mirror has a good beginning. */
function checkLength(bytes: Uint8Array, size: number): void {
  const length = signedLength(bytes)
  if (length !== undefined && (size <= length.moreThan || size > length.atMost))
    throw new BinderyError('bad-format', `has ${size} bytes, and was signed with ${size <= length.moreThan ? 'more' : 'less'}`)
}

/** An index is made of words. */
function checkInfo(info: PackageHead['info']): IndexedInfo {
  const { pkgpath } = info
  if (pkgpath === undefined) throw new BinderyError('bad-format', 'has a packing list without a pkgpath')
  if (!isWord(pkgpath)) throw new BinderyError('bad-format', 'has a pkgpath with spaces')
  return { ...info, pkgpath }
}

function signatureOf(info: IndexedInfo): string {
  const signature = obsdpkgupSignature(info)
  if (!isWord(signature)) throw new BinderyError('bad-format', 'has a packing list whose names hold spaces')
  return signature
}

function isWord(text: string): boolean {
  return /^[\u0021-\u007e\u00a1-\u00ff]+$/.test(text)
}
