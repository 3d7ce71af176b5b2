import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  closeFolders,
  inDirection,
  needsOwnSync,
  openFolders,
  setLeafTimes,
  syncTime,
  syncTouched,
} from '../src/engine/client/apply/folders.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { at, journal } from './helpers/carried.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { withImmutableFlags, withoutRoot } from './helpers/limited-disk.ts'
import { action, nodeAt } from './helpers/planned.ts'
import { char, dir, fifo, file, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Action } from '../src/format/journal.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { Disk, DiskCapabilities } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What surrounds the actions of a journal: folders that are opened and closed, flags, times, and what is durable when. */

/** With the flags of each path, and what is done to it and asked of it: a time as `setTimes PATH…`, flags as `setFlags PATH FLAG…`. */
async function watched(
  literal: Literal,
  { flags = {}, can = {} }: { flags?: Readonly<Record<string, readonly string[]>>; can?: Partial<DiskCapabilities> } = {},
): Promise<{ readonly disk: Disk; readonly calls: string[]; readonly looked: string[] }> {
  const inner = memoryDisk()
  await plant(inner, literal)
  for (const [path, given] of Object.entries(flags)) await inner.setFlags(relPath(path), given)
  const [calls, looked]: [string[], string[]] = [[], []]
  const changing = faultyDisk(inner, { kind: 'none' })
  const disk: Disk = {
    ...inner,
    capabilities: async () => ({ ...(await inner.capabilities()), ...can }),
    lstat: async (path) => (looked.push(path), await inner.lstat(path)),
    xattrsOf: async (paths) => (calls.push(['xattrsOf', ...paths].join(' ')), await inner.xattrsOf(paths)),
    flagsOf: async (paths) => (calls.push(['flagsOf', ...paths].join(' ')), await inner.flagsOf(paths)),
    chmod: async (path, mode, seen) => (calls.push(`chmod ${path} ${mode.toString(8)}`), await changing.disk.chmod(path, mode, seen)),
    setTimes: async (times) => (calls.push(['setTimes', ...times.map(({ path }) => path)].join(' ')), await inner.setTimes(times)),
    setXattrs: async (path, xattrs, how) => (
      calls.push(['setXattrs', path, ...xattrs.keys()].join(' ')),
      await inner.setXattrs(path, xattrs, how)
    ),
    setFlags: async (path, given) => (calls.push(['setFlags', path, ...given].join(' ')), await inner.setFlags(path, given)),
    sync: async (path) => (calls.push(`sync ${path}`), await inner.sync(path)),
  }
  return { disk, calls, looked }
}

const flagged = (path: string, flags: readonly string[] | undefined, given = file('x')): Node => ({
  ...nodeAt(path, given),
  ...(flags && { flags }),
})

/** An action whose sides have flags. */
function withFlags(one: Action, old: readonly string[] | undefined, next: readonly string[] | undefined): Action {
  return {
    ...one,
    ...('old' in one && old && { old: { ...one.old, flags: old } }),
    ...('new' in one && next && { new: { ...one.new, flags: next } }),
  } as Action
}

// --- before

const closed = dir({ mode: 0o500 })
const tree: Literal = {
  'a/b/c': closed,
  'a/b': closed,
  a: closed,
  open: dir({ mode: 0o2700 }),
  half: dir({ mode: 0o610 }),
  f: 'x',
  l: symlink('a'),
}

