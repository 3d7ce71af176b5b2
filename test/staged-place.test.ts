import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { lead, numberOf, readStanding, readTreeState, writeTreeState } from '../src/engine/client/staged/place.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { belowOn, link, placeOn } from './helpers/staged-place.ts'
import type { Standing } from '../src/engine/client/staged/place.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** A link with trees beside it: which of them counts, what the others are, and what is nothing of ours. */

/** Tree 1 counts, and is all that there is. */
const alone: Literal = { jail: symlink('jail.trees/1'), 'jail.trees/1/var/db/bindery': dir() }

async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return disk
}

async function standing(disk: Disk): Promise<Standing> {
  return await readStanding(placeOn(disk), belowOn(disk))
}

/** As text: `1; 2 jail.trees/2; jail.next`. */
async function told(disk: Disk): Promise<string> {
  const { current, others, leftovers } = await standing(disk)
  return [current.number, others.map(({ number, path }) => `${number} ${path}`).join(' '), leftovers.join(' ')].join('; ')
}

test('a link leads to a tree beside it by its number, or to none', () => {
  const numbers = {
    'jail.trees/1': 1,
    'jail.trees/20': 20,
    'jail.trees/123456789012345': 123_456_789_012_345,
    'jail.trees/1234567890123456': undefined,
    'jail.trees/0': undefined,
    'jail.trees/01': undefined,
    'jail.trees/1/': undefined,
    'jail.trees/../other/1': undefined,
    'jail.trees/closed/1': undefined,
    'jail.trees/x1': undefined,
    'jail.trees/1x': undefined,
    'jail.trees': undefined,
    'other.trees/1': undefined,
    '/jail.trees/1': undefined,
  }
  for (const [target, number] of Object.entries(numbers)) {
    assert.equal(numberOf({ link }, target), number, target)
    assert.equal(numberOf({ link: relPath('prisons/jail') }, target), number, target)
  }
})

test('a link that is none of ours, or leads to nothing, is refused', async () => {
  const refusals: Readonly<Record<string, Literal>> = {
    'no link': {},
    'a folder': { jail: dir() },
    'a file': { jail: file('jail.trees/1') },
    'a link to somewhere else, whatever lies beside it': { jail: symlink('/somewhere'), 'jail.trees': file('') },
    'a link to no tree': { ...alone, jail: symlink('jail.trees/2') },
    'a link to a file': { ...alone, jail: symlink('jail.trees/2'), 'jail.trees/2': file('') },
  }
  for (const [what, literal] of Object.entries(refusals))
    assert.deepEqual(await refused(standing(await on(literal))), ['conflict', 'jail'], what)
})

test('whoever has to mend the link by hand is told how', async () => {
  for (const target of ['/somewhere', 'jail.trees/2'])
    await assert.rejects(
      standing(await on({ ...alone, jail: symlink(target) })),
      (error) => error instanceof BinderyError && error.hint !== undefined && error.hint !== '',
    )
})

test('trees are in a folder of whoever owns the link, in which nobody else may write', async () => {
  const refusals: Readonly<Record<string, Literal>> = {
    'no folder': { jail: symlink('jail.trees/1') },
    'a file': { jail: symlink('jail.trees/1'), 'jail.trees': file('') },
    'of somebody else': { ...alone, 'jail.trees': dir({ uid: 1000 }) },
    'a link of somebody else': { ...alone, jail: symlink('jail.trees/1', { uid: 1000 }) },
    'a group may write': { ...alone, 'jail.trees': dir({ mode: 0o775 }) },
    'others may write': { ...alone, 'jail.trees': dir({ mode: 0o757 }) },
  }
  for (const [what, literal] of Object.entries(refusals))
    assert.deepEqual(await refused(standing(await on(literal))), ['hostile', 'jail.trees'], what)
  const own = { jail: symlink('jail.trees/1', { uid: 1000 }), 'jail.trees': dir({ uid: 1000, gid: 1000, mode: 0o755 }) }
  assert.equal(await told(await on({ ...alone, ...own })), '1; ; ')
})

test('other trees stand in the order of their numbers, those that are closed among them', async () => {
  const trees: Literal = { 'jail.trees/10': dir(), 'jail.trees/2': dir(), 'jail.trees/closed/9': dir(), 'jail.trees/closed/100': dir() }
  const disk = await on({ ...alone, ...trees, jail: symlink('jail.trees/1') })
  await writeTreeState(belowOn(disk)(relPath('jail.trees/1')), { number: 1, from: undefined, made: 5, left: { sec: 6, nsec: 0 } })
  assert.equal(await told(disk), '1; 2 jail.trees/2 9 jail.trees/closed/9 10 jail.trees/10 100 jail.trees/closed/100; ')
})

test('a tree with a larger number than the one that counts is of a switch that did not come', async () => {
  const disk = await on({ ...alone, 'jail.trees/2/var/db/bindery': dir(), 'jail.trees/3': dir(), jail: symlink('jail.trees/2') })
  assert.equal(await told(disk), '2; 1 jail.trees/1; jail.trees/3')
  await writeTreeState(belowOn(disk)(relPath('jail.trees/2')), { number: 2, from: 1, made: 5 })
  assert.equal(await told(disk), '2; 1 jail.trees/1; jail.trees/3')
})

test('left by runs are the next link, trees on their way here or away, and nothing else', async () => {
  const more = ['2.new', '13.gone', 'closed/4.new', 'closed/15.gone', 'closed/x', 'lock/7.new']
  const others = ['0.new', '01.new', '2.news', '2.old', 'a2', 'a2.new', '2a', 'x.new', '02']
  const disk = await on({ ...alone, ...Object.fromEntries([...more, ...others].map((name) => [`jail.trees/${name}`, dir()])) })
  assert.equal(await told(disk), '1; ; jail.trees/13.gone jail.trees/2.new jail.trees/closed/15.gone jail.trees/closed/4.new')
  await disk.symlink(relPath('jail.next'), 'jail.trees/9')
  assert.match(await told(disk), /^1; ; jail\.next /)
})

test('a link is led to a tree by one rename, durable, whatever lay in its way', async () => {
  for (const [place, folder] of [[link, '.'] as const, [relPath('prisons/jail'), 'prisons'] as const])
    for (const way of [[], [`unlink ${place}.next`]]) {
      const inner = await on({ [place]: symlink('jail.trees/1'), ...(way.length > 0 ? { [`${place}.next`]: symlink('x') } : {}) })
      const { disk, calls } = faultyDisk(inner, { kind: 'none' })
      await lead({ disk, link: place }, 7)
      assert.deepEqual(calls, [...way, `symlink ${place}.next`, `rename ${place}.next`, `sync ${folder}`])
      assert.deepEqual([await inner.readlink(place), await inner.lstat(relPath(`${place}.next`))], ['jail.trees/7', undefined])
    }
})

test('a root that is no tree has no number; damage is told by the name of the file', async () => {
  const disk = belowOn(await on(alone))(relPath('jail.trees/1'))
  assert.equal(await readTreeState(disk), undefined)
  const state = { number: 1, from: undefined, made: 5 }
  await writeTreeState(disk, state)
  assert.deepEqual(await readTreeState(disk), state)
  await disk.truncate(relPath('var/db/bindery/tree'), 3)
  assert.deepEqual(await refused(readTreeState(disk)), ['bad-format', 'var/db/bindery/tree'])
})
