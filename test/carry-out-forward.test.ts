import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { carryOut } from '../src/engine/client/apply/commit.ts'
import { unreadDigest } from '../src/engine/client/apply/look.ts'
import { after, at, attr, before, carryOutOn, drop, folder, found, journal, leaf, live, mkdir, pathOf, put } from './helpers/carried.ts'
import { rmdir, swap, theirs, treeOf, tryWays } from './helpers/carried.ts'
import { withBindMount, withoutLinks, withoutRoot } from './helpers/limited-disk.ts'
import { dir, fifo, file, hardlink, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Action } from '../src/format/journal.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What a journal does to a path on its way forward, whatever lies there by then and however far an earlier run has come. */

const statOf = async (disk: Disk, path: RelPath = live): Promise<Stat> => (await disk.lstat(path)) as Stat
const ours = { ...leaf(after), sha256: unreadDigest } as Leaf

// --- a file comes

test('a file comes to its path once; what somebody put there meanwhile gets a name beside', async () => {
  await tryWays(
    'forward',
    [put(after)],
    [
      ['nothing has been done', { come: after }, { live: 'after.' }],
      ['it has come', { live: after }, { live: 'after.' }],
      ['it had come, and was removed since', {}, {}],
      ['it had come, and another is there since', { live: theirs }, { live: 'theirs' }],
      ['it has come, and its slot was given back', { come: after, live: hardlink('come') }, { live: 'after.' }],
      ['likewise, and it was written into', { come: theirs, live: hardlink('come') }, { live: 'theirs' }],
      ['it has come by a copy, and is in its slot still', { come: after, live: after }, { live: 'after.' }],
      ['another file', { come: after, live: theirs }, { live: 'after.', 'f.local': 'theirs' }, ['late etc/f etc/f.local']],
      [
        'another file of its time',
        { come: after, live: file('longer.', { mtime: at(2) }) },
        { live: 'after.', 'f.local': 'longer.' },
        ['late etc/f etc/f.local'],
      ],
      ['a folder', { come: after, f: dir() }, { live: 'after.', 'f.local': 'dir' }, ['late etc/f etc/f.local']],
      [
        'names beside are taken',
        { come: after, live: theirs, 'f.local': 'a', 'f.local.1': 'b' },
        { live: 'after.', 'f.local': 'a', 'f.local.1': 'b', 'f.local.2': 'theirs' },
        ['late etc/f etc/f.local.2'],
      ],
    ],
  )
})

test('what is in the state folder is ours, but is no copy: its size and time were estimates', async () => {
  const state: Action = { kind: 'put', path: live, slot: { area: 0, number: 0 }, new: ours }
  await tryWays(
    'forward',
    [state],
    [
      ['it comes', { come: after }, { live: 'after.' }],
      ['alike', { come: after, live: after }, { live: 'after.', 'f.local': 'after.' }, ['late etc/f etc/f.local']],
    ],
  )
  await tryWays(
    'forward',
    [{ kind: 'drop', path: live, slot: { area: 0, number: 0 }, old: ours }],
    [
      ['it goes, whatever it is', { live: file('longer than that'), gone: 'x' }, { gone: 'x' }],
      ['but for what is no file', { live: symlink('x'), gone: 'x' }, { live: '-> x', gone: 'x' }, ['modified etc/f']],
    ],
  )
})

test('what would come into a folder that was removed, or made a link, stays where it is', async () => {
  const [path, linked] = [relPath('etc/x/f'), relPath('etc/y/f')]
  for (const to of [path, linked]) {
    const disk = await found({ come: after, y: symlink('..') })
    const { told } = await carryOutOn(disk, 'forward', { kind: 'put', path: to, slot: { area: 0, number: 0 }, new: leaf(after) })
    assert.deepEqual(told, [`removed ${to}`])
    assert.deepEqual(await treeOf(disk), { come: 'after.', y: '-> ..' })
  }
})

test('what fails is told of the path, and is no change of others', async () => {
  const failing: Disk['rename'] = async (from) => {
    throw new BinderyError('io', 'a fault of the test', { subject: from })
  }
  for (const action of [put(after), swap(before, after)]) {
    const disk = { ...(await found({ come: after })), rename: failing }
    assert.deepEqual(await refused(carryOut(disk, journal('forward', [action]))), ['io', '/etc/f'])
  }
})

