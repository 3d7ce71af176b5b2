import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unreadDigest } from '../src/engine/client/apply/look.ts'
import { after, at, attr, before, carryOutOn, drop, folder, found, leaf, live, mkdir, pathOf, put, rmdir } from './helpers/carried.ts'
import { swap, theirs, treeOf, tryWays } from './helpers/carried.ts'
import { withBindMount, withoutRoot } from './helpers/limited-disk.ts'
import { dir, fifo, file, hardlink, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Action } from '../src/format/journal.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { Literal, Plant } from './helpers/plant.ts'

/** What a journal does to a path on its way back, however far it was carried out, and whatever lies there by then. */

const statOf = async (disk: Disk, path: RelPath = live): Promise<Stat> => (await disk.lstat(path)) as Stat
const bound = (disk: Disk): Disk => withBindMount(disk, relPath('etc'))
/** A file system that takes times along with what is synced later. */
const ordered = (disk: Disk): Disk => ({ ...disk, space: async (path) => ({ ...(await disk.space(path)), isOrdered: true }) })
const half = '.bindery-1-0'
const slot = { area: 0, number: 0 }
const ours = { ...leaf(after), sha256: unreadDigest } as Leaf

// --- what has come

test('what has come goes, but for what others have made of it', async () => {
  await tryWays(
    'backward',
    [put(after)],
    [
      ['it has come', { live: after }, {}],
      ['it has gone', {}, {}],
      ['it never came', { come: after }, { come: 'after.' }],
      ['it never came, and another is there', { come: after, live: theirs }, { come: 'after.', live: 'theirs' }],
      ['it never came, and a folder is there', { come: after, f: dir() }, { come: 'after.', live: 'dir' }],
      ['it has come, and its slot was given back', { come: after, live: hardlink('come') }, { come: 'after.' }],
      ['likewise, and it was written into', { come: theirs, live: hardlink('come') }, { 'come live': 'theirs' }, ['modified etc/f']],
      ['it has come by a copy, and is in its slot still', { come: after, live: after }, { come: 'after.' }],
      ['half a copy is beside it', { come: after, [half]: 'aft' }, { come: 'after.' }],
      ['a file of such a name is beside it, and it has come', { live: after, [half]: 'x' }, { [half]: 'x' }],
      ['it has come, and was written into', { live: theirs }, { live: 'theirs' }, ['modified etc/f']],
      ['it has come, and a folder is there by now', { f: dir() }, { live: 'dir' }],
    ],
  )
})

test('of the state folder all that has come goes; what never came was there before', async () => {
  await tryWays(
    'backward',
    [{ kind: 'put', path: live, slot, new: ours }],
    [
      ['it has come', { live: theirs }, {}],
      ['it never came', { come: after, live: after }, { come: 'after.', live: 'after.' }],
    ],
  )
})

// --- one file in the place of another

test('the old file takes its place again, by one rename', async () => {
  await tryWays(
    'backward',
    [swap(before, after)],
    [
      ['it has come', { live: after, gone: before }, { live: 'before' }],
      ['it has gone back', { live: before }, { live: 'before' }],
      ['it has gone back, and the store has its name again', { live: before, gone: hardlink('live') }, { live: 'before' }],
      ['it has gone back by a copy', { live: before, gone: before }, { live: 'before' }],
      ['it has gone back, and another is there since', { live: theirs }, { live: 'theirs' }],
      ['it never came', { come: after, live: before, gone: hardlink('live') }, { come: 'after.', 'gone live': 'before' }],
      ['it never came, and nothing was kept yet', { come: after, live: before }, { come: 'after.', live: 'before' }],
      [
        'it never came, and another is there',
        { come: after, live: theirs, gone: before },
        { come: 'after.', live: 'theirs', gone: 'before' },
      ],
      ['it never came, and nothing is there', { come: after, gone: before }, { come: 'after.', gone: 'before' }],
      [
        'it has come, and its slot was given back',
        { come: after, live: hardlink('come'), gone: before },
        { come: 'after.', live: 'before' },
      ],
      ['it has come by a copy, and is in its slot still', { come: after, live: after, gone: before }, { come: 'after.', live: 'before' }],
      [
        'half a copy is beside it',
        { come: after, live: before, gone: before, [half]: 'aft' },
        { come: 'after.', live: 'before', gone: 'before' },
      ],
      ['it has come, and was removed', { gone: before }, { live: 'before' }],
      ['another is there', { live: theirs, gone: before }, { live: 'before', 'f.local': 'theirs' }, ['late etc/f etc/f.local']],
      ['a folder is there', { f: dir(), gone: before }, { live: 'before', 'f.local': 'dir' }, ['late etc/f etc/f.local']],
    ],
  )
})