for (const [what, actions, expected] of [
  ['folders that go, from the top down', ['rmdir a/b/c', 'rmdir a/b', 'rmdir a'], ['chmod a 700', 'chmod a/b 700', 'chmod a/b/c 700']],
  ['folders that came in an earlier run', ['mkdir a/b'], ['chmod a/b 700']],
  ['folders that get other attributes', ['attr a'], ['chmod a 700']],
  ['each once', ['attr a', 'mkdir a', 'rmdir a'], ['chmod a 700']],
  ['not what is open, whatever its other rights', ['rmdir open'], []],
  ['what others may do there stays', ['rmdir half'], ['chmod half 710']],
  ['not what is a file by now, or a link, or below one', ['rmdir f', 'mkdir l', 'mkdir l/b', 'rmdir f/x'], []],
  ['not what is not there', ['rmdir gone', 'mkdir gone/x'], []],
  ['not a folder in which something changes, which is none of ours', ['put a/new', 'drop f'], []],
  ['nor one that is in the place of a file', ['swap-file a', 'drop-file a/b', 'put-file a/b/c'], []],
] as const)
  test(`without root, we let ourselves into folders that are closed: ${what}`, async () => {
    const { disk, calls, looked } = await watched(tree, { can: { privileged: false, flags: false } })
    const given = actions.map((one) => {
      const [kind, path] = one.split(' ') as [string, string]
      const isFile = !['mkdir', 'rmdir', 'attr'].includes(kind)
      return action(kind.replace('-file', '') as Action['kind'], path, isFile ? {} : { old: dir(), next: dir() })
    })
    await openFolders(disk, journal('forward', given))
    assert.deepEqual(calls, expected)
    const about = given.map(({ path }) => path)
    assert.ok(looked.every((path) => about.includes(path as RelPath)))
  })

test('root is in everywhere: no folder is opened', async () => {
  const { disk, calls, looked } = await watched(tree, { can: { flags: false } })
  await openFolders(disk, journal('forward', [action('rmdir', 'a/b/c'), action('rmdir', 'a/b')]))
  assert.deepEqual([calls, looked], [[], []])
})

const locked: Literal = { f: 'x', g: 'x', d: dir(), l: symlink('f') }

for (const [what, here, actions, expected] of [
  [
    'that the old one has',
    { f: ['uchg'] },
    [withFlags(action('drop', 'f'), ['uchg'], undefined)],
    ['flagsOf f', 'flagsOf f', 'setFlags f'],
  ],
  [
    'that an earlier run has set',
    { f: ['schg'] },
    [withFlags(action('put', 'f'), undefined, ['schg'])],
    ['flagsOf f', 'flagsOf f', 'setFlags f'],
  ],
  [
    'of a folder, whichever they are',
    { d: ['sappnd'] },
    [withFlags(action('attr', 'd', { old: dir(), next: dir() }), ['uchg'], undefined)],
    ['flagsOf d', 'flagsOf d', 'setFlags d'],
  ],
  [
    'but for those of the machine',
    { f: ['uchg', 'uarch'] },
    [withFlags(action('drop', 'f'), ['uchg'], undefined)],
    ['flagsOf f', 'flagsOf f', 'setFlags f uarch'],
  ],
  ['which are no reason either', { f: ['uarch'] }, [withFlags(action('drop', 'f'), ['uchg'], undefined)], ['flagsOf f']],
  [
    'but not those that are set here alone',
    { f: ['uchg'], g: ['uchg'] },
    [action('drop', 'f'), withFlags(action('swap', 'g'), [], [])],
    [],
  ],
  ['but not where they are gone', {}, [withFlags(action('drop', 'f'), ['uchg'], undefined)], ['flagsOf f']],
  [
    'but not of what is not there, or below a link',
    { f: ['uchg'] },
    ['gone', 'gone/x', 'l/x', 'f'].map((path) => withFlags(action('drop', path), ['uchg'], undefined)),
    ['flagsOf f', 'flagsOf f', 'setFlags f'],
  ],
  ['and nothing is asked where nothing is there', {}, [withFlags(action('drop', 'gone'), ['uchg'], undefined)], []],
] as const)
  test(`flags that forbid renames are taken: those ${what}`, async () => {
    const { disk, calls, looked } = await watched(locked, { flags: here })
    await openFolders(disk, journal('forward', actions))
    assert.deepEqual(calls, expected)
    const about = actions.map(({ path }) => path)
    assert.ok(looked.every((path) => about.includes(path as RelPath)))
    const { disk: other, calls: none } = await watched(locked, { flags: here, can: { flags: false } })
    await openFolders(other, journal('forward', actions))
    assert.deepEqual(none, [])
  })

