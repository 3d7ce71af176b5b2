import { base64, concatBytes, fromBase64, fromHex } from '../base/bytes.ts'
import { sha256Hasher } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import type { Hasher } from '../base/digest.ts'
import type { JsonObject } from './strict-json.ts'

/**
 * Beginnings of the digests of a target's pieces, in its `custom` (doc/spec/repo.md): so that damage is known when the piece has come, and
 * not at the end of the file. Who forged one would gain that late knowledge: the digest of the whole still decides.
 */
export type Pieces = { readonly size: number; readonly digests: readonly string[] }

/** A piece is what a bad mirror costs: 64 KiB, or so much that there are no more than 32 of them. */
const leastSize = 64 << 10
const most = 32
/** Bytes of a sha256; 8 characters of base64. */
const digestBytes = 6

/** Undefined for what is one piece. */
export function pieceSizeOf(length: number): number | undefined {
  return length <= leastSize ? undefined : Math.ceil(length / most / leastSize) * leastSize
}

/** Digests of the pieces of what it is told, each as soon as it is complete. */
export type PieceHasher = {
  /** Beginnings of digests of the pieces that end within `bytes`. */
  update(bytes: Uint8Array): readonly string[]
  /** And of the last one, shorter. */
  end(): readonly string[]
}

export function pieceHasher(size: number): PieceHasher {
  let [hash, filled] = [sha256Hasher(), 0]
  const close = (): string => {
    const digest = beginning(hash)
    ;[hash, filled] = [sha256Hasher(), 0]
    return digest
  }
  return {
    update: (bytes) => {
      const closed: string[] = []
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + size - filled)
        hash.update(part)
        filled += part.length
        at += part.length
        if (filled === size) closed.push(close())
      }
      return closed
    },
    end: () => (filled === 0 ? [] : [close()]),
  }
}

function beginning(hash: Hasher): string {
  return base64(fromHex(hash.digest().slice(0, 2 * digestBytes)) as Uint8Array)
}

/** Undefined where there are none; `bad-format`, about the target at `path`, for what nobody writes. */
export function decodePieces(path: string, length: number, custom: JsonObject | undefined): Pieces | undefined {
  const pieces = custom?.['pieces']
  if (pieces === undefined) return undefined
  const { size, sha256 } = (pieces ?? {}) as JsonObject
  const bytes = typeof sha256 === 'string' ? fromBase64(sha256) : undefined
  const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= leastSize
  if (!isSize || bytes?.length !== Math.ceil(length / size) * digestBytes)
    throw new BinderyError('bad-format', "is listed with 'pieces' that are none", { subject: path })
  const digests = Array.from({ length: bytes.length / digestBytes }, (_, i) =>
    base64(bytes.subarray(i * digestBytes, (i + 1) * digestBytes)),
  )
  return { size, digests }
}

/** As a member of `custom`. */
export function encodePieces({ size, digests }: Pieces): JsonObject {
  return { pieces: { size, sha256: base64(concatBytes(digests.map((digest) => fromBase64(digest) as Uint8Array))) } }
}
