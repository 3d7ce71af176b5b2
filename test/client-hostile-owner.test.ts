import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { recovery } from './helpers/recovery.ts'
import { install, machine, release, text } from './helpers/client-world.ts'
import { dir, file } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Kept } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Somebody who owns a folder of the tree, in which a release changes owners and modes, and nothing else. */

const at = (path: string): RelPath => path as RelPath
const time = { sec: 1_600_000_000, nsec: 0 }
const of = (owner: number, mode: number): Literal[string] => file('page', { uid: owner, gid: owner, mode, mtime: time })
const theirs = { uid: 5, gid: 5, mode: 0o755 }

const able = new Map([['security.capability', 'all']])

type Attack = {
  readonly before: Literal[string]
  readonly after: Literal[string]
  readonly put: (disk: Disk) => Promise<void>
  /** Just before this call on the file, or right behind the journal. */
  readonly when: 'journal' | 'chown' | 'chmod' | 'setXattrs'
}

/** Answers the machine, and what was told of it. */
async function attacked({ before, after, put, when }: Attack): Promise<{ readonly disk: Disk; readonly kept: readonly Kept[] }> {
  const tree = (f: Literal[string]): Literal => ({ www: dir(theirs), 'www/f': f, secret: file('secret', { uid: 0, gid: 0, mode: 0o600 }) })
  const [old, next] = [await release('1.0', tree(before)), await release('1.1', tree(after))]
  const disk = await machine(memoryDisk(), tree(before))
  let isDone = false
  const strike = async (isNow: boolean): Promise<void> => {
    if (isDone || !isNow) return
    isDone = true
    await disk.unlink(at('www/f'))
    await put(disk)
  }
  const watched: Disk = {
    ...disk,
    rename: async (from, to) => {
      await disk.rename(from, to)
      await strike(when === 'journal' && to === 'var/db/bindery/journal')
    },
    chown: async (path, ...more) => {
      await strike(when === 'chown' && path === 'www/f')
      await disk.chown(path, ...more)
    },
    chmod: async (path, ...more) => {
      await strike(when === 'chmod' && path === 'www/f')
      await disk.chmod(path, ...more)
    },
    setXattrs: async (path, ...more) => {
      await strike(when === 'setXattrs' && path === 'www/f')
      await disk.setXattrs(path, ...more)
    },
  }
  const { kept } = await install(watched, old, next)
  assert.ok(isDone)
  return { disk, kept }
}

const linkSecret = async (disk: Disk): Promise<void> => await disk.link(at('www/f'), at('secret'))

const attacks: Readonly<Record<string, Omit<Attack, 'when'>>> = {
  'a file is given to somebody': { before: of(0, 0o600), after: of(5, 0o644), put: linkSecret },
  'a file gets another mode': { before: of(0, 0o600), after: of(0, 0o644), put: linkSecret },
  'a file of theirs gets another mode': { before: of(5, 0o644), after: of(5, 0o664), put: linkSecret },
}

for (const [name, attack] of Object.entries(attacks))
  for (const when of ['journal', 'chown', 'chmod'] as const) {
    const isCalled = when !== 'chown' || name === 'a file is given to somebody'
    if (!isCalled) continue
    test(`where ${name}, a name of a file of others gets nothing (${when})`, async () => {
      const { disk, kept } = await attacked({ ...attack, when })
      const secret = await disk.lstat(at('secret'))
      assert.deepEqual([secret?.uid, secret?.gid, secret?.mode], [0, 0, 0o600])
      assert.deepEqual(kept, [{ path: 'www/f', reason: 'modified' }])
    })
  }

for (const [what, mode] of [
  ['attributes', 0o755],
  ['attributes and another mode', 0o711],
] as const)
  test(`where a program gets ${what}, a name of a file of others, or a program of theirs, gets none`, async () => {
    for (const put of [linkSecret, async (on: Disk) => void (await on.create(at('www/f'), oneChunk(utf8('evil'))))]) {
      const after = file('page', { uid: 0, gid: 0, mode, mtime: time, xattrs: able })
      const { disk, kept } = await attacked({ before: of(0, 0o755), after, when: 'setXattrs', put })
      assert.deepEqual(await disk.xattrsOf([at('secret'), at('www/f')]), new Map())
      assert.deepEqual(kept, [{ path: 'www/f', reason: 'modified' }])
    }
  })

