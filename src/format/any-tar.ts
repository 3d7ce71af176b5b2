import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseRelPath, rootPath, showPath } from '../base/path.ts'
import { withoutTrailing } from '../base/trailing.ts'
import { decodePax } from './pax.ts'
import { blockSize, endOfArchive, fields, nameWidth, paddingOf } from './tar.ts'
import { listMembers } from './tar-members.ts'
import { decodeNumber } from './tar-numbers.ts'
import type { RelPath } from '../base/path.ts'
import type { TarMember } from './tar-members.ts'

/**
 * Tars that others made, of any dialect: what is safe in them. Unlike a dist they may say one thing in several ways; what two
 * readers would understand differently is refused, as is what has no business in a package.
 */
export type AnyTarEntry = { readonly path: RelPath; readonly mode: number } & (
  | { readonly kind: 'file'; readonly content: Uint8Array }
  | { readonly kind: 'dir' }
  /** Bytes as latin1; may lead anywhere. */
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'hardlink'; readonly leader: RelPath }
)

export const maxTarEntries = 200_000
export const maxTarDepth = 100

/** In the order of the archive, without its root. */
export async function readAnyTar(bytes: Uint8Array): Promise<readonly AnyTarEntry[]> {
  const members = await listMembers({ size: bytes.length, read: async (start, end) => bytes.subarray(start, end) })
  if (members.length > maxTarEntries) throw new BinderyError('over-limit', `the tar has more than ${maxTarEntries} members`)
  const rest = bytes.subarray(members.at(-1)?.end ?? 0).subarray(0, endOfArchive.length)
  if (rest.length < endOfArchive.length || rest.some((byte) => byte !== 0))
    throw new BinderyError('bad-format', 'the tar is damaged or cut off')
  return members.flatMap((member) => entryOf(bytes, member) ?? [])
}

function entryOf(bytes: Uint8Array, member: TarMember): AnyTarEntry | undefined {
  const { block, link } = headerOf(bytes.subarray(member.headerStart, member.contentStart), member.path)
  const path = pathOf(member.path)
  const mode = (decodeNumber(block, fields.mode.at, fields.mode.width) ?? Number.NaN) & 0o7777
  const type = member.type === '0' && member.path.endsWith('/') ? '5' : member.type
  if (path === rootPath) {
    if (type === '5') return undefined
    throw new BinderyError('hostile', 'the root of the tar is no directory')
  }
  switch (type) {
    case '0':
    case '7':
      return { kind: 'file', path, mode, content: bytes.subarray(member.contentStart, member.contentStart + member.contentSize) }
    case '1':
      return { kind: 'hardlink', path, mode, leader: pathOf(link) }
    case '2':
      return { kind: 'symlink', path, mode, target: targetOf(link, path) }
    case '5':
      return { kind: 'dir', path, mode }
    case '3':
    case '4':
    case '6':
      throw new BinderyError('hostile', 'is a device or a FIFO, which has no business in a package', { subject: showPath(path) })
    default:
      throw new BinderyError('not-supported', `a tar member of type ${JSON.stringify(type)}`, { subject: showPath(path) })
  }
}

type Header = { readonly block: Uint8Array; readonly link: string }

function headerOf(region: Uint8Array, path: string): Header {
  let link: string | undefined
  for (let at = 0; ;) {
    const block = region.subarray(at, at + blockSize)
    const type = String.fromCharCode(block[fields.flag.at] as number)
    if (!'xgXLK'.includes(type)) return { block, link: link ?? upToNul(block.subarray(fields.link.at, fields.link.at + nameWidth)) }
    const size = decodeNumber(block, fields.size.at, fields.size.width) as number
    const body = region.subarray(at + blockSize, at + blockSize + size)
    if (type === 'K') link = upToNul(body)
    else if (type !== 'L') link = linkOfPax(body, type, path) ?? link
    at += blockSize + size + paddingOf(size)
  }
}

function linkOfPax(body: Uint8Array, type: string, path: string): string | undefined {
  const records = decodePax(body)
  const isOdd = [...records.keys()].some((key) => key.startsWith('GNU.sparse.') || (type === 'g' && /^(?:path|linkpath|size)$/.test(key)))
  if (isOdd) throw new BinderyError('not-supported', 'a sparse file, or names for all members, in a tar', { subject: showPath(path) })
  return records.get('linkpath')
}

/** `./a/` and `a` are one path; absolute ones, `..` and the like are none. */
function pathOf(name: string): RelPath {
  const path = parseRelPath(withoutTrailing(name.replace(/^(?:\.\/+)+/, ''), '/') || '.')
  if (path === undefined || name.startsWith('/'))
    throw new BinderyError('hostile', 'an unsafe path in a tar', { subject: showPath(name.slice(0, 200)) })
  if (path.split('/').length > maxTarDepth)
    throw new BinderyError('over-limit', `is deeper than ${maxTarDepth} folders`, { subject: showPath(path.slice(0, 200)) })
  return path
}

function targetOf(link: string, path: RelPath): string {
  if (link !== '' && link.length <= 4095) return link
  throw new BinderyError('bad-format', 'is a symbolic link to nothing', { subject: showPath(path) })
}

function upToNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return latin1(end < 0 ? bytes : bytes.subarray(0, end))
}
