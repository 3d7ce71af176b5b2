import { deflateRawSync } from 'node:zlib'
import { collectBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { showPath } from '../../base/path.ts'
import { escapeWord } from '../../format/journal-node.ts'
import { checked } from '../client/apply/contents.ts'
import { makeBsdiff } from '../delta/bsdiff.ts'
import { openDist } from '../dist/read.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { RelPath } from '../../base/path.ts'
import type { ByteSource, Spool } from '../../port/source.ts'
import type { Content } from './list.ts'

/** Members that bspatch(1) makes of what is there already. */
export type Patcher = {
  /** The patch, or the content itself where that is not much larger. */
  pack(content: Content, member: number, bytes: Uint8Array): Promise<Uint8Array>
  /** Lines of the list, each ended, for the members that have become patches. */
  lines(): string
  close(): Promise<void>
}

/** Both sides, and what matching takes, are held at once; what is larger comes whole. */
const maxPatchedBytes = 64 << 20
/** A patch is written in addition to what it makes: it has to be worth that. */
const mostOfWhole = 0.75

export function isPatchable({ size, old }: Content): boolean {
  // Some versions of bspatch cannot map an empty file.
  return old !== undefined && size > 0 && old.size > 0 && size + old.size <= maxPatchedBytes
}

/** `oldDist`: the uncompressed tar of the old release, read once. */
export async function openPatcher(oldDist: ByteStream, contents: readonly Content[], spool: Spool): Promise<Patcher> {
  const places = new Map<RelPath, number>()
  const source = await spool(oldContents(oldDist, contents, places))
  const lines: string[] = []
  return {
    pack: async ({ path, size, sha256, old }, member, bytes) => {
      if (old === undefined) return bytes
      const before = await readOld(source, places.get(old.leader), old)
      const patch = makeBsdiff(before, bytes)
      if (patch.length > mostOfWhole * deflateRawSync(bytes).length) return bytes
      lines.push(`patch ${member} ${size} ${sha256} ${old.sha256} ${escapeWord(old.path)} ${escapeWord(path)}\n`)
      return patch
    },
    lines: () => lines.join(''),
    close: async () => await source.close(),
  }
}

async function* oldContents(oldDist: ByteStream, contents: readonly Content[], places: Map<RelPath, number>): ByteStream {
  const wanted = new Map(contents.flatMap((content) => (isPatchable(content) && content.old ? [[content.old.leader, content.old]] : [])))
  let at = 0
  for await (const { header, content } of (await openDist(oldDist)).parts) {
    const want = wanted.get(header.path)
    if (want === undefined) continue
    places.set(header.path, at)
    yield* checked(content, header.path, want)
    at += want.size
  }
}

async function readOld(source: ByteSource, at: number | undefined, { leader, size }: NonNullable<Content['old']>): Promise<Uint8Array> {
  if (at === undefined) throw new BinderyError('bad-digest', 'is missing in the old dist', { subject: showPath(leader) })
  return await source.read(at, at + size)
}

/** The content whole, for a patch to be made of it. */
export async function wholeContent(content: ByteStream, { size }: Content): Promise<Uint8Array> {
  return (await collectBytes(content, size)) as Uint8Array
}
