import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../src/base/digest.ts'
import { utf8 } from '../src/base/bytes.ts'
import { isLibraryPath, neededLibraries, providedName, providedNames, targetOf } from '../src/engine/client/apply/needed-libraries.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { elfFile } from './helpers/elf-file.ts'
import { fifo, file, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Change } from '../src/engine/client/apply/changes.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal, Plant } from './helpers/plant.ts'

/** Which libraries of those that are to go something needs still, and who. */

const planted = { sec: 1_600_000_000, nsec: 0 }
const meta = (path: string) => ({ path: relPath(path), mode: 0o755, uid: 0, gid: 0, mtime: planted })

/** As planted: every ELF file here is of one size. */
function nodeOf(path: string, given: Plant | string): Node {
  if (typeof given !== 'string' && given.kind === 'symlink') return { kind: 'symlink', ...meta(path), target: given.target }
  if (typeof given !== 'string' && given.kind === 'fifo') return { kind: 'fifo', ...meta(path) }
  return { kind: 'file', ...meta(path), size: 8192, sha256: sha256(utf8(path)) }
}

const nodesOf = (literal: Literal): NodeTree => ({
  nodes: new Map(Object.entries(literal).map(([path, given]) => [relPath(path), nodeOf(path, given)])),
  groups: new Map(),
  leaders: new Map(),
})

const program = (...needed: readonly string[]): Plant => file(elfFile({ needed }), { mode: 0o755 })
const library = (soname: string | undefined, ...needed: readonly string[]): Plant =>
  file(elfFile({ needed, ...(soname === undefined ? {} : { soname }) }))

type Given = {
  /** What is to go. */
  readonly going: Literal
  /** What else is there. */
  readonly local?: Literal
  readonly base?: Literal
  readonly next?: Literal
  readonly more?: readonly Change[]
  readonly folders?: readonly string[]
  readonly on?: (disk: Disk) => Disk
}

/** `LIBRARY: USER USER`, the first of them being who is told. */
async function needed({
  going,
  local = {},
  base = {},
  next = {},
  more = [],
  folders = [],
  on = (disk) => disk,
}: Given): Promise<readonly string[]> {
  const disk = memoryDisk()
  await plant(disk, { ...going, ...local })
  const removed = Object.entries(going).map(([path, given]): Change => ({ kind: 'remove', path: relPath(path), old: nodeOf(path, given) }))
  const changes = new Map([...removed, ...more].map((change) => [change.path, change]))
  const input = { disk: on(disk), base: nodesOf({ ...going, ...base }), next: nodesOf(next), folders: folders.map(relPath) }
  const needs = await neededLibraries(input, changes)
  for (const { by, users } of needs) assert.equal(by, users[0])
  return needs.map(({ path, users }) => `${path}: ${users.join(' ')}`.trim())
}

const foo = 'usr/lib/libfoo.so.1'
const going = { [foo]: library('libfoo.so.1') }
const local = { 'opt/x': program('libfoo.so.1') }

test('a library that is to go stays for what needs it, by its name as a file or by the one that it gives itself', async () => {
  assert.deepEqual(await needed({ going, local }), [`${foo}: opt/x`])
  const ways: readonly (readonly [string, Plant | string, string, boolean])[] = [
    ['its own name', library('libfoo.so.1.2'), 'libfoo.so.1.2', true],
    ['the name of the file', library('libfoo.so.1.2'), 'libfoo.so.1', true],
    ['none of its own', library(undefined), 'libfoo.so.1', true],
    ['none of its own, and who needs none', library(undefined), '', false],
    ['another name', library('libfoo.so.1'), 'libfoo.so.2', false],
    ['another that ends so', library('libfoo.so.1'), 'oldlibfoo.so.1', false],
    ['the path that it had where somebody was linked', library('libfoo.so.1'), '/home/me/build/libfoo.so.1', true],
    ['what is no library at all', 'INPUT(libfoo.so)', 'libfoo.so.1', false],
  ]
  for (const [what, given, name, isNeeded] of ways) {
    const found = await needed({ going: { [foo]: given }, local: { 'opt/x': program(name) } })
    assert.deepEqual(found, isNeeded ? [`${foo}: opt/x`] : [], what)
  }
})

