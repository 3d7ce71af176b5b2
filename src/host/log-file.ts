import { closeSync, openSync, writeSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { openInput } from './source.ts'
import { systemError } from './system-error.ts'
import type { ByteStream } from '../base/bytes.ts'

/** What a program prints, kept as it comes, so that it can be read when the program has failed, or we have. */
export type LogFile = {
  write(bytes: Uint8Array): void
  read(): Promise<ByteStream>
  close(): void
  remove(): Promise<void>
}

/** Empties the file where there is one. */
export function openLog(file: string): LogFile {
  const told = <T>(work: () => T): T => {
    try {
      return work()
    } catch (cause) {
      throw systemError(cause, file)
    }
  }
  const handle = told(() => openSync(file, 'w'))
  return {
    write: (bytes) => {
      for (let done = 0; done < bytes.length;) done += told(() => writeSync(handle, bytes, done))
    },
    read: async () => await openInput(file, nothing()),
    close: () => closeSync(handle),
    remove: async () => await unlink(file).catch((cause: unknown) => Promise.reject(systemError(cause, file))),
  }
}

async function* nothing(): ByteStream {}
