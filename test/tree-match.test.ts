import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromLatin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { matchTree, openEye } from '../src/engine/client/fetch/tree-match.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { block, char, dir, fifo, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Entry } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { TreeMatch } from '../src/engine/client/fetch/tree-match.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** How the live tree compares with a manifest. */

const mtime = { sec: 1_600_000_000, nsec: 0 }
const meta = (path: string, mode: number): Omit<Extract<Entry, { kind: 'fifo' }>, 'kind'> => ({
  path: relPath(path),
  mode,
  uid: 0,
  gid: 0,
  mtime,
})

const fileOf = (path: string, content: string): Entry => ({
  kind: 'file',
  ...meta(path, 0o644),
  size: content.length,
  sha256: sha256(fromLatin1(content)),
})
const linkOf = (path: string, target: string): Entry => ({ kind: 'symlink', ...meta(path, 0o777), target })
const nameOf = (path: string, leader: string): Entry => ({ kind: 'hardlink', ...meta(path, 0o644), leader: relPath(leader) })
const dirOf = (path: string): Entry => ({ kind: 'dir', ...meta(path, 0o755) })
const fifoOf = (path: string): Entry => ({ kind: 'fifo', ...meta(path, 0o644) })
const deviceOf = (kind: 'char' | 'block', path: string, major: number, minor: number): Entry => ({
  kind,
  ...meta(path, 0o644),
  major,
  minor,
})

async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return disk
}

const signal = new AbortController().signal

async function matched(literal: Literal, ...entries: readonly Entry[]): Promise<TreeMatch> {
  return await matchTree({ signal }, openEye(await on(literal)), { entries })
}

const same = (files: number): TreeMatch => ({ differing: [], otherMeta: 0, files, sameFiles: files })
const other = (path: string, files: number): TreeMatch => ({ differing: [relPath(path)], otherMeta: 0, files, sameFiles: 0 })

test('what is of the same kind and contents is the same', async () => {
  const trees: readonly (readonly [Literal, Entry, number])[] = [
    [{ f: 'content' }, fileOf('f', 'content'), 1],
    [{ f: '' }, fileOf('f', ''), 1],
    [{ l: symlink('x') }, linkOf('l', 'x'), 1],
    [{ d: dir() }, dirOf('d'), 0],
    [{ p: fifo() }, fifoOf('p'), 0],
    [{ c: char(1, 3) }, deviceOf('char', 'c', 1, 3), 0],
    [{ b: block(1, 3) }, deviceOf('block', 'b', 1, 3), 0],
  ]
  for (const [literal, entry, files] of trees) assert.deepEqual(await matched(literal, entry), same(files), entry.path)
})

test('what is missing, of another kind, or holds something else is not', async () => {
  const things: Literal = { f: 'content', l: symlink('x'), d: dir(), p: fifo(), c: char(1, 3), b: block(1, 3) }
  const entries = (path: string): Readonly<Record<string, Entry>> => ({
    f: fileOf(path, 'content'),
    l: linkOf(path, 'x'),
    d: dirOf(path),
    p: fifoOf(path),
    c: deviceOf('char', path, 1, 3),
    b: deviceOf('block', path, 1, 3),
  })
  for (const [kind, entry] of Object.entries(entries('x'))) {
    const files = ['f', 'l'].includes(kind) ? 1 : 0
    assert.deepEqual(await matched({}, entry), other('x', files))
    for (const [there, thing] of Object.entries(things))
      assert.deepEqual(await matched({ x: thing }, entry), kind === there ? same(files) : other('x', files), `${kind} ${there}`)
  }
  // Nothing but a file has a size.
  for (const thing of Object.values(things)) assert.deepEqual(await matched({ x: thing }, fileOf('x', '')), other('x', 1))
  assert.deepEqual(await matched({ x: 'CONTENT' }, fileOf('x', 'content')), other('x', 1))
  assert.deepEqual(await matched({ x: 'longer content' }, fileOf('x', 'content')), other('x', 1))
  assert.deepEqual(await matched({ x: symlink('y') }, linkOf('x', 'x')), other('x', 1))
  for (const kind of ['char', 'block'] as const) {
    assert.deepEqual(await matched({ x: { kind, major: 1, minor: 3 } }, deviceOf(kind, 'x', 1, 4)), other('x', 0))
    assert.deepEqual(await matched({ x: { kind, major: 1, minor: 3 } }, deviceOf(kind, 'x', 2, 3)), other('x', 0))
  }
})

test('a second name counts by its content, whether it is one of the same file or not', async () => {
  const entries = [fileOf('a', 'content'), nameOf('b', 'a')]
  assert.deepEqual(await matched({ a: 'content', b: hardlink('a') }, ...entries), same(2))
  assert.deepEqual(await matched({ a: 'content', b: 'content' }, ...entries), same(2))
  assert.deepEqual(await matched({ a: 'content', b: 'CONTENT' }, ...entries), { ...other('b', 2), sameFiles: 1 })
  assert.deepEqual(await matched({ a: 'content', b: symlink('a') }, ...entries), { ...other('b', 2), sameFiles: 1 })
  // Of what is no file, or not among these, any but a folder will do.
  const names = [linkOf('a', 'x'), nameOf('b', 'a')]
  assert.deepEqual(await matched({ a: symlink('x'), b: 'whatever' }, ...names), same(2))
  assert.deepEqual(await matched({ a: symlink('x'), b: dir() }, ...names), { ...other('b', 2), sameFiles: 1 })
})

