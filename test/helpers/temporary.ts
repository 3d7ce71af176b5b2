import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder for one test, gone afterwards. */
export async function inTemporary<T>(use: (folder: string) => Promise<T>): Promise<T> {
  return await inFolder(mkdtempSync(join(tmpdir(), 'bindery-test-')), use)
}

/**
 * The same in memory where temporary files are on an overlay (in a container, for one): the kernel does not keep the changes
 * of an overlay on another one, and does not know the several names of a file below it.
 */
export async function inTemporaryForOverlays<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const prefix = 'bindery-test-'
  return await inFolder(statfsSync(tmpdir()).type === overlay ? folderInMemory(prefix) : mkdtempSync(join(tmpdir(), prefix)), use)
}

async function inFolder<T>(folder: string, use: (folder: string) => Promise<T>): Promise<T> {
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const memory = '/dev/shm'
const tmpfs = 0x0102_1994
const overlay = 0x794c_7630

/**
 * A new folder in memory where there is room and extended attributes can be set, otherwise among the temporary files: for tests that
 * write much which a disk need not keep.
 */
export function folderInMemory(prefix: string): string {
  const fast = isMemory() ? mkdtempSync(join(memory, prefix)) : undefined
  if (fast === undefined) return mkdtempSync(join(tmpdir(), prefix))
  if (spawnSync('setfattr', ['-n', 'user.try', '-v', '1', fast]).status === 0) {
    spawnSync('setfattr', ['-x', 'user.try', fast])
    return fast
  }
  rmSync(fast, { recursive: true })
  return mkdtempSync(join(tmpdir(), prefix))
}

function isMemory(): boolean {
  try {
    const { type, bsize, bavail } = statfsSync(memory)
    return type === tmpfs && bsize * bavail > 1 << 30
  } catch {
    return false
  }
}
