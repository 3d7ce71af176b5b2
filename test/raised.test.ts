import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromLatin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isMeant } from '../src/engine/client/apply/meant.ts'
import { raisedPaths } from '../src/engine/client/apply/raised.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { plant, relPath } from './helpers/plant.ts'
import type { FileEntry, Xattrs } from '../src/base/entry.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { Stat } from '../src/port/disk.ts'

/** Files that come to let others do more than before, and whoever may write to them meanwhile. */

const path = relPath('bin/f')
const meta = { path, mode: 0o755, uid: 0, gid: 0, mtime: { sec: 1, nsec: 0 } }

const able = (value = 'cap'): Xattrs => new Map([['security.capability', value]])

function file(text: string, more: Partial<FileEntry> = {}): FileEntry {
  return { kind: 'file', ...meta, size: text.length, sha256: sha256(fromLatin1(text)), ...more }
}

const treeOf = (node: Node | undefined): NodeTree => ({
  nodes: new Map(node === undefined ? [] : [[path, node]]),
  groups: new Map(),
  leaders: new Map(),
})

const raised = (old: Node | undefined, next: Node | undefined): boolean => raisedPaths(treeOf(old), treeOf(next)).has(path)

test('a file is exchanged that comes to be able to do something, or ceases to, where another than its owner may write to it', () => {
  const plain = file('x')
  const shared = 0o020
  const ways: readonly (readonly [string, Partial<FileEntry>, Partial<FileEntry>, boolean])[] = [
    ['setuid, which its owner alone may write to', {}, { mode: 0o4755 }, false],
    ['setuid, and its group may write to it', { mode: 0o755 | shared }, { mode: 0o4755 }, true],
    ['setuid, and its group may write to it then', {}, { mode: 0o4755 | shared }, true],
    ['setuid, and everybody may write to it', { mode: 0o757 }, { mode: 0o4755 }, true],
    ['setuid for another owner', { uid: 7 }, { mode: 0o4755 }, true],
    ['setuid for another group', { gid: 7 }, { mode: 0o4755 }, true],
    ['setgid for another owner', { uid: 7 }, { mode: 0o2755 }, true],
    ['still setuid, and of another owner', { uid: 7, mode: 0o4755 }, { mode: 0o4755 }, true],
    ['still setuid, and no longer open to its group', { mode: 0o4775 }, { mode: 0o4755 }, false],
    ['setgid beside setuid', { mode: 0o4775 }, { mode: 0o6755 }, true],
    ['setuid no more, and open to its group', { mode: 0o4755 }, { mode: 0o775 }, true],
    ['of another owner alone', { uid: 7 }, {}, false],
    ['sticky, and open to all', { mode: 0o777 }, { mode: 0o1777 }, false],
    ['able to do something, and open to its group', { mode: 0o775 }, { xattrs: able() }, true],
    ['able to do something, of one owner', {}, { xattrs: able() }, false],
    ['able to do something else, of one owner', { xattrs: able('less') }, { xattrs: able() }, false],
    ['able to do something else, and open to all', { xattrs: able('less'), mode: 0o757 }, { xattrs: able() }, true],
    ['able to do as before, and no longer open to its group', { xattrs: able(), mode: 0o775 }, { xattrs: able() }, false],
    ['able to do as before, of another owner', { xattrs: able(), uid: 7 }, { xattrs: able() }, true],
    ['able to do something no more', { xattrs: able(), mode: 0o775 }, {}, true],
  ]
  for (const [what, from, to, expected] of ways) {
    const [old, next] = [
      { ...plain, ...from },
      { ...plain, ...to },
    ]
    assert.equal(raised(old, next), expected, what)
    // Whoever goes back goes the same way.
    assert.equal(raised(next, old), expected, `${what}, back`)
  }
})

test('what comes, goes, or has another content is another file anyway', () => {
  const [plain, setuid] = [file('x', { uid: 7 }), file('x', { mode: 0o4755 })]
  assert.equal(raised(plain, setuid), true)
  const link: Node = { kind: 'symlink', ...meta, target: 'x' }
  const folder: Node = { kind: 'dir', ...meta }
  const ways: readonly (readonly [Node | undefined, Node | undefined])[] = [
    [undefined, setuid],
    [plain, undefined],
    [file('y', { uid: 7 }), setuid],
    [link, setuid],
    [plain, link],
    [
      { ...folder, uid: 7 },
      { ...folder, mode: 0o2755 },
    ],
  ]
  for (const [old, next] of ways) assert.equal(raised(old, next), false)
})

// --- whether a file that is there is the one that is to be changed

type Met = { readonly live: Partial<Stat>; readonly old: Node; readonly next: Node; readonly looksAlike: boolean; readonly holds: string }

const owned = file('x', { uid: 7, gid: 8, mode: 0o644 })
const usual: Met = { live: {}, old: owned, next: { ...owned, mode: 0o600 }, looksAlike: true, holds: 'x' }

async function meant(met: Partial<Met>): Promise<boolean> {
  const { live, old, next, looksAlike, holds } = { ...usual, ...met }
  const disk = memoryDisk()
  await plant(disk, { [path]: holds })
  const stat = { ...((await disk.lstat(path)) as Stat), uid: old.uid, gid: old.gid, mode: old.mode, ...live }
  return await isMeant(disk, path, { live: stat, old, next, looksAlike })
}

