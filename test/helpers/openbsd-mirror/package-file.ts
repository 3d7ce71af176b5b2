import { crc32, deflateRawSync, constants, gzipSync } from 'node:zlib'
import { collectBytes, concatBytes, fromLatin1 } from '../../../src/base/bytes.ts'
import { signPackage } from '../../../src/engine/pkg/sign-package.ts'
import { noise } from '../noise.ts'
import { header, padded } from '../tar-builder.ts'
import { buildTime, descriptionOf, packingList } from './package-facts.ts'
import type { Signer } from '../../../src/engine/repo/key-file.ts'
import type { PackageFacts } from './package-facts.ts'

/** Packages as files: a tar with the packing list first, gzip around it, signify's signature in its header. */
export type PackageKey = { readonly signer: Signer; /** `openbsd-78-pkg` for openbsd-78-pkg.sec. */ readonly name: string }

export function unsignedPackage(facts: PackageFacts, signed?: { readonly signer: string; readonly date: string }): Uint8Array {
  const members = [
    tarMember('+CONTENTS', packingList(facts, signed)),
    tarMember('+DESC', descriptionOf(facts)),
    ...facts.files.filter(({ keyword }) => keyword !== 'dir' && keyword !== 'sample').map(({ path, content }) => tarMember(path, content)),
  ]
  const end = new Uint8Array(1024)
  if (facts.ballast === 0) return new Uint8Array(gzipSync(concatBytes([...members, end])))
  const last = header({ name: 'share/ballast', size: facts.ballast, mode: 0o444, mtime: buildTime })
  return gzipOf([deflated(concatBytes([...members, last])), ...ballast(facts.ballast), deflated(end)])
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

/** Some content, and what deflate makes of it, without an end. */
type Piece = { readonly content: Uint8Array; readonly deflated: Uint8Array }

function deflated(content: Uint8Array): Piece {
  return { content, deflated: deflateRawSync(content, { level: 6, finishFlush: constants.Z_SYNC_FLUSH }) }
}

const pieceSize = 64 << 10
let pieces: readonly Piece[] | undefined

/** Words of a small language, compressed once for all packages. */
function wordPieces(): readonly Piece[] {
  const bytes = noise(1 << 20, 7).content
  const words = Array.from({ length: 2048 }, (_, i) => bytes.subarray(8 * i, 8 * i + 3 + (i % 6)))
  return Array.from({ length: 16 }, (_, turn) => {
    const content = new Uint8Array(pieceSize)
    for (let at = 0, i = turn * 40_000; at < pieceSize; i++) {
      const word = words[((bytes[i] as number) << 3) | (i & 7)] as Uint8Array
      content.set(word.subarray(0, pieceSize - at), at)
      at += word.length
    }
    return deflated(content)
  })
}

/** Padded. */
function ballast(size: number): readonly Piece[] {
  const padded = Math.ceil(size / 512) * 512
  const all = (pieces ??= wordPieces())
  const whole = Array.from({ length: Math.floor(padded / pieceSize) }, (_, i) => all[(size + i) % all.length] as Piece)
  const rest = padded % pieceSize
  return rest === 0 ? whole : [...whole, deflated((all[0] as Piece).content.subarray(0, rest))]
}

function gzipOf(parts: readonly Piece[]): Uint8Array {
  const trailer = new Uint8Array(8)
  const view = new DataView(trailer.buffer)
  view.setUint32(
    0,
    parts.reduce((sum, { content }) => crc32(content, sum), 0),
    true,
  )
  view.setUint32(4, parts.reduce((sum, { content }) => sum + content.length, 0) >>> 0, true)
  const start = concatBytes([new Uint8Array([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), fromLatin1('package.tar\0')])
  // An empty block with the mark of the last one.
  return concatBytes([start, ...parts.map((part) => part.deflated), new Uint8Array([3, 0]), trailer])
}
