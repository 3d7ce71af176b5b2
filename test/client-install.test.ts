import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { rootPath } from '../src/base/path.ts'
import { writeDist } from '../src/engine/dist/write.ts'
import { planInstall } from '../src/engine/client/apply/install.ts'
import { storeSlot } from '../src/engine/client/apply/area.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { readReceipt, readReceiptHeads } from '../src/engine/client/apply/receipts.ts'
import { recover } from '../src/engine/client/apply/recover.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { channelState, incoming, install, installInput, leftovers, machine, picture, release, text } from './helpers/client-world.ts'
import { callsOf, crashes } from './helpers/crash.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { withBindMount, withImmutableFlags, withoutLinks, withoutRoot } from './helpers/limited-disk.ts'
import { dir, file, hardlink, symlink } from './helpers/plant.ts'
import { newTree, oldTree } from './helpers/two-releases.ts'
import { recovery } from './helpers/recovery.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Action, Kept } from '../src/format/journal.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

const clock = { now: () => 1_700_000_100_000 }
const back = async (disk: Disk, count = 1): Promise<readonly Kept[]> =>
  (await rollback({ disk, goal: { kind: 'steps', count }, config: defaultConfig, recovery, clock })).kept
const at = (path: string): RelPath => path as RelPath
const write = async (disk: Disk, path: string, content: string): Promise<void> => {
  if ((await disk.lstat(at(path))) !== undefined) await disk.unlink(at(path))
  await disk.create(at(path), oneChunk(utf8(content)))
}
const failing =
  (code: ErrorCode, subject?: string) =>
  (error: unknown): boolean =>
    isBinderyError(error, code) && (subject === undefined || error.subject === subject)

/** One step from `oldTree` to `newTree` on a machine that somebody has worked on. */
async function step(
  before: Literal,
  after: Literal,
  change: (disk: Disk) => Promise<void>,
  on = memoryDisk(),
): Promise<{ readonly disk: Disk; readonly kept: readonly Kept[] }> {
  const [old, next] = [await release('1.0', before), await release('1.1', after)]
  const disk = await machine(on, before)
  await change(disk)
  const { kept } = await install(disk, old, next)
  return { disk, kept }
}

describe('a whole step', () => {
  test('an install makes the tree exactly the new one, and a rollback exactly the old one', async () => {
    const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
    const disk = await machine(memoryDisk(), oldTree)
    const before = await channelState(disk)
    assert.deepEqual((await install(disk, old, next)).kept, [])
    assert.equal(await picture(disk), await picture(next.disk))
    assert.deepEqual(await channelState(disk), { release: '1.1\n', '1.delta': 'delta\n' })
    assert.deepEqual(await back(disk), [])
    assert.equal(await picture(disk), await picture(old.disk))
    assert.deepEqual(await channelState(disk), before)
    assert.deepEqual(await leftovers(disk), [])
  })

  test('only files that differ are written, once', async () => {
    const group = { 'bin/a': file('program 2'), 'bin/b': hardlink('bin/a'), 'bin/same': 'same' }
    const [old, next] = [
      await release('1.0', { 'bin/a': file('program 1'), 'bin/same': file('same', { mode: 0o600 }) }),
      await release('1.1', group),
    ]
    const disk = await machine(memoryDisk(), { 'bin/a': file('program 1'), 'bin/same': file('same', { mode: 0o600 }) })
    const { disk: faulty, calls } = faultyDisk(disk, { kind: 'none' })
    await install(faulty, old, next, { incoming: incoming(old, next, { stateFiles: [] }) })
    assert.deepEqual(
      calls.filter((call) => call.startsWith('create')).map((call) => call.replace(/\d+$/, 'N')),
      [
        'create var/db/bindery/stage/1/N',
        'create var/db/bindery/version.new',
        'create var/db/bindery/recover.new',
        'create var/db/bindery/journal.new',
      ],
    )
    const { disk: again, calls: callsAgain } = faultyDisk(disk, { kind: 'none' })
    await install(again, next, old, { incoming: incoming(next, old, { stateFiles: [] }) })
    assert.deepEqual(
      callsAgain.filter((call) => call.includes('recover')),
      [],
    )
  })

  test('libraries come before programs, and on the way back after them', async () => {
    const tree = (version: string): Literal =>
      Object.fromEntries(
        ['bin/sh', 'lib/libc.so.7', 'lib/libz.so.1', 'libexec/ld-elf.so.1', 'boot/kernel/kernel'].map((path) => [
          path,
          `${path} ${version}`,
        ]),
      )
    const [old, next] = [await release('1.0', tree('1')), await release('1.1', tree('2'))]
    const disk = await machine(memoryDisk(), tree('1'))
    const order = async (work: (on: Disk) => Promise<unknown>): Promise<readonly string[]> => {
      const moved: string[] = []
      await work({ ...disk, rename: async (from, to) => (moved.push(to), await disk.rename(from, to)) })
      return moved.filter((path) => !path.startsWith('var/'))
    }
    const forward = ['libexec/ld-elf.so.1', 'lib/libc.so.7', 'lib/libz.so.1', 'bin/sh', 'boot/kernel/kernel']
    const config = { ...defaultConfig, keepOld: [] }
    assert.deepEqual(await order(async (on) => await install(on, old, next, { config })), forward)
    assert.deepEqual(await order(async (on) => await back(on)), forward.toReversed())
  })
})

