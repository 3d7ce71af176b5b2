import { statSync } from 'node:fs'
import { join } from 'node:path'
import { hostDisk } from '../../src/host/disk.ts'
import { makeStateFolders } from '../../src/engine/client/state.ts'
import { scanTree } from '../../src/engine/tree/scan.ts'
import { recoveryProgram } from '../../src/host/recovery-program.ts'
import { install } from './client-world.ts'
import { countingDisk } from './counting-disk.ts'
import type { Release } from './client-world.ts'

/**
 * A process that installs the tree NEW over OLD on ROOT, on the real disk, and dies by SIGKILL at its Nth changing
 * call, or at the first one when another file is at the path that stands for N; with N 0 it lives and prints how many there were.
 */
const [old, next, root, at] = process.argv.slice(2) as [string, string, string, string]

async function releaseOf(folder: string, revision: string): Promise<Release> {
  const disk = hostDisk(folder)
  return { disk, manifest: await scanTree(disk), name: { product: 'base', revision, date: '20260101', arch: 'amd64' } }
}

function isTime(count: number): boolean {
  return first === undefined ? count === Number(at) : inodeOf(at) !== first
}

function inodeOf(path: string): number | undefined {
  return statSync(join(root, path), { throwIfNoEntry: false })?.ino
}

const first = /^[0-9]+$/.test(at) ? undefined : inodeOf(at)
await makeStateFolders(hostDisk(root))
const counting = countingDisk(hostDisk(root), (count) => {
  if (isTime(count)) process.kill(process.pid, 'SIGKILL')
})
await install(counting.disk, await releaseOf(old, '1.0'), await releaseOf(next, '1.1'), { recovery: recoveryProgram })
process.stdout.write(`${counting.count()}\n`)
