import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { audit } from '../src/engine/client/apply/audit.ts'
import { neededFiles, planRepair, runRepair } from '../src/engine/client/apply/repair.ts'
import { planRollback, rollback } from '../src/engine/client/apply/rollback.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { install, machine, picture, release, text } from './helpers/client-world.ts'
import { file, hardlink, relPath } from './helpers/plant.ts'
import { recovery } from './helpers/recovery.ts'
import { refused } from './helpers/refused.ts'
import type { RollbackInput } from '../src/engine/client/apply/rollback.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

/** What an install kept, and what of it comes back where somebody has worked on it since. */

const mtime = { sec: 1_650_000_000, nsec: 5 }
const goal = { kind: 'steps', count: 1 } as const
const clock = { now: () => 1_700_000_100_999 }
const input = (disk: Disk, config: Partial<RollbackInput['config']> = {}): RollbackInput => ({
  disk,
  goal,
  config: { ...defaultConfig, ...config },
  clock,
  recovery,
})

async function installed(before: Literal, after: Literal, work: (disk: Disk) => Promise<void> = async () => {}): Promise<Disk> {
  const disk = await machine(memoryDisk(), before)
  await work(disk)
  await install(disk, await release('1.0', before), await release('1.1', after))
  return disk
}

/** Writes into a file as it is, whatever names it has. */
async function write(disk: Disk, path: string, content: string, sec = mtime.sec): Promise<void> {
  await disk.truncate(relPath(path), 0)
  await disk.append(relPath(path), oneChunk(utf8(content)))
  await disk.setTimes([{ path: relPath(path), mtime: { ...mtime, sec } }])
}

// --- by bindery.conf

test('a path that is protected keeps its version, with the older one beside; one that is ignored is not looked at', async () => {
  const ways: readonly (readonly [Partial<RollbackInput['config']>, readonly unknown[], readonly string[]])[] = [
    [{}, [], ['1', 'var']],
    [{ protect: [pathPattern('/f')] }, [{ path: 'f', reason: 'protected', beside: 'f.old' }], ['2', 'f.old', 'var']],
    [{ ignore: [pathPattern('/f')] }, [], ['2', 'var']],
  ]
  for (const [config, kept, [content, ...names]] of ways) {
    const disk = await installed({ f: file('1', { mtime }) }, { f: '2' })
    assert.deepEqual((await rollback(input(disk, config))).kept, kept)
    assert.deepEqual([await text(disk, 'f'), [...(await disk.readdir(relPath('.')))].sort()], [content, ['f', ...names]])
  }
})

// --- what was kept

test('a file that came back with another name of its own is told where somebody wrote into it, and refused where the disk lost it', async () => {
  const told = [{ path: 'f', reason: 'modified' }]
  const ways: readonly (readonly [string, (disk: Disk) => Promise<void>, readonly unknown[], string])[] = [
    ['as it was', async () => {}, [], 'one'],
    ['another size and time', async (disk) => await write(disk, 'mine', 'one more', 1), told, 'one more'],
    ['another size', async (disk) => await write(disk, 'mine', 'one more'), told, 'one more'],
    ['another time', async (disk) => await write(disk, 'mine', 'two', 1), told, 'two'],
    ['another time, and the same content', async (disk) => await write(disk, 'mine', 'one', 1), [], 'one'],
  ]
  for (const [what, work, kept, content] of ways) {
    const disk = await installed({ f: file('one', { mtime }) }, { f: 'new' }, async (on) => await on.link(relPath('mine'), relPath('f')))
    await work(disk)
    assert.deepEqual((await rollback(input(disk))).kept, kept, what)
    assert.deepEqual([await text(disk, 'f'), await text(disk, 'mine')], [content, content], what)
  }
  const disk = await installed({ f: file('one', { mtime }) }, { f: 'new' }, async (on) => await on.link(relPath('mine'), relPath('f')))
  await write(disk, 'mine', 'two')
  assert.deepEqual(await refused(rollback(input(disk))), ['bad-digest', '/f'])
  assert.equal(await text(disk, 'f'), 'new')
})

test('what went bad in the store does not come to lie beside either', async () => {
  const disk = await installed({ f: file('one', { mtime }) }, { f: 'new' })
  await write(disk, 'f', 'mine', 1)
  const { stage } = await planRollback(input(disk))
  const kept = stage.flatMap(({ node, source }) => (node.path === 'f.old' && source.kind === 'link' ? [source.from] : []))
  assert.equal(kept.length, 1)
  await write(disk, kept[0] as string, 'two')
  assert.deepEqual(await refused(rollback(input(disk))), ['bad-digest', '/f'])
  assert.equal(await disk.lstat(relPath('f.old')), undefined)
})

