import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromLatin1, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { mergingOf } from '../src/engine/client/apply/merge-versions.ts'
import { findMerges, maxMergeBytes } from '../src/engine/client/apply/merges.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { incoming, release } from './helpers/client-world.ts'
import { plant, relPath } from './helpers/plant.ts'
import type { FileEntry } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { ChangeInput } from '../src/engine/client/apply/changes.ts'
import type { Merging } from '../src/engine/client/apply/merges.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { Literal } from './helpers/plant.ts'

/** Which files are merged, and with which contents of the two releases. */

const mtime = { sec: 1_600_000_000, nsec: 0 }

function file(path: string, content: string, more: Partial<FileEntry> = {}): FileEntry {
  const digest = sha256(fromLatin1(content))
  return { kind: 'file', path: relPath(path), mode: 0o644, uid: 0, gid: 0, mtime, size: content.length, sha256: digest, ...more }
}

const symlink = (path: string): Node => ({ kind: 'symlink', path: relPath(path), mode: 0o777, uid: 0, gid: 0, mtime, target: 'x' })

const nodesOf = (nodes: readonly Node[]): ReadonlyMap<RelPath, Node> => new Map(nodes.map((node) => [node.path, node]))

function treeOf(...nodes: readonly Node[]): NodeTree {
  return { nodes: nodesOf(nodes), groups: new Map(), leaders: new Map() }
}

type Situation = { readonly base?: NodeTree; readonly next?: NodeTree; readonly live?: readonly Node[]; readonly on?: Literal } & Partial<
  Pick<ChangeInput, 'isProtected' | 'isGenerated' | 'merging'>
>

const merging: Merging = {
  covers: () => true,
  merge: (path, { base, ours, theirs }) => utf8(`${path}: ${latin1(base)}, ${latin1(ours).slice(0, 4)}, ${latin1(theirs)}`),
  time: 1_700_000_000,
  versions: async (paths) => new Map([...paths].map((path) => [path, { base: utf8('was'), next: utf8('is') }])),
}

/** `f` was changed here and in the release. */
const both = { base: treeOf(file('f', 'base')), next: treeOf(file('f', 'next')), live: [file('f', 'ours')], on: { f: 'ours' } }

async function merged(situation: Situation): Promise<Readonly<Record<string, string>>> {
  const { base, next, live, on, ...more } = { ...both, ...situation }
  const disk = memoryDisk()
  await plant(disk, on)
  const scope = { xattrs: true, flags: true, excluded: () => false }
  const input: ChangeInput = { disk, base, next, scope, suffix: '.new', isProtected: () => false, merging, ...more }
  const found = await findMerges(input, { nodes: nodesOf(live), stats: new Map() })
  for (const { content, size, sha256: digest, mtime: time } of found.values())
    assert.deepEqual([size, digest, time], [content.length, sha256(content), { sec: 1_700_000_000, nsec: 0 }])
  return Object.fromEntries([...found].map(([path, { content }]) => [path, latin1(content)]))
}

const done = { f: 'f: was, ours, is' }

test('a file is merged that was changed both here and in the release, and no other', async () => {
  assert.deepEqual(await merged({}), done)
  assert.deepEqual(await merged({ merging: undefined }), {})
  const others: readonly Situation[] = [
    { base: treeOf() },
    { next: treeOf() },
    { base: treeOf(symlink('f')) },
    { next: treeOf(symlink('f')) },
    { live: [symlink('f')] },
    { next: treeOf(file('f', 'base')) },
    { live: [file('f', 'base')] },
    { live: [file('f', 'next')] },
    { isProtected: (path) => path === 'f' },
    { isGenerated: (path) => path === 'f' },
    { merging: { ...merging, covers: (path) => path !== 'f' } },
    { merging: { ...merging, merge: () => undefined } },
    { merging: { ...merging, versions: async () => new Map() } },
  ]
  for (const other of others) assert.deepEqual(await merged(other), {})
  for (const other of [{ isProtected: () => false }, { isGenerated: () => false }]) assert.deepEqual(await merged(other), done)
})

test('nobody is asked for contents when there is nothing to merge', async () => {
  const versions: Merging['versions'] = async () => assert.fail('was asked')
  assert.deepEqual(await merged({ live: [], merging: { ...merging, versions } }), {})
})

test('one of several names is left alone, whether the old release says so or the new one', async () => {
  const groups = new Map([[relPath('f'), [relPath('f'), relPath('g')]]])
  assert.deepEqual(await merged({ base: { ...both.base, groups } }), {})
  assert.deepEqual(await merged({ next: { ...both.next, groups } }), {})
})

test('where the version of the installed release still lies beside, nothing is merged', async () => {
  const on = (beside: Literal): Situation => ({ on: { ...both.on, ...beside } })
  assert.deepEqual(await merged(on({ 'f.new': 'base' })), {})
  assert.deepEqual(await merged(on({ 'f.new': 'mine', 'f.new.1': 'base' })), {})
  for (const beside of ['mine', 'longer', '']) assert.deepEqual(await merged(on({ 'f.new': beside })), done)
  assert.deepEqual(await merged(on({ 'f.new': { kind: 'symlink', target: 'base' } })), done)
})