test('a disk that fails when all is done: that is told, nothing is interrupted, and old things stay for the next run', async () => {
  const [old, next] = [await release('1.0', { f: 'a' }), await release('1.1', { f: 'b' })]
  const disk = await machine(memoryDisk(), { f: 'a' })
  for (const wanted of ['b', 'a']) {
    let isDone = false
    const dying: Disk = {
      ...disk,
      rename: async (from, to) => (await disk.rename(from, to), void (isDone ||= from === statePaths.journal)),
      sync: async (path) => {
        if (isDone) throw new BinderyError('io', 'the disk failed', { subject: path })
        await disk.sync(path)
      },
    }
    const goal = { kind: 'steps', count: 1 } as const
    const done =
      wanted === 'b' ? await install(dying, old, next) : await rollback({ disk: dying, goal, config: defaultConfig, recovery, clock })
    assert.deepEqual([done.unsynced?.code, done.unswept, await text(disk, 'f')], ['io', undefined, wanted])
    assert.deepEqual(await disk.readdir(statePaths.stage), [String(done.receipt.transaction)])
    assert.deepEqual(await recover(disk, { undo: false, keepReleases: 3, recovery }), { kind: 'nothing' })
    assert.deepEqual(await disk.readdir(statePaths.stage), [])
  }
})

