import { constants, writeSync } from 'node:fs'
import { open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { syncFolder } from './sync-folder.ts'
import { systemError } from './system-error.ts'
import type { FileHandle } from 'node:fs/promises'
import type { ByteStream } from '../base/bytes.ts'
import type { ByteSource } from '../port/source.ts'

/** Files that a user names: read as a source or a stream, written as a whole or not at all. */

export type OpenSource = ByteSource & { close(): Promise<void> }

const chunkSize = 256 << 10

/** How many written bytes start their way to the disk while the next ones are made. */
const syncEvery = 8 << 20

/** A regular file for random access. Whoever opens it closes it. A FIFO is told to be none, and not waited for. */
export async function openSource(file: string): Promise<OpenSource> {
  const handle = await openForReading(file, constants.O_RDONLY | constants.O_NONBLOCK)
  const { size } = await regularStat(handle, file)
  return { ...sourceOf(handle, size, file), label: file }
}

/** And neither a folder, nor a pipe, nor nothing at all. */
export async function isRegularFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isFile() === true
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

export async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

/**
 * A file, or stdin for `-`. Opened before this returns, so that a missing file is told before the first byte. `reuse`: the
 * caller is done with a chunk when it asks for the next, and its memory is used again.
 */
export async function openInput(file: string, stdin: ByteStream, options: { readonly reuse?: boolean } = {}): Promise<ByteStream> {
  if (file === '-') return stdin
  const handle = await openForReading(file)
  const status = await handle.stat()
  if (status.isDirectory()) {
    await handle.close()
    throw new BinderyError('wrong-type', 'is a directory', { subject: file })
  }
  return readAll(handle, file, options.reuse ?? false)
}

async function openForReading(file: string, flags: number = constants.O_RDONLY): Promise<FileHandle> {
  try {
    return await open(file, flags)
  } catch (cause) {
    throw systemError(cause, file)
  }
}

async function regularStat(handle: FileHandle, file: string): Promise<{ size: number }> {
  const status = await handle.stat()
  if (status.isFile()) return status
  await handle.close()
  throw new BinderyError('wrong-type', 'is no regular file', { subject: file })
}

function sourceOf(handle: FileHandle, size: number, file: string): OpenSource {
  return {
    size,
    read: async (start, end, room) => {
      const size = end - start
      const bytes = room !== undefined && room.length >= size ? room.subarray(0, size) : new Uint8Array(size)
      if ((await fill(handle, bytes, start, file)) < bytes.length) {
        throw new BinderyError('io', `became shorter while it was read (${size} bytes before)`, { subject: file })
      }
      return bytes
    },
    close: async () => await handle.close(),
  }
}

/** Reads until `bytes` is full or the file ends; answers how many bytes there were. */
async function fill(handle: FileHandle, bytes: Uint8Array, start: number, file: string): Promise<number> {
  let done = 0
  while (done < bytes.length) {
    const { bytesRead } = await reading(file, () => handle.read(bytes, done, bytes.length - done, start + done))
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

async function reading<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw systemError(cause, file)
  }
}

/** From the current position, so that pipes and devices work too. One chunk is read ahead of the consumer. */
async function* readAll(handle: FileHandle, file: string, reuse: boolean): ByteStream {
  const buffers = [new Uint8Array(chunkSize), new Uint8Array(chunkSize)] as const
  let turn: 0 | 1 = 0
  const next = async (): Promise<Uint8Array> => {
    turn = turn === 0 ? 1 : 0
    const bytes = reuse ? buffers[turn] : new Uint8Array(chunkSize)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, null)
    return bytes.subarray(0, bytesRead)
  }
  let ahead = next()
  try {
    for (;;) {
      const bytes = await reading(file, () => ahead)
      if (bytes.length === 0) return
      ahead = next()
      // A consumer that leaves early never looks at the chunk read ahead; its failure is then nobody's.
      ahead.catch(() => {})
      yield bytes
    }
  } finally {
    await ahead.catch(() => {})
    await handle.close()
  }
}

