import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latin1, oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { joinPath } from '../src/base/path.ts'
import { lead, readStanding, treeOf } from '../src/engine/client/staged/place.ts'
import { expireTrees, makeNewTree, noteSwitch, switchTo } from '../src/engine/client/staged/new-tree.ts'
import { makeLive, makeStaged, mendLink } from '../src/engine/client/staged/convert.ts'
import { sweepLeftovers } from '../src/engine/client/staged/sweep.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { decodeTreeState, encodeTreeState } from '../src/format/tree-state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { channelState, install, machine, release, text } from './helpers/client-world.ts'
import { assertOneOf, callsOf, crashes, stopsIn } from './helpers/crash.ts'
import { diskBelow } from './helpers/disk-below.ts'
import { dir, file, relPath, symlink } from './helpers/plant.ts'
import { recovery } from './helpers/recovery.ts'
import type { RelPath } from '../src/base/path.ts'
import type { NewTreeInput } from '../src/engine/client/staged/new-tree.ts'
import type { Place, Standing } from '../src/engine/client/staged/place.ts'
import type { Disk, Inode } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Trees beside each other on one disk: made, changed, switched to, and left in the middle of all that. */

const link = relPath('jail')

const before: Literal = {
  'usr/lib.so': file('library 1', { mode: 0o644 }),
  'usr/tool': file('tool', { mode: 0o755 }),
  'usr/twin': { kind: 'hardlink', leader: 'usr/tool' },
  'usr/su': file('su 1', { mode: 0o4755 }),
  'etc/conf': file('setting 1'),
}
const after: Literal = {
  ...before,
  'usr/lib.so': file('library 2', { mode: 0o644 }),
  'usr/tool': file('tool', { mode: 0o750 }),
  'usr/fresh': symlink('lib.so'),
}
const local: Literal = { 'var/log/messages': file('a line\n'), 'etc/mine': file('mine'), 'srv/empty': dir({}) }

/** usr is the same in all trees, as far as nobody changes it. */
const config = { ...defaultConfig, share: [pathPattern('/usr')] }

const [old, next] = await Promise.all([release('1.0', before), release('1.1', after)])

async function world(): Promise<Disk> {
  const disk = memoryDisk()
  await disk.mkdir(link, 0o755)
  await machine(diskBelow(disk, link), { ...before, ...local })
  await makeStaged(placeOn(disk), (path) => diskBelow(disk, path), 1000)
  return disk
}

function placeOn(disk: Disk): Place {
  return { disk, link }
}

async function standingOn(disk: Disk): Promise<Standing> {
  return await readStanding(placeOn(disk), (path) => diskBelow(disk, path))
}

async function inputOn(disk: Disk, changes: Partial<NewTreeInput> = {}): Promise<NewTreeInput> {
  const place = placeOn(disk)
  const standing = await standingOn(disk)
  const diskOf = (path: RelPath): Disk => diskBelow(disk, path)
  return { place, standing, diskOf, config, now: 2000, signal: new AbortController().signal, ...changes }
}

/** What a verb does; `work` in the new tree. */
async function change(disk: Disk, work: (root: Disk) => Promise<unknown>, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  const input = await inputOn(disk)
  await sweepLeftovers(input.place, input.standing)
  const made = await makeNewTree(input)
  await work(input.diskOf(made.path))
  await meanwhile()
  await switchTo(input, made)
  await expireTrees(input)
}

const update = async (root: Disk): Promise<unknown> => await install(root, old, next)

/** Tree and channel, and how files of the tree are names of each other: what is a name in another tree does not count. */
async function picture(root: Disk): Promise<string> {
  return `${latin1(encodeManifest(await scanTree(root)))}${JSON.stringify(await channelState(root))}`
}

async function current(disk: Disk): Promise<Disk> {
  return diskBelow(disk, (await standingOn(disk)).current.path)
}

async function names(disk: Disk): Promise<readonly string[]> {
  const found: string[] = []
  for (const folder of ['jail.trees', 'jail.trees/closed'].map(relPath))
    for (const name of await disk.readdir(folder)) found.push(name === 'closed' || name === 'lock' ? '' : joinPath(folder, name))
  return [...found, ...(await disk.readdir(relPath('.')))].filter((name) => name !== '').sort()
}

test('a tree is changed beside the one that counts, which stays as it was', async () => {
  const disk = await world()
  const first = await picture(await current(disk))
  await change(disk, update)
  assert.equal(await text(await current(disk), 'usr/lib.so'), 'library 2')
  assert.equal(await picture(diskBelow(disk, treeOf(placeOn(disk), 1))), first)
  assert.equal(await disk.readlink(link), 'jail.trees/2')
})

