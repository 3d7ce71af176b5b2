import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { collectBytes, oneChunk } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { markVerified } from '../../src/base/verified.ts'
import { installIncoming } from '../../src/engine/client/apply/install.ts'
import { nextParts } from '../../src/engine/client/apply/phases.ts'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { rollback } from '../../src/engine/client/apply/rollback.ts'
import { compress } from '../../src/engine/dist/wire.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { encodeManifest } from '../../src/format/manifest.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { incoming, installInput, machine, release, whole } from '../helpers/client-world.ts'
import { assertOneOf, callsOf, crashes, stopsIn } from '../helpers/crash.ts'
import { hardlink, relPath, symlink } from '../helpers/plant.ts'
import { loggedDisk } from '../helpers/power-cut.ts'
import { cases } from '../helpers/whole-suite.ts'
import { recovery } from '../helpers/recovery.ts'
import type { Incoming } from '../../src/engine/client/incoming.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { Literal } from '../helpers/plant.ts'

/** A release in two phases and the rest, killed and cut off in each of them: before or behind the phase, and nothing between. */

const tree = (version: string, more: Literal): Literal => ({
  'boot/kernel': `kernel ${version}`,
  'boot/kernel.boot': hardlink('boot/kernel'),
  [`lib/modules/${version}/net.ko`]: 'driver',
  'usr/mdec/boot': `boot code ${version}`,
  'lib/libc.so.7': `libc ${version}`,
  'bin/sh': `sh ${version}`,
  ...more,
})
const oldTree = tree('1', { 'only/old': 'goes', turns: 'a file' })
const newTree = tree('2', { 'only/new': 'comes', 'turns/into': 'a folder', 'boot/latest': symlink('kernel') })
const phases = [
  { name: 'kernel', paths: ['/boot/**', '/lib/modules/**'], steps: [] },
  { name: 'boot-code', paths: ['/usr/mdec/*'], steps: [] },
]
const [old, next] = await Promise.all([release('1.0', oldTree), release('1.1', newTree)])
const manifests = await Promise.all([old, next].map(async ({ manifest }) => await packed(encodeManifest(manifest))))
const clock = { now: () => 1_700_000_100_000 }

async function packed(text: Uint8Array): Promise<Uint8Array> {
  return (await collectBytes(compress(oneChunk(text), 'zstd'), Infinity)) as Uint8Array
}

async function follower(): Promise<Disk> {
  const disk = await machine(memoryDisk(), oldTree)
  await disk.create(relPath('var/db/bindery/channel/base-amd64/manifest.mtree.zst'), oneChunk(manifests[0] as Uint8Array))
  return disk
}

function coming(): Incoming {
  const [before, after] = manifests as [Uint8Array, Uint8Array]
  const all = incoming(old, next)
  const manifest = { path: relPath('manifest.mtree.zst'), content: () => oneChunk(after), mode: 0o644, size: after.length }
  return {
    ...all,
    installed: { ...all.installed, manifest: { sha256: sha256(before), size: before.length } },
    update: markVerified({ ...all.update.value, phases }),
    stateFiles: [...all.stateFiles, manifest],
  }
}

/** One run of `install`. */
async function phase(disk: Disk, boot: string): Promise<void> {
  const [part] = await nextParts(disk, [coming()], boot)
  assert.ok(part !== undefined)
  await installIncoming({ ...installInput(disk, old, next), ...part })
}
const back = async (disk: Disk): Promise<unknown> =>
  await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, clock, recovery })

/** What the machine is behind each run. */
async function stages(disk: Disk): Promise<readonly string[]> {
  const seen = [await whole(disk)]
  for (const boot of ['a', 'b', 'c']) {
    await phase(disk, boot)
    seen.push(await whole(disk))
  }
  return seen
}

test('each run brings one phase, what goes goes at the end, and one rollback takes all of them back', async () => {
  const disk = await follower()
  const seen = await stages(disk)
  assert.equal(new Set(seen).size, 4)
  const has = (stage: number, text: string): boolean => seen[stage]?.includes(text) === true
  assert.ok(has(1, './lib/modules/2/net.ko') && has(1, './lib/modules/1/net.ko') && has(1, './boot/latest') && !has(1, './only/new'))
  assert.ok(!has(3, './lib/modules/1') && !has(3, './only/old') && has(3, './turns/into') && !has(3, 'bindery-phase'))
  await back(disk)
  assert.equal(await whole(disk), seen[0])
  await phase(disk, 'a')
  await phase(disk, 'b')
  assert.equal(await whole(disk), seen[2])
  await back(disk)
  assert.equal(await whole(disk), seen[0])
})

test('killed at every moment of every phase, the machine is before it or behind it', async () => {
  const seen = await stages(await follower())
  for (const [at, boot] of ['a', 'b', 'c'].entries()) {
    const fresh = async (): Promise<Disk> => {
      const disk = await follower()
      for (const done of ['a', 'b'].slice(0, at)) await phase(disk, done)
      return disk
    }
    const calls = await callsOf(await fresh(), async (disk) => await phase(disk, boot))
    for (const stop of stopsIn(calls, at)) {
      const disk = await fresh()
      assert.ok(await crashes(disk, { kind: 'crash', at: stop, when: 'after' }, async (faulty) => await phase(faulty, boot)))
      await recover(disk, { undo: stop % 2 === 0, keepReleases: 5, recovery })
      assertOneOf(await whole(disk), { before: seen[at] as string, behind: seen[at + 1] as string }, `phase ${at}, call ${stop}`)
    }
  }
})

test('a power cut in any phase, or on the way back, leaves one of the stages', async () => {
  const start = await follower()
  const logged = loggedDisk(start)
  const seen = await stages(logged.disk)
  await back(logged.disk)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: logged.length() }), fc.infiniteStream(fc.boolean()), async (count, luck) => {
      const disk = await follower()
      await logged.cut(disk, count, () => luck.next().value === true)
      await recover(disk, { undo: count % 2 === 0, keepReleases: 5, recovery })
      assertOneOf(await whole(disk), Object.fromEntries(seen.map((one, i) => [`stage ${i}`, one])), `cut behind ${count}`)
    }),
    { numRuns: cases(120) },
  )
})