/**
 * Writes `content` aside, syncs it, renames it to `file` and syncs the directory; answers its size. On any failure
 * nothing is left behind and an older `file` is as it was. A device or a FIFO (`-o /dev/null`) is written into.
 */
export async function writeFileAtomically(file: string, content: ByteStream): Promise<number> {
  const target = await resolveTarget(file)
  if (target.kind === 'special') return await writeInto(file, content)
  const aside = join(dirname(target.path), `.${basename(target.path).slice(0, 200)}.${randomName(6)}.part`)
  try {
    const size = await writeNew(aside, content, file)
    await rename(aside, target.path)
    await syncFolder(dirname(target.path))
    return size
  } catch (error) {
    await unlink(aside).catch(() => {})
    throw systemError(error, file)
  }
}

/** node:crypto is slow to load, and who only reads has no use for it. */
function randomName(bytes: number): string {
  return process.getBuiltinModule('node:crypto').randomBytes(bytes).toString('hex')
}

/** A symbolic link is followed, so that the file behind it is replaced and not the link. */
async function resolveTarget(file: string): Promise<{ kind: 'file'; path: string } | { kind: 'special' }> {
  const status = await stat(file).catch(() => undefined)
  if (status === undefined) return { kind: 'file', path: file }
  if (status.isDirectory()) throw new BinderyError('wrong-type', 'is a directory', { subject: file })
  return status.isFile() ? { kind: 'file', path: await realpath(file) } : { kind: 'special' }
}

async function writeInto(file: string, content: ByteStream): Promise<number> {
  const handle = await open(file, 'w').catch((cause: unknown) => Promise.reject(systemError(cause, file)))
  let size = 0
  try {
    for await (const bytes of content) {
      for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done)).bytesWritten
      size += bytes.length
    }
    return size
  } catch (error) {
    throw systemError(error, file)
  } finally {
    await handle.close()
  }
}

async function writeNew(aside: string, content: ByteStream, file: string): Promise<number> {
  const handle = await open(aside, 'wx').catch((cause: unknown) => Promise.reject(systemError(cause, file)))
  try {
    const size = await drainIntoFile(handle, content)
    await handle.sync()
    return size
  } finally {
    await handle.close()
  }
}

/**
 * Writes all of `content` into a regular file, and lets the disk work along, so that a sync at the end has little left.
 * The writes themselves are synchronous: they end in memory, and waiting for node's thread pool costs more.
 */
async function drainIntoFile(handle: FileHandle, content: ByteStream): Promise<number> {
  let size = 0
  let unsynced = 0
  let syncing: Promise<void> = Promise.resolve()
  try {
    for await (const bytes of content) {
      for (let done = 0; done < bytes.length;) done += writeSync(handle.fd, bytes, done)
      size += bytes.length
      unsynced += bytes.length
      if (unsynced < syncEvery) continue
      unsynced = 0
      await syncing
      syncing = handle.datasync()
      syncing.catch(() => {})
    }
  } finally {
    // A failed sync is final: the next one might answer "done" for pages that were dropped.
    await syncing
  }
  return size
}

/**
 * Keeps a stream in a temporary file that has no name any more, for random access; gone when closed or killed. In `folder`,
 * or where temporary files usually are.
 */
export async function spoolToSource(stream: ByteStream, folder?: string): Promise<OpenSource> {
  const file = join(folder ?? process.env['TMPDIR'] ?? tmpdir(), `.bindery-${randomName(8)}`)
  // The name would say nothing to whoever chose the folder.
  const subject = folder ?? file
  const handle = await open(file, 'wx+', 0o600).catch((cause: unknown) => Promise.reject(systemError(cause, subject)))
  try {
    await unlink(file)
    return sourceOf(handle, await drainIntoFile(handle, stream), 'temporary file')
  } catch (error) {
    await handle.close()
    throw systemError(error, subject)
  }
}
