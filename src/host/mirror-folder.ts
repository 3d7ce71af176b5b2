import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { isFileName } from '../format/openbsd/index-txt.ts'
import { systemError } from './system-error.ts'
import type { BigIntStats } from 'node:fs'
import type { MirrorFile, OpenedHead, PackageMirror } from '../port/package-mirror.ts'

/**
 * A folder of packages on a disk; symbolic links to regular files count as files. All calls are synchronous: for thousands of files of
 * which a block each is read, waiting for node's thread pool costs more than the disk does.
 */
export function mirrorFolder(folder: string): PackageMirror {
  return {
    place: folder,
    list: async () => trying(folder, () => readdirSync(folder).filter(isFileName).toSorted()).flatMap((name) => listed(folder, name)),
    read: async (name, limit) => {
      const head = openHead(folder, { name, size: undefined, stamp: undefined })
      if (head === undefined) return undefined
      try {
        const bytes = await head.upTo(limit + 1)
        if (bytes.length > limit) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: join(folder, name) })
        return bytes
      } finally {
        await head.close()
      }
    },
    open: async (file) => {
      // Between two files there is time for signals.
      await new Promise(setImmediate)
      const head = openHead(folder, file)
      if (head === undefined) throw new BinderyError('not-found', 'has gone', { subject: join(folder, file.name) })
      return head
    },
  }
}

/** What went away since, and what is no file, is not there. */
function listed(folder: string, name: string): readonly MirrorFile[] {
  const status = statSync(`${folder}/${name}`, { bigint: true, throwIfNoEntry: false })
  return status?.isFile() === true ? [{ name, size: Number(status.size), stamp: stampOf(status) }] : []
}

function stampOf({ mtimeNs }: BigIntStats): string {
  return String(mtimeNs)
}

function openHead(folder: string, { name, stamp }: MirrorFile): OpenedHead | undefined {
  const file = join(folder, name)
  // Not to wait for whoever might write into a FIFO.
  const fd = openAt(file)
  if (fd === undefined) return undefined
  const status = fstatSync(fd, { bigint: true })
  const close = async (): Promise<void> => closeSync(fd)
  if (!status.isFile()) {
    closeSync(fd)
    throw new BinderyError('wrong-type', 'is no regular file', { subject: file })
  }
  const size = Number(status.size)
  return {
    size,
    tag: undefined,
    close,
    upTo: async (count) => {
      const bytes = trying(file, () => readStart(fd, Math.min(count, size)))
      const now = stampOf(fstatSync(fd, { bigint: true }))
      if (bytes.length < Math.min(count, size) || now !== stampOf(status) || (stamp !== undefined && now !== stamp))
        throw new BinderyError('io', 'was changed while it was read', { subject: file })
      return bytes
    },
  }
}

function openAt(file: string): number | undefined {
  try {
    return trying(file, () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK))
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

function readStart(fd: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count)
  let done = 0
  while (done < count) {
    const read = readSync(fd, bytes, done, count - done, done)
    if (read === 0) break
    done += read
  }
  return bytes.subarray(0, done)
}

function trying<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw systemError(cause, file)
  }
}