test('what is equal but for its mode, owner or time is counted apart', async () => {
  const time = { sec: 1_600_000_000, nsec: 1 }
  const others = [{ mode: 0o600 }, { uid: 1 }, { gid: 1 }, { mtime: time }, { mtime: { sec: 1, nsec: 0 } }]
  for (const change of others) {
    assert.deepEqual(await matched({ f: file('x', change) }, fileOf('f', 'x')), { ...same(1), otherMeta: 1 })
    assert.deepEqual(await matched({ f: fifo(change) }, fifoOf('f')), { ...same(0), otherMeta: 1 })
    assert.deepEqual(await matched({ f: file('y', change) }, fileOf('f', 'x')), other('f', 1))
    // A folder's time says nothing, and a link's mode neither.
    const isTime = 'mtime' in change
    assert.deepEqual(await matched({ d: dir(change) }, dirOf('d')), { ...same(0), otherMeta: isTime ? 0 : 1 })
  }
  assert.deepEqual(await matched({ l: symlink('x') }, { ...linkOf('l', 'x'), mode: 0o755 }), same(1))
  assert.deepEqual(await matched({ l: symlink('x', { uid: 1 }) }, linkOf('l', 'x')), { ...same(1), otherMeta: 1 })
  const two = { f: file('x', { uid: 1 }), g: file('y', { uid: 1 }), h: 'z' }
  assert.deepEqual(await matched(two, fileOf('f', 'x'), fileOf('g', 'y'), fileOf('h', 'z')), { ...same(3), otherMeta: 2 })
})

test('what differs is told in the order of bytes, and only files and links are counted', async () => {
  const names = ['z', 'B', 'a', '.x', 'm']
  const entries = [...names.map((name) => fileOf(name, name)), dirOf('d'), fifoOf('p'), linkOf('l', 'x')]
  const found = await matched({ m: 'm', l: symlink('x') }, ...entries)
  assert.deepEqual(found, { differing: ['.x', 'B', 'a', 'd', 'p', 'z'], otherMeta: 0, files: 6, sameFiles: 2 })
})

test('below what is no folder there is nothing: a link in the way is not followed', async () => {
  const entries = [fileOf('usr/bin/sh', 'sh'), fileOf('lib/x', 'x')]
  const found = await matched({ 'real/bin/sh': 'sh', usr: symlink('real'), lib: 'a file' }, ...entries)
  assert.deepEqual(found.differing, ['lib/x', 'usr/bin/sh'])
  assert.deepEqual(await matched({ 'usr/bin/sh': 'sh' }, fileOf('usr/bin/sh', 'sh'), dirOf('.'), dirOf('usr')), same(1))
})

test('several manifests cost one reading of the tree', async () => {
  const disk = await on({ 'd/f': 'content', 'd/l': symlink('x'), 'd/g': 'content' })
  const asked: string[] = []
  const noting: Disk = {
    ...disk,
    lstat: async (path) => (asked.push(`lstat ${path}`), await disk.lstat(path)),
    digest: async (path) => (asked.push(`digest ${path}`), await disk.digest(path)),
    readlink: async (path) => (asked.push(`readlink ${path}`), await disk.readlink(path)),
  }
  const eye = openEye(noting)
  const entries = [fileOf('d/f', 'content'), linkOf('d/l', 'x'), fileOf('d/g', 'contents')]
  for (let i = 0; i < 2; i++) assert.deepEqual((await matchTree({ signal }, eye, { entries })).differing, ['d/g'])
  // What has another size is not read.
  const once = ['digest d/f', 'lstat .', 'lstat d', 'lstat d/f', 'lstat d/g', 'lstat d/l', 'readlink d/l']
  assert.deepEqual(asked.sort(), once)
})

test('the bytes of each file are told once it was looked at, whether it is there or not', async () => {
  const told: number[] = []
  const eye = openEye(await on({ f: 'four' }))
  const entries = [fileOf('f', 'four'), dirOf('d'), fileOf('g', 'sixsix'), linkOf('l', 'f'), nameOf('h', 'f')]
  await matchTree({ signal }, eye, { entries }, (bytes) => void told.push(bytes))
  assert.deepEqual(
    told.toSorted((a, b) => a - b),
    [4, 6],
  )
})

test('a stop ends it at the next entry', async () => {
  const controller = new AbortController()
  const looked: RelPath[] = []
  const eye = openEye(await on({}))
  const stopping: typeof eye = {
    ...eye,
    stat: async (path) => {
      looked.push(path)
      controller.abort(new BinderyError('stopped', 'was stopped'))
      return await eye.stat(path)
    },
  }
  const entries = Array.from({ length: 20 }, (_, i) => fileOf(`f${i}`, 'x'))
  assert.deepEqual(await refused(matchTree(controller, stopping, { entries })), ['stopped', undefined])
  assert.deepEqual(looked, ['f0'])
})
