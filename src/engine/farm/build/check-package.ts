import { base64, closeStream, latin1 } from '../../../base/bytes.ts'
import { digestStream } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { decodePackingList, encodePackingList, maxPackingListBytes } from '../../../format/openbsd/packing-list.ts'
import { fileKeywords } from '../../../format/openbsd/packing-keywords.ts'
import { readUpdateInfo } from '../../../format/openbsd/update-info.ts'
import { formatUpdateSignature, updateSignature } from '../../../format/openbsd/update-signature.ts'
import { listMembers } from '../../../format/tar-members.ts'
import { decompress } from '../../dist/wire.ts'
import { createHash } from 'node:crypto'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { PackedEntry, PackingList } from '../../../format/openbsd/packing-list.ts'
import type { TarMember } from '../../../format/tar-members.ts'
import type { ByteSource, Spool } from '../../../port/source.ts'

/** What a package says of itself, once its contents are what it says. */
export type CheckedPackage = {
  readonly file: string
  readonly size: number
  readonly sha256: Sha256
  readonly pkgpath: string
  /** As pkg_add prints it. */
  readonly signature: string
}

const maxContent = 64 * 2 ** 30

/**
 * A package as pkg_create makes it: gzip around a tar, whose first member is its packing list; every other file in it is in that list with
 * this size and digest, and every file of the list is there. `open` is called twice. Throws `bad-format`, `bad-digest`, `over-limit`.
 */
export async function checkPackage(file: string, open: () => ByteStream, spool: Spool): Promise<CheckedPackage> {
  const { size, sha256 } = await digestStream(open())
  await requireGzip(open())
  const tar = await spool(decompress(open(), maxContent))
  try {
    const members = await listMembers(tar)
    const text = await contentOfList(tar, members)
    const { list } = decodePackingList(text)
    const info = readUpdateInfo(text)
    if (`${info.names[0] ?? ''}.tgz` !== file) throw new BinderyError('bad-format', `calls itself ${showPath(info.names[0] ?? 'nothing')}`)
    if (info.pkgpath === undefined) throw new BinderyError('bad-format', 'has a packing list without a pkgpath')
    await compareContents(tar, members.slice(1), list)
    const signature = formatUpdateSignature(updateSignature(info, () => latin1(encodePackingList(list, 'variation'))))
    return { file, size, sha256, pkgpath: info.pkgpath, signature }
  } finally {
    await tar.close()
  }
}

async function requireGzip(stream: ByteStream): Promise<void> {
  const first = await stream[Symbol.asyncIterator]().next()
  await closeStream(stream)
  const start = first.done === true ? new Uint8Array(0) : first.value
  if (start[0] !== 0x1f || start[1] !== 0x8b) throw new BinderyError('bad-format', 'is no gzip file')
}

async function contentOfList(tar: ByteSource, members: readonly TarMember[]): Promise<Uint8Array> {
  const [list] = members
  const last = members.at(-1)
  if (list?.path !== '+CONTENTS') throw new BinderyError('bad-format', 'does not begin with its packing list')
  if (list.contentSize > maxPackingListBytes) throw new BinderyError('over-limit', 'has a packing list that is too large')
  const rest = await tar.read(last?.end ?? 0, Math.min(tar.size, (last?.end ?? 0) + 1024))
  if (rest.length < 1024 || rest.some((byte) => byte !== 0)) throw new BinderyError('bad-format', 'holds a tar that is damaged or cut off')
  return await tar.read(list.contentStart, list.contentStart + list.contentSize)
}

async function compareContents(tar: ByteSource, members: readonly TarMember[], list: PackingList): Promise<void> {
  const entries = new Map(contentsOf(list).map((entry) => [entry.path, entry]))
  for (const member of members) {
    const entry = entries.get(member.path)
    if (entry === undefined) throw new BinderyError('bad-format', `holds '${showPath(member.path)}', which its packing list does not name`)
    entries.delete(member.path)
    if (member.type === '0') await compareContent(tar, member, entry)
  }
  const [missing] = entries.keys()
  if (missing !== undefined) throw new BinderyError('bad-format', `does not hold '${showPath(missing)}' of its packing list`)
}

function contentsOf({ infoFiles, items }: PackingList): readonly PackedEntry[] {
  const entries = items.flatMap((item) => (item.kind === 'file' ? [item] : []))
  return [...infoFiles, ...entries.filter(({ keyword }) => fileKeywords.get(keyword) === 'content')]
}

async function compareContent(tar: ByteSource, member: TarMember, { annotations, path }: PackedEntry): Promise<void> {
  const [size, sha] = [annotations.get('size'), annotations.get('sha')]
  if (size !== undefined && Number(size) !== member.contentSize)
    throw new BinderyError('bad-digest', `holds '${showPath(path)}' with ${member.contentSize} bytes, not ${size}`)
  if (sha === undefined) return
  if ((await digestOf(tar, member)) !== sha)
    throw new BinderyError('bad-digest', `holds '${showPath(path)}' with another digest than its packing list says`)
}

const chunk = 1 << 20

async function digestOf(tar: ByteSource, { contentStart, contentSize }: TarMember): Promise<string> {
  const hash = createHash('sha256')
  const end = contentStart + contentSize
  for (let at = contentStart; at < end; at += chunk) hash.update(await tar.read(at, Math.min(end, at + chunk)))
  return base64(new Uint8Array(hash.digest()))
}
