import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { findExtras } from '../src/engine/client/apply/audit.ts'
import { recover } from '../src/engine/client/apply/recover.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { decodeConf, defaultConfig } from '../src/format/conf.ts'
import { keepOldOfProduct, usualKeepOld } from '../src/format/keep-old.ts'
import { decodeOldNames, encodeOldNames } from '../src/format/old-names.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { install as installBase, leftovers, machine, picture, release, text, whole } from './helpers/client-world.ts'
import { assertOneOf, callsOf, crashes, moments, stopsIn } from './helpers/crash.ts'
import { withFilesOfOtherDevices, withoutLinks } from './helpers/limited-disk.ts'
import { file, symlink } from './helpers/plant.ts'
import { loggedDisk } from './helpers/power-cut.ts'
import { cases } from './helpers/whole-suite.ts'
import { recovery } from './helpers/recovery.ts'
import type { RelPath } from '../src/base/path.ts'
import type { InstallInput } from '../src/engine/client/apply/install.ts'
import type { Done } from '../src/engine/client/apply/transaction.ts'
import type { ClientConfig } from '../src/format/conf.ts'
import type { Kept } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

/** A replaced kernel stays under a second name until the next one is replaced (keep-old in bindery.conf). */

const at = (path: string): RelPath => path as RelPath
const config = (lines: string): ClientConfig => decodeConf(utf8(lines))
const back = async (disk: Disk, count = 1): Promise<readonly Kept[]> =>
  (await rollback({ disk, goal: { kind: 'steps', count }, config: defaultConfig, recovery, clock: { now: () => 1_700_000_100_000 } })).kept

async function write(disk: Disk, path: string, content: string): Promise<void> {
  if ((await disk.lstat(at(path))) !== undefined) await disk.unlink(at(path))
  await disk.create(at(path), oneChunk(utf8(content)))
}

async function read(disk: Disk, path: string): Promise<string | undefined> {
  return (await disk.lstat(at(path))) === undefined ? undefined : await text(disk, path)
}

/** With the usual names also for the product of these tests, which is no kernel. */
const install = async (disk: Disk, old: Release, next: Release, changes: Partial<InstallInput> = {}): Promise<Done> => {
  const { keepOld, ...others } = changes.config ?? defaultConfig
  return await installBase(disk, old, next, { ...changes, config: { ...others, keepOld: [...keepOld] } })
}

const inode = async (disk: Disk, path: string): Promise<bigint | undefined> => (await disk.lstat(at(path)))?.inode

/** A kernel as one file, as OpenBSD has it. */
const one = (revision: string): Literal => ({ bsd: file(`kernel ${revision}`, { mode: 0o700 }), 'etc/motd': revision })

/** A directory of kernel and modules; one module stays the same, one goes with the second revision, one comes. */
const many = (revision: string): Literal => ({
  'boot/kernel/kernel': file(`kernel ${revision}`, { mode: 0o555 }),
  // Its time changes, and with it that of its second name: they are one file.
  'boot/kernel/same.ko': file('same', { mtime: { sec: 1_600_000_000 + Number(revision), nsec: 0 } }),
  'boot/kernel/deep/changed.ko': `module ${revision}`,
  [`boot/kernel/only-${revision}.ko`]: revision,
  'boot/loader': 'loader',
})

async function releases(of: (revision: string) => Literal, ...revisions: readonly string[]): Promise<readonly Release[]> {
  return await Promise.all(revisions.map(async (revision) => await release(revision, of(revision))))
}

test('unless somebody names what is kept, it is kept of kernels alone', () => {
  assert.deepEqual(keepOldOfProduct(defaultConfig.keepOld, 'base'), [])
  for (const product of ['kernel', 'kernel-GENERIC']) assert.equal(keepOldOfProduct(defaultConfig.keepOld, product), usualKeepOld)
  assert.equal(keepOldOfProduct(config('keep-old /opt/image image.last\n').keepOld, 'base').length, 1)
})

test('the old kernel is the same file under its second name, and the one before goes', async () => {
  const [a, b, c] = (await releases(one, '1', '2', '3')) as [Release, Release, Release]
  const disk = await machine(memoryDisk(), one('1'))
  const before = await inode(disk, 'bsd')
  assert.deepEqual((await install(disk, a, b)).kept, [])
  assert.deepEqual([await read(disk, 'bsd'), await read(disk, 'obsd'), await inode(disk, 'obsd')], ['kernel 2', 'kernel 1', before])
  assert.equal((await disk.lstat(at('obsd')))?.mode, 0o700)
  assert.deepEqual((await install(disk, b, c)).kept, [])
  assert.deepEqual([await read(disk, 'bsd'), await read(disk, 'obsd')], ['kernel 3', 'kernel 2'])
})