describe('local changes', () => {
  test('a modified file stays, and the new one comes to lie beside', async () => {
    const { disk, kept } = await step({ 'etc/motd': 'old' }, { 'etc/motd': 'new' }, async (on) => await write(on, 'etc/motd', 'mine'))
    assert.deepEqual(kept, [{ path: 'etc/motd', reason: 'modified', beside: 'etc/motd.new' }])
    assert.deepEqual([await text(disk, 'etc/motd'), await text(disk, 'etc/motd.new')], ['mine', 'new'])
    assert.deepEqual(await back(disk), [])
    assert.deepEqual([await text(disk, 'etc/motd'), await disk.lstat(at('etc/motd.new'))], ['mine', undefined])
  })

  test('the next release replaces its own .new, but none that was edited', async () => {
    const [a, b, c] = [await release('1', { f: 'a' }), await release('2', { f: 'b' }), await release('3', { f: 'c' })]
    const disk = await machine(memoryDisk(), { f: 'a' })
    await write(disk, 'f', 'mine')
    await install(disk, a, b)
    assert.deepEqual((await install(disk, b, c)).kept, [{ path: 'f', reason: 'modified', beside: 'f.new' }])
    assert.equal(await text(disk, 'f.new'), 'c')
    await write(disk, 'f.new', 'merged by hand')
    assert.deepEqual((await install(disk, c, b)).kept, [{ path: 'f', reason: 'modified', beside: 'f.new.1' }])
    assert.equal(await text(disk, 'f.new'), 'merged by hand')
  })

  test('where a name has no room for .new, it loses its end for it, in whole characters', async () => {
    const [a, b] = [`${'n'.repeat(250)}\u00c3\u00a4-1`, `${'n'.repeat(250)}\u00c3\u00a4-2`]
    const { disk, kept } = await step({ [a]: '1', [b]: '1' }, { [a]: 'new a', [b]: 'new b' }, async (on) => {
      for (const path of [a, b]) await write(on, path, 'mine')
    })
    const besides = [`${'n'.repeat(250)}.new`, `${'n'.repeat(249)}.new.1`].map(at)
    assert.deepEqual(
      kept.map(({ beside }) => beside),
      besides,
    )
    assert.deepEqual(await Promise.all([a, b, ...besides].map(async (path) => await text(disk, path))), ['mine', 'mine', 'new a', 'new b'])
    await back(disk)
    assert.deepEqual([...(await disk.readdir(rootPath))].sort(), [a, b, 'var'])
  })

  test('a modified file that the release drops stays', async () => {
    const { disk, kept } = await step({ d: dir(), 'd/f': 'old' }, {}, async (on) => await write(on, 'd/f', 'mine'))
    assert.deepEqual(kept, [{ path: 'd/f', reason: 'modified' }])
    assert.equal(await text(disk, 'd/f'), 'mine')
  })

  test('what was removed here stays removed, and a removed folder is told once', async () => {
    const { disk, kept } = await step(
      { 'games/a': '1', 'games/b': '1' },
      { 'games/a': '2', 'games/b': '2', 'games/c': '2' },
      async (on) => {
        await on.unlink(at('games/a'))
        await on.unlink(at('games/b'))
        await on.rmdir(at('games'))
      },
    )
    assert.deepEqual(kept, [{ path: 'games', reason: 'removed' }])
    assert.equal(await disk.lstat(at('games')), undefined)
  })

  test('something of one’s own where the release has something new stays', async () => {
    const { disk, kept } = await step({}, { tool: 'new' }, async (on) => await write(on, 'tool', 'mine'))
    assert.deepEqual(kept, [{ path: 'tool', reason: 'in-the-way', beside: 'tool.new' }])
    assert.equal(await text(disk, 'tool'), 'mine')
  })

  test('a local mode survives a new content; where both sides changed it, it is told', async () => {
    const su = (mode: number, content: string): Literal => ({ su: file(content, { mode }) })
    const hardened = await step(su(0o4755, '1'), su(0o4755, '2'), async (on) => await on.chmod(at('su'), 0o755))
    assert.deepEqual([hardened.kept, (await hardened.disk.lstat(at('su')))?.mode, await text(hardened.disk, 'su')], [[], 0o755, '2'])
    const clash = await step(su(0o4755, '1'), su(0o4555, '2'), async (on) => await on.chmod(at('su'), 0o700))
    assert.deepEqual([clash.kept, (await clash.disk.lstat(at('su')))?.mode], [[{ path: 'su', reason: 'attributes' }], 0o700])
  })

  test('a file that was worked on keeps its time when the release only has a new one', async () => {
    const log = (sec: number): Literal => ({
      log: file('started', { mtime: { sec, nsec: 0 } }),
      same: file('same', { mtime: { sec, nsec: 0 } }),
    })
    const { disk, kept } = await step(log(1_600_000_000), log(1_650_000_000), async (on) => {
      await on.append(at('log'), oneChunk(utf8(', stopped')))
      await on.setTimes([{ path: at('log'), mtime: { sec: 1_690_000_000, nsec: 0 } }])
    })
    assert.deepEqual(kept, [{ path: 'log', reason: 'modified' }])
    assert.deepEqual([(await disk.lstat(at('log')))?.mtime.sec, (await disk.lstat(at('same')))?.mtime.sec], [1_690_000_000, 1_650_000_000])
  })

  test('what stays is told also where the release only links otherwise', async () => {
    const four = { 'hl/2': hardlink('hl/1'), 'hl/3': hardlink('hl/1'), 'hl/4': hardlink('hl/1') }
    const pairs = { 'hl/2': hardlink('hl/1'), 'hl/3': 'four', 'hl/4': hardlink('hl/3'), k2: hardlink('k1') }
    const { disk, kept } = await step(
      { 'hl/1': 'four', ...four, k1: 'kk', k2: 'kk' },
      { 'hl/1': 'four', ...pairs, k1: 'kk' },
      async (on) => {
        await on.unlink(at('hl/4'))
        await write(on, 'k2', 'HH')
      },
    )
    assert.deepEqual(kept, [
      { path: 'hl/4', reason: 'removed' },
      { path: 'k2', reason: 'modified' },
    ])
    assert.deepEqual([await disk.lstat(at('hl/4')), await text(disk, 'k2')], [undefined, 'HH'])
  })

  test('what stays is told also where the release only has other attributes', async () => {
    const tree = (sec: number, mode: number): Literal => {
      const any = { mtime: { sec, nsec: 0 }, mode }
      return { gone: file('1', any), edited: file('1', any), turned: file('1', any), touched: file('1', any), same: 'same', lost: 'lost' }
    }
    const { disk, kept } = await step(tree(1_600_000_000, 0o644), tree(1_650_000_000, 0o600), async (on) => {
      for (const path of ['gone', 'turned', 'lost']) await on.unlink(at(path))
      await on.symlink(at('turned'), 'edited')
      for (const path of ['edited', 'same']) await write(on, path, '2')
      await on.setTimes([{ path: at('touched'), mtime: { sec: 1_690_000_000, nsec: 0 } }])
    })
    // What the release leaves as it was is not looked at.
    assert.deepEqual(kept, [
      { path: 'edited', reason: 'modified' },
      { path: 'gone', reason: 'removed' },
      { path: 'turned', reason: 'modified' },
    ])
    assert.deepEqual([await text(disk, 'edited'), (await disk.lstat(at('touched')))?.mode], ['2', 0o600])
  })

  test('a folder that goes stays while files of others are in it', async () => {
    const { disk, kept } = await step({ 'cache/index': '1' }, {}, async (on) => await write(on, 'cache/mine', 'mine'))
    assert.deepEqual(kept, [{ path: 'cache', reason: 'not-empty' }])
    assert.deepEqual(await disk.readdir(at('cache')), ['mine'])
  })

  test('indexes that depmod made beside the modules of a kernel go with it, and come back with it', async () => {
    const kernel = (version: string): Literal => ({
      [`usr/lib/modules/${version}`]: dir(),
      [`usr/lib/modules/${version}/dummy.ko`]: version,
    })
    const [old, next] = [await release('1.0', kernel('6.1.0-47')), await release('1.1', kernel('6.1.0-52'))]
    const disk = await machine(memoryDisk(), kernel('6.1.0-47'))
    await write(disk, 'usr/lib/modules/6.1.0-47/modules.dep', 'of 47')
    const before = await picture(disk)
    const { receipt } = await install(disk, old, next)
    assert.deepEqual(receipt.kept, [])
    assert.equal(await picture(disk), await picture(next.disk))
    await write(disk, 'usr/lib/modules/6.1.0-52/modules.alias.bin', 'of 52')
    const back = await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock: { now: () => 0 } })
    assert.deepEqual(back.receipt.kept, [])
    assert.equal(await picture(disk), before)
  })

  test('indexes of a kernel that came and went in between do not come back', async () => {
    const kernel = (version: string): Literal => ({
      [`usr/lib/modules/${version}`]: dir(),
      [`usr/lib/modules/${version}/dummy.ko`]: version,
    })
    const releases = [await release('1.0', kernel('47')), await release('1.1', kernel('52')), await release('1.2', kernel('56'))] as const
    const disk = await machine(memoryDisk(), kernel('47'))
    const before = await picture(disk)
    await install(disk, releases[0], releases[1])
    await write(disk, 'usr/lib/modules/52/modules.dep', 'of 52')
    await install(disk, releases[1], releases[2])
    const back = await rollback({ disk, goal: { kind: 'steps', count: 2 }, config: defaultConfig, recovery, clock: { now: () => 0 } })
    assert.deepEqual(back.receipt.kept, [])
    assert.equal(await picture(disk), before)
  })

  test('the modules of a kernel stay where others are among them, with their indexes', async () => {
    const folder = 'usr/lib/modules/6.1.0-47'
    const { disk, kept } = await step({ [`${folder}/dummy.ko`]: '47' }, {}, async (on) => {
      await write(on, `${folder}/modules.dep`, 'of both')
      await write(on, `${folder}/nvidia.ko`, 'mine')
    })
    assert.deepEqual(kept, [{ path: folder, reason: 'not-empty' }])
    assert.deepEqual([...(await disk.readdir(at(folder)))].sort(), ['modules.dep', 'nvidia.ko'])
  })

  test('a folder that becomes something else stays while files of others are in it', async () => {
    const { disk, kept } = await step(
      { 'lib/a': '1', usr: dir() },
      { lib: symlink('usr'), usr: dir() },
      async (on) => await write(on, 'lib/mine', 'mine'),
    )
    assert.deepEqual(kept, [{ path: 'lib', reason: 'not-empty', beside: 'lib.new' }])
    assert.deepEqual([await disk.readdir(at('lib')), await disk.readlink(at('lib.new'))], [['mine'], 'usr'])
  })

  test('what already is as the release has it is left alone', async () => {
    const { disk, kept } = await step({ f: '1' }, { f: '2' }, async (on) => await write(on, 'f', '2'))
    assert.deepEqual([kept, await text(disk, 'f')], [[], '2'])
  })

  test('a link of a user’s own keeps the old file', async () => {
    const { disk } = await step({ f: '1' }, { f: '2' }, async (on) => await on.link(at('backup'), at('f')))
    assert.deepEqual([await text(disk, 'backup'), await text(disk, 'f')], ['1', '2'])
  })

  test('protected paths always get their new version beside, ignored ones none', async () => {
    const [old, next] = [
      await release('1.0', { etc: dir(), 'etc/a': '1', 'etc/b': '1' }),
      await release('1.1', { etc: dir(), 'etc/a': '2', 'etc/b': '2' }),
    ]
    const disk = await machine(memoryDisk(), { 'etc/a': '1', 'etc/b': '1' })
    const { kept } = await install(disk, old, next, {
      config: { ...defaultConfig, protect: [pathPattern('/etc/a')], ignore: [pathPattern('/etc/b')] },
    })
    assert.deepEqual(kept, [{ path: 'etc/a', reason: 'protected', beside: 'etc/a.new' }])
    assert.deepEqual([...(await disk.readdir(at('etc')))].sort(), ['a', 'a.new', 'b'])
    assert.equal(await text(disk, 'etc/b'), '1')
  })

  test('after a rollback, what was changed since the install is there, and the old one beside', async () => {
    const { disk } = await step({ f: '1' }, { f: '2' }, async () => {})
    await write(disk, 'f', 'mine')
    assert.deepEqual(await back(disk), [{ path: 'f', reason: 'modified', beside: 'f.old' }])
    assert.deepEqual([await text(disk, 'f'), await text(disk, 'f.old')], ['mine', '1'])
  })
})