test('a name of its own is no more what it is asked for where the release has a file or link of that name beside it', async () => {
  const own = { going: { [foo]: library('libfoo.so.one') }, local: { 'opt/x': program('libfoo.so.one') } }
  assert.deepEqual(await needed(own), [`${foo}: opt/x`])
  assert.deepEqual(await needed({ ...own, next: { 'usr/lib/libfoo.so.one': library(undefined) } }), [])
  assert.deepEqual(await needed({ ...own, next: { 'lib/libfoo.so.one': library(undefined) } }), [`${foo}: opt/x`])
})

test('only what is named as a library, or is the run-time linker, is asked after', () => {
  const names: readonly (readonly [string, boolean])[] = [
    ['usr/lib/libc.so.7', true],
    ['usr/lib/libfoo.so.1.22', true],
    ['srv/libfoo.so.1', true],
    ['usr/lib/libfoo.so', false],
    ['usr/lib/libfoo.so.', false],
    ['usr/lib/libfoo.so.a', false],
    ['usr/lib/libfoo.so.1a', false],
    ['usr/lib/libfoo.so.1.old', false],
    ['usr/lib/lib.so.1', false],
    ['usr/lib/foo.so.1', false],
    ['usr/lib/xlibfoo.so.1', false],
    ['libexec/ld-elf.so.1', true],
    ['usr/libexec/ld.so', true],
    ['usr/bin/ld', false],
  ]
  for (const [path, expected] of names) assert.equal(isLibraryPath(relPath(path)), expected, path)
})

test('a pipe that is named as a library is none', async () => {
  assert.deepEqual(await needed({ going: { [foo]: fifo() }, local }), [])
})

test('where no library is to go, nobody looks for who needs one', async () => {
  const on = (disk: Disk): Disk => ({ ...disk, readdir: async () => await Promise.reject(new Error('was searched')) })
  const more: readonly Change[] = [
    { kind: 'attr', path: relPath('lib/libbar.so.1'), old: nodeOf('lib/libbar.so.1', ''), new: nodeOf('lib/libbar.so.1', '') },
  ]
  assert.deepEqual(
    await needed({ going: { 'usr/bin/x': program('libfoo.so.1') }, local: { ...local, 'lib/libbar.so.1': library(undefined) }, more, on }),
    [],
  )
  await assert.rejects(needed({ going, local, on }), { message: 'was searched' })
})

test('what makes room for something else cannot stay', async () => {
  const replaced = (path: string, kind: 'replace' | 'attr' = 'replace'): Change => {
    const old: Node = { kind: 'dir', ...meta(path) }
    const made: Node = { kind: 'symlink', ...meta(path), target: 'lib64' }
    return kind === 'replace'
      ? { kind, path: relPath(path), of: relPath(path), old, new: made }
      : { kind, path: relPath(path), old, new: old }
  }
  assert.deepEqual(await needed({ going, local, more: [replaced('usr/lib')] }), [])
  assert.deepEqual(await needed({ going, local, more: [replaced('sbin'), replaced('usr')] }), [])
  for (const more of [replaced('usr/lib32'), replaced('usr/lib/libfoo'), replaced('usr/lib', 'attr')])
    assert.deepEqual(await needed({ going, local, more: [more] }), [`${foo}: opt/x`])
})

test('a library that has only moved, to a folder in which the same programs look, goes', async () => {
  const ways: readonly (readonly [string, boolean])[] = [
    ['lib/libfoo.so.1', false],
    ['usr/lib/compat/libfoo.so.1', false],
    ['usr/lib/x86_64-linux-gnu/libfoo.so.1', false],
    ['usr/lib32/libfoo.so.1', true],
    ['usr/local/lib/libfoo.so.1', true],
    ['lib/libfoo.so.2', true],
  ]
  for (const [path, isNeeded] of ways)
    assert.deepEqual(await needed({ going, local, next: { [path]: library(undefined) } }), isNeeded ? [`${foo}: opt/x`] : [], path)
  // Two that are nowhere looked for have no name in common.
  const elsewhere = { 'srv/libfoo.so.1': library('libfoo.so.1') }
  const next = { 'srv/libbar.so.1': library(undefined) }
  assert.deepEqual(await needed({ going: elsewhere, local, next }), ['srv/libfoo.so.1: opt/x'])
})