test('without the stage of each area nothing is done: its file system is not mounted', async () => {
  const areas = ['area', 'mnt/.bindery'].map(relPath)
  for (const isFile of [false, true]) {
    const disk = await found({ come: after })
    for (const path of ['mnt', 'mnt/.bindery', 'mnt/.bindery/stage'].map(relPath)) await disk.mkdir(path, 0o700)
    if (isFile) await disk.symlink(relPath('mnt/.bindery/stage/1'), '/area/stage/1')
    const work = carryOut(disk, { ...journal('forward', [put(after)]), areas })
    assert.deepEqual(await refused(work), ['not-found', '/mnt/.bindery/stage/1'])
    assert.deepEqual(await treeOf(disk), { come: 'after.' })
  }
})

// --- one file in the place of another

test('a file takes the place of another by one rename, and what was there is kept', async () => {
  await tryWays(
    'forward',
    [swap(before, after)],
    [
      ['nothing has been done', { come: after, live: before, gone: hardlink('live') }, { live: 'after.', gone: 'before' }],
      ['the store has a copy', { come: after, live: before, gone: before }, { live: 'after.', gone: 'before' }],
      ['the store does not have it yet', { come: after, live: before }, { live: 'after.', gone: 'before' }],
      ['it has come', { live: after, gone: before }, { live: 'after.', gone: 'before' }],
      ['it had come, and another is there since', { live: theirs, gone: before }, { live: 'theirs', gone: 'before' }],
      [
        'it has come, and its slot was given back',
        { come: after, live: hardlink('come'), gone: before },
        { live: 'after.', gone: 'before' },
      ],
      ['likewise, and it was written into', { come: theirs, live: hardlink('come'), gone: before }, { live: 'theirs', gone: 'before' }],
      ['it has come by a copy', { come: after, live: after, gone: before }, { live: 'after.', gone: 'before' }],
      ['the old one was removed here', { come: after, gone: before }, { live: 'after.', gone: 'before' }],
      [
        'another is there',
        { come: after, live: theirs, gone: before },
        { live: 'after.', gone: 'before', 'f.local': 'theirs' },
        ['late etc/f etc/f.local'],
      ],
      [
        'one like the new one is there, and the store has nothing',
        { come: after, live: after },
        { live: 'after.', 'f.local': 'after.' },
        ['late etc/f etc/f.local'],
      ],
      [
        'a folder is there',
        { come: after, f: dir(), gone: before },
        { live: 'after.', gone: 'before', 'f.local': 'dir' },
        ['late etc/f etc/f.local'],
      ],
    ],
  )
})

test('what was written into the old file lies in the store by its own inode: it gets a second name that stays', async () => {
  const [given, told] = [{ come: after, live: theirs, gone: hardlink('live') }, ['late etc/f etc/f.local']]
  await tryWays(
    'forward',
    [swap(before, after)],
    [
      ['written into', given, { live: 'after.', 'f.local gone': 'theirs' }, told],
      ['named by a run that was cut off', { ...given, 'f.local': hardlink('live') }, { live: 'after.', 'f.local gone': 'theirs' }, told],
      [
        'names are taken',
        { ...given, 'f.local': 'a', 'f.local.1': 'b' },
        { live: 'after.', 'f.local': 'a', 'f.local.1': 'b', 'f.local.2 gone': 'theirs' },
        ['late etc/f etc/f.local.2'],
      ],
      ['touched alone', { ...given, live: file('before', { mtime: at(7) }) }, { live: 'after.', gone: 'before' }],
      ['longer', { ...given, live: file('before!', { mtime: at(1) }) }, { live: 'after.', 'f.local gone': 'before!' }, told],
      ['a link by now', { ...given, live: symlink('before') }, { live: 'after.', 'f.local gone': '-> before' }, told],
    ],
  )
})

test('of versions that look alike the new one comes where the old one was kept by a copy', async () => {
  const next = file('after.', { mtime: at(1) })
  await tryWays(
    'forward',
    [swap(before, next)],
    [
      ['by a copy', { come: next, live: before, gone: before }, { live: 'after.', gone: 'before' }],
      ['by its name', { come: next, live: before, gone: hardlink('live') }, { live: 'after.', gone: 'before' }],
    ],
  )
})

test('a copy in the store is durable before the new file comes, and so is a name', async () => {
  const given = { come: after, live: before }
  const linked = await carryOutOn(await found(given), 'forward', swap(before, after))
  assert.deepEqual(linked.calls, ['link area/store/1/0', 'sync area/store/1', 'rename area/stage/1/0', 'sync etc'])
  const disk = await found(given)
  const copied = await carryOutOn(withoutLinks(disk), 'forward', swap(before, after))
  assert.deepEqual(copied.calls, [
    'link area/store/1/0',
    'create area/store/1/0',
    'chmod area/store/1/0',
    'setTimes',
    'sync area/store/1/0',
    'sync area/store/1',
    'rename area/stage/1/0',
    'sync etc',
  ])
  assert.deepEqual((await statOf(disk, pathOf('gone'))).mtime, at(1))
})

