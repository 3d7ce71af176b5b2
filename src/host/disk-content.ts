import { createHash, hash } from 'node:crypto'
import {
  chmodSync,
  close,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { changedWhileRead, checkRights, diskError, wrongType } from './disk-error.ts'
import type { Stats } from 'node:fs'
import type { HostPath } from './host-path.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Sha256 } from '../base/digest.ts'
import type { ReadOptions, Rights } from '../port/disk.ts'

/** The bytes of regular files: reading, digesting, and writing with holes. */

const { O_APPEND, O_CREAT, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/** O_NONBLOCK: whatever was put there instead of a file, a FIFO for instance, must not hang us. */
const readFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY

const pieceSize = 1 << 20
/** What is handed on: small enough to stay in the processor's cache. */
const readPiece = 1 << 18
const firstPiece = Buffer.allocUnsafeSlow(pieceSize)
const block = 4096
/** Shorter runs of zeros are written: a hole costs an extent. */
const smallestHole = 65_536
const zeros = new Uint8Array(smallestHole)
/** Below this a write(2) is quicker than a trip to the thread pool. */
const syncWriteLimit = 131_072

const writeLater = promisify(write)
const closeLater = promisify(close)

/** A regular file and how large it was when it was opened. */
export type OpenFile = { readonly fd: number; readonly size: number }

/**
 * `path` names it in errors. What was `seen` is a file of known size, and whether it still is one is asked when it has been
 * read: a system call less for each file of a tree.
 */
export function openForReading(real: HostPath, path: string, seen?: ReadOptions['seen']): OpenFile {
  const fd = openSync(real, readFlags)
  if (seen !== undefined) return { fd, size: seen.size }
  const stat = fstatSync(fd)
  if (stat.isFile()) return { fd, size: stat.size }
  closeSync(fd)
  throw wrongType(path, 'is no regular file')
}

/**
 * Opens when the first bytes are asked for, closes also when its consumer leaves early. Synchronous like `digestFile`,
 * in pieces that fit the file, in one generator: a node stream costs more than most files are long.
 */
export async function* readRange(path: string, open: () => OpenFile, options: ReadOptions): AsyncGenerator<Uint8Array> {
  const { start = 0, end = Infinity, room, seen } = options
  let fd: number | undefined
  try {
    const file = open()
    fd = file.fd
    const last = Math.min(end, file.size)
    for (let at = start; at < last;) {
      const piece = room?.().subarray(0, last - at) ?? memoryFor(Math.min(last - at, readPiece))
      const count = readSync(fd, piece, 0, piece.length, at)
      if (count === 0) break
      at += count
      yield piece.subarray(0, count)
    }
    if (seen !== undefined && !isAsSeen(fd, seen)) throw changedWhileRead(path)
  } catch (cause) {
    throw diskError(cause, path)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function isAsSeen(fd: number, { size, mtime }: NonNullable<ReadOptions['seen']>): boolean {
  const stat = fstatSync(fd, { bigint: true })
  return stat.isFile() && Number(stat.size) === size && stat.mtimeNs === BigInt(mtime.sec) * 1_000_000_000n + BigInt(mtime.nsec)
}

let slab = new Uint8Array(0)

/** Cut from larger pieces, never used twice: an allocation for each small file would keep the garbage collector busy. */
function memoryFor(size: number): Uint8Array {
  if (slab.length < size) slab = Buffer.allocUnsafeSlow(pieceSize)
  const memory = slab.subarray(0, size)
  slab = slab.subarray(size)
  return memory
}

/**
 * Synchronous reads and the one-shot hash: with the CPU's SHA instructions this is four times as fast as mtree(8), and
 * faster than any way over worker threads or the thread pool that was tried (doc/decisions/0013).
 */
export async function digestFile({ fd }: OpenFile): Promise<{ readonly size: number; readonly sha256: Sha256 }> {
  try {
    const first = readSync(fd, firstPiece, 0, pieceSize, null)
    if (first < pieceSize) {
      const more = readSync(fd, firstPiece, first, pieceSize - first, null)
      if (more === 0) return { size: first, sha256: hash('sha256', firstPiece.subarray(0, first), 'hex') as Sha256 }
      return await digestLarge(fd, first + more)
    }
    return await digestLarge(fd, first)
  } finally {
    closeSync(fd)
  }
}

/** `first` bytes are in `firstPiece` already. */
async function digestLarge(fd: number, first: number): Promise<{ readonly size: number; readonly sha256: Sha256 }> {
  const own = Buffer.allocUnsafeSlow(pieceSize)
  const hasher = createHash('sha256').update(firstPiece.subarray(0, first))
  let size = first
  for (let count = -1; count !== 0; size += count) {
    // Lets signals and the progress line in.
    await setImmediate()
    count = readSync(fd, own, 0, pieceSize, null)
    hasher.update(own.subarray(0, count))
  }
  return { size, sha256: hasher.digest('hex') as Sha256 }
}

/** Makes a file that must not exist; removes it again when `content` or a write fails. Answers its size. */
export async function createFile(real: HostPath, content: ByteStream): Promise<number> {
  const fd = openSync(real, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    return await closing(fd, async () => await writeSparse(fd, content))
  } catch (error) {
    quietly(() => unlinkSync(real))
    throw error
  }
}

export type Cloned = { readonly real: HostPath; readonly path: string; readonly rights: Rights | undefined }

/**
 * Makes a file that must not exist; removes it again when it cannot be filled. The system copies what was opened here, and does not look for the name once
 * more: by then it may be a link to what its owner must not read. Where there is no other way to name an open file, the blocks are not shared.
 */
export async function cloneFile(real: HostPath, { real: from, path, rights }: Cloned): Promise<void> {
  const { fd, size } = openForReading(from, path)
  await closing(fd, async () => {
    if (rights !== undefined) checkRights(path, rightsOf(fstatSync(fd)), rights)
    const opened = `/proc/self/fd/${fd}`
    if (existsSync(opened)) await copyFile(opened, real, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    else await createFile(real, bytesOf(fd, size))
  })
  chmodSync(real, 0o600)
}

function rightsOf({ mode, uid, gid }: Stats): Rights {
  return { mode: mode & 0o7777, uid, gid }
}

async function* bytesOf(fd: number, size: number): ByteStream {
  for (let at = 0; at < size;) {
    const piece = memoryFor(Math.min(size - at, readPiece))
    const count = readSync(fd, piece, 0, piece.length, at)
    if (count === 0) return
    at += count
    yield piece.subarray(0, count)
  }
}

export async function appendFile(real: HostPath, content: ByteStream): Promise<number> {
  const fd = openSync(real, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o600)
  return await closing(fd, async () => {
    let size = 0
    for await (const chunk of content) {
      await writeAll(fd, chunk, null)
      size += chunk.length
    }
    return size
  })
}

export function truncateFile(real: HostPath, size: number): void {
  const fd = openSync(real, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
  try {
    ftruncateSync(fd, size)
  } finally {
    closeSync(fd)
  }
}

/** close(2) may be where a full disk shows (NFS), so its failure counts; after another failure it would only hide that one. */
async function closing<T>(fd: number, work: () => Promise<T>): Promise<T> {
  let result: T
  try {
    result = await work()
  } catch (error) {
    quietly(() => closeSync(fd))
    throw error
  }
  await closeLater(fd)
  return result
}

function quietly(undo: () => void): void {
  try {
    undo()
  } catch {
    // The failure that brought us here is the one to tell.
  }
}

/** Zeros are only counted; they are written when something follows too soon, and left out as a hole otherwise. */
async function writeSparse(fd: number, content: ByteStream): Promise<number> {
  let at = 0
  let pendingZeros = 0
  for await (const chunk of content) {
    for (const { bytes, zero } of runs(chunk, at + pendingZeros)) {
      if (zero) {
        pendingZeros += bytes.length
        continue
      }
      if (pendingZeros < smallestHole) await writeAll(fd, zeros.subarray(0, pendingZeros), at)
      at += pendingZeros
      pendingZeros = 0
      await writeAll(fd, bytes, at)
      at += bytes.length
    }
  }
  const size = at + pendingZeros
  if (pendingZeros > 0) ftruncateSync(fd, size)
  return size
}

type Run = { readonly bytes: Uint8Array; readonly zero: boolean }

/** Cuts at multiples of a block of the file, and joins blocks of one sort. `offset` is where the chunk starts in the file. */
function* runs(chunk: Uint8Array, offset: number): Generator<Run> {
  let start = 0
  let zero: boolean | undefined
  for (let at = 0; at < chunk.length;) {
    const next = Math.min(chunk.length, at + block - ((offset + at) % block))
    const isZero = chunk[at] === 0 && Buffer.compare(chunk.subarray(at, next), zeros.subarray(0, next - at)) === 0
    if (zero !== undefined && isZero !== zero) {
      yield { bytes: chunk.subarray(start, at), zero }
      start = at
    }
    zero = isZero
    at = next
  }
  if (zero !== undefined) yield { bytes: chunk.subarray(start), zero }
}

async function writeAll(fd: number, bytes: Uint8Array, position: number | null): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const place = position === null ? null : position + done
    if (bytes.length - done <= syncWriteLimit) done += writeSync(fd, bytes, done, bytes.length - done, place)
    else done += (await writeLater(fd, bytes, done, bytes.length - done, place)).bytesWritten
  }
}