test('files that nobody writes into are the same ones in both trees, and all others are not', async () => {
  const disk = await world()
  await change(disk, update)
  const [one, two] = [1, 2].map((number) => diskBelow(disk, treeOf(placeOn(disk), number))) as [Disk, Disk]
  const isSame = async (path: string): Promise<boolean> =>
    (await one.lstat(relPath(path)))?.inode === (await two.lstat(relPath(path)))?.inode
  assert.deepEqual(await Promise.all(['usr/su', 'usr/lib.so', 'usr/tool', 'etc/conf', 'etc/mine', 'var/log/messages'].map(isSame)), [
    true,
    false,
    false,
    false,
    false,
    false,
  ])
  await two.append(relPath('var/log/messages'), oneChunk(utf8('one more\n')))
  await two.truncate(relPath('etc/conf'), 0)
  assert.deepEqual([await text(one, 'var/log/messages'), await text(one, 'etc/conf')], ['a line\n', 'setting 1'])
})

test('a mode that a release changes is changed in the new tree alone, for all names of the file', async () => {
  const disk = await world()
  await change(disk, update)
  const [one, two] = [1, 2].map((number) => diskBelow(disk, treeOf(placeOn(disk), number))) as [Disk, Disk]
  for (const path of ['usr/tool', 'usr/twin'])
    assert.deepEqual([(await one.lstat(relPath(path)))?.mode, (await two.lstat(relPath(path)))?.mode], [0o755, 0o750], path)
  assert.equal((await two.lstat(relPath('usr/tool')))?.inode, (await two.lstat(relPath('usr/twin')))?.inode)
})

test('files that have another device than their folders, as on an overlay, are no mounts', async () => {
  const inner = await world()
  const under = (seen?: Inode): Inode | undefined => (seen === undefined ? undefined : { ...seen, device: seen.device - 1n })
  const disk: Disk = {
    ...inner,
    lstat: async (path) => {
      const stat = await inner.lstat(path)
      return stat === undefined || stat.kind === 'dir' ? stat : { ...stat, device: stat.device + 1n }
    },
    chown: async (path, uid, gid, seen) => await inner.chown(path, uid, gid, under(seen)),
    chmod: async (path, mode, seen) => await inner.chmod(path, mode, under(seen)),
    setXattrs: async (path, xattrs, how) => await inner.setXattrs(path, xattrs, { ...how, seen: under(how?.seen) }),
  }
  const made = await makeNewTree(await inputOn(disk))
  assert.deepEqual(made.mounts, [])
  await sweepLeftovers(placeOn(disk), await standingOn(disk))
  await change(disk, update)
  assert.equal(await text(await current(disk), 'usr/lib.so'), 'library 2')
  await makeLive(placeOn(disk), (path) => diskBelow(disk, path))
  assert.deepEqual(await inner.readdir(relPath('.')), ['jail'])
})

test('a rollback is a switch, too: the release is as it was, and what was saved since is still there', async () => {
  const disk = await world()
  const first = await picture(await current(disk))
  await change(disk, update)
  const root = await current(disk)
  await root.append(relPath('var/log/messages'), oneChunk(utf8('since\n')))
  await root.create(relPath('srv/data'), oneChunk(utf8('since')))
  const goal = { kind: 'steps', count: 1 } as const
  await change(disk, async (tree) => await rollback({ disk: tree, goal, config, clock: { now: () => 1_700_000_000_000 }, recovery }))
  const back = await current(disk)
  assert.deepEqual([await text(back, 'var/log/messages'), await text(back, 'srv/data')], ['a line\nsince\n', 'since'])
  await back.unlink(relPath('srv/data'))
  await back.truncate(relPath('var/log/messages'), 7)
  const untouched = diskBelow(disk, treeOf(placeOn(disk), 2))
  assert.equal(await text(untouched, 'usr/lib.so'), 'library 2')
  const withoutTimes = (shown: string): string => shown.replaceAll(/time=[0-9.]+/g, '')
  assert.equal(withoutTimes(await picture(back)), withoutTimes(first))
})