// --- a file goes

test('a file goes when the store has it, and stays when it is another one', async () => {
  await tryWays(
    'forward',
    [drop(before)],
    [
      ['nothing has been done', { live: before, gone: hardlink('live') }, { gone: 'before' }],
      ['the store has a copy', { live: before, gone: before }, { gone: 'before' }],
      ['the store does not have it yet', { live: before }, { gone: 'before' }],
      ['it has gone', { gone: before }, { gone: 'before' }],
      ['touched alone', { live: file('before', { mtime: at(7) }), gone: hardlink('live') }, { gone: 'before' }],
      ['written into', { live: theirs, gone: hardlink('live') }, { 'gone live': 'theirs' }, ['modified etc/f']],
      ['another', { live: theirs, gone: before }, { live: 'theirs', gone: 'before' }, ['modified etc/f']],
      ['a folder', { f: dir(), gone: before }, { live: 'dir', gone: 'before' }, ['modified etc/f']],
    ],
  )
})

test('links tell by their time that they are others; pipes do not, whose time is that of their use', async () => {
  const link = symlink('x', { mtime: at(1) })
  await tryWays(
    'forward',
    [drop(link)],
    [
      ['the same', { live: link, gone: hardlink('live') }, { gone: '-> x' }],
      ['made anew', { live: symlink('y', { mtime: at(2) }), gone: link }, { live: '-> y', gone: '-> x' }, ['modified etc/f']],
      ['of another time', { live: symlink('x', { mtime: at(2) }), gone: hardlink('live') }, { 'gone live': '-> x' }, ['modified etc/f']],
    ],
  )
  await tryWays(
    'forward',
    [drop(fifo({ mtime: at(1) }))],
    [
      ['used', { live: fifo({ mtime: at(5) }), gone: fifo() }, { gone: 'fifo' }],
      ['a file by now', { live: file('', { mtime: at(1) }), gone: fifo() }, { live: '', gone: 'fifo' }, ['modified etc/f']],
    ],
  )
  await tryWays(
    'forward',
    [drop(file('', { mtime: at(1) }))],
    [['a pipe by now', { live: fifo({ mtime: at(1) }), gone: file('') }, { live: 'fifo', gone: '' }, ['modified etc/f']]],
  )
})

test('a folder that has come in the place of a file is not in its way', async () => {
  const actions = [drop(before), mkdir(0o755)]
  await tryWays('forward', actions, [
    ['nothing has been done', { live: before, gone: hardlink('live') }, { live: 'dir', gone: 'before' }],
    ['the file has gone', { gone: before }, { live: 'dir', gone: 'before' }],
    ['the folder has come, with what is in it', { 'f/x': 'x', gone: before }, { live: 'dir', 'f/x': 'x', gone: 'before' }],
    [
      'another file has come',
      { live: theirs, gone: before },
      { live: 'dir', 'f.local': 'theirs', gone: 'before' },
      ['modified etc/f', 'late etc/f etc/f.local'],
    ],
  ])
  // Of another path this says nothing.
  const other: Action = { kind: 'mkdir', path: relPath('etc/g'), new: folder(0o755) }
  await tryWays(
    'forward',
    [drop(before), other],
    [['a folder', { f: dir(), gone: before }, { live: 'dir', g: 'dir', gone: 'before' }, ['modified etc/f']]],
  )
})

test('a file that has any time it may have had by this journal is the one that is meant', async () => {
  // Names of one file: with one its attributes are set, by the other it goes.
  const [old, next] = [leaf(before), leaf(file('before', { mtime: at(5) }))]
  const other: Action = { kind: 'attr', path: relPath('etc/g'), old, new: next }
  for (const [time, isMeant] of [
    [1, true],
    [5, true],
    [3, false],
  ] as const) {
    const disk = await found({ live: file('before', { mtime: at(time) }), gone: file('before', { mtime: at(time) }) })
    const { told } = await carryOutOn(disk, 'forward', other, drop(file('before', { mtime: at(5) })))
    assert.deepEqual(told, isMeant ? [] : ['modified etc/f'], `${time}`)
    assert.equal((await disk.lstat(live)) === undefined, isMeant, `${time}`)
  }
})