test('of versions that look alike the old one is there when its name in the store is gone', async () => {
  const next = file('after.', { mtime: at(1) })
  await tryWays(
    'backward',
    [swap(before, next)],
    [
      ['it has come', { live: next, gone: before }, { live: 'before' }],
      ['it never came', { come: next, live: before, gone: before }, { come: 'after.', live: 'before', gone: 'before' }],
    ],
  )
})

// --- what has gone

test('what has gone comes again; what somebody has put in its place gets a name beside', async () => {
  await tryWays(
    'backward',
    [drop(before)],
    [
      ['it has gone', { gone: before }, { live: 'before' }],
      ['it has come again', { live: before }, { live: 'before' }],
      ['it had come again, and was removed', {}, {}],
      ['it never went', { live: before, gone: hardlink('live') }, { 'gone live': 'before' }],
      ['it never went, and was written into', { live: theirs, gone: hardlink('live') }, { 'gone live': 'theirs' }],
      ['it never went, and was kept by a copy', { live: before, gone: before }, { live: 'before', gone: 'before' }],
      ['another is there', { live: theirs, gone: before }, { live: 'before', 'f.local': 'theirs' }, ['late etc/f etc/f.local']],
      ['a folder is there', { f: dir(), gone: before }, { live: 'before', 'f.local': 'dir' }, ['late etc/f etc/f.local']],
    ],
  )
})

test('a folder that came in the place of a file goes before the file comes again', async () => {
  await tryWays(
    'backward',
    [drop(before), mkdir(0o755)],
    [
      ['it has come', { f: dir(), gone: before }, { live: 'before' }],
      ['it has gone', { gone: before }, { live: 'before' }],
      ['the file is there', { live: before }, { live: 'before' }],
      [
        'something is in it',
        { 'f/x': 'x', gone: before },
        { live: 'before', 'f.local': 'dir', 'f.local/x': 'x' },
        ['not-empty etc/f', 'late etc/f etc/f.local'],
      ],
    ],
  )
})

// --- a bind mount

test('out of the store a file comes into a bind mount by a copy beside its place', async () => {
  const path = `etc/${half}`
  for (const action of [drop(before), swap(before, after)]) {
    const disk = await found({ gone: before, ...(action.kind === 'swap' && { live: after }) })
    const { calls } = await carryOutOn(bound(disk), 'backward', action)
    assert.deepEqual(calls, [
      'rename area/store/1/0',
      `create ${path}`,
      `chmod ${path}`,
      'setTimes',
      `sync ${path}`,
      `rename ${path}`,
      'unlink area/store/1/0',
      'sync etc',
    ])
    assert.deepEqual([await treeOf(disk), (await statOf(disk)).mtime], [{ live: 'before' }, at(1)])
  }
  const given = { gone: before, [half]: 'bef' }
  await tryWays('backward', [drop(before)], [['half a copy', given, { live: 'before' }]], bound)
  await tryWays('backward', [swap(before, after)], [['half a copy', { ...given, live: after }, { live: 'before' }]], bound)
})

// --- folders

test('a folder that came goes, and one that went is made again, with its mode and time', async () => {
  await tryWays(
    'backward',
    [mkdir(0o755)],
    [
      ['it has come', { f: dir() }, {}],
      ['it has gone', {}, {}],
      ['something is in it', { 'f/x': 'x' }, { live: 'dir', 'f/x': 'x' }, ['not-empty etc/f']],
    ],
  )
  await tryWays(
    'backward',
    [rmdir(0o755)],
    [['a file is there', { live: theirs }, { live: 'dir', 'f.local': 'theirs' }, ['late etc/f etc/f.local']]],
  )
  const inside: Action = { kind: 'drop', path: relPath('etc/f/x'), slot, old: leaf(before) }
  const disk = await found({ gone: before })
  const { calls } = await carryOutOn(withoutRoot(disk), 'backward', inside, rmdir(0o500))
  assert.deepEqual(calls, ['mkdir etc/f', 'rename area/store/1/0', 'setTimes', 'chmod etc/f', 'sync etc/f', 'sync etc'])
  assert.deepEqual(await treeOf(disk), { live: 'dir', 'f/x': 'before' })
  assert.deepEqual([(await statOf(disk)).mode, (await statOf(disk)).mtime], [0o500, at(9)])
})

// --- attributes

const [plain, executable] = [leaf(after), leaf(file('after.', { mtime: at(5), mode: 0o755 }))]
const toExecutable = attr(plain, executable)
const done = file('after.', { mtime: at(5), mode: 0o755 })

/** Mode and seconds of what lies at a name. */
async function attributesOf(disk: Disk, name: string): Promise<readonly (number | undefined)[]> {
  const stat = await disk.lstat(pathOf(name))
  return [stat?.mode, stat?.mtime.sec]
}