describe('what ends an install before it begins', () => {
  const refused = async (
    code: ErrorCode,
    subject: string | undefined,
    on: Disk,
    before: Literal,
    after: Literal,
    change: (disk: Disk) => Promise<void> = async () => {},
  ): Promise<void> => {
    const [old, next] = [await release('1.0', before), await release('1.1', after)]
    const disk = await machine(on, before)
    await change(disk)
    const seen = await picture(disk)
    await assert.rejects(install(disk, old, next), failing(code, subject))
    assert.equal(await picture(disk), seen)
    assert.deepEqual(await leftovers(disk), [])
  }
  const big = file('x'.repeat(3_000_000))

  test('a folder of the release that is a link here', async () => {
    await refused(
      'conflict',
      '/usr/lib',
      memoryDisk(),
      { 'usr/lib/a': '1', home: dir() },
      { 'usr/lib/a': '2', home: dir() },
      async (disk) => {
        await disk.rename(at('usr/lib'), at('home/lib'))
        await disk.symlink(at('usr/lib'), '../home/lib')
      },
    )
  })

  test('a file where the release has a new folder', async () => {
    await refused('conflict', '/opt', memoryDisk(), {}, { 'opt/a': '1' }, async (disk) => await write(disk, 'opt', 'mine'))
  })

  test('no space, with what is needed', async () => {
    const on = memoryDisk({ mounts: { usr: { freeBytes: 1_000_000 } } })
    await refused('no-space', '/usr/big', on, { usr: dir() }, { 'usr/big': big })
    const [old, next] = [await release('1.0', { usr: dir() }), await release('1.1', { 'usr/big': big })]
    await assert.rejects(install(on, old, next), /^BinderyError: no space on \/usr, need 4 MB, 1 MB is free$/)
  })

  test('no space by a little: what is free is not rounded up to what is needed', async () => {
    const [old, next] = [await release('1.0', { usr: dir() }), await release('1.1', { 'usr/big': big })]
    const on = await machine(memoryDisk({ mounts: { usr: { freeBytes: 2_900_000 } } }), { usr: dir() })
    await assert.rejects(install(on, old, next), /^BinderyError: no space on \/usr, need 4 MB, 2 MB is free$/)
  })

  test('no inodes', async () =>
    await refused('no-space', '/usr/a', memoryDisk({ mounts: { usr: { freeInodes: 3 } } }), { usr: dir() }, { 'usr/a': '1', 'usr/b': '1' }))

  test('a file system that is mounted read-only', async () => {
    const rom = { rom: dir(), 'rom/a': '1' }
    const [old, next] = [await release('1.0', rom), await release('1.1', { ...rom, 'rom/a': '2' })]
    const mounts: { rom: { readOnly?: boolean } } = { rom: {} }
    const on = memoryDisk({ mounts })
    const disk = await machine(on, rom)
    const readOnly: Disk = {
      ...disk,
      refusalsOf: async (paths) => new Map(paths.filter((path) => path.startsWith('rom')).map((path) => [path, 'read-only'])),
    }
    await assert.rejects(install(readOnly, old, next), failing('read-only', '/rom/a'))
    assert.equal(await picture(disk), await picture(old.disk))
  })

  test('a file system of another machine, and flags that the security level keeps', async () => {
    for (const [refusal, code, text] of [
      ['remote', 'not-supported', "the file system on /usr is another machine's"],
      ['locked', 'permission', '/usr is immutable, and flags cannot be taken away here'],
    ] as const) {
      const usr = { usr: dir(), 'usr/a': '1', b: '1' }
      const [old, next] = [await release('1.0', usr), await release('1.1', { ...usr, 'usr/a': '2', b: '2' })]
      const disk = await machine(memoryDisk({ mounts: { usr: { refusal } } }), usr)
      await assert.rejects(install(disk, old, next), { name: 'BinderyError', code, message: text, subject: '/usr/a' })
      assert.equal(await picture(disk), await picture(old.disk))
    }
  })

  test('a file that root may not link, on a file system with links', async () => {
    const on = memoryDisk()
    const link: Disk['link'] = async (path, existing) => {
      if (existing === 'f') throw new BinderyError('permission', 'operation not permitted', { subject: path })
      await on.link(path, existing)
    }
    await refused('permission', '/f', { ...on, link }, { f: '1' }, { f: '2' })
  })

  test('without root, files of others', async () => {
    const tree = (content: string): Literal => ({ f: content, 'root/f': file(content, { uid: 5 }) })
    await refused('permission', '/root/f', withoutRoot(memoryDisk()), { f: '1' }, { f: '2', 'root/f': file('2', { uid: 5 }) })
    await refused('permission', undefined, withoutRoot({ ...memoryDisk() }), { f: '1' }, tree('2'))
  })

  test('somebody who changes a file meanwhile', async () => {
    const on = memoryDisk()
    const busy: Disk = {
      ...on,
      create: async (path, content) => {
        const size = await on.create(path, content)
        if (path.includes('/stage/1/')) await on.append(at('f'), oneChunk(utf8('!')))
        return size
      },
    }
    const [old, next] = [await release('1.0', { f: '1' }), await release('1.1', { f: '2' })]
    await machine(on, { f: '1' })
    await assert.rejects(install(busy, old, next), failing('conflict', '/f'))
    assert.match(await text(on, 'f'), /^1!/)
    assert.deepEqual(await leftovers(on), [])
  })

  test('a stop', async () => {
    const controller = new AbortController()
    const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
    const disk = await machine(memoryDisk(), oldTree)
    const work = incoming(old, next, {
      tar: async function* () {
        controller.abort(new Error('stop'))
        yield* incoming(old, next).tar()
      },
    })
    await assert.rejects(install(disk, old, next, { incoming: work, signal: controller.signal }), failing('stopped'))
    assert.equal(await picture(disk), await picture(old.disk))
    assert.deepEqual(await leftovers(disk), [])
  })

  test('a plan alone changes nothing', async () => {
    const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
    const { disk, calls } = faultyDisk(await machine(memoryDisk(), oldTree), { kind: 'none' })
    assert.ok((await planInstall(installInput(disk, old, next))).journal.actions.length > 20)
    assert.deepEqual(calls, [])
  })
})