test('a directory is kept with all that is in it, also what is of no release', async () => {
  const [a, b] = (await releases(many, '1', '2')) as [Release, Release]
  const disk = await machine(memoryDisk(), many('1'))
  await write(disk, 'boot/kernel/mine.ko', 'mine')
  await install(disk, a, b)
  const names = ['kernel', 'same.ko', 'deep/changed.ko', 'only-1.ko', 'only-2.ko', 'mine.ko']
  const contents = await Promise.all(names.map(async (name) => await read(disk, `boot/kernel.old/${name}`)))
  assert.deepEqual(contents, ['kernel 1', 'same', 'module 1', '1', undefined, 'mine'])
  assert.equal(await inode(disk, 'boot/kernel.old/same.ko'), await inode(disk, 'boot/kernel/same.ko'))
})

for (const [name, tree] of [
  ['file', one],
  ['directory', many],
] as const) {
  test(`rollbacks bring back a ${name} and what was under its second name, to the last link`, async () => {
    const [a, b, c] = (await releases(tree, '1', '2', '3')) as [Release, Release, Release]
    const disk = await machine(memoryDisk(), tree('1'))
    const pictures = [await picture(disk)]
    for (const [from, to] of [
      [a, b],
      [b, c],
    ] as const) {
      await install(disk, from, to)
      pictures.push(await picture(disk))
    }
    assert.deepEqual(await back(disk), [])
    assert.equal(await picture(disk), pictures[1])
    assert.deepEqual(await back(disk), [])
    assert.equal(await picture(disk), pictures[0])
    assert.equal(await disk.lstat(at('var/db/bindery/old-names')), undefined)
    assert.deepEqual(await leftovers(disk), [])
    await install(disk, a, b)
    await install(disk, b, c)
    assert.deepEqual(await back(disk, 2), [])
    assert.equal(await picture(disk), pictures[0])
  })
}

describe('what is not ours is not touched', () => {
  test('a file that somebody put at the second name stays, and is told', async () => {
    const [a, b] = (await releases(one, '1', '2')) as [Release, Release]
    const disk = await machine(memoryDisk(), one('1'))
    await write(disk, 'obsd', 'my rescue kernel')
    assert.deepEqual((await install(disk, a, b)).kept, [{ path: 'obsd', reason: 'in-the-way' }])
    assert.deepEqual([await read(disk, 'bsd'), await read(disk, 'obsd')], ['kernel 2', 'my rescue kernel'])
  })

  test('what was changed under the second name stays, and the old kernel comes beside', async () => {
    const [a, b, c] = (await releases(one, '1', '2', '3')) as [Release, Release, Release]
    const disk = await machine(memoryDisk(), one('1'))
    await install(disk, a, b)
    await write(disk, 'obsd', 'mine')
    assert.deepEqual((await install(disk, b, c)).kept, [{ path: 'obsd', reason: 'modified', beside: 'obsd.new' }])
    assert.deepEqual([await read(disk, 'obsd'), await read(disk, 'obsd.new')], ['mine', 'kernel 2'])
  })

  test('what was removed under the second name is no wish to have none', async () => {
    const [a, b, c] = (await releases(one, '1', '2', '3')) as [Release, Release, Release]
    const disk = await machine(memoryDisk(), one('1'))
    await install(disk, a, b)
    await disk.unlink(at('obsd'))
    assert.deepEqual((await install(disk, b, c)).kept, [])
    assert.equal(await read(disk, 'obsd'), 'kernel 2')
  })

  test('a second name that the release has itself is its own', async () => {
    const tree = (revision: string): Literal => ({ ...one(revision), obsd: `rescue ${revision}` })
    const [a, b] = (await releases(tree, '1', '2')) as [Release, Release]
    const disk = await machine(memoryDisk(), tree('1'))
    await install(disk, a, b)
    assert.equal(await read(disk, 'obsd'), 'rescue 2')
  })
})

