import { withSubject } from '../base/about.ts'
import { describeDist } from '../engine/dist/read.ts'
import { fileOffsets } from '../engine/dist/write.ts'
import { bytesOf, openTarFile } from './tar-file.ts'
import { isTree, openTree, scanWithProgress } from './tree-input.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { FileEntry, Manifest } from '../base/entry.ts'
import type { DistName } from '../base/name.ts'
import type { RelPath } from '../base/path.ts'
import type { Disk } from '../port/disk.ts'
import type { Context } from './command.ts'

/** What a capture is laid over: all of a tree, described, with its contents at hand. */
export type Base = {
  readonly manifest: Manifest
  /** Of a dist. */
  readonly name?: DistName
  /** Of a file of the manifest. */
  content(file: FileEntry): ByteStream
  close(): Promise<void>
}

/** A dist, compressed or not, or a tree. */
export async function openBase(context: Context, operand: string): Promise<Base> {
  return operand !== '-' && isTree(operand) ? await openTreeBase(context, openTree(operand)) : await openDistBase(context, operand)
}

async function openTreeBase(context: Context, disk: Disk): Promise<Base> {
  return {
    manifest: await scanWithProgress(disk, context),
    content: ({ path, size }) => disk.read(path, { end: size }),
    close: async () => {},
  }
}

async function openDistBase(context: Context, operand: string): Promise<Base> {
  const source = await openTarFile({ file: operand, raw: false }, context)
  try {
    const { name, manifest } = await describeDist(bytesOf(source))
    const offsets = fileOffsets(name, manifest)
    const bytesAt = (path: RelPath, size: number): ByteStream => {
      const start = offsets.get(path) as number
      return bytesOf(source, start, start + size)
    }
    return {
      name,
      manifest,
      content: ({ path, size }) => bytesAt(path, size),
      close: async () => await source.close(),
    }
  } catch (error) {
    await source.close()
    throw withSubject(error, operand)
  }
}