test('a folder with flags that is closed loses them before it is opened', async () => {
  const { disk } = await watched({ d: closed }, { flags: { d: ['uchg'] } })
  await openFolders(withImmutableFlags(withoutRoot(disk)), journal('forward', [withFlags(action('rmdir', 'd'), ['uchg'], undefined)]))
  assert.equal((await disk.lstat(relPath('d')))?.mode, 0o700)
})

// --- after

test('times of files are set on what is there, in one call', async () => {
  const { disk, calls } = await watched({ 'd/f': 'x', 'd/g': 'x', l: symlink('d') })
  const times = ['d/f', 'd/gone', 'gone/x', 'l/f', 'd/g'].map((path) => ({ path: relPath(path), mtime: at(7) }))
  await setLeafTimes(disk, times)
  assert.deepEqual(calls, ['setTimes d/f d/g'])
  assert.deepEqual((await disk.lstat(relPath('d/g')))?.mtime, at(7))
  await setLeafTimes(disk, times.slice(1, 3))
  await setLeafTimes(disk, [])
  assert.equal(calls.length, 1)
})

const note = (value: string): ReadonlyMap<string, string> => new Map([['user.note', value]])
const shut = dir({ mode: 0o555, mtime: at(9) })
const folders: Literal = { 'd/e': dir(), d: dir(), 'a/x': 'x', b: dir(), f: 'x', l: symlink('a') }

for (const [what, direction, actions, expected] of [
  [
    'times in byte order, then modes, the deepest first',
    'forward',
    ['d', 'a', 'd/e', 'b'].map((path) => action('mkdir', path, { next: shut })),
    ['setTimes a b d d/e', 'chmod d/e 555', 'chmod d 555', 'chmod b 555', 'chmod a 555'],
  ],
  [
    'likewise when they come from the top down',
    'forward',
    ['a', 'b', 'd', 'd/e'].map((path) => action('mkdir', path, { next: shut })),
    ['setTimes a b d d/e', 'chmod d/e 555', 'chmod d 555', 'chmod b 555', 'chmod a 555'],
  ],
  ['attributes that change', 'forward', [action('attr', 'a', { old: dir(), next: shut })], ['setTimes a', 'chmod a 555']],
  ['attributes that change back', 'backward', [action('attr', 'a', { old: shut, next: dir() })], ['setTimes a', 'chmod a 555']],
  ['a folder that was to go, and is there again', 'backward', [action('rmdir', 'a', { old: shut })], ['setTimes a', 'chmod a 555']],
  ['a folder that goes, and stays for what is in it, is left alone', 'forward', [action('rmdir', 'a', { old: shut })], []],
  ['a folder that came, and stays for what is in it, likewise', 'backward', [action('mkdir', 'a', { next: shut })], []],
  ['a folder in the place of a file likewise', 'forward', [action('put', 'a'), action('swap', 'd'), action('drop', 'b')], []],
  [
    'a file, a link or nothing in its place likewise',
    'forward',
    ['f', 'l', 'l/x', 'gone'].map((path) => action('mkdir', path, { next: shut })),
    [],
  ],
  [
    'attributes of what came, which has none',
    'forward',
    [action('mkdir', 'a', { next: dir({ xattrs: note('x') }) })],
    ['setTimes a', 'setXattrs a user.note'],
  ],
  [
    'no attributes where none change',
    'forward',
    [action('attr', 'a', { old: dir({ xattrs: note('x') }), next: dir({ xattrs: note('x') }) })],
    ['setTimes a'],
  ],
  [
    'other attributes',
    'forward',
    [action('attr', 'a', { old: dir({ xattrs: note('x') }), next: dir({ xattrs: note('y') }) })],
    ['setTimes a', 'setXattrs a user.note'],
  ],
  ['attributes that go', 'forward', [action('attr', 'a', { old: dir({ xattrs: note('x') }), next: dir() })], ['setTimes a', 'setXattrs a']],
] as const)
  test(`folders get what they shall have when nothing is put into them any more: ${what}`, async () => {
    const { disk, calls, looked } = await watched(folders)
    await closeFolders(disk, journal(direction, actions))
    assert.deepEqual(calls, expected)
    const about = actions.map(({ path }) => path)
    assert.ok(looked.every((path) => about.includes(path as RelPath)))
  })