test('no version is larger than a mebibyte', async () => {
  const text = 'ours\n'.repeat(maxMergeBytes / 4)
  const most = text.slice(0, maxMergeBytes)
  assert.deepEqual(await merged({ live: [file('f', most)], on: { f: most } }), done)
  const more = text.slice(0, maxMergeBytes + 1)
  assert.deepEqual(await merged({ live: [file('f', more)], on: { f: more } }), {})
  for (const size of [maxMergeBytes, maxMergeBytes + 1]) {
    const expected = size === maxMergeBytes ? done : {}
    assert.deepEqual(await merged({ base: treeOf(file('f', 'base', { size })) }), expected)
    assert.deepEqual(await merged({ next: treeOf(file('f', 'next', { size })) }), expected)
  }
})

test('all versions together are no more than 64 MiB, in the order of the files; a smaller one may still come', async () => {
  const names = Array.from({ length: 23 }, (_, i) => `f${String(i).padStart(2, '0')}`)
  // 63 MiB of 21 files; then one of `size` in all, and one of 12 bytes.
  const found = async (size: number): Promise<readonly string[]> => {
    const sized = (content: string, sizeOf21: number): readonly FileEntry[] =>
      names.map((name, i) => file(name, content, i < 21 ? { size: maxMergeBytes } : i === 21 ? { size: sizeOf21 } : {}))
    const [base, next] = [treeOf(...sized('base', size - 2)), treeOf(...sized('next', 1))]
    const on = Object.fromEntries(names.map((name) => [name, 'ours']))
    return Object.keys(await merged({ base, next, live: sized('ours', 1), on }))
  }
  assert.deepEqual(await found(maxMergeBytes), names.slice(0, 22))
  assert.deepEqual(
    await found(maxMergeBytes + 1),
    names.filter((name) => name !== 'f21'),
  )
})

test('a file that is another one by now is not merged', async () => {
  assert.deepEqual(await merged({ on: { f: 'more' } }), {})
  assert.deepEqual(await merged({ on: { f: 'x'.repeat(maxMergeBytes + 1) } }), {})
})

// --- with which contents

const [before, after] = await Promise.all([
  release('1.0', { 'etc/a': 'a 1', 'etc/b': 'b 1', 'bin/sh': 'sh 1' }),
  release('1.1', { 'etc/a': 'a 2', 'etc/b': 'b 2', 'bin/sh': 'sh 2', 'etc/new': 'new' }),
])

const clock = { now: () => 1_700_000_000_900 }

type Contents = Readonly<Record<string, string>>

async function contents(parts: readonly Partial<Incoming>[], ...names: readonly string[]): Promise<Contents> {
  const given = parts.map((changes) => ({ incoming: incoming(before, after, changes), installed: before.manifest }))
  const found = await mergingOf({ parts: given, config: defaultConfig, clock })?.versions(new Set(names.map(relPath)))
  return Object.fromEntries([...(found ?? [])].map(([path, { base, next }]) => [path, `${latin1(base)}, ${latin1(next)}`]))
}

test('contents come out of the old release and the new one, as far as both have them', async () => {
  assert.deepEqual(await contents([{}], 'etc/b', 'etc/a'), { 'etc/a': 'a 1, a 2', 'etc/b': 'b 1, b 2' })
  assert.deepEqual(await contents([{}], 'etc/a', 'etc/new', 'etc/none'), { 'etc/a': 'a 1, a 2' })
  assert.equal(mergingOf({ parts: [], config: defaultConfig, clock })?.time, 1_700_000_000)
  assert.equal(mergingOf({ parts: [], config: { ...defaultConfig, merge: false }, clock }), undefined)
})

test('a path of several channels has the contents of the first', async () => {
  const oldContents: Incoming['oldContents'] = async (files) => new Map(files.map((one) => [one.sha256, utf8('another')]))
  assert.deepEqual(await contents([{}, { oldContents }], 'etc/a'), { 'etc/a': 'a 1, a 2' })
})

test('the new tar is read as far as it has to be', async () => {
  const nothing: Incoming['oldContents'] = async () => new Map()
  assert.deepEqual(await contents([{ oldContents: nothing, tar: () => assert.fail('was read') }], 'etc/a'), {})
  assert.deepEqual(await contents([{ tar: () => assert.fail('was read') }], 'etc/none'), {})
  let chunks = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const bytes of incoming(before, after).tar())
      for (let at = 0; at < bytes.length; at += 512) yield ((chunks++, bytes.subarray(at, at + 512)))
  }
  await contents([{ tar: counted }], 'etc/b')
  const some = chunks
  chunks = 0
  for await (const _ of counted());
  assert.ok(some < chunks, `${some} of ${chunks}`)
})