test('what is written while the new tree is made comes along; what goes, goes', async () => {
  const disk = await world()
  const root = await current(disk)
  const write = async (path: string, content: string): Promise<void> => {
    if ((await root.lstat(relPath(path))) !== undefined) await root.unlink(relPath(path))
    await root.create(relPath(path), oneChunk(utf8(content)))
  }
  await change(disk, update, async () => {
    await root.append(relPath('var/log/messages'), oneChunk(utf8('late\n')))
    await write('srv/late', 'new')
    await root.mkdir(relPath('srv/folder'), 0o710)
    await write('srv/folder/late', 'new')
    await write('etc/conf', 'set now')
    await root.unlink(relPath('etc/mine'))
    await root.rmdir(relPath('srv/empty'))
    await root.symlink(relPath('srv/empty'), 'folder')
  })
  const now = await current(disk)
  const contents = ['var/log/messages', 'srv/late', 'srv/folder/late', 'etc/conf', 'usr/lib.so'].map(async (path) => await text(now, path))
  assert.deepEqual(await Promise.all(contents), ['a line\nlate\n', 'new', 'new', 'set now', 'library 2'])
  assert.equal(await now.lstat(relPath('etc/mine')), undefined)
  assert.equal(await now.readlink(relPath('srv/empty')), 'folder')
  assert.equal((await now.lstat(relPath('srv/folder')))?.mode, 0o710)
})

test('what the update and somebody else change at once ends the attempt, and nothing is left of it', async () => {
  const disk = await world()
  const root = await current(disk)
  const edit = async (): Promise<void> => {
    await root.unlink(relPath('usr/lib.so'))
    await root.create(relPath('usr/lib.so'), oneChunk(utf8('mine')))
  }
  await assert.rejects(change(disk, update, edit), (error) => isBinderyError(error, 'conflict'))
  assert.deepEqual(await names(disk), ['jail', 'jail.trees', 'jail.trees/1'])
  assert.equal(await text(root, 'usr/lib.so'), 'mine')
})

test('another name of a file of others, put in the place of a file of his own, does not become his in the new tree', async () => {
  const disk = await world()
  const root = await current(disk)
  await root.create(relPath('etc/secret'), oneChunk(utf8('secret')))
  const exchange: Disk['clone'] = async (to, from, rights) => {
    if (from.endsWith('/etc/mine')) {
      await disk.unlink(from)
      await disk.link(from, from.replace(/mine$/, 'secret') as RelPath)
    }
    await disk.clone(to, from, rights)
  }
  const input = await inputOn({ ...disk, clone: exchange })
  await assert.rejects(makeNewTree(input), (error) => isBinderyError(error, 'conflict') && /another owner or mode/.test(error.message))
  assert.deepEqual(await names(disk), ['jail', 'jail.trees', 'jail.trees/1'])
})

test('after a crash at any call the old tree counts or the new one, whole, and the next run removes what is left', async () => {
  const [first, second] = await Promise.all([
    picture(await current(await world())),
    (async () => {
      const done = await world()
      await change(done, update)
      return await picture(await current(done))
    })(),
  ])
  const work = async (disk: Disk): Promise<void> => await change(disk, update)
  const seen = new Set<string>()
  for (const at of stopsIn(await callsOf(await world(), work), 0)) {
    const disk = await world()
    assert.ok(await crashes(disk, { kind: 'crash', at, when: 'before' }, work))
    seen.add(assertOneOf(await picture(await current(disk)), { old: first, new: second }, `crash at ${at}`))
    const { place, standing } = await inputOn(disk)
    await sweepLeftovers(place, standing)
    const trees = standing.current.number === 1 ? ['jail.trees/1'] : ['jail.trees/1', 'jail.trees/2']
    assert.deepEqual(await names(disk), ['jail', 'jail.trees', ...trees], `crash at ${at}`)
    await change(disk, async (root) => (standing.current.number === 1 ? await update(root) : undefined))
    assert.equal(await picture(await current(disk)), second, `again after a crash at ${at}`)
  }
  assert.deepEqual(seen, new Set(['old', 'new']))
})

test('a change of mode that is cut off anywhere leaves the folder, or trees that the link is made to again', async () => {
  const convert = async (disk: Disk): Promise<void> => await makeStaged(placeOn(disk), (path) => diskBelow(disk, path), 1000)
  const revert = async (disk: Disk): Promise<void> => await makeLive(placeOn(disk), (path) => diskBelow(disk, path))
  const live = async (): Promise<Disk> => {
    const disk = await world()
    await change(disk, update)
    await revert(disk)
    return disk
  }
  const expected = await picture(diskBelow(await live(), link))
  for (const [make, work] of [[live, convert] as const, [async () => await staged(), revert] as const]) {
    const count = (await callsOf(await make(), work)).length
    for (let at = 1; at <= count; at++) {
      const disk = await make()
      assert.ok(await crashes(disk, { kind: 'crash', at, when: 'before' }, work))
      await mendLink(placeOn(disk))
      const kind = (await disk.lstat(link))?.kind
      const root = kind === 'symlink' ? await current(disk) : diskBelow(disk, link)
      assert.equal(await picture(root), expected, `crash at ${at}`)
      if (kind === 'dir') await convert(disk)
      await revert(disk)
      assert.deepEqual(await disk.readdir(relPath('.')), ['jail'], `crash at ${at}`)
    }
  }
})

