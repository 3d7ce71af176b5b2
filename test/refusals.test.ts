import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { checkRefusals } from '../src/engine/client/apply/refusals.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { dir, fifo, file, plant, relPath, symlink } from './helpers/plant.ts'
import { action, planOn } from './helpers/planned.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Action } from '../src/format/journal.ts'
import type { Disk, Refusal } from '../src/port/disk.ts'

/** What the system would refuse in the middle of a plan: which paths it is asked of, and what is told. */

const here = { 'etc/f': 'x', 'etc/d/in': 'x', 'etc/l': symlink('d'), 'etc/p': fifo(), 'usr/bin/f': 'x', 'usr/bin/g': 'x' }

async function diskOf(changes: Partial<Disk> = {}): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, here)
  return { ...disk, ...changes }
}

/** Refuses some paths, as a system does without any being tried. */
function refusing(refusals: Readonly<Record<string, Refusal>>): Partial<Disk> {
  const known = new Map(Object.entries(refusals).map(([path, refusal]) => [relPath(path), refusal]))
  return { refusalsOf: async (paths) => new Map([...known].filter(([path]) => paths.includes(path))) }
}

async function told(changes: Partial<Disk>, ...actions: readonly Action[]): Promise<readonly (string | undefined)[]> {
  const disk = await diskOf(changes)
  try {
    await checkRefusals(disk, await planOn(disk, actions))
  } catch (error) {
    if (error instanceof BinderyError) return [error.code, error.subject, error.message, error.hint]
    throw error
  }
  return []
}

for (const [what, kind, path, expected] of [
  ['a file that comes, its folder', 'put', 'etc/new', ['etc']],
  ['a file that comes to the top, the root', 'put', 'new', ['.']],
  ['what comes into folders that come too, the folder that they come into', 'put', 'etc/x/y/new', ['etc']],
  ['what comes into a new folder at the top, the root', 'put', 'opt/new', ['.']],
  ['what comes into a folder in the place of a file, the folder of that', 'put', 'etc/f/new', ['etc']],
  ['what comes into a folder in the place of a link, the folder of that', 'put', 'etc/l/new', ['etc']],
  ['a file that comes in the place of a folder, both', 'put', 'etc/d', ['etc', 'etc/d']],
  ['a new folder, the one that it comes into', 'mkdir', 'etc/x', ['etc']],
  ['a file that gets another version, both', 'swap', 'etc/f', ['etc', 'etc/f']],
  ['a link that gets another target, its folder', 'swap', 'etc/l', ['etc']],
  ['a file that goes, both', 'drop', 'etc/f', ['etc', 'etc/f']],
  ['a pipe that goes, its folder: it must not be opened', 'drop', 'etc/p', ['etc']],
  ['a file that has gone already, its folder', 'drop', 'etc/gone', ['etc']],
  ['a folder that goes, the one that it is in', 'rmdir', 'etc/d', ['etc']],
  ['a file with other attributes, itself', 'attr', 'etc/f', ['etc/f']],
  ['a folder with other attributes, itself', 'attr', 'etc/d', ['etc/d']],
  ['a link with another owner, its folder', 'attr', 'etc/l', ['etc']],
] as const)
  test(`the system is asked of ${what}`, async () => {
    const asked: (readonly RelPath[])[] = []
    const disk = await diskOf({ refusalsOf: async (paths) => (asked.push([...paths]), new Map()) })
    await checkRefusals(disk, await planOn(disk, [action(kind, path)]))
    assert.deepEqual(asked, [expected])
  })

test('where nothing was seen, the root is asked', async () => {
  const asked: RelPath[] = []
  const disk = await diskOf({ refusalsOf: async (paths) => (asked.push(...paths), new Map()) })
  await checkRefusals(disk, { ...(await planOn(disk, [action('put', 'a/b/c')])), seen: new Map() })
  assert.deepEqual(asked, ['.'])
})

test('each path is asked once, and told of the first action that needs it', async () => {
  const asked: (readonly RelPath[])[] = []
  const disk = await diskOf({
    refusalsOf: async (paths) => {
      asked.push([...paths])
      return new Map([[relPath('usr/bin'), 'immutable' as const]])
    },
  })
  const plan = await planOn(disk, [action('swap', 'usr/bin/g'), action('swap', 'usr/bin/f'), action('put', 'usr/bin/h')])
  await assert.rejects(checkRefusals(disk, plan), { subject: '/usr/bin/g' })
  assert.deepEqual(asked, [['usr/bin', 'usr/bin/g', 'usr/bin/f']])
})