test('the times of several files of one content are all known', async () => {
  const timed = (sec: number): Leaf => leaf(file('before', { mtime: at(sec) }))
  const attrs = [attr(timed(1), timed(5), relPath('etc/g')), attr(timed(2), timed(5), relPath('etc/h'))]
  for (const sec of [1, 2, 5]) {
    const disk = await found({ live: file('before', { mtime: at(sec) }), gone: before })
    assert.deepEqual((await carryOutOn(disk, 'forward', ...attrs, drop(before))).told, [], `${sec}`)
  }
})

// --- a bind mount, into which nothing can be renamed

const bound = (disk: Disk): Disk => withBindMount(disk, relPath('etc'))

test('into a bind mount a file comes by a copy beside it, which is durable and complete before it is renamed', async () => {
  const half = 'etc/.bindery-1-0'
  const disk = await found({ come: file('after.', { mtime: at(2), mode: 0o4755 }), live: before, gone: before })
  const { calls } = await carryOutOn(bound(disk), 'forward', swap(before, file('after.', { mtime: at(2), mode: 0o4755 })))
  assert.deepEqual(calls, [
    'rename area/stage/1/0',
    `create ${half}`,
    `chmod ${half}`,
    'setTimes',
    `sync ${half}`,
    `rename ${half}`,
    'unlink area/stage/1/0',
    'sync etc',
  ])
  assert.deepEqual(await treeOf(disk), { live: 'after.', gone: 'before' })
  const { mode, mtime } = await statOf(disk)
  assert.deepEqual([mode, mtime], [0o4755, at(2)])
})

test('half a copy that a cut off run has left goes first', async () => {
  const half = '.bindery-1-0'
  await tryWays('forward', [put(after)], [['a half', { come: after, [half]: 'aft' }, { live: 'after.' }]], bound)
  await tryWays(
    'forward',
    [swap(before, after)],
    [
      ['a half', { come: after, [half]: 'aft', live: before, gone: before }, { live: 'after.', gone: 'before' }],
      [
        'of another slot',
        { come: after, '.bindery-1-1': 'x', live: before, gone: before },
        { live: 'after.', gone: 'before', '.bindery-1-1': 'x' },
      ],
      ['the copy has come', { come: after, live: after, gone: before }, { live: 'after.', gone: 'before' }],
    ],
    bound,
  )
})

// --- folders

test('a folder is made, or is there with what is in it; what is in its way gets a name beside', async () => {
  await tryWays(
    'forward',
    [mkdir(0o755)],
    [
      ['nothing is there', {}, { live: 'dir' }],
      ['it is there', { 'f/x': 'x' }, { live: 'dir', 'f/x': 'x' }],
      ['a file is there', { live: theirs }, { live: 'dir', 'f.local': 'theirs' }, ['late etc/f etc/f.local']],
    ],
  )
})

test('a folder is open to us until all is in it, and has its mode and time in the end', async () => {
  const disk = await found({ come: after })
  const inside: Action = { kind: 'put', path: relPath('etc/f/x'), slot: { area: 0, number: 0 }, new: leaf(after) }
  const { calls } = await carryOutOn(withoutRoot(disk), 'forward', mkdir(0o555), inside)
  assert.deepEqual(calls, ['mkdir etc/f', 'rename area/stage/1/0', 'setTimes', 'chmod etc/f', 'sync etc', 'sync etc/f'])
  const { mode, mtime } = await statOf(disk)
  assert.deepEqual([mode, mtime, await treeOf(disk)], [0o555, at(9), { live: 'dir', 'f/x': 'after.' }])
})

test('an empty folder goes; what is none by now, or holds something, stays', async () => {
  await tryWays(
    'forward',
    [rmdir(0o755)],
    [
      ['an empty one', { f: dir() }, {}],
      ['it has gone', {}, {}],
      ['a file by now', { live: theirs }, { live: 'theirs' }],
      ['something is in it', { 'f/x': 'x' }, { live: 'dir', 'f/x': 'x' }, ['not-empty etc/f']],
    ],
  )
})

test('a folder that was opened to empty it, and stays, gets its mode back; one whose mode somebody has set keeps that', async () => {
  const ways: readonly (readonly [string, number, number, readonly string[]])[] = [
    ['opened by us', 0o500, 0o500, ['chmod etc/f', 'rmdir etc/f', 'chmod etc/f', 'sync etc']],
    ['opened by a run that was cut off', 0o700, 0o500, ['rmdir etc/f', 'chmod etc/f', 'sync etc']],
    ['set here', 0o770, 0o770, ['rmdir etc/f', 'sync etc']],
  ]
  for (const [what, mode, becomes, calls] of ways) {
    const disk = await found({ f: dir({ mode }), 'f/x': 'x' })
    const carried = await carryOutOn(withoutRoot(disk), 'forward', rmdir(0o500))
    assert.deepEqual([carried.told, carried.calls, (await statOf(disk)).mode], [['not-empty etc/f'], calls, becomes], what)
  }
  const open = await carryOutOn(await found({ 'f/x': 'x' }), 'forward', rmdir(0o755))
  assert.deepEqual(open.calls, ['rmdir etc/f', 'sync etc'])
})