describe('a tar that is not the one of the manifest', () => {
  const attack = async (code: ErrorCode, evil: Literal, content?: string): Promise<void> => {
    const [old, next, other] = [
      await release('1.0', { 'bin/sh': '1' }),
      await release('1.1', { 'bin/sh': '2', 'bin/new': 'n' }),
      await release('1.1', evil),
    ]
    const disk = await machine(memoryDisk(), { 'bin/sh': '1' })
    const tar = (): ReturnType<Incoming['tar']> =>
      writeDist(next.name, other.manifest, ({ path }) => (content === undefined ? other.disk.read(path) : oneChunk(utf8(content))))
    await assert.rejects(install(disk, old, next, { incoming: incoming(old, next, { tar }) }), failing(code))
    assert.equal(await picture(disk), await picture(old.disk))
    assert.deepEqual(await leftovers(disk), [])
  }
  test('a file too many', async () => await attack('hostile', { 'bin/sh': '2', 'bin/new': 'n', 'bin/evil': file('x', { mode: 0o4755 }) }))
  test('a file too few', async () => await attack('hostile', { 'bin/sh': '2' }))
  test('a setuid bit', async () => await attack('hostile', { 'bin/sh': '2', 'bin/new': file('n', { mode: 0o4755 }) }))
  test('another owner', async () => await attack('hostile', { 'bin/sh': '2', 'bin/new': file('n', { uid: 5 }) }))
  test('a link instead of a file', async () => await attack('hostile', { 'bin/sh': '2', 'bin/new': symlink('/etc/passwd') }))
  test('another content of the same length', async () => await attack('bad-digest', { 'bin/sh': '2', 'bin/new': 'm' }))

  for (const [what, cut] of [
    ['cut off', 600],
    ['empty', 0],
  ] as const) {
    test(what, async () => {
      const [old, next] = [await release('1.0', { 'bin/sh': '1' }), await release('1.1', { 'bin/sh': '2' })]
      const disk = await machine(memoryDisk(), { 'bin/sh': '1' })
      const tar = async function* (): ReturnType<Incoming['tar']> {
        for await (const bytes of incoming(old, next).tar()) return yield bytes.subarray(0, cut)
      }
      await assert.rejects(install(disk, old, next, { incoming: incoming(old, next, { tar }) }), failing('bad-format'))
      assert.equal(await picture(disk), await picture(old.disk))
      assert.deepEqual(await leftovers(disk), [])
    })
  }
})

