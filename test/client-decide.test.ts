import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../src/base/digest.ts'
import { utf8 } from '../src/base/bytes.ts'
import { decide, mergeAttributes, withAttributesOf } from '../src/engine/client/apply/decide.ts'
import type { DirEntry, FileEntry, SymlinkEntry } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Decision, Situation } from '../src/engine/client/apply/decide.ts'

/** One path, three states: what bindery put there, what shall be there, what is (doc/spec/client-state.md). */

const path = 'etc/thing' as RelPath
const meta = { path, mode: 0o644, uid: 0, gid: 0 }

function file(content: string, sec: number, more: Partial<FileEntry> = {}): FileEntry {
  return { ...meta, kind: 'file', mtime: { sec, nsec: 0 }, size: content.length, sha256: sha256(utf8(content)), ...more }
}
const folder = (sec: number, more: Partial<DirEntry> = {}): DirEntry => ({ ...meta, kind: 'dir', mtime: { sec, nsec: 0 }, ...more })
const link = (target: string, sec: number): SymlinkEntry => ({ ...meta, kind: 'symlink', mtime: { sec, nsec: 0 }, target })

const decided = (situation: Partial<Situation>): Decision => decide({ path, guarded: false, relinked: false, ...situation })
const keep = { kind: 'keep' }
const [old, next, own] = [file('old', 10), file('new', 20), file('own', 30)]

test('what goes is removed where it is still ours, and stays otherwise', () => {
  assert.deepEqual(decided({ base: old, live: old }), { kind: 'remove', old })
  assert.deepEqual(decided({ base: old, live: { ...old, mode: 0o600 } }), { kind: 'remove', old: { ...old, mode: 0o600 } })
  assert.deepEqual(decided({ base: old, live: own }), { kind: 'kept', reason: 'modified' })
  assert.deepEqual(decided({ base: old, live: old, guarded: true }), { kind: 'kept', reason: 'protected' })
  for (const gone of [{ base: old }, { live: own }, {}]) assert.deepEqual(decided(gone), keep)
})

test('what comes is put where nothing is, and never over anything', () => {
  assert.deepEqual(decided({ next }), { kind: 'add', new: next })
  assert.deepEqual(decided({ next, live: { ...next, mode: 0o600 } }), keep)
  assert.deepEqual(decided({ next, live: own }), { kind: 'kept', reason: 'in-the-way', beside: next })
  assert.deepEqual(decided({ next: folder(20), live: own }), { kind: 'blocked' })
  assert.deepEqual(decided({ next: folder(20), live: folder(30) }), keep)
})

test('a new content takes the place of the old one, and of nothing else', () => {
  assert.deepEqual(decided({ base: old, next, live: old }), { kind: 'replace', old, new: next, told: undefined })
  assert.deepEqual(decided({ base: old, next }), { kind: 'kept', reason: 'removed' })
  assert.deepEqual(decided({ base: old, next, live: own }), { kind: 'kept', reason: 'modified', beside: next })
  assert.deepEqual(decided({ base: old, next, live: old, guarded: true }), { kind: 'kept', reason: 'protected', beside: next })
  assert.deepEqual(decided({ base: old, next: folder(20), live: own }), { kind: 'blocked' })
  assert.deepEqual(decided({ base: old, next: folder(20), live: old, guarded: true }), {
    kind: 'replace',
    old,
    new: folder(20),
    told: undefined,
  })
  assert.deepEqual(decided({ base: old, next: link('x', 20), live: old }), { kind: 'replace', old, new: link('x', 20), told: undefined })
})

test('the new content is there already: its attributes come alone', () => {
  assert.deepEqual(decided({ base: old, next, live: next }), keep)
  const live = file('new', 30)
  assert.deepEqual(decided({ base: old, next, live }), keep)
  const wanted = { ...next, mode: 0o755 }
  assert.deepEqual(decided({ base: old, next: wanted, live }), { kind: 'attr', old: live, new: { ...live, mode: 0o755 }, told: undefined })
})

test('a file that joins other names is another inode, though its content is the same', () => {
  const same = file('old', 20)
  assert.deepEqual(decided({ base: old, next: same, live: old, relinked: true }), { kind: 'replace', old, new: same, told: undefined })
  assert.deepEqual(decided({ base: old, next: same, live: own, relinked: true }), { kind: 'kept', reason: 'modified', beside: same })
})

test('attributes of the release come to whatever content is here', () => {
  const wanted = { ...file('old', 20), mode: 0o755 }
  assert.deepEqual(decided({ base: old, next: wanted, live: old }), { kind: 'attr', old, new: wanted, told: undefined })
  assert.deepEqual(decided({ base: old, next: wanted }), { kind: 'kept', reason: 'removed' })
  assert.deepEqual(decided({ base: old, next: wanted, live: own }), {
    kind: 'attr',
    old: own,
    new: { ...own, mode: 0o755 },
    told: 'modified',
  })
  assert.deepEqual(decided({ base: old, next: file('old', 20), live: own }), { kind: 'kept', reason: 'modified' })
  assert.deepEqual(decided({ base: old, next: wanted, live: folder(30) }), { kind: 'kept', reason: 'modified' })
  assert.deepEqual(decided({ base: folder(10), next: folder(20), live: own }), { kind: 'blocked' })
  assert.deepEqual(decided({ base: folder(10), next: folder(20) }), { kind: 'kept', reason: 'removed' })
  // A time alone: of the release where nobody has worked on it.
  assert.deepEqual(decided({ base: old, next: file('old', 20), live: old }), { kind: 'attr', old, new: file('old', 20), told: undefined })
  assert.deepEqual(decided({ base: old, next: file('old', 20), live: file('old', 30) }), keep)
  assert.deepEqual(decided({ base: old, next: old, live: old }), keep)
})

