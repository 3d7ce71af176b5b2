import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audit } from '../src/engine/client/apply/audit.ts'
import { planRepair, runRepair } from '../src/engine/client/apply/repair.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { install, machine, picture, release } from './helpers/client-world.ts'
import { withImmutableFlags } from './helpers/limited-disk.ts'
import { file, relPath } from './helpers/plant.ts'
import { recovery } from './helpers/recovery.ts'
import type { Disk } from '../src/port/disk.ts'

/** Labels, signatures and flags that say something about the machine (doc/decisions/0012) are nobody's change. */

const clock = { now: () => 1_700_000_100_000 }
const label = ['security.selinux', 'system_u:object_r:bin_t:s0\0'] as const
const signature = ['security.ima', 'signed here'] as const
const capability = ['security.capability', '\u0001'] as const

const tree = { 'bin/sh': file('1', { mode: 0o755 }), 'bin/ping': file('p'), 'bin/su': file('s', { xattrs: new Map([capability]) }) }
const nextTree = {
  'bin/sh': file('2', { mode: 0o755 }),
  'bin/ping': file('p', { xattrs: new Map([capability]) }),
  'bin/su': file('s', { mode: 0o700 }),
}

/** As a policy labels, and UFS flags, everything that is there. */
async function labelled(): Promise<Disk> {
  const disk = await machine(withImmutableFlags(memoryDisk()), tree)
  for (const path of ['.', 'bin', ...Object.keys(tree), 'var', 'var/db', 'var/db/bindery'].map(relPath)) {
    const own = (await disk.xattrsOf([path])).get(path) ?? new Map<string, string>()
    await disk.setXattrs(path, new Map([...own, label, signature]))
  }
  return disk
}

test('audit finds no difference in labels, signatures and the flags of the file system', async () => {
  const disk = await labelled()
  for (const path of Object.keys(tree)) await disk.setFlags(relPath(path), ['arch', 'uarch'])
  assert.deepEqual((await audit({ disk, manifest: (await release('1.0', tree)).manifest, config: defaultConfig })).findings, [])
})

test('an install and its rollback set what the release says, and leave labels alone', async () => {
  const [old, next] = [await release('1.0', tree), await release('1.1', nextTree)]
  const disk = await labelled()
  const before = await picture(disk)
  const done = await install(disk, old, next)
  assert.deepEqual(done.kept, [])
  const [ping, su] = [relPath('bin/ping'), relPath('bin/su')]
  const found = await disk.xattrsOf([ping, su])
  assert.deepEqual(found.get(ping), new Map([label, signature, capability]))
  assert.deepEqual(found.get(su), new Map([label, signature]))
  assert.equal(await picture(disk), await picture(await machine(memoryDisk(), nextTree)))
  await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock })
  assert.equal(await picture(disk), before)
  assert.deepEqual((await disk.xattrsOf([su])).get(su), new Map([label, signature, capability]))
})

test('a repair brings a lost capability back, and takes neither label nor flag', async () => {
  const { manifest } = await release('1.0', tree)
  const disk = await labelled()
  const su = relPath('bin/su')
  await disk.setXattrs(su, new Map([label]))
  await disk.setFlags(su, ['nodump', 'uarch'])
  const work = { disk, role: 'base-amd64', release: 'base-1.0-20260101-amd64', config: defaultConfig, recovery, clock }
  const found = await audit({ disk, manifest, config: defaultConfig })
  assert.deepEqual(
    found.findings.map(({ path, aspects }) => [path, aspects]),
    [['bin/su', ['flags', 'xattrs']]],
  )
  await runRepair(work, await planRepair(work, found, found.findings), [], () => assert.fail('nothing has to be read'))
  assert.deepEqual((await disk.xattrsOf([su])).get(su), new Map([label, capability]))
  assert.deepEqual((await disk.flagsOf([su])).get(su), ['uarch'])
})

test('a label in the manifest of another program is not compared', async () => {
  const marked = { 'bin/sh': file('1', { mode: 0o755, xattrs: new Map([label]) }) }
  const { manifest } = await release('1.0', { 'bin/sh': file('1', { mode: 0o755 }) })
  const entries = manifest.entries.map((entry) => (entry.path === 'bin/sh' ? { ...entry, xattrs: new Map([label]) } : entry))
  const disk = await machine(memoryDisk(), marked)
  assert.deepEqual((await audit({ disk, manifest: { ...manifest, entries }, config: defaultConfig })).findings, [])
})
