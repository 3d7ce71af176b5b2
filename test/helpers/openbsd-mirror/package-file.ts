import { crc32, deflateRawSync, constants } from 'node:zlib'
import { collectBytes, concatBytes, fromLatin1 } from '../../../src/base/bytes.ts'
import { signPackage } from '../../../src/engine/pkg/signed-package.ts'
import { noise } from '../noise.ts'
import { header, padded } from '../tar-builder.ts'
import { buildTime, descriptionOf, packingList } from './package-facts.ts'
import type { Signer } from '../../../src/engine/repo/keys.ts'
import type { PackageFacts } from './package-facts.ts'

/** Packages as files: a tar with the packing list first, gzip around it, signify's signature in its header. */
export type PackageKey = { readonly signer: Signer; /** `openbsd-78-pkg` for openbsd-78-pkg.sec. */ readonly name: string }

export function unsignedPackage(facts: PackageFacts, signed?: { readonly signer: string; readonly date: string }): Uint8Array {
  const members = [
    tarMember('+CONTENTS', packingList(facts, signed)),
    tarMember('+DESC', descriptionOf(facts)),
    ...facts.files.filter(({ keyword }) => keyword !== 'dir' && keyword !== 'sample').map(({ path, content }) => tarMember(path, content)),
  ]
  const last =
    facts.ballast === 0
      ? []
      : [header({ name: 'share/ballast', size: facts.ballast, mode: 0o444, mtime: buildTime }), ballast(facts.ballast)]
  return gzipOf(concatBytes(members), concatBytes([...last, new Uint8Array(1024)]))
}

export async function packageFile(facts: PackageFacts, key: PackageKey | undefined, date: string): Promise<Uint8Array> {
  if (key === undefined) return unsignedPackage(facts)
  return await signedFile(unsignedPackage(facts, { signer: key.name, date }), key, date)
}

export async function signedFile(gzip: Uint8Array, { signer, name }: PackageKey, date: string): Promise<Uint8Array> {
  const source = { size: gzip.length, read: async (start: number, end: number) => gzip.subarray(start, end) }
  const signing = { signer, comment: `verify with ${name}.pub`, date, key: `${name}.sec` }
  return (await collectBytes(signPackage(source, signing), Infinity)) as Uint8Array
}

function tarMember(name: string, content: string): Uint8Array {
  return concatBytes([header({ name, size: content.length, mode: 0o444, mtime: buildTime }), padded(content)])
}

const pool = noise(1 << 20, 7).content

/** Padded; what no compressor makes smaller. */
function ballast(size: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(size / 512) * 512)
  for (let at = 0; at < size; at += pool.length) bytes.set(pool.subarray(0, Math.min(pool.length, size - at)), at)
  return bytes
}

/** `text` deflated, `rest` in stored blocks: what does not compress need not cost time. */
function gzipOf(text: Uint8Array, rest: Uint8Array): Uint8Array {
  const front = deflateRawSync(text, { level: 6, finishFlush: constants.Z_SYNC_FLUSH })
  const blocks: Uint8Array[] = []
  for (let at = 0; at < rest.length; at += 65_535) {
    const block = rest.subarray(at, at + 65_535)
    const isLast = at + block.length === rest.length
    blocks.push(new Uint8Array([isLast ? 1 : 0, block.length, block.length >> 8, ~block.length, ~block.length >> 8]), block)
  }
  const trailer = new Uint8Array(8)
  const view = new DataView(trailer.buffer)
  view.setUint32(0, crc32(rest, crc32(text)), true)
  view.setUint32(4, (text.length + rest.length) >>> 0, true)
  return concatBytes([new Uint8Array([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), fromLatin1('package.tar\0'), front, ...blocks, trailer])
}
