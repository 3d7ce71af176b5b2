import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromLatin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import {
  changedPaths,
  contentKey,
  isRelinked,
  nodeTree,
  sameAttributes,
  sameContent,
  sameFlags,
  sameMode,
  sameOwner,
  sameTime,
  sameXattrs,
} from '../src/engine/client/apply/nodes.ts'
import { relPath } from './helpers/plant.ts'
import type { Entry, FileEntry, Xattrs } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { NodeScope, NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Node } from '../src/format/journal-node.ts'

/** Manifests as plans see them, and what they compare. */

const mtime = { sec: 1_600_000_000, nsec: 5 }
const meta = (path: string) => ({ path: relPath(path), mode: 0o644, uid: 1, gid: 2, mtime })
const content = (text: string) => ({ size: text.length, sha256: sha256(fromLatin1(text)) })
const file = (path: string, text = path, more: Partial<FileEntry> = {}): FileEntry => ({
  kind: 'file',
  ...meta(path),
  ...content(text),
  ...more,
})
const also = (path: string, leader: string): Entry => ({ kind: 'hardlink', ...meta(path), leader: relPath(leader) })
const dir = (path: string): Node => ({ kind: 'dir', ...meta(path) })
const link = (path: string, target: string): Node => ({ kind: 'symlink', ...meta(path), target })
const device = (kind: 'char' | 'block', major: number, minor: number): Node => ({ kind, ...meta('d'), major, minor })
const attribute = (name: string, value = 'v'): Xattrs => new Map([[name, value]])

const all: NodeScope = { xattrs: true, flags: true, excluded: () => false }
const without = (...paths: readonly string[]): NodeScope => ({ ...all, excluded: (path) => paths.includes(path) })
const treeOf = (entries: readonly Entry[], scope = all): NodeTree => nodeTree({ entries }, scope)
const nodesOf = (entries: readonly Entry[], scope = all): readonly Node[] => [...treeOf(entries, scope).nodes.values()]

/** `a b`, once for each name that is known to be of it. */
const groupsOf = ({ groups }: NodeTree): Readonly<Record<string, string>> =>
  Object.fromEntries([...groups].map(([path, names]) => [path, names.join(' ')]))

// --- a manifest

test('every path stands for itself, another name of a file as a file, and owners are numbers', () => {
  const leader = file('a', 'x', { uname: 'daemon', gname: 'wheel' })
  const others = [dir('d'), link('l', 'a'), { ...device('char', 1, 2), path: relPath('n') }]
  const tree = treeOf([leader, { ...also('b', 'a'), uname: 'daemon', gname: 'wheel' }, ...others])
  assert.deepEqual(
    [...tree.nodes],
    [file('a', 'x'), file('b', 'x'), ...others].map((node) => [node.path, node]),
  )
})

test('all names of a file are known by each of them, its leader first, and under which name a dist holds it', () => {
  const tree = treeOf([file('a'), also('b', 'a'), also('c', 'a'), file('x'), also('y', 'x'), file('z')])
  assert.deepEqual(groupsOf(tree), { a: 'a b c', b: 'a b c', c: 'a b c', x: 'x y', y: 'x y' })
  assert.deepEqual(
    [...tree.leaders],
    [
      ['b', 'a'],
      ['c', 'a'],
      ['y', 'x'],
    ],
  )
})

test('what is ignored is no path of the tree and of no group; its other names still have their content', () => {
  const entries = [file('a', 'x'), also('b', 'a'), also('c', 'a'), file('z')]
  const tree = treeOf(entries, without('a', 'z'))
  assert.deepEqual([...tree.nodes.values()], [file('b', 'x'), file('c', 'x')])
  assert.deepEqual(groupsOf(tree), { a: 'b c', b: 'b c', c: 'b c' })
  assert.deepEqual(
    [...tree.leaders],
    [
      ['b', 'a'],
      ['c', 'a'],
    ],
  )
  const other = treeOf(entries, without('b'))
  assert.deepEqual([groupsOf(other), [...other.leaders]], [{ a: 'a c', c: 'a c' }, [['c', 'a']]])
})

test('no release brings a socket', () => {
  assert.deepEqual(
    nodesOf([
      { kind: 'socket', ...meta('s') },
      { kind: 'fifo', ...meta('p') },
    ]),
    [{ kind: 'fifo', ...meta('p') }],
  )
})

test('flags and attributes count where they can be set, and those of the machine never', () => {
  const labelled = new Map([...attribute('security.selinux', 'label'), ...attribute('user.a')])
  const given = file('a', 'x', { flags: ['arch', 'schg'], xattrs: labelled })
  const [flags, xattrs] = [['schg'], attribute('user.a')]
  const ways: readonly (readonly [Partial<NodeScope>, Partial<FileEntry>])[] = [
    [{}, { flags, xattrs }],
    [{ flags: false }, { xattrs }],
    [{ xattrs: false }, { flags }],
    [{ flags: false, xattrs: false }, {}],
  ]
  for (const [scope, kept] of ways) assert.deepEqual(nodesOf([given], { ...all, ...scope }), [file('a', 'x', kept)])
  const machines = { flags: ['uarch'], xattrs: attribute('security.selinux', 'label') }
  for (const nothing of [machines, { flags: [], xattrs: new Map() }, {}])
    assert.deepEqual(nodesOf([file('a', 'x', nothing)]), [file('a', 'x')])
})

test('another name has the attributes that its own line says, and not those of its leader', () => {
  const entries = [file('a', 'x', { flags: ['schg'], xattrs: attribute('user.a') }), { ...also('b', 'a'), mode: 0o600, flags: ['uchg'] }]
  assert.deepEqual(nodesOf(entries)[1], file('b', 'x', { mode: 0o600, flags: ['uchg'] }))
})