test('a folder that goes in the middle of that is no failure, nor one that is a file by then', async () => {
  for (const put of [false, true]) {
    const { disk, calls } = await watched({ d: dir() })
    const setTimes: Disk['setTimes'] = async () => {
      await disk.rmdir(relPath('d'))
      if (put) await plant(disk, { d: file('x', { mode: 0o600 }) })
      calls.length = 0
    }
    await closeFolders({ ...disk, setTimes }, journal('forward', [action('mkdir', 'd', { next: shut })]))
    assert.deepEqual(calls, [])
  }
})

const [uchg, schg] = [['uchg'], ['schg']]

for (const [what, direction, actions, expected] of [
  ['of what came', 'forward', [withFlags(action('put', 'f'), undefined, uchg)], ['f uchg']],
  ['of the new one', 'forward', [withFlags(action('swap', 'f'), schg, uchg)], ['f uchg']],
  ['of the old one, going back', 'backward', [withFlags(action('swap', 'f'), schg, uchg)], ['f schg']],
  ['of what is there again', 'backward', [withFlags(action('drop', 'f'), schg, undefined)], ['f schg']],
  ['of a folder', 'forward', [withFlags(action('attr', 'a', { old: dir(), next: dir() }), undefined, uchg)], ['a uchg']],
  ['none of what went', 'forward', [withFlags(action('drop', 'f'), uchg, undefined)], []],
  ['none of what came, going back', 'backward', [withFlags(action('put', 'f'), undefined, uchg)], []],
  ['none where it shall have none', 'forward', [withFlags(action('swap', 'f'), uchg, []), action('put', 'b/x')], []],
  [
    'of the last at a path',
    'forward',
    [withFlags(action('drop', 'a'), uchg, undefined), withFlags(action('mkdir', 'a'), undefined, schg)],
    ['a schg'],
  ],
  [
    'of the last at a path, which is the first going back',
    'backward',
    [withFlags(action('drop', 'f'), uchg, undefined), withFlags(action('mkdir', 'f'), undefined, schg)],
    ['f uchg'],
  ],
  [
    'none where another kind is there',
    'forward',
    [withFlags(action('put', 'a'), undefined, uchg), withFlags(action('mkdir', 'f'), undefined, uchg)],
    [],
  ],
  [
    'none where nothing is there',
    'forward',
    [withFlags(action('put', 'gone'), undefined, uchg), withFlags(action('put', 'l/x'), undefined, uchg)],
    [],
  ],
] as const)
  test(`flags are set behind all else: ${what}`, async () => {
    const { disk, calls } = await watched(folders)
    await closeFolders(disk, journal(direction, actions))
    const set = calls.flatMap((call) => (call.startsWith('setFlags ') ? [call.slice('setFlags '.length)] : []))
    assert.deepEqual(set, expected)
    if (set.length > 0) assert.equal(calls.at(-1), `setFlags ${set.at(-1)}`)
    const { disk: without, calls: none } = await watched(folders, { can: { flags: false } })
    await closeFolders(without, journal(direction, actions))
    assert.ok(none.every((call) => !/flags/i.test(call)))
  })

test('actions go in their order, and the last one first on the way back', () => {
  const actions = [action('put', 'a'), action('put', 'b'), action('put', 'c')]
  const inOrder = (direction: 'forward' | 'backward'): string =>
    inDirection(journal(direction, actions))
      .map(({ path }) => path)
      .join('')
  assert.deepEqual([inOrder('forward'), inOrder('backward')], ['abc', 'cba'])
})

// --- durable

