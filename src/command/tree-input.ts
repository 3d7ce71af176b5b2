import { statSync } from 'node:fs'
import { BinderyError } from '../base/error.ts'
import { scanTree } from '../engine/tree/scan.ts'
import { hostDisk } from '../host/disk.ts'
import { systemError } from '../host/system-error.ts'
import type { Manifest } from '../base/entry.ts'
import type { ScanOptions } from '../engine/tree/scan.ts'
import type { Disk } from '../port/disk.ts'
import type { Context } from './command.ts'

/** Whether an operand is a tree (a directory, or a link to one) and not a file; `not-found` where there is neither. */
export function isTree(operand: string): boolean {
  try {
    return statSync(operand).isDirectory()
  } catch (cause) {
    throw systemError(cause, operand)
  }
}

/** The tree of an operand; `wrong-type` where it is no directory. */
export function openTree(operand: string): Disk {
  if (!isTree(operand)) throw new BinderyError('wrong-type', 'is no directory', { subject: operand })
  return hostDisk(operand)
}

/** Scans with a progress line, and says under -v what cannot be recorded here. */
export async function scanWithProgress(
  disk: Disk,
  context: Context,
  options: Omit<ScanOptions, 'meter' | 'signal'> = {},
): Promise<Manifest> {
  const { xattrs, flags } = await disk.capabilities()
  if (!xattrs) context.explain('extended attributes are not recorded: getfattr(1) and setfattr(1) are not there')
  if (!flags) context.explain('file flags are not recorded: this system has none')
  const meter = context.progress.start('scanning', undefined)
  try {
    return await scanTree(disk, { ...options, meter, signal: context.signal })
  } finally {
    meter.end()
  }
}
