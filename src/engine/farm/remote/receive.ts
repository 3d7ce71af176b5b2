import { equalBytes, collectBytes, oneChunk } from '../../../base/bytes.ts'
import { isBinderyError } from '../../../base/error.ts'
import { joinPath, parentPath, parseRelPath, rootPath } from '../../../base/path.ts'
import type { RelPath } from '../../../base/path.ts'
import type { FarmAnswer } from '../../../format/farm-work.ts'
import type { Disk } from '../../../port/disk.ts'
import type { WholeFile } from './targets.ts'

/** Files as they come from builders, piece by piece. A piece that came before is no error; one that leaves a gap is not taken. */

export type Piece = { readonly at: number; readonly bytes: Uint8Array }

/** Adds what is new of a piece to the end of a file; answers how long that is by now. */
export async function addPiece(disk: Disk, path: RelPath, { at, bytes }: Piece): Promise<FarmAnswer> {
  const size = await sizeOf(disk, path)
  if (at > size) return { kind: 'size', size }
  const overlap = Math.min(size - at, bytes.length)
  // Two builders would not print the same, nor one that began anew.
  if (overlap > 0 && !equalBytes(await rangeOf(disk, path, at, at + overlap), bytes.subarray(0, overlap)))
    return { kind: 'altered', why: 'is not what came before at the same place' }
  const fresh = bytes.subarray(overlap)
  if (fresh.length === 0) return { kind: 'size', size }
  await makeFolders(disk, parentPath(path))
  await disk.append(path, oneChunk(fresh))
  return { kind: 'size', size: size + fresh.length }
}

export async function sizeOf(disk: Disk, path: RelPath): Promise<number> {
  return (await disk.lstat(path))?.size ?? 0
}

/** Of a package on its way, and where it lies when it is whole. */
function pathsOf(folder: RelPath, file: string): { readonly part: RelPath; readonly whole: RelPath } {
  return { part: joinPath(folder, `${file}.part`), whole: joinPath(folder, file) }
}

/** What is whole has the digest that was announced, or is dropped. */
export async function addPackagePiece(disk: Disk, folder: RelPath, announced: WholeFile, piece: Piece): Promise<FarmAnswer> {
  const { part, whole } = pathsOf(folder, announced.file)
  if ((await disk.lstat(whole)) !== undefined) return await wholeAnswer(disk, whole, announced)
  if (piece.at + piece.bytes.length > announced.size) return { kind: 'altered', why: 'goes on after its end' }
  const answer = await addPiece(disk, part, piece)
  if (answer.kind === 'altered') await disk.unlink(part)
  if (answer.kind !== 'size' || answer.size < announced.size) return answer
  if (announced.size === 0) await makeEmpty(disk, part)
  const checked = await wholeAnswer(disk, part, announced)
  if (checked.kind !== 'size') return checked
  await disk.sync(part)
  await disk.rename(part, whole)
  await disk.sync(folder)
  return checked
}

async function wholeAnswer(disk: Disk, path: RelPath, { size, sha256 }: WholeFile): Promise<FarmAnswer> {
  const found = await disk.digest(path)
  if (found.size === size && found.sha256 === sha256) return { kind: 'size', size }
  await disk.unlink(path)
  return { kind: 'altered', why: `came with the digest ${found.sha256}, not ${sha256}` }
}

async function makeEmpty(disk: Disk, path: RelPath): Promise<void> {
  await makeFolders(disk, parentPath(path))
  await disk.append(path, oneChunk(new Uint8Array(0)))
}

async function rangeOf(disk: Disk, path: RelPath, start: number, end: number): Promise<Uint8Array> {
  return (await collectBytes(disk.read(path, { start, end }), end - start)) ?? new Uint8Array(0)
}

async function makeFolders(disk: Disk, path: RelPath): Promise<void> {
  if (path === rootPath || (await disk.lstat(path)) !== undefined) return
  await makeFolders(disk, parentPath(path))
  try {
    await disk.mkdir(path, 0o755)
  } catch (error) {
    // Another build came at the same time.
    if (!isBinderyError(error, 'exists')) throw error
  }
}

/** What came of an attempt and was not taken: all of its folder. */
export async function dropIncoming(disk: Disk, folder: RelPath): Promise<void> {
  if ((await disk.lstat(folder)) === undefined) return
  for (const name of await disk.readdir(folder)) await disk.unlink(joinPath(folder, name))
  await disk.rmdir(folder)
}

/** A log's name comes from the catalog. */
export function pathInFarm(text: string): RelPath {
  const path = parseRelPath(text)
  if (path === undefined) throw new Error(`'${text}' is no path in a farm`)
  return path
}
