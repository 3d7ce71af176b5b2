import { blockSize, paddingOf } from '../../format/tar.ts'
import { walkTree } from '../tree/scan.ts'
import { inDistOrder } from './order.ts'
import { withoutSockets } from './sockets.ts'
import { writeMembers } from './write.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { EntryHeader } from '../../base/entry.ts'
import type { DistName } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { DiskReader } from '../../port/disk.ts'
import type { Room } from './blocks.ts'

export type CutOptions = {
  /** Left out, with everything below. */
  readonly exclude?: (path: RelPath) => boolean
  readonly signal?: AbortSignal
}

/** What `cutTree` will write, decided before the first byte. */
export type Cut = {
  readonly disk: DiskReader
  readonly name: DistName
  /** In the order of the dist. */
  readonly headers: readonly EntryHeader[]
  /** Of the tar, for a progress line: but for extension headers. */
  readonly aboutSize: number
  /** Sockets, which no archive can hold. */
  readonly leftOut: readonly RelPath[]
}

/** Looks at the whole tree, bindery's own state excepted, without reading a file. */
export async function planCut(disk: DiskReader, name: DistName, options: CutOptions = {}): Promise<Cut> {
  const found = await walkTree(disk, options)
  const { kept, leftOut } = withoutSockets(found)
  const headers = inDistOrder(kept)
  return { disk, name, headers, aboutSize: headers.reduce((sum, header) => sum + memberSize(header), 0), leftOut }
}

function memberSize(header: EntryHeader): number {
  return blockSize + (header.kind === 'file' ? header.size + paddingOf(header.size) : 0)
}

/**
 * The dist's tar, each file read once, into memory that `room` gives; `io` when a file is no longer what it was when the
 * cut was planned. The bytes are only good until the next are asked for.
 */
export function cutTree({ disk, name, headers }: Cut, room: Room): ByteStream {
  return writeMembers(name, headers, (file) => disk.read(file.path, { end: file.size, room, seen: file }))
}