test('a mode that was set here stays, and is told where the release has set another', () => {
  const [private_, open] = [0o600, 0o755]
  const live = { ...old, mode: private_ }
  assert.deepEqual(decided({ base: old, next, live }), { kind: 'replace', old: live, new: { ...next, mode: private_ }, told: undefined })
  assert.deepEqual(decided({ base: old, next: { ...next, mode: open }, live }), {
    kind: 'replace',
    old: live,
    new: { ...next, mode: private_ },
    told: 'attributes',
  })
  assert.deepEqual(decided({ base: old, next: { ...old, mode: open }, live }), { kind: 'attr', old: live, new: live, told: 'attributes' })
  const both = { ...own, mode: private_ }
  assert.deepEqual(decided({ base: old, next: { ...old, mode: open }, live: both }), {
    kind: 'attr',
    old: both,
    new: both,
    told: 'attributes',
  })
})

test('a merged content comes with the attributes of both, and the time of the merge', () => {
  const merged = { size: 4, sha256: sha256(utf8('both')), mtime: { sec: 99, nsec: 0 } }
  const live = { ...own, mode: 0o600 }
  const content = { size: 4, sha256: merged.sha256 }
  assert.deepEqual(decided({ base: old, next, live, merged }), {
    kind: 'replace',
    old: live,
    new: { ...next, ...content, mode: 0o600, mtime: merged.mtime },
    told: undefined,
  })
  const told = decided({ base: old, next: { ...next, mode: 0o755 }, live, merged })
  assert.deepEqual(told.kind === 'replace' && told.told, 'attributes')
  // All that was changed here is in the release.
  const ofRelease = { size: next.size, sha256: next.sha256, mtime: merged.mtime }
  const taken = decided({ base: old, next, live: own, merged: ofRelease })
  assert.deepEqual(taken, { kind: 'replace', old: own, new: next, told: undefined })
  // All that was changed in the release is here.
  const here = { size: own.size, sha256: own.sha256, mtime: merged.mtime }
  assert.deepEqual(decided({ base: old, next, live: own, merged: here }), keep)
  assert.deepEqual(decided({ base: old, next: { ...next, mode: 0o755 }, live: own, merged: here }), {
    kind: 'attr',
    old: own,
    new: { ...own, mode: 0o755 },
    told: undefined,
  })
  // What is no file any more is not merged.
  assert.deepEqual(decided({ base: old, next: link('x', 20), live: own, merged }), {
    kind: 'kept',
    reason: 'modified',
    beside: link('x', 20),
  })
})

test('what the system makes anew gives way to a new content, and is left alone by the same', () => {
  const generated = true
  assert.deepEqual(decided({ base: old, next: old, live: own, generated }), keep)
  assert.deepEqual(decided({ base: old, next: old, generated }), keep)
  assert.deepEqual(decided({ base: old, next, generated }), { kind: 'add', new: next })
  assert.deepEqual(decided({ next, generated }), { kind: 'add', new: next })
  assert.deepEqual(decided({ base: old, generated }), keep)
  assert.deepEqual(decided({ base: old, next, live: own, generated }), { kind: 'replace', old: own, new: next, told: undefined })
  assert.deepEqual(decided({ next, live: own, generated }), { kind: 'replace', old: own, new: next, told: undefined })
  assert.deepEqual(decided({ base: old, live: own, generated }), { kind: 'remove', old: own })
  assert.deepEqual(decided({ base: old, next, live: link('x', 30), generated }).kind, 'replace')
  // A folder is not made anew: what is in it may be others'.
  assert.deepEqual(decided({ base: old, next, live: folder(30), generated }), { kind: 'kept', reason: 'modified', beside: next })
  assert.deepEqual(decided({ base: old, next: { ...old, mode: 0o755 }, live: link('x', 30), generated }), keep)
})

test('each kind of attribute is merged on its own', () => {
  const xattrs = (value: string): Partial<FileEntry> => ({ xattrs: new Map([['user.a', value]]) })
  for (const [release, here] of [
    [{ mode: 0o755 }, { mode: 0o600 }],
    [{ uid: 5 }, { uid: 6 }],
    [{ gid: 5 }, { gid: 6 }],
    [{ flags: ['schg'] }, { flags: ['nodump'] }],
    [xattrs('1'), xattrs('2')],
  ] as const) {
    const [wanted, live] = [
      { ...next, ...release },
      { ...old, ...here },
    ]
    assert.deepEqual(mergeAttributes(old, wanted, old), { merged: wanted, clash: false })
    assert.deepEqual(mergeAttributes(old, next, live), { merged: { ...next, ...here }, clash: false })
    assert.deepEqual(mergeAttributes(old, wanted, { ...old, ...release }), { merged: wanted, clash: false })
    assert.deepEqual(mergeAttributes(old, wanted, live), { merged: { ...next, ...here }, clash: true })
  }
  const mixed = mergeAttributes(old, { ...next, mode: 0o755 }, { ...old, uid: 6 })
  assert.deepEqual(mixed, { merged: { ...next, mode: 0o755, uid: 6 }, clash: false })
  // Between kinds there is nothing to merge.
  for (const [base, live] of [
    [folder(10, { mode: 0o700 }), { ...old, mode: 0o600 }],
    [old, folder(10, { mode: 0o700 })],
  ] as const)
    assert.deepEqual(mergeAttributes(base, next, live), { merged: next, clash: false })
})

test('attributes that are taken from a node are gone', () => {
  const rich = file('old', 10, { flags: ['schg'], xattrs: new Map([['user.a', '1']]) })
  assert.deepEqual(withAttributesOf(rich, next), { ...old, mtime: next.mtime })
  assert.deepEqual(withAttributesOf(old, rich), rich)
})