test('a kernel that stays is not kept: built here, held by protect, a link, or not changed', async () => {
  const [a, b] = (await releases(one, '1', '2')) as [Release, Release]
  const own = await machine(memoryDisk(), one('1'))
  await write(own, 'bsd', 'my own kernel')
  await install(own, a, b)
  assert.deepEqual([await read(own, 'bsd'), await read(own, 'obsd')], ['my own kernel', undefined])

  const held = await machine(memoryDisk(), one('1'))
  await install(held, a, b, { config: config('protect /bsd\n') })
  assert.deepEqual([await read(held, 'bsd'), await read(held, 'obsd')], ['kernel 1', undefined])

  const unchanged = await machine(memoryDisk(), one('1'))
  await install(unchanged, a, await release('1.1', { ...one('1'), 'etc/motd': 'other' }))
  assert.equal(await read(unchanged, 'obsd'), undefined)

  const link = (revision: string): Literal => ({ 'boot/vmlinuz': symlink(`vmlinuz-${revision}`), [`boot/vmlinuz-${revision}`]: revision })
  const [c, d] = (await releases(link, '1', '2')) as [Release, Release]
  const linked = await machine(memoryDisk(), link('1'))
  await install(linked, c, d)
  assert.equal(await linked.lstat(at('boot/vmlinuz.old')), undefined)
})

test('a kernel of one’s own that stays does not push the old one out', async () => {
  const tree = (revision: string): Literal => ({ 'boot/kernel/kernel': `kernel ${revision}`, 'boot/kernel/same.ko': 'same' })
  const [a, b, c, d] = (await releases(tree, '1', '2', '3', '4')) as [Release, Release, Release, Release]
  const disk = await machine(memoryDisk(), tree('1'))
  await install(disk, a, b)
  await write(disk, 'boot/kernel/kernel', 'my own kernel')
  await install(disk, b, c)
  assert.deepEqual(
    [await read(disk, 'boot/kernel/kernel'), await read(disk, 'boot/kernel/kernel.new'), await read(disk, 'boot/kernel.old/kernel')],
    ['my own kernel', 'kernel 3', 'kernel 1'],
  )
  // The version beside is exchanged for the next: nor is that a new kernel.
  await install(disk, c, d)
  assert.deepEqual([await read(disk, 'boot/kernel/kernel.new'), await read(disk, 'boot/kernel.old/kernel')], ['kernel 4', 'kernel 1'])
})

describe('bindery.conf', () => {
  test('keep-old names other paths, and none keeps nothing', async () => {
    const tree = (revision: string): Literal => ({ bsd: revision, 'opt/image': revision })
    const [a, b] = (await releases(tree, '1', '2')) as [Release, Release]
    const disk = await machine(memoryDisk(), tree('1'))
    await install(disk, a, b, { config: config('keep-old /opt/image image.last\n') })
    assert.deepEqual([await read(disk, 'opt/image.last'), await read(disk, 'obsd')], ['1', undefined])
    const plain = await machine(memoryDisk(), tree('1'))
    await install(plain, a, b, { config: config('keep-old none\n') })
    assert.equal(await read(plain, 'obsd'), undefined)
  })

  test('an ignored path or name is left alone', async () => {
    const [a, b] = (await releases(one, '1', '2')) as [Release, Release]
    const disk = await machine(memoryDisk(), one('1'))
    await install(disk, a, b, { config: config('ignore /obsd\n') })
    assert.deepEqual([await read(disk, 'bsd'), await read(disk, 'obsd')], ['kernel 2', undefined])
  })

  test('a line that is no absolute path and a name is refused', () => {
    for (const value of ['/boot/kernel', 'boot/kernel kernel.old', '/boot/kernel /boot/old', '/boot/kernel ..', '/ old', '/a b c'])
      assert.throws(() => config(`keep-old ${value}\n`), { code: 'usage' }, value)
  })

  test('nor can two paths have one second name', () => {
    for (const second of ['/boot/b last', '/boot last/..', '/boot/a last'])
      assert.throws(() => config(`keep-old /boot/a last\nkeep-old ${second}\n`), { code: 'usage' }, second)
    assert.equal(config('keep-old /boot/a last\nkeep-old /boot/a first\nkeep-old /opt/a last\n').keepOld.length, 3)
  })
})

test('an audit does not wonder at second names', async () => {
  const [a, b] = (await releases(many, '1', '2')) as [Release, Release]
  const disk = await machine(memoryDisk(), many('1'))
  await install(disk, a, b)
  assert.deepEqual(await findExtras(disk, [b.manifest], defaultConfig), [])
})

test('without hard links the old kernel is copied', async () => {
  const [a, b] = (await releases(many, '1', '2')) as [Release, Release]
  const disk = withoutLinks(await machine(memoryDisk(), many('1')))
  await install(disk, a, b)
  assert.equal(await read(disk, 'boot/kernel.old/kernel'), 'kernel 1')
})