describe('disks that cannot do everything', () => {
  const limits = {
    'no hard links': withoutLinks,
    'a bind mount': (disk: Disk) => withBindMount(disk, at('bin')),
    'immutable files': withImmutableFlags,
    'no root': withoutRoot,
  }
  for (const [name, limit] of Object.entries(limits)) {
    test(name, async () => {
      const trees = [oldTree, newTree].map((tree) =>
        Object.fromEntries(Object.entries(tree).filter(([path]) => !path.startsWith('dev/'))),
      ) as [Literal, Literal]
      const plain = name === 'no hard links' || name === 'a bind mount' ? (trees.map(withoutHardlinks) as [Literal, Literal]) : trees
      const [old, next] = [await release('1.0', plain[0]), await release('1.1', plain[1])]
      const disk = limit(await machine(memoryDisk(), plain[0]))
      assert.deepEqual((await install(disk, old, next)).kept, [])
      assert.equal(await picture(disk), await picture(next.disk))
      await back(disk)
      assert.equal(await picture(disk), await picture(old.disk))
    })
  }

  function withoutHardlinks(tree: Literal): Literal {
    return Object.fromEntries(
      Object.entries(tree).map(([path, plant]) => [
        path,
        typeof plant === 'object' && plant.kind === 'hardlink' ? `copy of ${plant.leader}` : plant,
      ]),
    )
  }

  test('without root, a folder that its owner may not write to goes and comes again', async () => {
    const closed = { 'doc/old': dir({ mode: 0o555 }), 'doc/old/deep': dir({ mode: 0o555 }), 'doc/old/deep/f': 'f', 'doc/old/g': 'g' }
    const [old, next] = [await release('1.0', { ...closed, 'doc/f': '1' }), await release('1.1', { 'doc/f': '2', 'doc/old': 'now a file' })]
    const disk = withoutRoot(await machine(memoryDisk(), { ...closed, 'doc/f': '1' }))
    assert.deepEqual((await install(disk, old, next)).kept, [])
    assert.equal(await picture(disk), await picture(next.disk))
    await back(disk)
    assert.equal(await picture(disk), await picture(old.disk))
  })

  test('flags go before the change and come after it, also on the way back', async () => {
    const lock = async (disk: Disk): Promise<void> => await disk.setFlags(at('bin/su'), ['schg'])
    const [old, next] = [
      await release('1.0', { 'bin/su': '1', 'bin/sh': '1' }, lock),
      await release('1.1', { 'bin/su': '2', 'bin/sh': '1' }, lock),
    ]
    const inner = await machine(memoryDisk(), { 'bin/su': '1', 'bin/sh': '1' })
    await lock(inner)
    const disk = withImmutableFlags(inner)
    await install(disk, old, next)
    assert.equal(await picture(disk), await picture(next.disk))
    await back(disk)
    assert.equal(await picture(disk), await picture(old.disk))
  })

  test('without root, closed folders of one’s own are opened and closed again', async () => {
    const tree = (content: string): Literal => ({ closed: dir({ mode: 0o500 }), 'closed/f': content })
    const [old, next] = [await release('1.0', tree('1')), await release('1.1', tree('2'))]
    const inner = await machine(memoryDisk(), tree('1'))
    const opened: number[] = []
    const disk = withoutRoot({
      ...inner,
      chmod: async (path, mode) => (path === 'closed' ? opened.push(mode) : 0, await inner.chmod(path, mode)),
    })
    await install(disk, old, next)
    assert.deepEqual(opened, [0o700, 0o500])
    assert.equal(await picture(disk), await picture(next.disk))
  })
})