test('a folder that the disk does not remove is a failure', async () => {
  const disk: Disk = {
    ...(await found({ f: dir() })),
    rmdir: async (path) => await Promise.reject(new BinderyError('io', 'a fault of the test', { subject: path })),
  }
  assert.deepEqual(await refused(carryOut(disk, journal('forward', [rmdir(0o755)]))), ['io', '/etc/f'])
})

// --- attributes

const executable = leaf(file('before', { mtime: at(5), mode: 0o755 }))
const toExecutable = attr(leaf(before), executable)

test('attributes are set on the file that is meant, and on no other', async () => {
  const ways: readonly (readonly [string, Literal, number | undefined, number | undefined, readonly string[]])[] = [
    ['as it was', { live: before }, 0o755, 5, []],
    ['done already', { live: file('before', { mode: 0o755, mtime: at(5) }) }, 0o755, 5, []],
    ['written into', { live: theirs }, 0o755, 5, []],
    ['as it was, with another name', { live: before, g: hardlink('live') }, 0o755, 5, []],
    ['written into, with another name', { live: theirs, g: hardlink('live') }, 0o644, 3, ['modified etc/f']],
    ['of another owner', { live: file('before', { mtime: at(1), uid: 7 }) }, 0o644, 1, ['modified etc/f']],
    ['gone', {}, undefined, undefined, []],
    ['a folder by now', { f: dir({ mode: 0o711, mtime: at(8) }) }, 0o711, 8, []],
    ['a link by now', { live: symlink('x', { mtime: at(8) }) }, 0o777, 8, []],
  ]
  for (const [what, given, mode, sec, told] of ways) {
    const disk = await found(given)
    const carried = await carryOutOn(disk, 'forward', toExecutable)
    const stat = await disk.lstat(live)
    assert.deepEqual([stat?.mode, stat?.mtime.sec, carried.told], [mode, sec, told], what)
  }
})

test('times come behind all else, and what was set is durable in the end', async () => {
  const { calls } = await carryOutOn(await found({ live: before }), 'forward', toExecutable)
  assert.deepEqual(calls, ['chmod etc/f', 'setTimes', 'sync etc/f'])
})

test('a file that came is durable by its folder, also where it got attributes, which are durable of their own', async () => {
  const path = relPath('etc/f/x')
  const actions: readonly Action[] = [
    mkdir(0o755),
    { kind: 'put', path, slot: { area: 0, number: 0 }, new: leaf(before) },
    { kind: 'attr', path, old: leaf(before), new: executable },
  ]
  const { calls } = await carryOutOn(await found({ come: before }), 'forward', ...actions)
  assert.deepEqual(calls.filter((call) => call.startsWith('sync')).sort(), ['sync etc', 'sync etc/f', 'sync etc/f/x'])
})

test('a folder gets its attributes when all is in it', async () => {
  const disk = await found({ f: dir({ mode: 0o755 }), come: after })
  const inside: Action = { kind: 'put', path: relPath('etc/f/x'), slot: { area: 0, number: 0 }, new: leaf(after) }
  const { calls } = await carryOutOn(disk, 'forward', attr(folder(0o755), folder(0o500)), inside)
  assert.deepEqual(calls, ['rename area/stage/1/0', 'setTimes', 'chmod etc/f', 'sync etc/f'])
  assert.deepEqual([(await statOf(disk)).mode, (await statOf(disk)).mtime], [0o500, at(9)])
})

test('a file that is exchanged at the last moment keeps its attributes; any other failure is one', async () => {
  for (const [code, answer] of [
    ['hostile', ['not refused']],
    ['io', ['io', '/etc/f']],
  ] as const) {
    const inner = await found({ live: before })
    const disk: Disk = {
      ...inner,
      chmod: async (path) => await Promise.reject(new BinderyError(code, 'a fault of the test', { subject: path })),
    }
    let told: readonly string[] = []
    const work = carryOutOn(disk, 'forward', toExecutable).then((carried) => void (told = carried.told))
    assert.deepEqual(await refused(work), answer)
    assert.deepEqual([told, (await statOf(inner)).mtime], [code === 'hostile' ? ['modified etc/f'] : [], at(1)])
  }
})