test('on an overlay, where a file is of another device than its directory', async () => {
  for (const [of, kernel] of [
    [one, 'bsd'],
    [many, 'boot/kernel/kernel'],
  ] as const) {
    const [a, b, c] = (await releases(of, '1', '2', '3')) as [Release, Release, Release]
    const disk = withFilesOfOtherDevices(await machine(memoryDisk(), of('1')))
    await install(disk, a, b)
    await install(disk, b, c)
    const old = kernel === 'bsd' ? 'obsd' : 'boot/kernel.old/kernel'
    assert.deepEqual([await read(disk, kernel), await read(disk, old)], ['kernel 3', 'kernel 2'])
  }
})

describe('a machine that stops at any call', () => {
  const finish = async (disk: Disk): Promise<unknown> => await recover(disk, { undo: false, keepReleases: 5, recovery })
  const undo = async (disk: Disk): Promise<unknown> => await recover(disk, { undo: true, keepReleases: 5, recovery })

  /** With one kernel kept already, so that names are added, exchanged and removed. */
  async function second(): Promise<{ fresh(): Promise<Disk>; run(disk: Disk): Promise<unknown> }> {
    const [a, b, c] = (await releases(many, '1', '2', '3')) as [Release, Release, Release]
    const fresh = async (): Promise<Disk> => {
      const disk = await machine(memoryDisk(), many('1'))
      await install(disk, a, b)
      return disk
    }
    return { fresh, run: async (disk) => await install(disk, b, c) }
  }

  for (const [turn, moment] of moments.entries()) {
    test(`${moment} it has the old kernels or the new ones, by recover and by recover --undo`, async () => {
      const { fresh, run } = await second()
      const done = await fresh()
      const old = await state(done)
      const calls = await callsOf(done, run)
      const pictures = { old, new: await state(done) }
      for (const n of stopsIn(calls, turn)) {
        for (const repair of [finish, undo]) {
          const disk = await fresh()
          assert.equal(await crashes(disk, { kind: 'crash', at: n, when: moment }, run), true)
          const isCommitted = (await disk.lstat(at('var/db/bindery/journal'))) !== undefined
          await repair(disk)
          const found = assertOneOf(await state(disk), pictures, `${repair.name} after ${moment} ${n} ${calls[n - 1] ?? ''}`)
          if (isCommitted) assert.equal(found, repair === finish ? 'new' : 'old')
        }
      }
    })
  }

  test('for want of power loses neither of them, whatever was not synced', async () => {
    const { fresh, run } = await second()
    const start = await fresh()
    const logged = loggedDisk(start)
    const old = await state(start)
    await run(logged.disk)
    const pictures = { old, new: await state(start) }
    await back(logged.disk)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: logged.length() }),
        fc.array(fc.boolean()),
        fc.boolean(),
        async (count, luck, isUndone) => {
          const disk = await fresh()
          let asked = 0
          await logged.cut(disk, count, () => luck[asked++ % Math.max(luck.length, 1)] === true)
          await (isUndone ? undo(disk) : finish(disk))
          assertOneOf(await state(disk), pictures, `cut behind ${count} of ${logged.length()} changes`)
        },
      ),
      { numRuns: cases(100) },
    )
  })

  async function state(disk: Disk): Promise<string> {
    return `${await whole(disk)}${(await read(disk, 'var/db/bindery/old-names')) ?? ''}`
  }
})

describe('the record', () => {
  const node = { kind: 'symlink' as const, path: at('a b\\'), mode: 0o777, uid: 0, gid: 0, mtime: { sec: 1, nsec: 2 }, target: 'x\ny' }

  test('is read as it was written', () => {
    assert.deepEqual(decodeOldNames(encodeOldNames([node])), [node])
    assert.deepEqual(decodeOldNames(encodeOldNames([])), [])
  })

  test('that is damaged is refused', () => {
    const refused = (lines: string, code: 'bad-format' | 'hostile' | 'not-supported'): void =>
      assert.throws(
        () => decodeOldNames(utf8(lines)),
        (error: unknown) => isBinderyError(error, code),
        lines,
      )
    const dir = 'node dir,0755,0,0,1.000000000\n'
    refused('bindery-old-names 2\n', 'not-supported')
    refused('bindery-old-names 1\npath a\n', 'bad-format')
    refused(`bindery-old-names 1\n${dir}path a\n`, 'bad-format')
    refused(`bindery-old-names 1\npath b\n${dir}path a\n${dir}`, 'bad-format')
    refused(`bindery-old-names 1\npath ../a\n${dir}`, 'hostile')
    refused(`bindery-old-names 1\npath .\n${dir}`, 'hostile')
    refused('bindery-old-names 1\npath a\nnode dir\n', 'bad-format')
  })
})