describe('receipts', () => {
  /** Where the first install's store holds the path. */
  const keptAs = async (disk: Disk, path: string): Promise<RelPath> => {
    const action = (await readReceipt(disk, 1)).actions.find((one) => one.path === path)
    return storeSlot({ transaction: 1, areas: [at('var/db/bindery')] }, (action as Extract<Action, { kind: 'swap' }>).slot)
  }

  const chain = async (count: number, keepReleases: number): Promise<Disk> => {
    const disk = await machine(memoryDisk(), { f: '0' })
    for (let i = 0; i < count; i++) {
      await install(disk, await release(`1.${i}`, { f: `${i}` }), await release(`1.${i + 1}`, { f: `${i + 1}` }), {
        config: { ...defaultConfig, keepReleases },
      })
    }
    return disk
  }

  test('what is missing in the store is named by its path, before anything begins', async () => {
    const disk = await chain(1, 3)
    const kept = await keptAs(disk, 'f')
    await disk.unlink(kept)
    await assert.rejects(back(disk), { code: 'not-found', subject: '/f', message: `cannot be brought back: ${kept} is not there` })
    assert.equal(await text(disk, 'f'), '1')
    assert.deepEqual(await leftovers(disk), ['store/1'])
  })

  test('a folder for what comes that somebody else has made is not used', async () => {
    const tree = (content: string): Literal => ({ usr: dir(), 'usr/f': content })
    const [old, next] = [await release('1.0', tree('1')), await release('1.1', tree('2'))]
    for (const folder of ['usr/.bindery', 'usr/.bindery/stage']) {
      for (const [mode, uid] of [
        [0o755, 1000],
        [0o777, 0],
      ] as const) {
        const disk = await machine(memoryDisk({ mounts: { usr: {} } }), tree('1'))
        for (const path of ['usr/.bindery', folder]) if ((await disk.lstat(at(path))) === undefined) await disk.mkdir(at(path), 0o700)
        await disk.chmod(at(folder), mode)
        await disk.chown(at(folder), uid, 0)
        await assert.rejects(install(disk, old, next), failing('hostile', `/${folder}`))
        assert.equal(await text(disk, 'usr/f'), '1')
        assert.equal(await disk.lstat(at('var/db/bindery/journal')), undefined)
      }
    }
  })

  test('what went bad in the store, its size and time the same, does not come back, and nothing is changed', async () => {
    const disk = await chain(1, 3)
    const kept = await keptAs(disk, 'f')
    const stat = await disk.lstat(kept)
    assert.ok(stat)
    await write(disk, kept, '!')
    await disk.setTimes([{ path: kept, mtime: stat.mtime }])
    const before = await text(disk, 'f')
    await assert.rejects(back(disk), failing('bad-digest', '/f'))
    assert.equal(await text(disk, 'f'), before)
  })

  test('a damaged receipt is to be put back, not thrown away', async () => {
    const disk = await chain(1, 3)
    await disk.append(at('var/db/bindery/receipt/1'), oneChunk(utf8('x')))
    await assert.rejects(back(disk), { code: 'bad-format', subject: '/var/db/bindery/receipt/1', hint: /cannot be rolled back/ })
  })

  test('as many installs can be taken back as are to be kept', async () => {
    const disk = await chain(7, 3)
    assert.deepEqual(
      (await readReceiptHeads(disk)).map(({ transaction }) => transaction),
      [5, 6, 7],
    )
    assert.deepEqual(await leftovers(disk), ['store/5', 'store/6', 'store/7'])
    await assert.rejects(back(disk, 4), failing('not-found'))
    await back(disk, 3)
    assert.equal(await text(disk, 'f'), '4')
    assert.deepEqual(await leftovers(disk), [])
  })

  test('with none to be kept there is no way back, and nothing is kept for it', async () => {
    const disk = await chain(2, 0)
    assert.deepEqual(await leftovers(disk), [])
    await assert.rejects(back(disk), failing('not-found'))
  })

  test('a release can be named', async () => {
    const disk = await chain(4, 5)
    const to = async (name: string): Promise<unknown> =>
      await rollback({ disk, goal: { kind: 'release', name }, config: defaultConfig, recovery, clock })
    await assert.rejects(to('base-0.9-20260101-amd64'), failing('not-found'))
    await to('base-1.1-20260101-amd64')
    assert.equal(await text(disk, 'f'), '1')
    const last = (await readReceiptHeads(disk)).at(-1)
    assert.deepEqual(
      [last?.purpose, last?.releases],
      ['rollback', [{ role: 'base-amd64', old: 'base-1.4-20260101-amd64', new: 'base-1.1-20260101-amd64' }]],
    )
  })

  test('a damaged receipt ends the rollback, and is named', async () => {
    const disk = await chain(1, 5)
    await disk.append(at('var/db/bindery/receipt/1'), oneChunk(utf8('x')))
    await assert.rejects(back(disk), failing('bad-format', '/var/db/bindery/receipt/1'))
    assert.equal(await text(disk, 'f'), '1')
  })
})

