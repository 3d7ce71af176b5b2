import { decodePieces, pieceHasher } from '../../../format/pieces.ts'
import { partPath } from './cache.ts'
import type { Pieces } from '../../../format/pieces.ts'
import type { TargetInfo } from '../../repo/trust-types.ts'
import type { Session } from './session.ts'

/** What a target's channel says of its pieces: a bad one is known before the end, and what is before it is kept. */
export function piecesOf({ path, length, custom }: TargetInfo): Pieces | undefined {
  return decodePieces(path, length, custom)
}

/** Cuts a part from an earlier run before its first bad piece, which some mirror or the disk made so. */
export async function keepGoodPieces({ disk }: Session, info: TargetInfo): Promise<void> {
  const pieces = piecesOf(info)
  const path = partPath(info.sha256)
  const stat = await disk.lstat(path)
  if (pieces === undefined || stat?.kind !== 'file') return
  const checker = pieceChecker(pieces, 0)
  for await (const bytes of disk.read(path)) {
    const good = checker.update(bytes)
    if (good === undefined) continue
    await disk.truncate(path, good)
    return
  }
}

export type PieceChecker = {
  /** Where a bad piece begins, when one has ended that is. */
  update(bytes: Uint8Array): number | undefined
  /** The last piece, shorter than the others. */
  end(): number | undefined
}

/** Of bytes from the beginning of a piece on. */
function pieceChecker({ size, digests }: Pieces, first: number): PieceChecker {
  const hasher = pieceHasher(size)
  let next = first
  const firstBad = (closed: readonly string[]): number | undefined => {
    for (const digest of closed) if (digest !== digests[next++]) return (next - 1) * size
    return undefined
  }
  return { update: (bytes) => firstBad(hasher.update(bytes)), end: () => firstBad(hasher.end()) }
}

/** For what comes behind the first `start` bytes of a part, of which the last may be those of a piece that has not ended. */
export async function checkerBehind({ disk }: Session, info: TargetInfo, start: number): Promise<PieceChecker | undefined> {
  const pieces = piecesOf(info)
  if (pieces === undefined) return undefined
  const first = Math.floor(start / pieces.size)
  const checker = pieceChecker(pieces, first)
  const begun = { start: first * pieces.size, end: start }
  if (begun.start < begun.end) for await (const bytes of disk.read(partPath(info.sha256), begun)) checker.update(bytes)
  return checker
}
