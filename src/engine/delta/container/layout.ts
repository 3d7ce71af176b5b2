import type { Packed } from '../../../format/container-delta.ts'
import type { TarMember } from '../../../format/tar-members.ts'

/** A container opened: its bytes, with the content of each opened piece in its place. */
export type Layout = {
  readonly packed: readonly Packed[]
  /** The opened bytes, one part behind the other. */
  readonly parts: readonly Uint8Array[]
  /** Of them all. */
  readonly size: number
  /** Bytes behind the last opened piece, which are as they were. */
  readonly tail: number
  /** What lies in it, from its first byte on without a gap; none where it is no archive. */
  readonly members: readonly TarMember[]
}

export function closedLayout(bytes: Uint8Array): Layout {
  return { packed: [], parts: [bytes], size: bytes.length, tail: bytes.length, members: [] }
}

/** A piece that is all of the file. */
export function packedLayout(piece: Omit<Packed, 'gap' | 'inner'>, content: Layout): Layout {
  return { ...content, packed: [{ ...piece, gap: 0, inner: content.packed }], tail: 0 }
}

export type LayoutBuilder = {
  /** Header, content and what fills up behind it; a content with members of its own is told by them. */
  member(of: Pick<TarMember, 'path' | 'type'>, header: Uint8Array, content: Layout, padding: Uint8Array): void
  /** Bytes that are no member's: what is behind the last. */
  rest(path: string, bytes: Uint8Array): void
  layout(): Layout
}

const none = new Uint8Array(0)

export function layoutBuilder(): LayoutBuilder {
  const packed: Packed[] = []
  const parts: Uint8Array[] = []
  const members: TarMember[] = []
  let size = 0
  let gap = 0
  const raw = (bytes: Uint8Array): void => {
    if (bytes.length === 0) return
    parts.push(bytes)
    size += bytes.length
    gap += bytes.length
  }
  const inner = (content: Layout): void => {
    for (const [i, piece] of content.packed.entries()) packed.push(i === 0 ? { ...piece, gap: gap + piece.gap } : piece)
    // One by one: a package of a hundred thousand files has more parts than a call has room for.
    for (const part of content.parts) parts.push(part)
    size += content.size
    gap = content.packed.length === 0 ? gap + content.size : content.tail
  }
  const member: LayoutBuilder['member'] = (of, header, content, padding) => {
    const headerStart = size
    raw(header)
    const contentStart = size
    inner(content)
    const hasMembers = content.members.length > 0
    for (const one of content.members) members.push(shifted(one, contentStart))
    const told = hasMembers ? (content.members.at(-1) as TarMember).end : content.size
    const contentSize = hasMembers ? 0 : content.size
    const tellsAll = !hasMembers || told < content.size
    raw(padding)
    const head = { ...of, headerStart, contentStart, contentSize, end: hasMembers ? contentStart : size }
    members.splice(members.length - content.members.length, 0, head)
    if (hasMembers && (tellsAll || padding.length > 0)) members.push(fillerFrom(of.path, contentStart + told, size, padding.length))
  }
  return {
    member,
    rest: (path, bytes) => {
      if (bytes.length === 0) return
      raw(bytes)
      members.push(fillerFrom(path, size - bytes.length, size, 0))
    },
    layout: () => ({ packed, parts: parts.length === 0 ? [none] : parts, size, tail: gap, members }),
  }
}

function shifted(member: TarMember, by: number): TarMember {
  const { headerStart, contentStart, end } = member
  return { ...member, headerStart: headerStart + by, contentStart: contentStart + by, end: end + by }
}

/** The end of an archive: zeros, a directory. */
function fillerFrom(path: string, start: number, end: number, padding: number): TarMember {
  return { path: `${path}/`, type: 'end', headerStart: start, contentStart: start, contentSize: end - start - padding, end }
}