test('a file gets its attributes back; its time behind all else', async () => {
  const ways: readonly (readonly [string, Literal, readonly (number | undefined)[], readonly string[]])[] = [
    ['they were set', { live: done }, [0o644, 2], []],
    ['they never were', { live: after }, [0o644, 2], []],
    ['of another owner by now', { live: file('after.', { mtime: at(5), uid: 7 }) }, [0o644, 5], ['modified etc/f']],
    ['gone', {}, [undefined, undefined], []],
  ]
  for (const [what, given, attributes, told] of ways) {
    const disk = await found(given)
    const carried = await carryOutOn(disk, 'backward', toExecutable)
    assert.deepEqual([await attributesOf(disk, 'live'), carried.told], [attributes, told], what)
  }
  const { calls } = await carryOutOn(await found({ live: done }), 'backward', toExecutable)
  assert.deepEqual(calls, ['chmod etc/f', 'setTimes', 'sync etc/f'])
})

test('a folder gets its attributes back when all is in it', async () => {
  const disk = await found({ f: dir({ mode: 0o500 }), gone: before })
  const inside: Action = { kind: 'drop', path: relPath('etc/f/x'), slot, old: leaf(before) }
  const { calls } = await carryOutOn(disk, 'backward', inside, attr(folder(0o755), folder(0o500)))
  assert.deepEqual(calls, ['rename area/store/1/0', 'setTimes', 'chmod etc/f', 'sync etc/f'])
})

test('a file that came and got attributes has them taken back before it goes: it may have another name in an older store', async () => {
  const earlier = 'earlier'
  for (const [action, gone] of [
    [put(after), {}],
    [swap(before, after), { gone: before }],
  ] as const) {
    const disk = await found({ live: done, [earlier]: hardlink('live'), ...gone })
    const { told, calls } = await carryOutOn(disk, 'backward', action, toExecutable)
    assert.deepEqual([await attributesOf(disk, earlier), told], [[0o644, 2], []], action.kind)
    assert.deepEqual(calls.slice(0, 3), ['chmod etc/f', 'setTimes', 'sync etc/f'], action.kind)
    assert.deepEqual(await treeOf(disk), action.kind === 'put' ? { [earlier]: 'after.' } : { live: 'before', [earlier]: 'after.' })
  }
})

test('before a file came, and after it went again, its attributes are none of what lies at its path', async () => {
  const other = file('another', { mtime: at(5), mode: 0o755 })
  const ways: readonly (readonly [string, Action, Literal])[] = [
    ['before it came', put(after), { come: after, live: other }],
    ['before it came in the place of another', swap(before, after), { come: after, live: other, gone: other }],
    ['after the other came again', swap(before, after), { live: other }],
  ]
  for (const [what, action, given] of ways) {
    const disk = await found(given)
    const { told, calls } = await carryOutOn(disk, 'backward', action, toExecutable)
    assert.deepEqual([await attributesOf(disk, 'live'), told], [[0o755, 5], []], what)
    assert.deepEqual(
      calls.filter((call) => /^(chmod|setTimes)/.test(call)),
      [],
      what,
    )
  }
})

test('a mode that is taken back is durable before the file goes, also where times go along', async () => {
  const disk = ordered(await found({ live: done }))
  const { calls } = await carryOutOn(disk, 'backward', put(after), toExecutable)
  assert.deepEqual(calls.slice(0, 4), ['chmod etc/f', 'setTimes', 'sync etc/f', 'unlink etc/f'])
})

test('a mode that somebody has set on a file that came stays with its other name, and is told', async () => {
  const disk = await found({ live: file('after.', { mtime: at(5), mode: 0o711 }), earlier: hardlink('live') })
  const { told } = await carryOutOn(disk, 'backward', put(after), toExecutable)
  assert.deepEqual([await attributesOf(disk, 'earlier'), told], [[0o711, 5], ['modified etc/f']])
  assert.deepEqual(await treeOf(disk), { earlier: 'after.' })
})

test('attributes that are taken back are durable before the file goes; a time alone, where no log takes it along', async () => {
  const timed = (given: Plant): Action => attr(leaf(given), leaf({ ...given, mtime: at(5) }))
  const [link, pipe] = [symlink('x', { mtime: at(2) }), fifo({ mtime: at(2) })]
  const ways: readonly (readonly [string, Plant, readonly string[], (disk: Disk) => Disk])[] = [
    ['a file', after, ['setTimes', 'sync etc/f', 'unlink etc/f', 'sync etc'], (disk) => disk],
    ['a file where times go along', after, ['setTimes', 'unlink etc/f', 'sync etc'], ordered],
    ['a link', link, ['setTimes', 'unlink etc/f', 'sync etc'], (disk) => disk],
    ['a pipe', pipe, ['setTimes', 'unlink etc/f', 'sync etc'], (disk) => disk],
  ]
  for (const [what, given, calls, on] of ways) {
    const disk = await found({ live: { ...given, mtime: at(5) } })
    assert.deepEqual((await carryOutOn(on(disk), 'backward', put(given), timed(given))).calls, calls, what)
    assert.deepEqual(await treeOf(disk), {}, what)
  }
})
