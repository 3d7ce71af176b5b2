import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { findModified, inTreeBut, openKeptTar, rebuildTar, wantedOf } from '../src/engine/client/fetch/basis.ts'
import { channelFile, channelFiles, keptDeltaFile } from '../src/engine/client/state.ts'
import { withLinkSizes } from './helpers/link-sizes.ts'
import { amd64, follower } from './helpers/listed-releases.ts'
import { hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { deltaStep, digestOfBytes, fileOf, nameOfRelease, pathsOf, whole, wholeRelease } from './helpers/served-release.ts'
import type { KeptBase } from '../src/format/release-state.ts'
import type { Literal, Plant } from './helpers/plant.ts'
import type { TestSession } from './helpers/client.ts'

/** The tar of the installed release: of what is kept of it, and of the files of the tree. */

const tree = (revision: number): Literal => ({
  'bin/rsh': 'sh',
  'bin/sh': hardlink('bin/rsh'),
  'etc/version': `release ${revision}\n`,
  'etc/hosts': 'hosts',
  link: symlink('etc'),
})
const [one, two, three] = [await wholeRelease(1, tree(1)), await wholeRelease(2, tree(2)), await wholeRelease(3, tree(3))]
const [oneTwo, twoThree] = [await deltaStep(one, two), await deltaStep(two, three)]

const channel = amd64('base')
const baseFile = channelFile(channel, channelFiles.base)
const deltaFile = (number: number): string => channelFile(channel, keptDeltaFile(number))
const file = (content: Uint8Array): Plant => ({ kind: 'file', content })

const base: KeptBase = {
  file: digestOfBytes(one.dist.bytes),
  tar: one.update.release.tar,
  deltas: [
    { file: digestOfBytes(oneTwo.delta.bytes), tar: two.update.release.tar },
    { file: digestOfBytes(twoThree.delta.bytes), tar: three.update.release.tar },
  ],
}
const all: Literal = {
  [baseFile]: file(one.dist.bytes),
  [deltaFile(1)]: file(oneTwo.delta.bytes),
  [deltaFile(2)]: file(twoThree.delta.bytes),
}
const without = (path: string): Literal => Object.fromEntries(Object.entries(all).filter(([name]) => name !== path))

test('what is kept is unpacked and patched up to the installed release', async () => {
  const session = await follower({}, all)
  for (const [deltas, tar] of [
    [0, one.tar],
    [1, two.tar],
    [2, three.tar],
  ] as const) {
    const open = await openKeptTar(session, channel, { ...base, deltas: base.deltas.slice(0, deltas) })
    // As often as one likes.
    for (let i = 0; i < 2; i++) assert.deepEqual(await whole(open()), tar)
  }
})

test('a kept file that is not there, or damaged, is known before anything is read, by its name', async () => {
  const flipped = (bytes: Uint8Array): Plant => file(bytes.map((byte, i) => (i === 30 ? byte ^ 1 : byte)))
  const damage: [string, Literal, string, string, string][] = []
  for (const [path, bytes] of [
    [baseFile, one.dist.bytes],
    [deltaFile(1), oneTwo.delta.bytes],
    [deltaFile(2), twoThree.delta.bytes],
  ] as const) {
    damage.push(['missing', without(path), 'not-found', 'is not there', path])
    damage.push(['shorter', { ...all, [path]: file(bytes.subarray(1)) }, 'bad-digest', 'is damaged', path])
    damage.push(['longer', { ...all, [path]: file(new Uint8Array([...bytes, 0])) }, 'bad-digest', 'is damaged', path])
    damage.push(['of the same size', { ...all, [path]: flipped(bytes) }, 'bad-digest', 'is damaged', path])
    damage.push(['a folder', { ...without(path), [path]: { kind: 'dir' } }, 'bad-digest', 'is damaged', path])
    damage.push(['a link', { ...without(path), [path]: symlink('x'.repeat(bytes.length)) }, 'bad-digest', 'is damaged', path])
  }
  for (const [name, on, code, message, subject] of damage) {
    const session = await follower({}, on)
    await assert.rejects(openKeptTar({ ...session, disk: withLinkSizes(session.disk) }, channel, base), (error) => {
      assert.ok(isBinderyError(error), `${path(subject)} ${name}`)
      assert.deepEqual([error.code, error.message, error.subject], [code, message, subject], `${path(subject)} ${name}`)
      return true
    })
  }
})

const path = (text: string): string => text.slice(text.lastIndexOf('/') + 1)

test('a file is damaged by its size before its bytes are read, and a damaged state says a size of its own', async () => {
  const session = await follower({}, all)
  const read: string[] = []
  const digest: TestSession['disk']['digest'] = async (at) => {
    read.push(at)
    return await session.disk.digest(at)
  }
  const watched = { ...session, disk: { ...session.disk, digest } }
  const wrong = { ...base, file: { ...base.file, size: base.file.size + 1 } }
  await assert.rejects(openKeptTar(watched, channel, wrong), { code: 'bad-digest', subject: baseFile })
  assert.deepEqual(read, [])
  await openKeptTar(watched, channel, base)
  assert.deepEqual(read, [baseFile, deltaFile(1), deltaFile(2)])
})

test('a base that holds more than its tar has is refused while it is read', async () => {
  const session = await follower({}, all)
  const open = await openKeptTar(session, channel, { ...base, tar: { ...base.tar, size: base.tar.size - 1 }, deltas: [] })
  await assert.rejects(whole(open()), { code: 'over-limit' })
})

// --- out of the tree

test('a tar is rebuilt from files of the tree, and what was modified there from the cache', async () => {
  const version = fileOf(one, 'etc/version')
  const { disk } = await follower({}, { ...tree(2), [cachePath(version.sha256)]: 'release 1\n' })
  const modified = new Set([version.path])
  assert.equal(inTreeBut(modified)(version), cachePath(version.sha256))
  assert.equal(inTreeBut(new Set())(version), 'etc/version')
  assert.deepEqual(await whole(rebuildTar({ disk }, one.name, one.manifest, inTreeBut(modified))), one.tar)
  await assert.rejects(whole(rebuildTar({ disk }, one.name, one.manifest, inTreeBut(new Set()))), { code: 'bad-digest' })
})

test('files are wanted with the places of their contents in the tar, and nothing but files', async () => {
  const paths = new Set(['bin', 'bin/sh', 'etc/hosts', 'etc/version', 'link', 'nowhere'].map(relPath))
  const wanted = wantedOf(nameOfRelease(1), one.manifest, paths)
  assert.deepEqual(pathsOf(wanted), ['etc/hosts', 'etc/version'])
  for (const { entry, offset } of wanted) {
    const text = Buffer.from(one.tar.subarray(offset, offset + entry.size)).toString()
    assert.equal(text, entry.path === 'etc/hosts' ? 'hosts' : 'release 1\n')
  }
  assert.deepEqual(wantedOf(nameOfRelease(1), one.manifest, new Set()), [])
})

test('modified are the files whose contents the tree does not have', async () => {
  const cases: readonly (readonly [string, Literal, readonly string[]])[] = [
    ['as it was released', tree(1), []],
    ['another version', tree(2), ['etc/version']],
    ['links are no files of their own', { ...tree(1), link: 'a file', 'bin/sh': 'another' }, []],
    ['modes are nothing', { ...tree(1), 'etc/hosts': { kind: 'file', content: 'hosts', mode: 0o600 } }, []],
    ['a file is a folder', { 'bin/rsh/x': '', 'etc/version': 'release 1\n', 'etc/hosts': 'hosts' }, ['bin/rsh']],
    ['a folder is a link', { real: 'x', bin: symlink('real'), 'etc/version': '', 'etc/hosts': 'hosts' }, ['bin/rsh', 'etc/version']],
    ['there is nothing', {}, ['bin/rsh', 'etc/hosts', 'etc/version']],
  ]
  for (const [name, literal, expected] of cases) {
    const session = await follower({})
    await plant(session.disk, literal)
    const found = await findModified(session, one.name, one.manifest)
    assert.deepEqual(pathsOf(found), expected, name)
    assert.deepEqual(found, wantedOf(one.name, one.manifest, new Set(expected.map(relPath))), name)
  }
})

test('to find them, each file is read once, and nothing else is looked at', async () => {
  const { disk, ...session } = await follower({}, tree(1))
  const read: string[] = []
  const looks: string[] = []
  const noting: typeof disk = {
    ...disk,
    lstat: async (at) => (looks.push(at), await disk.lstat(at)),
    digest: async (at) => (read.push(at), await disk.digest(at)),
  }
  await findModified({ ...session, disk: noting }, one.name, one.manifest)
  assert.deepEqual(read.sort(), ['bin/rsh', 'etc/hosts', 'etc/version'])
  assert.deepEqual(looks.sort(), ['.', 'bin', 'bin/rsh', 'etc', 'etc/hosts', 'etc/version'])
})