async function staged(): Promise<Disk> {
  const disk = await world()
  await change(disk, update)
  return disk
}

test('an old tree whose programs ran as another user is closed when these have been replaced', async () => {
  const disk = await world()
  const safer = await release('1.2', { ...before, 'usr/su': file('su 2', { mode: 0o4755 }) })
  await change(disk, async (root) => await install(root, old, safer))
  assert.deepEqual(await names(disk), ['jail', 'jail.trees', 'jail.trees/2', 'jail.trees/closed/1'])
  assert.equal((await disk.lstat(relPath('jail.trees/closed')))?.mode, 0o700)
})

test('old trees go with the second switch, but not what was written into them after the first', async () => {
  const disk = await world()
  await change(disk, update)
  const first = diskBelow(disk, treeOf(placeOn(disk), 1))
  await first.append(relPath('var/log/messages'), oneChunk(utf8('who still had it open\n')))
  const touch = async (root: Disk): Promise<void> => await root.chmod(relPath('usr/lib.so'), 0o600)
  const input = await inputOn(disk)
  const made = await makeNewTree(input)
  await touch(input.diskOf(made.path))
  await switchTo(input, made)
  const kept = await expireTrees(input)
  assert.deepEqual(
    kept.map(({ tree, why }) => [tree.number, why]),
    [[1, '/var/log/messages was written into it after the switch']],
  )
  await change(disk, touch)
  assert.deepEqual(await names(disk), ['jail', 'jail.trees', 'jail.trees/1', 'jail.trees/3', 'jail.trees/4'])
})

test('a tree that was gone back to by hand counts, and the one that was left so is kept and told', async () => {
  const disk = await world()
  await change(disk, update)
  await lead(placeOn(disk), 1)
  const touch = async (root: Disk): Promise<void> => await root.chmod(relPath('usr/lib.so'), 0o600)
  await change(disk, touch)
  assert.equal(await text(await current(disk), 'usr/lib.so'), 'library 1')
  const input = await inputOn(disk, { config: { ...config, keepTrees: 0 } })
  await noteSwitch(input.place, input.diskOf, input.standing)
  const kept = await expireTrees(input)
  assert.deepEqual(
    kept.map(({ tree, why }) => [tree.number, why]),
    [[2, 'the link was led away from it by hand']],
  )
  assert.deepEqual(await names(disk), ['jail', 'jail.trees', 'jail.trees/2', 'jail.trees/3'])
})

test('a link that leads elsewhere, and a folder of others, are refused', async () => {
  const elsewhere = await world()
  await elsewhere.unlink(link)
  await elsewhere.symlink(link, 'jail.trees/../other')
  await assert.rejects(standingOn(elsewhere), (error) => isBinderyError(error, 'conflict'))
  const missing = await world()
  await lead(placeOn(missing), 7)
  await assert.rejects(standingOn(missing), (error) => isBinderyError(error, 'conflict'))
  for (const spoil of [
    async (disk: Disk) => await disk.chmod(relPath('jail.trees'), 0o777),
    async (disk: Disk) => await disk.chown(relPath('jail.trees'), 1000, 1000),
  ]) {
    const disk = await world()
    await spoil(disk)
    await assert.rejects(standingOn(disk), (error) => isBinderyError(error, 'hostile'))
  }
})

test('what lies where a run may have left something, and belongs to somebody else, is not removed', async () => {
  for (const path of ['jail.trees/closed/2.new', 'jail.trees/5', 'jail.next']) {
    const disk = await world()
    await disk.mkdir(relPath(path), 0o755)
    await disk.chown(relPath(path), 1000, 1000)
    await assert.rejects(change(disk, update), (error) => isBinderyError(error, 'hostile'), path)
    assert.equal((await disk.lstat(relPath(path)))?.uid, 1000)
  }
})

test('the state of a tree is one text in both directions', () => {
  for (const state of [
    { number: 1, from: undefined, made: 0 },
    { number: 7, from: 6, made: 1_700_000_000, left: { sec: 1_700_000_100, nsec: 5 } },
  ])
    assert.deepEqual(decodeTreeState(encodeTreeState(state)), state)
  const refused = ['number 1\n', 'made 1\nnumber 1\n', 'number x\nmade 1\n', 'number 1\nmade 1\nleft 5\n', 'number 1\nmade 1\nleft 5.5\n']
  for (const body of refused)
    assert.throws(
      () => decodeTreeState(utf8(`bindery-tree 1\n${body}`)),
      (error) => isBinderyError(error, 'bad-format'),
      body,
    )
})
