import { hostDisk } from '../../src/host/disk.ts'
import { makeStateFolders } from '../../src/engine/client/state.ts'
import { scanTree } from '../../src/engine/tree/scan.ts'
import { recoveryProgram } from '../../src/host/recovery-program.ts'
import { install } from './client-world.ts'
import { countingDisk } from './counting-disk.ts'
import type { Release } from './client-world.ts'

/**
 * A process that installs the tree NEW over OLD on ROOT, on the real disk, and dies by SIGKILL at its Nth changing
 * call; with N 0 it lives and prints how many there were.
 */
const [old, next, root, at] = process.argv.slice(2) as [string, string, string, string]

async function releaseOf(folder: string, revision: string): Promise<Release> {
  const disk = hostDisk(folder)
  return { disk, manifest: await scanTree(disk), name: { product: 'base', revision, date: '20260101', arch: 'amd64' } }
}

await makeStateFolders(hostDisk(root))
const counting = countingDisk(hostDisk(root), (count) => {
  if (count === Number(at)) process.kill(process.pid, 'SIGKILL')
})
await install(counting.disk, await releaseOf(old, '1.0'), await releaseOf(next, '1.1'), { recovery: recoveryProgram })
process.stdout.write(`${counting.count()}\n`)
