import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../../src/base/bytes.ts'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { rollback } from '../../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { install, machine, release, text, whole } from '../helpers/client-world.ts'
import { assertOneOf, callsOf, crashes, moments } from '../helpers/crash.ts'
import { recovery } from '../helpers/recovery.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Disk } from '../../src/port/disk.ts'

/** A merge is one rename like any other: a stop at any call leaves the local file or the merged one. */

const path = 'etc/rc.conf' as RelPath
const trees = [{ [path]: 'a\nb\nc\n' }, { [path]: 'a\nb\nnew\n' }] as const
const back = async (disk: Disk): Promise<unknown> =>
  await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock: { now: () => 1_700_000_100_000 } })

async function edited(): Promise<Disk> {
  const disk = await machine(memoryDisk(), trees[0])
  await disk.unlink(path)
  await disk.create(path, oneChunk(utf8('mine\nb\nc\n')))
  await disk.setTimes([{ path, mtime: { sec: 1_690_000_000, nsec: 0 } }])
  return disk
}

for (const moment of moments) {
  test(`a merging install and its rollback, crashed ${moment} any call, are finished or undone by recover`, async () => {
    const [old, next] = [await release('1.0', trees[0]), await release('1.1', trees[1])]
    const run = async (disk: Disk): Promise<unknown> => await install(disk, old, next)
    const merged = async (): Promise<Disk> => {
      const disk = await edited()
      await run(disk)
      return disk
    }
    const pictures = { local: await whole(await edited()), merged: await whole(await merged()) }
    assert.equal(await text(await merged(), path), 'mine\nb\nnew\n')
    for (const [start, work] of [
      [edited, run],
      [merged, back],
    ] as const) {
      const calls = await callsOf(await start(), work)
      for (let at = 1; at <= calls.length; at++) {
        const disk = await start()
        assert.equal(await crashes(disk, { kind: 'crash', at, when: moment }, work), true)
        await recover(disk, { undo: at % 2 === 0, keepReleases: 5, recovery })
        assertOneOf(await whole(disk), pictures, `crashed ${moment} ${at} ${calls[at - 1] ?? ''}`)
      }
    }
  })
}
