import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hostDisk } from '../src/host/disk.ts'
import { hostExec } from '../src/host/exec.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { diskConformance, mountConformance } from './conformance/disk.ts'
import { plant, relPath } from './helpers/plant.ts'
import { needsRoot } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
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
    // By a program that runs as ours do: what was just done there keeps it busy for no other.
    for (const name of ['small', 'frozen']) await hostExec.run('umount', [join(folder, name)])
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

const anchored = existsSync('/proc/self/fd') ? {} : { skip: 'no /proc/self/fd on this system' }

test('directories that were written to are not kept open', anchored, async () => {
  await inTemporary(async (folder) => {
    const disk = hostDisk(folder, { anchored: true })
    const opened = (): number => readdirSync('/proc/self/fd').length
    const before = opened()
    for (let i = 0; i < 300; i++) {
      await disk.mkdir(relPath(`d${i}`), 0o755)
      await disk.symlink(relPath(`d${i}/l`), 'x')
      assert.ok(opened() < before + 100)
    }
    await new Promise(setImmediate)
    assert.equal(opened(), before)
  })
})

test('a link that is denied is no file system without links', needsRoot(), async () => {
  await inTemporary(async (folder) => {
    const disk = hostDisk(folder)
    await plant(disk, { f: 'f' })
    chmodSync(folder, 0o755)
    chownSync(join(folder, 'f'), 65_534, 65_534)
    process.seteuid?.(65_534)
    try {
      await assert.rejects(disk.link(relPath('g'), relPath('f')), { code: 'io', message: 'permission denied', subject: 'f' })
    } finally {
      process.seteuid?.(0)
    }
  })
})
