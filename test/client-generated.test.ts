import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '../src/base/digest.ts'
import { utf8 } from '../src/base/bytes.ts'
import { decide } from '../src/engine/client/apply/decide.ts'
import type { FileEntry } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Decision } from '../src/engine/client/apply/decide.ts'

const path = 'usr/sbin/sshd' as RelPath

function file(content: string, mode: number, sec: number): FileEntry {
  return { path, kind: 'file', mode, uid: 0, gid: 0, mtime: { sec, nsec: 0 }, size: content.length, sha256: sha256(utf8(content)) }
}

const decided = (base: FileEntry, next: FileEntry, live: FileEntry): Decision =>
  decide({ path, base, next, live, guarded: false, generated: true, relinked: false })

test('of a path that the system makes anew, a release that brings the same content brings its mode, and leaves the content that is there', () => {
  const live = file('linked here', 0o4755, 30)
  assert.deepEqual(decided(file('linked', 0o4755, 10), file('linked', 0o755, 20), live), {
    kind: 'attr',
    old: live,
    new: { ...live, mode: 0o755 },
    told: undefined,
  })
})

test('one that was not made anew takes the time of the release', () => {
  const live = file('linked', 0o755, 10)
  assert.deepEqual(decided(live, file('linked', 0o755, 20), live), {
    kind: 'attr',
    old: live,
    new: file('linked', 0o755, 20),
    told: undefined,
  })
  assert.deepEqual(decided(live, file('linked', 0o755, 20), file('linked here', 0o755, 30)), { kind: 'keep' })
})

test('a new content comes, and a mode that somebody here has set stays', () => {
  const live = file('linked here', 0o700, 30)
  assert.deepEqual(decided(file('linked', 0o755, 10), file('new', 0o755, 20), live), {
    kind: 'replace',
    old: live,
    new: file('new', 0o700, 20),
    told: undefined,
  })
})