test('what comes to lie beside is told, too, where somebody wrote into it under another name', async () => {
  const disk = await installed({ f: file('one', { mtime }) }, { f: 'new' }, async (on) => await on.link(relPath('mine'), relPath('f')))
  await write(disk, 'f', 'edited', 1)
  await write(disk, 'mine', 'one more', 1)
  assert.deepEqual((await rollback(input(disk))).kept, [
    { path: 'f', reason: 'modified', beside: 'f.old' },
    { path: 'f.old', reason: 'modified' },
  ])
  assert.deepEqual([await text(disk, 'f'), await text(disk, 'f.old')], ['edited', 'one more'])
})

test('a name of a file that stayed is its name again while that holds what it held, and else what was kept', async () => {
  const ways: readonly (readonly [string, (disk: Disk) => Promise<void>, boolean])[] = [
    ['untouched', async () => {}, true],
    ['with another time', async (disk) => await disk.setTimes([{ path: relPath('a'), mtime: { sec: 1, nsec: 0 } }]), true],
    ['written into', async (disk) => await write(disk, 'a', 'y'), false],
    ['removed', async (disk) => await disk.unlink(relPath('a')), false],
  ]
  for (const [what, work, isName] of ways) {
    const disk = await installed({ a: file('x', { mtime }), b: hardlink('a') }, { a: file('x', { mtime }) })
    await work(disk)
    await rollback(input(disk))
    const [a, b] = [await disk.lstat(relPath('a')), await disk.lstat(relPath('b'))]
    assert.deepEqual([a?.inode === b?.inode, await text(disk, 'b')], [isName, 'x'], what)
  }
})

// --- attributes

test('attributes come back to what the file is by now, whoever has changed its content, which has its own time', async () => {
  const modes = [0o644, 0o755, 0o700]
  const [first, second, third] = await Promise.all(
    modes.map(async (mode, i) => await release(`1.${i}`, { f: file('own', { mtime, mode }) })),
  )
  const disk = await machine(memoryDisk(), { f: file('own', { mtime }) })
  await install(disk, first as Release, second as Release)
  await write(disk, 'f', 'mine', 7)
  await install(disk, second as Release, third as Release)
  assert.deepEqual((await rollback({ ...input(disk), goal: { kind: 'steps', count: 2 } })).kept, [])
  const stat = await disk.lstat(relPath('f'))
  assert.deepEqual([await text(disk, 'f'), stat?.mode, stat?.mtime.sec], ['mine', 0o644, 7])
})

test('attributes come back to what a repair has put in the place of a content of one’s own', async () => {
  const [old, next] = [
    await release('1.0', { f: file('own', { mtime }) }),
    await release('1.1', { f: file('own', { mtime, mode: 0o755 }) }),
  ]
  const disk = await machine(memoryDisk(), { f: file('mine', { mtime }) })
  await install(disk, old, next)
  const found = await audit({ disk, manifest: next.manifest, config: defaultConfig })
  const repairing = { ...input(disk), role: 'base-amd64', release: 'base-1.1' }
  const plan = await planRepair(repairing, found, found.findings)
  await runRepair(repairing, plan, neededFiles(plan, next.manifest), ({ path }) => next.disk.read(path))
  assert.deepEqual((await rollback(input(disk))).kept, [])
  const stat = await disk.lstat(relPath('f'))
  assert.deepEqual([await text(disk, 'f'), stat?.mode, stat?.mtime], ['own', 0o644, mtime])
})

// --- the plan

test('the way back is a plan of its own: after the installs it undoes, with the state as it was', async () => {
  const disk = await installed({ f: file('1', { mtime }) }, { f: '2' })
  const before = await picture(disk)
  const { journal, stage } = await planRollback(input(disk))
  assert.deepEqual(
    [journal.transaction, journal.purpose, journal.direction, journal.time, journal.undoes],
    [2, 'rollback', 'forward', 1_700_000_100, [1]],
  )
  const channel = 'var/db/bindery/channel/base-amd64'
  const state = journal.actions.flatMap((action) => {
    if (!action.path.startsWith(channel) || action.kind === 'attr') return []
    const size = 'new' in action && action.new.kind === 'file' ? action.new.size : 'no'
    return [`${action.kind} ${action.path.slice(channel.length + 1)}, ${size} bytes`]
  })
  assert.deepEqual(state.sort(), [
    'drop 1.delta, no bytes',
    `put 2.delta, ${'obsolete\n'.length} bytes`,
    `swap release, ${'old\n'.length} bytes`,
  ])
  assert.deepEqual(stage.map(({ node }) => node.path.replace(channel, '…')).sort(), ['f', '…/2.delta', '…/release'])
  assert.equal(await picture(disk), before)
})