test('a program of theirs does not become setuid, though it looks like the one that is to', async () => {
  for (const [owner, mode] of [
    [5, 0o755],
    [0, 0o755],
    [5, 0o4755],
  ] as const) {
    const { disk, kept } = await attacked({
      before: of(owner, mode),
      after: of(0, 0o4755),
      when: 'journal',
      put: async (on) => {
        await on.create(at('www/f'), oneChunk(utf8('evil')))
        await on.chown(at('www/f'), 5, 5)
        await on.chmod(at('www/f'), mode)
        await on.setTimes([{ path: at('www/f'), mtime: time }])
      },
    })
    const there = await disk.lstat(at('www/f'))
    // What was his is another file now, with the content of the release.
    const wanted = owner === 5 ? [0, 0o4755, 'page', []] : [5, mode, 'evil', [{ path: 'www/f', reason: 'modified' }]]
    assert.deepEqual([there?.uid, there?.mode, await text(disk, 'www/f'), kept], wanted)
  }
})

for (const [what, before, after] of [
  ['becomes setuid', of(5, 0o755), of(0, 0o4755)],
  ['becomes setgid, and all of its group may write to it', of(0, 0o775), of(0, 0o2775)],
  ['is able to do more', of(5, 0o755), file('page', { uid: 0, gid: 0, mode: 0o755, mtime: time, xattrs: able })],
  ['of root that is setuid becomes his', of(0, 0o4755), of(5, 0o755)],
] as const)
  test(`a program that ${what} is no file that he has open`, async () => {
    const [old, next] = [
      await release('1.0', { www: dir(theirs), 'www/f': before }),
      await release('1.1', { www: dir(theirs), 'www/f': after }),
    ]
    const disk = await machine(memoryDisk(), { www: dir(theirs), 'www/f': before })
    const was = await disk.lstat(at('www/f'))
    // As a descriptor would be.
    await disk.link(at('www/open'), at('www/f'))
    const { kept } = await install(disk, old, next)
    await disk.append(at('www/open'), oneChunk(utf8(', and evil')))
    const now = await disk.lstat(at('www/f'))
    assert.notEqual(now?.inode, was?.inode)
    assert.deepEqual(
      [await text(disk, 'www/f'), now?.mode, kept],
      ['page', next.manifest.entries.find(({ path }) => path === 'www/f')?.mode, []],
    )
    await disk.truncate(at('www/open'), 4)
    await disk.setTimes([{ path: at('www/open'), mtime: time }])
    await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock: { now: () => 0 } })
    assert.deepEqual(await disk.lstat(at('www/f')), { ...was, nlink: 2 })
  })

test('a log that is written to all the time gets its new mode', async () => {
  const { disk, kept } = await attacked({
    before: of(5, 0o644),
    after: of(5, 0o640),
    when: 'journal',
    put: async (on) => {
      await on.create(at('www/f'), oneChunk(utf8('page, and another line')))
      await on.chown(at('www/f'), 5, 5)
      await on.chmod(at('www/f'), 0o644)
    },
  })
  assert.equal((await disk.lstat(at('www/f')))?.mode, 0o640)
  assert.deepEqual(kept, [])
})

test('on an overlay, where a new owner makes another inode of a file, it gets its mode, too', async () => {
  const tree = (f: Literal[string]): Literal => ({ www: dir(theirs), 'www/f': f })
  const [old, next] = [await release('1.0', tree(of(5, 0o644))), await release('1.1', tree(of(0, 0o640)))]
  const disk = await machine(memoryDisk(), tree(of(5, 0o644)))
  let copies = 0
  const overlay: Disk = {
    ...disk,
    chown: async (path, uid, gid, seen) => {
      await disk.chown(path, uid, gid, seen)
      if (path !== 'www/f') return
      copies++
      await disk.create(at('www/g'), oneChunk(utf8('page')))
      await disk.chown(at('www/g'), uid, gid)
      await disk.chmod(at('www/g'), 0o644)
      await disk.setTimes([{ path: at('www/g'), mtime: time }])
      await disk.rename(at('www/g'), path)
    },
  }
  const { kept } = await install(overlay, old, next)
  const now = await disk.lstat(at('www/f'))
  assert.deepEqual([copies, now?.uid, now?.mode, kept], [1, 0, 0o640, []])
})