test('a disk that refuses nothing is no failure', async () => {
  assert.deepEqual(await told({}, action('swap', 'etc/f'), action('rmdir', 'etc/d'), action('put', 'etc/new')), [])
  assert.deepEqual(await told(refusing({ usr: 'read-only' }), action('swap', 'etc/f')), [])
})

const readWrite = 'mount it read-write and try again; nothing was changed'

for (const [what, refusals, top] of [
  ['the mount is further up', { 'usr/bin': 'read-only', usr: 'read-only' }, '/usr'],
  ['the folder is the mount', { 'usr/bin': 'read-only' }, '/usr/bin'],
  ['all is read-only', { 'usr/bin': 'read-only', usr: 'read-only', '.': 'read-only' }, '/'],
  ['what is above refuses for another reason', { 'usr/bin': 'read-only', usr: 'immutable', '.': 'read-only' }, '/usr/bin'],
  ['the file alone is', { 'usr/bin/f': 'read-only' }, '/usr/bin/f'],
] as const)
  test(`a file system that is read-only is told by where it is mounted: ${what}`, async () => {
    assert.deepEqual(await told(refusing(refusals), action('swap', 'usr/bin/f')), [
      'read-only',
      '/usr/bin/f',
      `the file system on ${top} is mounted read-only`,
      readWrite,
    ])
  })

test('a mount that is gone when it is looked for is told by the path that was refused', async () => {
  let calls = 0
  const refusalsOf: Disk['refusalsOf'] = async () => new Map(calls++ === 0 ? [[relPath('usr/bin'), 'read-only' as const]] : [])
  const [, , message] = await told({ refusalsOf }, action('put', 'usr/bin/new'))
  assert.equal(message, 'the file system on /usr/bin is mounted read-only')
})

test('the disk of another machine is left to that machine', async () => {
  assert.deepEqual(await told(refusing({ 'usr/bin': 'remote', usr: 'remote' }), action('put', 'usr/bin/new')), [
    'not-supported',
    '/usr/bin/new',
    "the file system on /usr is another machine's",
    "it is updated by the machine that has the disk, with 'bindery -C'; nothing was changed",
  ])
})

const singleUser = 'start the machine in single-user mode, or with a lower kern.securelevel(7); nothing was changed'
const chattr = (option: string): string => `'chattr ${option}' lets it be changed; nothing was changed`

for (const [refusal, says, hint] of [
  ['locked', 'is immutable, and flags cannot be taken away here', singleUser],
  ['immutable', 'is immutable', chattr('-i')],
  ['append-only', 'is append-only', chattr('-a')],
] as const)
  test(`what is ${refusal} is told with the way out: the file itself, or the folder that it is in`, async () => {
    assert.deepEqual(await told(refusing({ 'etc/f': refusal }), action('swap', 'etc/f')), ['permission', '/etc/f', says, hint])
    assert.deepEqual(await told(refusing({ etc: refusal }), action('swap', 'etc/f')), ['permission', '/etc/f', `/etc ${says}`, hint])
    assert.deepEqual(await told(refusing({ '.': refusal }), action('put', 'new')), ['permission', '/new', `/ ${says}`, hint])
  })

const unmount = "unmount it, or leave it out with 'ignore' in bindery.conf; nothing was changed"

for (const [kind, next, isTold] of [
  ['swap', file('x'), true],
  ['drop', undefined, true],
  ['rmdir', undefined, true],
  ['mkdir', dir(), false],
  ['put', file('x'), false],
  ['attr', dir(), false],
] as const)
  test(`a mount point ${isTold ? 'cannot be moved' : 'is in nobody’s way'}: ${kind}`, async () => {
    const asked: RelPath[] = []
    const on: Partial<Disk> = { mountPointsAmong: async (paths) => (asked.push(...paths), new Set(paths)) }
    const expected = ['conflict', '/etc/d', 'is a mount point, and the release has another version', unmount]
    assert.deepEqual(await told(on, action(kind, 'etc/d', next && { next })), isTold ? expected : [])
    assert.deepEqual(asked, isTold ? ['etc/d'] : [])
  })