describe('recover', () => {
  test('without anything to do, it does nothing', async () => {
    const disk = await machine(memoryDisk(), {})
    assert.deepEqual(await recover(disk, { undo: false, keepReleases: 5, recovery }), { kind: 'nothing' })
  })

  test('a damaged journal is named and nothing is touched', async () => {
    const disk = await machine(memoryDisk(), { f: '1' })
    await write(disk, 'var/db/bindery/journal', 'bindery-journal 1\ntorn')
    await assert.rejects(recover(disk, { undo: false, keepReleases: 5, recovery }), failing('bad-format', '/var/db/bindery/journal'))
  })

  test('what somebody changed between the crash and the recovery is kept', async () => {
    const [old, next] = [await release('1.0', { a: '1', b: '1', gone: '1' }), await release('1.1', { a: '2', b: '2', fresh: '2' })]
    const disk = await machine(memoryDisk(), { a: '1', b: '1', gone: '1' })
    const calls = await callsOf(await machine(memoryDisk(), { a: '1', b: '1', gone: '1' }), async (on) => await install(on, old, next))
    const commit = calls.indexOf('rename var/db/bindery/journal.new') + 1
    await crashes(disk, { kind: 'crash', at: commit, when: 'after' }, async (on) => await install(on, old, next))
    await write(disk, 'a', 'mine')
    await write(disk, 'gone', 'mine')
    await write(disk, 'fresh', 'mine')
    const done = await recover(disk, { undo: false, keepReleases: 5, recovery })
    assert.equal(done.kind, 'finished')
    assert.deepEqual(done.kind === 'finished' ? done.kept : [], [
      { path: 'a', reason: 'late', beside: 'a.local' },
      { path: 'fresh', reason: 'late', beside: 'fresh.local' },
      { path: 'gone', reason: 'modified' },
    ])
    assert.deepEqual(
      [
        await text(disk, 'a'),
        await text(disk, 'a.local'),
        await text(disk, 'b'),
        await text(disk, 'fresh.local'),
        await text(disk, 'gone'),
      ],
      ['2', 'mine', '2', 'mine', 'mine'],
    )
  })

  test('what somebody wrote into a file between the crash and the recovery is kept, too', async () => {
    const tree = (content: string): Literal => ({ a: content, b: content })
    const [old, next] = [await release('1.0', { ...tree('1'), gone: '1' }), await release('1.1', tree('2'))]
    const make = async (): Promise<Disk> => await machine(memoryDisk(), { ...tree('1'), gone: '1' })
    const calls = await callsOf(await make(), async (on) => await install(on, old, next))
    const commit = calls.indexOf('rename var/db/bindery/journal.new') + 1
    const edited = async (): Promise<Disk> => {
      const disk = await make()
      await crashes(disk, { kind: 'crash', at: commit, when: 'after' }, async (on) => await install(on, old, next))
      for (const path of ['a', 'gone']) await disk.append(at(path), oneChunk(utf8(' and mine')))
      await disk.setTimes([{ path: at('b'), mtime: { sec: 5, nsec: 0 } }])
      return disk
    }
    const recovering = async (on: Disk): Promise<unknown> => await recover(on, { undo: false, keepReleases: 5, recovery })
    const named = (await callsOf(await edited(), recovering)).findIndex((call) => call.startsWith('link a.local')) + 1
    assert.ok(named > 0)
    // And once more in the middle, when the second name is there.
    const disk = await edited()
    assert.ok(await crashes(disk, { kind: 'crash', at: named, when: 'after' }, recovering))
    await recovering(disk)
    assert.deepEqual(
      [await text(disk, 'a'), await text(disk, 'a.local'), await text(disk, 'b'), await text(disk, 'gone')],
      ['2', '1 and mine', '2', '1 and mine'],
    )
    assert.equal(await disk.lstat(at('b.local')), undefined)
    assert.equal(await disk.lstat(at('a.local.1')), undefined)
  })

  test('a file system that is not mounted is waited for', async () => {
    const tree = (content: string): Literal => ({ usr: dir(), 'usr/f': content, f: content })
    const [old, next] = [await release('1.0', tree('1')), await release('1.1', tree('2'))]
    const make = async (): Promise<Disk> => await machine(memoryDisk({ mounts: { usr: {} } }), tree('1'))
    const run = async (on: Disk): Promise<unknown> => await install(on, old, next)
    const commit = (await callsOf(await make(), run)).indexOf('rename var/db/bindery/journal.new') + 1
    const disk = await make()
    await crashes(disk, { kind: 'crash', at: commit, when: 'after' }, run)
    const unmounted: Disk = { ...disk, lstat: async (path) => (path.startsWith('usr/') ? undefined : await disk.lstat(path)) }
    await assert.rejects(recover(unmounted, { undo: false, keepReleases: 5, recovery }), failing('interrupted', '/usr/.bindery/stage/1'))
    await recover(disk, { undo: false, keepReleases: 5, recovery })
    assert.equal(await picture(disk), await picture(next.disk))
  })
})

test('an optional component that is not here is not brought; what is here of it is updated', async () => {
  const a = await release('1.0', { 'usr/games/rogue': 'a', 'usr/games/hack': 'a' })
  const b = await release('1.1', { 'usr/games/rogue': 'b', 'usr/games/hack': 'b', 'usr/games/worm': 'b' })
  const disk = await machine(memoryDisk(), { 'usr/games/rogue': 'a' })
  const config = { ...defaultConfig, without: [pathPattern('/usr/games')] }
  const { kept } = await install(disk, a, b, { config })
  assert.deepEqual(kept, [])
  assert.deepEqual(await disk.readdir('usr/games' as RelPath), ['rogue'])
  assert.equal(await text(disk, 'usr/games/rogue'), 'b')
})
