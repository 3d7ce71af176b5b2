import { readAr } from '../../../format/ar.ts'
import { findPbiParts } from '../../../format/pbi.ts'
import { readZip } from '../../../format/zip.ts'
import { listMembers } from '../../../format/tar-members.ts'
import { kindOfContainer } from './kind.ts'
import { closedLayout, layoutBuilder } from './layout.ts'
import type { ZipEntry } from '../../../format/zip.ts'
import type { Layout } from './layout.ts'
import type { Method } from '../../../format/container-delta.ts'

/** Archives: what lies in them is opened, what stands around it stays as it is. */

/** `memory`: what those around it leave of a reader's. */
export type Place = { readonly path: string; readonly depth: number; readonly memory: number }

/** Opens what lies in an archive: whatever it is, or a piece of which the archive says what it is. */
export type Inner = {
  open(bytes: Uint8Array, place: Place): Promise<Layout>
  piece(method: Method, bytes: Uint8Array, place: Place): Promise<Layout>
}

const nothing = new Uint8Array(0)

export async function openTar(bytes: Uint8Array, place: Place, inner: Inner): Promise<Layout> {
  const members = await listMembers({ size: bytes.length, read: async (start, end) => bytes.subarray(start, end) })
  const builder = layoutBuilder()
  for (const { path, type, headerStart, contentStart, contentSize, end } of members) {
    const content = bytes.subarray(contentStart, contentStart + contentSize)
    const at = within(place, path)
    const opened = isOpenedInTar(path, content) ? await inner.open(content, at) : closedLayout(content)
    const padding = bytes.subarray(contentStart + contentSize, end)
    builder.member({ path: at.path, type }, bytes.subarray(headerStart, contentStart), opened, padding)
  }
  builder.rest(place.path, bytes.subarray(members.at(-1)?.end ?? 0))
  return builder.layout()
}

/** The delta itself opens gzip files in a tar, where they are no archives (doc/spec/gzip-recipe.md), and pairs members of one tar. */
export function isOpenedInTar(path: string, content: Uint8Array): boolean {
  const kind = kindOfContainer(content)
  return kind !== 'other' && (kind !== 'gzip' || /\.(?:tgz|tar\.gz|crate|apk)$/.test(path))
}

function within({ path, depth, memory }: Place, name: string): Place {
  return { path: path === '' ? name : `${path}/${name}`, depth: depth + 1, memory }
}

/** Undefined for a damaged archive. */
export async function openAr(bytes: Uint8Array, place: Place, inner: Inner): Promise<Layout | undefined> {
  const members = readAr(bytes)
  if (members === undefined) return undefined
  const builder = layoutBuilder()
  let at = 0
  for (const { kind, name, content } of members) {
    const start = content.byteOffset - bytes.byteOffset
    const inside = within(place, kind === 'file' ? name : `(${kind})`)
    const opened = kind === 'file' ? await inner.open(content, inside) : closedLayout(content)
    builder.member({ path: inside.path, type: '0' }, bytes.subarray(at, start), opened, nothing)
    at = start + content.length
  }
  builder.rest(place.path, bytes.subarray(at))
  return builder.layout()
}

/** Undefined for a damaged archive. */
export async function openZip(bytes: Uint8Array, place: Place, inner: Inner): Promise<Layout | undefined> {
  const zip = readZip(bytes)
  if (zip === undefined) return undefined
  const builder = layoutBuilder()
  let at = 0
  for (const entry of zip.entries) {
    const inside = within(place, entry.name)
    const content = bytes.subarray(entry.start, entry.end)
    const opened = await openEntry(entry, content, inside, inner)
    builder.member({ path: inside.path, type: '0' }, bytes.subarray(at, entry.start), opened, nothing)
    at = entry.end
  }
  builder.rest(place.path, bytes.subarray(at))
  return builder.layout()
}

async function openEntry({ method }: ZipEntry, content: Uint8Array, place: Place, inner: Inner): Promise<Layout> {
  switch (method) {
    case 'stored':
      return await inner.open(content, place)
    case 'deflated':
      return await inner.piece('deflate', content, place)
    case 'other':
      return closedLayout(content)
  }
}

/** A PBI of PC-BSD 9: a tar in bzip2, an icon, and a tar in xz or bzip2, with lines between them. Undefined for what is none. */
export async function openPbi(bytes: Uint8Array, place: Place, inner: Inner): Promise<Layout | undefined> {
  const parts = findPbiParts(bytes)
  if (parts?.form !== 'pbi9') return undefined
  const payload = bytes.length - parts.payload.length
  const builder = layoutBuilder()
  const [header, content] = [within(place, 'header.tar'), within(place, 'payload.tar')]
  builder.member({ path: header.path, type: '0' }, nothing, await inner.open(parts.header, header), nothing)
  builder.member(
    { path: content.path, type: '0' },
    bytes.subarray(parts.header.length, payload),
    await inner.open(parts.payload, content),
    nothing,
  )
  return builder.layout()
}