test('names are provided by the folders in which a run-time linker looks by itself, apart for each kind of program', () => {
  const names: readonly (readonly [string, string | undefined])[] = [
    ['lib/a', 'lib/a'],
    ['usr/lib/a', 'lib/a'],
    ['usr/lib32/a', 'lib32/a'],
    ['lib64/a', 'lib64/a'],
    ['libx32/a', 'libx32/a'],
    ['usr/lib/compat/a', 'lib/a'],
    ['lib/x86_64-linux-gnu/a', 'lib/a'],
    ['usr/lib/aarch64-linux-gnu/a', 'lib/a'],
    ['lib/compat2/a', undefined],
    ['lib/X-Y/a', undefined],
    ['lib/compat/deep/a', undefined],
    ['lib/compat', 'lib/compat'],
    ['lib128/a', undefined],
    ['libexec/a', undefined],
    ['usr/local/lib/a', undefined],
    ['usr/a', undefined],
    ['opt/lib/a', undefined],
    ['lib', undefined],
  ]
  for (const [path, name] of names) assert.equal(providedName(relPath(path)), name, path)
  const all = nodesOf(Object.fromEntries(names.map(([path]) => [path, ''])))
  const expected = new Set(names.flatMap(([, name]) => name ?? []))
  assert.deepEqual(providedNames(all), expected)
})

test('a link leads from its folder, or from the root, and nowhere outside', () => {
  const links: readonly (readonly [string, string, string | undefined])[] = [
    ['lib/a', 'b', 'lib/b'],
    ['lib/a', './b', 'lib/b'],
    ['lib/a', 'c//b', 'lib/c/b'],
    ['lib/a', 'c/./../b', 'lib/b'],
    ['lib/a', '../b', 'b'],
    ['usr/lib/a', '../../lib/b', 'lib/b'],
    ['usr/lib/a', '/lib/b', 'lib/b'],
    ['usr/lib/a', '/../lib/./b', 'lib/b'],
    ['a', 'b', 'b'],
    ['a', './b', 'b'],
    ['a', '../../b', 'b'],
    ['lib/a', '..', undefined],
    ['lib/a', 'b\0', undefined],
  ]
  for (const [path, target, expected] of links) assert.equal(targetOf(relPath(path), target), expected, `${path} ${target}`)
})

test('a link stays for who asks for its name, and then what it leads to', async () => {
  const links = {
    'lib/libfoo.so.1': symlink('libfoo.so.1.5'),
    'lib/libfoo.so.1.5': library(undefined),
    'lib/libfoo.so.1.6': library(undefined),
    'lib/libbar.so.1': symlink('/usr/lib/none'),
  }
  const users = { 'opt/x': program('libfoo.so.1', 'libbar.so.1') }
  assert.deepEqual(await needed({ going: links, local: users }), [
    'lib/libfoo.so.1: opt/x',
    'lib/libfoo.so.1.5: opt/x',
    'lib/libbar.so.1: opt/x',
  ])
})

test('a library that stays needs others, and none that goes needs any', async () => {
  const chain = {
    'lib/libend.so.3': library('libend.so.3'),
    'lib/libmid.so.2': library('libmid.so.2', 'libend.so.3', 'libtop.so.1'),
    'lib/libalone.so.4': library('libalone.so.4', 'libend.so.3'),
    'lib/libtop.so.1': library('libtop.so.1', 'libmid.so.2'),
    'libexec/ld-elf.so.1': library(undefined),
  }
  const linked = file(elfFile({ needed: ['libtop.so.1'], interpreter: '/libexec/ld-elf.so.1' }), { mode: 0o755 })
  assert.deepEqual(await needed({ going: chain, local: { 'opt/x': linked } }), [
    'lib/libtop.so.1: opt/x lib/libmid.so.2',
    'libexec/ld-elf.so.1: opt/x',
    'lib/libmid.so.2: lib/libtop.so.1',
    'lib/libend.so.3: lib/libmid.so.2',
  ])
})

