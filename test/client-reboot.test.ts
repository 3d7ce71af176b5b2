import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { pendingReboots, recordReboot } from '../src/engine/client/reboot.ts'
import { makeStateFolders, statePaths, writeStateFile } from '../src/engine/client/state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import type { Journal } from '../src/format/journal.ts'
import type { RebootClass } from '../src/format/update.ts'
import type { Disk } from '../src/port/disk.ts'

/** For which channels a machine should start again, from install to install and from start to start. */

type Step = readonly [old: string, installed: string, asked: RebootClass | 'nothing', boot: string, role?: string]

async function record(disk: Disk, [old, installed, asked, boot, role = 'base-amd64']: Step): Promise<void> {
  const reboot = asked === 'nothing' ? [] : [{ role, class: asked }]
  await recordReboot(disk, { releases: [{ role, old, new: installed }], reboot } as unknown as Journal, boot)
}

async function pending(disk: Disk, boot: string | undefined): Promise<readonly string[]> {
  const needs = await pendingReboots(disk, { id: async () => boot, ofRoot: async () => boot })
  return needs.map((need) => `${need.role} ${need.class} ${need.old} ${need.new}`)
}

async function emptyState(): Promise<Disk> {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  return disk
}

for (const [what, steps, wanted] of [
  ['nothing is due where nothing was asked for', [['1', '2', 'nothing', 's1']], []],
  ['programs that start again are no reboot', [['1', '2', 'restart', 's1']], []],
  ['a reboot is due', [['1', '2', 'reboot', 's1']], ['base-amd64 reboot 1 2']],
  ['a careful one is due', [['1', '2', 'careful', 's1']], ['base-amd64 careful 1 2']],
  [
    'one that was due stays due, from what the machine started with, with a release that asks for none',
    [
      ['1', '2', 'reboot', 's1'],
      ['2', '3', 'nothing', 's1'],
    ],
    ['base-amd64 reboot 1 3'],
  ],
  [
    'the stronger one counts, whichever comes first',
    [
      ['1', '2', 'reboot', 's1'],
      ['2', '3', 'careful', 's1'],
      ['3', '4', 'reboot', 's1'],
    ],
    ['base-amd64 careful 1 4'],
  ],
  [
    'going back to what the machine started with ends it',
    [
      ['1', '2', 'careful', 's1'],
      ['2', '1', 'careful', 's1'],
    ],
    [],
  ],
  [
    'going back after it has started with the new one makes one',
    [
      ['1', '2', 'reboot', 's0'],
      ['2', '1', 'reboot', 's1'],
    ],
    ['base-amd64 reboot 2 1'],
  ],
  ['what an earlier start needed is done', [['1', '2', 'reboot', 's0']], []],
  [
    'channels count each on its own',
    [
      ['1', '2', 'reboot', 's1', 'base-amd64'],
      ['5', '6', 'careful', 's1', 'kernel-amd64'],
    ],
    ['base-amd64 reboot 1 2', 'kernel-amd64 careful 5 6'],
  ],
] as const satisfies readonly (readonly [string, readonly Step[], readonly string[]])[])
  test(`reboots: ${what}`, async () => {
    const disk = await emptyState()
    for (const step of steps) {
      await record(disk, step)
      await record(disk, step)
    }
    assert.deepEqual(await pending(disk, 's1'), wanted)
    assert.deepEqual(await pending(disk, 's2'), [])
    assert.deepEqual(await pending(disk, undefined), [])
  })

test('of several channels in one install each has what it asks for', async () => {
  const disk = await emptyState()
  const releases = ['base-amd64', 'kernel-amd64'].map((role) => ({ role, old: '1', new: '2' }))
  await recordReboot(disk, { releases, reboot: [{ role: 'kernel-amd64', class: 'careful' }] } as unknown as Journal, 's1')
  assert.deepEqual(await pending(disk, 's1'), ['kernel-amd64 careful 1 2'])
})

test('nothing is written where nothing changes, and all can read what is', async () => {
  const disk = await emptyState()
  await record(disk, ['1', '2', 'nothing', 's1'])
  assert.equal(await disk.lstat(statePaths.reboot), undefined)
  await record(disk, ['1', '2', 'reboot', 's1'])
  const written = await disk.lstat(statePaths.reboot)
  assert.equal(written?.mode, 0o644)
  await record(disk, ['1', '2', 'reboot', 's1'])
  assert.equal((await disk.lstat(statePaths.reboot))?.inode, written?.inode)
})

test('a damaged note is named, with the way out', async () => {
  const disk = await emptyState()
  await writeStateFile(disk, statePaths.reboot, utf8('nonsense\n'))
  await assert.rejects(pending(disk, 's1'), { code: 'bad-format', subject: '/var/db/bindery/reboot', hint: /remove it/ })
})
