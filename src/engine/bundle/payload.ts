import { oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { showPath } from '../../base/path.ts'
import { encodeHeader, endOfArchive, paddingOf } from '../../format/tar.ts'
import { checked } from '../client/apply/contents.ts'
import { openDist } from '../dist/read.ts'
import { isPatchable, wholeContent } from './patches.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { RelPath } from '../../base/path.ts'
import type { Content } from './list.ts'
import type { Patcher } from './patches.ts'

/** A file of the client's state that comes with a bundle, behind the contents of the release. */
export type Extra = { readonly size: number; readonly open: () => ByteStream }

/**
 * The payload before it is compressed: a tar whose members are numbers, so that every tar can unpack it and no name of the
 * release is ever an argument. Contents come in the order of the dist, which is read once.
 */
export async function* payloadTar(
  dist: ByteStream,
  contents: readonly Content[],
  extras: readonly Extra[],
  patcher: Pick<Patcher, 'pack'> | undefined,
): ByteStream {
  const wanted = new Map(contents.map((content, number) => [content.path, { ...content, number }]))
  for await (const { header, content } of (await openDist(dist)).parts) {
    const want = wanted.get(header.path)
    if (want === undefined) continue
    wanted.delete(header.path)
    const whole = checked(content, header.path, want)
    if (patcher === undefined || !isPatchable(want)) yield* member(want.number, want.size, whole)
    else {
      const packed = await patcher.pack(want, want.number, await wholeContent(whole, want))
      yield* member(want.number, packed.length, oneChunk(packed))
    }
  }
  for (const path of wanted.keys()) throw new BinderyError('bad-digest', 'is missing in the dist', { subject: showPath(path) })
  for (const [i, { size, open }] of extras.entries()) yield* member(contents.length + i, size, open())
  yield endOfArchive
}

/** A tar of the same kind. */
export async function* numberedTar(contents: readonly Uint8Array[]): ByteStream {
  for (const [number, bytes] of contents.entries()) yield* member(number, bytes.length, oneChunk(bytes))
  yield endOfArchive
}

async function* member(number: number, size: number, content: ByteStream): ByteStream {
  const path = String(number) as RelPath
  yield encodeHeader({ kind: 'file', path, mode: 0o600, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 }, size })
  yield* content
  yield new Uint8Array(paddingOf(size))
}