test('who needs it is told in byte order, each once, and all of one name', async () => {
  const two = { ...going, 'lib/libfoo.so.1': library('libfoo.so.1') }
  const users = { 'usr/z': program('libfoo.so.1'), 'opt/y': program('libfoo.so.1', '/x/libfoo.so.1'), 'bin/x': program('libfoo.so.1') }
  const by = 'bin/x opt/y usr/z'
  assert.deepEqual(await needed({ going: two, local: users }), [`${foo}: ${by}`, `lib/libfoo.so.1: ${by}`])
})

test('programs are looked for in folders of one’s own, too', async () => {
  const elsewhere = { 'srv/x': program('libfoo.so.1') }
  assert.deepEqual(await needed({ going, local: elsewhere }), [])
  assert.deepEqual(await needed({ going, local: elsewhere, folders: ['srv'] }), [`${foo}: srv/x`])
})

test('a program of the release keeps no library, unless it was changed here or the release has it no more', async () => {
  const path = 'usr/bin/own'
  const own = { [path]: program('libfoo.so.1') }
  const changed = (more: Partial<Plant>): Literal => ({ [path]: { ...program('libfoo.so.1'), ...more } as Plant })
  const both = { base: own, next: own }
  const earlier = { ...planted, sec: planted.sec - 1 }
  const ways: readonly (readonly [string, Omit<Given, 'going'>, boolean])[] = [
    ['as it is in both', { ...both, local: own }, false],
    ['that comes', { next: own, local: own }, false],
    ['that is exchanged', { base: own, next: { [path]: symlink('x') }, local: own }, false],
    ['that the release has no more', { base: own, local: own }, true],
    ['of no release', { local: own }, true],
    ['that the release has as a link', { base: { [path]: symlink('x') }, next: { [path]: symlink('y') }, local: own }, true],
    ['of another second', { ...both, local: changed({ mtime: earlier }) }, true],
    ['of another nanosecond', { ...both, local: changed({ mtime: { ...planted, nsec: 1 } }) }, true],
    [
      'of another size',
      { ...both, local: changed({ content: Buffer.concat([elfFile({ needed: ['libfoo.so.1'] }), Buffer.from('x')]) }) },
      true,
    ],
  ]
  for (const [what, given, isNeeded] of ways) assert.deepEqual(await needed({ going, ...given }), isNeeded ? [`${foo}: ${path}`] : [], what)
})

test('what is to go itself needs nothing, in whatever way it goes', async () => {
  assert.deepEqual(await needed({ going: { ...going, 'usr/bin/own': program('libfoo.so.1') } }), [])
  const path = relPath('opt/x')
  const change: Change = { kind: 'replace', path, of: path, old: nodeOf(path, ''), new: nodeOf(path, '') }
  assert.deepEqual(await needed({ going, local, more: [change] }), [`${foo}: opt/x`])
})

test('where the tree is too large to know, all of them stay, and nobody is told to need them', async () => {
  const two = { ...going, 'lib/libbar.so.1': library(undefined), 'bin/sh': program() }
  const on = (disk: Disk): Disk => ({
    ...disk,
    readdir: async (path: RelPath) => (path === 'usr' ? Array<string>(2 << 20) : await disk.readdir(path)),
  })
  assert.deepEqual(await needed({ going: two, on }), [`${foo}:`, 'lib/libbar.so.1:'])
})

test('whoever asked may end it', async () => {
  const disk = memoryDisk()
  await plant(disk, going)
  const path = relPath(foo)
  const input = { disk, base: nodesOf(going), next: nodesOf({}), folders: [], signal: AbortSignal.abort() }
  await assert.rejects(neededLibraries(input, new Map([[path, { kind: 'remove', path, old: nodeOf(foo, '') }]])), { name: 'AbortError' })
})
