import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { pathFromText } from '../base/path.ts'
import type { RelPath } from '../base/path.ts'

/** Where a file, which need not be there yet, lies in a tree; undefined where it lies outside. */
export async function pathWithin(root: string, file: string): Promise<RelPath | undefined> {
  const folder = await realpath(dirname(file)).catch(() => undefined)
  return folder === undefined ? undefined : pathFromText(relative(await realpath(root), join(folder, basename(file))))
}