const [old, timed] = [file('x', { mtime: at(1) }), file('x', { mtime: at(2) })]
const executable = file('x', { mtime: at(2), mode: 0o755 })

for (const [what, before, after, expected] of [
  ['a folder', flagged('f', undefined, dir()), flagged('f', undefined, dir()), true],
  ['a file of which the mode was set', flagged('f', undefined, old), flagged('f', undefined, executable), true],
  ['a file of which the owner was set', flagged('f', undefined, old), flagged('f', undefined, file('x', { mtime: at(1), uid: 5 })), true],
  ['a file of which flags were set', flagged('f', undefined, old), flagged('f', uchg, old), true],
  ['a file of which only the time was set', flagged('f', undefined, old), flagged('f', undefined, timed), false],
  ['a link', flagged('f', undefined, symlink('x')), flagged('f', undefined, symlink('x', { uid: 5 })), false],
  ['a device', flagged('f', undefined, char(1, 3)), flagged('f', undefined, char(1, 3, { mode: 0o600 })), false],
] as const)
  test(`${what} ${expected ? 'is synced itself' : 'goes with its folder'}`, () => {
    assert.equal(needsOwnSync(before, after), expected)
  })

const touched: Literal = { 'd/f': 'x', 'd/g': 'x', 'd/l': symlink('f'), 'd/p': fifo(), 'd/e': dir(), l: symlink('d') }

for (const [what, actions, expected] of [
  ['each folder in which a name changed, once', [action('put', 'd/f'), action('drop', 'd/gone'), action('mkdir', 'd/e')], ['d']],
  ['the root too', [action('rmdir', 'gone')], ['.']],
  ['a file with another mode', [action('attr', 'd/f', { old, next: executable })], ['d/f']],
  ['a folder with another mode or time', [action('attr', 'd/e', { old: dir(), next: shut })], ['d/e']],
  ['a file of which only the time was set, and its folder', [action('attr', 'd/f', { old, next: timed })], ['d', 'd/f']],
  ['a link: its folder alone', [action('attr', 'd/l', { old: symlink('f'), next: symlink('f', { uid: 5 }) })], ['d']],
  ['a pipe: its folder alone', [action('attr', 'd/p', { old: fifo(), next: fifo({ uid: 5 }) })], ['d']],
  [
    'a file that came and has another mode, and both folders',
    [action('put', 'd/f'), action('put', 'd/e/x'), action('attr', 'd/f', { old, next: executable })],
    ['d', 'd/e', 'd/f'],
  ],
  ['not what has gone', [action('attr', 'd/gone', { old, next: executable }), action('drop', 'gone/x')], []],
  ['not what has gone, whose time was set: its folder', [action('attr', 'd/gone', { old, next: timed })], ['d']],
  [
    'not what is a link or a pipe by now',
    [action('attr', 'd/l', { old, next: executable }), action('attr', 'd/p', { old, next: executable })],
    [],
  ],
  ['not a time of what is a link by now', [action('attr', 'd/l', { old, next: timed })], ['d']],
  ['not what is below a link by now', [action('put', 'l/f'), action('attr', 'l/g', { old, next: executable })], []],
] as const)
  test(`what was touched is durable in the end: ${what}`, async () => {
    const { disk, calls } = await watched(touched)
    await syncTouched(disk, journal('forward', actions))
    assert.deepEqual(
      calls.sort(),
      expected.map((path) => `sync ${path}`),
    )
  })

test('where the file system takes times along, a file of which only the time was set is not synced', async () => {
  const { disk, calls } = await watched(touched)
  const ordered: Disk = { ...disk, space: async (path) => ({ ...(await disk.space(path)), isOrdered: path === 'd/f' }) }
  await syncTime(ordered, relPath('d/f'))
  assert.deepEqual(calls, [])
  await syncTime(ordered, relPath('d/g'))
  assert.deepEqual(calls, ['sync d/g'])
  calls.length = 0
  await syncTouched(ordered, journal('forward', [action('attr', 'd/f', { old, next: timed })]))
  assert.deepEqual(calls, ['sync d'])
})
