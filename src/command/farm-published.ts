import { join } from 'node:path'
import type { HandedSet } from '../format/handover.ts'

/** Where mirrors have the packages of a stable branch. */
export function publishedFolder(folder: string, { release, arch }: Pick<HandedSet, 'release' | 'arch'>): string {
  return join(folder, release, 'packages-stable', arch)
}