test('a file is meant that has the owner and the mode of before or behind, in whatever order they come', async () => {
  const next = file('x', { uid: 1, gid: 2, mode: 0o600 })
  const ways: readonly (readonly [Partial<Stat>, boolean])[] = [
    [{}, true],
    [{ uid: 1, gid: 2 }, true],
    [{ mode: 0o600 }, true],
    [{ uid: 1, gid: 2, mode: 0o600 }, true],
    [{ uid: 1 }, false],
    [{ gid: 2 }, false],
    [{ uid: 9 }, false],
    [{ mode: 0o640 }, false],
    [{ mode: 0o4644 }, false],
    [{ kind: 'fifo' }, false],
    [{ kind: 'dir' }, false],
  ]
  for (const [live, expected] of ways) assert.equal(await meant({ live, next }), expected, JSON.stringify(live))
})

test('chown(2) takes setuid and setgid away, of the old mode as of the new one', async () => {
  const old = file('x', { mode: 0o6755 })
  for (const mode of [0o6755, 0o755]) assert.equal(await meant({ old, next: file('x', { uid: 9, mode: 0o700 }), live: { mode } }), true)
  const next = file('x', { mode: 0o6711 })
  for (const mode of [0o6711, 0o711]) assert.equal(await meant({ old, next, live: { mode } }), true)
  for (const mode of [0o4755, 0o2711, 0o1755]) assert.equal(await meant({ old, next, live: { mode } }), false)
})

test('of a symbolic link, a folder or a device no more is asked than that it is one', async () => {
  const link: Node = { kind: 'symlink', ...meta, target: 'x' }
  const met = { looksAlike: false, holds: 'other' }
  assert.equal(await meant({ ...met, old: link, next: link, live: { kind: 'symlink', uid: 9, mode: 0 } }), true)
  assert.equal(await meant({ ...met, old: link, next: link }), false)
  const folder: Node = { kind: 'dir', ...meta }
  assert.equal(await meant({ ...met, old: folder, next: { ...folder, mode: 0o2700 }, live: { kind: 'dir', nlink: 5 } }), true)
  assert.equal(await meant({ ...met, old: folder, next: folder, live: { kind: 'dir', uid: 9 } }), false)
  const pipe: Node = { kind: 'fifo', ...meta }
  assert.equal(await meant({ ...met, old: pipe, next: { ...pipe, mode: 0o4755 }, live: { kind: 'fifo', nlink: 2 } }), true)
})

test('what its owner writes to meanwhile, as a log, is still meant, but for a file with another name', async () => {
  assert.equal(await meant({ looksAlike: false, holds: 'x and more' }), true)
  assert.equal(await meant({ looksAlike: false, live: { nlink: 2 } }), false)
  assert.equal(await meant({ looksAlike: true, live: { nlink: 2 }, holds: 'y' }), true)
})

test('of a file that comes to let others do more, the content is read', async () => {
  const more: readonly (readonly [string, Partial<FileEntry>, Partial<FileEntry>])[] = [
    ['setuid', {}, { mode: 0o4755 }],
    ['setgid', {}, { mode: 0o2755 }],
    ['setgid beside setuid', { mode: 0o4755 }, { mode: 0o6755 }],
    ['setuid for somebody else', { mode: 0o4755, uid: 7 }, { mode: 0o4755, uid: 9 }],
    ['able to do something', {}, { xattrs: able() }],
  ]
  for (const [what, from, to] of more) {
    const met = { old: file('x', from), next: file('x', to) }
    assert.equal(await meant(met), true, what)
    assert.equal(await meant({ ...met, holds: 'y' }), false, what)
    assert.equal(await meant({ ...met, looksAlike: false }), false, what)
  }
  const same: readonly (readonly [string, Partial<FileEntry>, Partial<FileEntry>])[] = [
    ['as before', {}, { mode: 0o600 }],
    ['setuid as before', { mode: 0o4755 }, { mode: 0o4711 }],
    ['setuid no more', { mode: 0o4755 }, { mode: 0o755 }],
    ['of somebody else', { uid: 7 }, { uid: 9 }],
    ['sticky', {}, { mode: 0o1755 }],
    ['able to do it no more', { xattrs: able() }, {}],
  ]
  for (const [what, from, to] of same) assert.equal(await meant({ old: file('x', from), next: file('x', to), holds: 'y' }), true, what)
})

test('nobody reads what is not to do more, nor what does not look alike', async () => {
  const disk = { ...memoryDisk(), digest: async () => await Promise.reject(new Error('was read')) }
  await plant(disk, { [path]: 'x' })
  const live = { ...((await disk.lstat(path)) as Stat), mode: 0o755 }
  const next = file('x', { mode: 0o700 })
  assert.equal(await isMeant(disk, path, { live, old: file('x'), next, looksAlike: false }), true)
  assert.equal(await isMeant(disk, path, { live, old: file('x'), next: { ...next, mode: 0o4755 }, looksAlike: false }), false)
})
