import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hostDisk } from '../src/host/disk.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { diskConformance, mountConformance } from './conformance/disk.ts'
import { plant, relPath } from './helpers/plant.ts'
import type { DiskMaker } from './conformance/disk.ts'

const temporary =
  (options: { readonly anchored: boolean }): DiskMaker =>
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bindery-disk-'))
    return { disk: hostDisk(folder, options), close: async () => await rm(folder, { recursive: true, force: true }) }
  }

diskConformance('in memory', async () => ({ disk: memoryDisk(), close: async () => {} }), { holes: false })
diskConformance('on disk', temporary({ anchored: false }), { holes: true })
if (process.platform === 'linux') diskConformance('on disk, anchored', temporary({ anchored: true }), { holes: true })

mountConformance('in memory', async () => {
  const mounts = { small: { freeBytes: 65_536 }, frozen: { readOnly: false } }
  const disk = memoryDisk({ mounts })
  await plant(disk, { 'frozen/f': 'f' })
  await disk.mkdir(relPath('wide'), 0o755)
  mounts.frozen.readOnly = true
  return { disk, close: async () => {} }
})

mountConformance('on disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bindery-mounts-'))
  const close = async (): Promise<void> => {
    for (const name of ['small', 'frozen']) spawnSync('umount', [join(folder, name)], { stdio: 'ignore' })
    await rm(folder, { recursive: true, force: true })
  }
  for (const name of ['wide', 'small', 'frozen']) mkdirSync(join(folder, name))
  const mount = (...args: readonly string[]): boolean => spawnSync('mount', args, { stdio: 'ignore' }).status === 0
  if (!mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', join(folder, 'small')) || !mount('-t', 'tmpfs', 'tmpfs', join(folder, 'frozen'))) {
    await close()
    return { skip: 'file systems cannot be mounted here (root is needed)' }
  }
  writeFileSync(join(folder, 'frozen/f'), 'f')
  mount('-o', 'remount,ro', join(folder, 'frozen'))
  return { disk: hostDisk(folder), close }
})
