import { closeSync, lstatSync, openSync, read as readAt, unlinkSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { systemError } from './system-error.ts'
import type { ByteStream } from '../base/bytes.ts'

/** What a program prints, kept as it comes, so that it can be read when the program has failed, or we have. */
export type LogFile = {
  /** Never throws: it is called by whoever has bytes, and waits for nobody. */
  write(bytes: Uint8Array): void
  /** Aborted with the reason where something could not be written. */
  readonly failed: AbortSignal
  /** Whether nothing was printed. */
  isEmpty(): boolean
  /** In bytes. */
  size(): number
  /** What was written until now, whatever became of the file's name. */
  read(): ByteStream
  /** Where nothing was printed, there is no file afterwards. */
  close(): void
  remove(): void
}

/** Adds to an open file that has `size` bytes. */
export function logTo(handle: number, file: string, size = 0): Pick<LogFile, 'write' | 'failed'> & { size(): number } {
  const failed = new AbortController()
  let written = size
  return {
    write: (bytes) => {
      try {
        for (let done = 0; done < bytes.length && !failed.signal.aborted;) done += writeSync(handle, bytes, done)
        written += bytes.length
      } catch (cause) {
        failed.abort(systemError(cause, file))
      }
    },
    failed: failed.signal,
    size: () => written,
  }
}

/** A new file. What an earlier run has left is removed; `exists` for anything but a file: whoever made it, it is not ours. */
export function openLog(file: string): LogFile {
  removeEarlier(file)
  const handle = told(file, () => openSync(file, 'wx+'))
  const log = logTo(handle, file)
  const remove = (): void => removeIfThere(file)
  return {
    ...log,
    isEmpty: () => log.size() === 0,
    read: () => contentOf(handle, file),
    close: () => {
      closeSync(handle)
      if (log.size() === 0) remove()
    },
    remove,
  }
}

/** A link would lead to another file, and opening a FIFO would wait for its reader. */
function removeEarlier(file: string): void {
  const stat = told(file, () => lstatSync(file, { throwIfNoEntry: false }))
  if (stat === undefined) return
  if (!stat.isFile()) throw new BinderyError('exists', 'is there, and no file', { subject: file })
  removeIfThere(file)
}

function removeIfThere(file: string): void {
  try {
    told(file, () => unlinkSync(file))
  } catch (error) {
    if (!isBinderyError(error, 'not-found')) throw error
  }
}

const chunkSize = 256 << 10

async function* contentOf(handle: number, file: string): ByteStream {
  for (let at = 0; ;) {
    const bytes = new Uint8Array(chunkSize)
    const { bytesRead } = await promisify(readAt)(handle, bytes, 0, chunkSize, at).catch((cause: unknown) =>
      Promise.reject(systemError(cause, file)),
    )
    if (bytesRead === 0) return
    yield bytes.subarray(0, bytesRead)
    at += bytesRead
  }
}

function told<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw systemError(cause, file)
  }
}