// --- compared

test('the content of a node is what it is without its attributes', () => {
  const { sha256: digest } = content('x')
  const keys: readonly (readonly [Node, string])[] = [
    [file('a', 'x'), `file 1 ${digest}`],
    [link('a', 'x'), 'symlink x'],
    [device('char', 1, 2), 'char 1 2'],
    [device('block', 1, 2), 'block 1 2'],
    [dir('a'), 'dir'],
    [{ kind: 'fifo', ...meta('a') }, 'fifo'],
    [{ kind: 'socket', ...meta('a') }, 'socket'],
  ]
  for (const [node, key] of keys) assert.equal(contentKey(node), key)
  for (const [one] of keys) for (const [other] of keys) assert.equal(sameContent(one, { ...other, mode: 0 }), one === other)
  assert.equal(sameContent(file('a', 'x'), file('a', 'x', { size: 2 })), false)
  assert.equal(sameContent(device('char', 1, 2), device('char', 2, 2)), false)
})

test('attributes are the same when mode, owner, time, flags and extended attributes are', () => {
  const one = file('a', 'x', { flags: ['a', 'b'], xattrs: attribute('user.a') })
  const bare = file('a', 'x')
  type Kind = 'mode' | 'owner' | 'time' | 'flags' | 'xattrs'
  const checks = { mode: sameMode, owner: sameOwner, time: sameTime, flags: sameFlags, xattrs: sameXattrs }
  const ways: readonly (readonly [Node, Node, Kind?])[] = [
    [one, { ...one }],
    [one, { ...one, path: relPath('b'), size: 9 }],
    [one, { ...one, mode: 0o600 }, 'mode'],
    [one, { ...one, uid: 9 }, 'owner'],
    [one, { ...one, gid: 9 }, 'owner'],
    [one, { ...one, mtime: { ...mtime, sec: 1 } }, 'time'],
    [one, { ...one, mtime: { ...mtime, nsec: 1 } }, 'time'],
    [one, { ...one, flags: ['a'] }, 'flags'],
    [one, { ...one, flags: ['ab'] }, 'flags'],
    [one, { ...one, flags: [] }, 'flags'],
    [bare, { ...bare, flags: [] }],
    [bare, { ...bare, flags: ['a'] }, 'flags'],
    [bare, { ...bare, xattrs: new Map() }],
    [bare, { ...bare, xattrs: attribute('user.a') }, 'xattrs'],
    [one, { ...one, xattrs: attribute('user.a', 'w') }, 'xattrs'],
    [one, { ...one, xattrs: attribute('user.b') }, 'xattrs'],
    [one, { ...one, xattrs: new Map([...attribute('user.a'), ...attribute('user.b')]) }, 'xattrs'],
  ]
  for (const [a, b, other] of ways) {
    for (const [name, same] of Object.entries(checks))
      for (const [left, right] of [
        [a, b],
        [b, a],
      ] as const)
        assert.equal(same(left, right), name !== other, `${name} of ${other}`)
    assert.equal(sameAttributes(a, b), other === undefined)
  }
})

test('of several extended attributes each counts', () => {
  const two = (value: string): Node => file('a', 'x', { xattrs: new Map([...attribute('user.a'), ...attribute('user.b', value)]) })
  assert.deepEqual([sameXattrs(two('v'), two('v')), sameXattrs(two('v'), two('w'))], [true, false])
})

test('the mode of a symbolic link means nothing, that of a file in its place does', () => {
  assert.equal(sameMode(link('a', 'x'), { ...link('a', 'x'), mode: 0o755 }), true)
  for (const [a, b] of [
    [link('a', 'x'), file('a', 'x', { mode: 0o755 })],
    [file('a', 'x', { mode: 0o755 }), link('a', 'x')],
  ] as const)
    assert.equal(sameMode(a, b), false)
})

// --- from one tree to the next

test('a step is about what came, went, and became another content or got other attributes or names, in byte order', () => {
  const base = treeOf([file('z', '1'), file('same'), file('went'), file('mode'), file('a', 'x'), also('b', 'a'), file('c', 'x')])
  const next = treeOf([
    file('z', '2'),
    file('same'),
    file('came'),
    file('mode', 'mode', { mode: 0o600 }),
    file('a', 'x'),
    also('b', 'a'),
    also('c', 'a'),
  ])
  assert.deepEqual(changedPaths(base, next), ['a', 'b', 'c', 'came', 'mode', 'went', 'z'])
  assert.deepEqual(changedPaths(base, base), [])
})

test('a path is linked anew when the names that share its file are others', () => {
  const alone = [file('a'), file('b', 'a'), file('c', 'a')]
  const ab = [file('a'), also('b', 'a'), file('c', 'a')]
  const ac = [file('a'), file('b', 'a'), also('c', 'a')]
  const abc = [file('a'), also('b', 'a'), also('c', 'a')]
  const ways: readonly (readonly [readonly Entry[], readonly Entry[], string])[] = [
    [alone, alone, ''],
    [ab, ab, ''],
    [alone, ab, 'a b'],
    [ab, alone, 'a b'],
    [ab, ac, 'a b c'],
    [ab, abc, 'a b c'],
    [abc, ab, 'a b c'],
  ]
  for (const [base, next, paths] of ways) {
    const [old, wanted] = [treeOf(base), treeOf(next)]
    const found = ['a', 'b', 'c'].filter((path) => isRelinked(old, wanted, path as RelPath))
    assert.equal(found.join(' '), paths)
    assert.equal(changedPaths(old, wanted).join(' '), paths)
  }
})
