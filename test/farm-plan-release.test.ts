import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { planRelease } from '../src/engine/farm/plan-release.ts'
import { judgeRepository } from '../src/engine/farm/mirror-state.ts'
import { decodeFarmConfig } from '../src/format/farm-config.ts'
import type { ReleaseSources } from '../src/engine/farm/plan-release.ts'
import type { KnownUpdate } from '../src/port/farm-catalog.ts'
import type { Timestamp } from '../src/format/tuf.ts'

const day = 24 * 3600
const sources: ReleaseSources = {
  branch: 'errata',
  product: 'base',
  release: '7.6',
  from: '7.6',
  to: '7.6',
  revision: { name: 'now', seconds: undefined },
  archs: ['amd64', 'arm64'],
  changes: [
    { kind: 'added', path: '001_a.patch.sig' },
    { kind: 'added', path: '003_b.patch.sig' },
  ],
  commits: [
    { id: 'two', seconds: 2 * day, message: '003_b: a use after free', paths: ['003_b.patch.sig'] },
    { id: 'one', seconds: day, message: '001_a: more words', paths: ['001_a.patch.sig'] },
  ],
  level: 3,
  known: [],
}

test('all that has changed is one build an architecture, named by the newest change', () => {
  const { updates, superseded } = planRelease(sources)
  const [update] = updates
  assert.ok(update)
  assert.deepEqual([updates.length, superseded.builds], [1, []])
  assert.equal(update.isSecurity, true)
  assert.deepEqual(update.messages, ['003_b: a use after free', '001_a: more words'])
  assert.deepEqual(
    update.builds.map(({ packages }) => packages),
    [['base-7.6p3-19700103-amd64'], ['base-7.6p3-19700103-arm64']],
  )
})

test('the same again is nothing, another erratum supersedes what waits, and none at all is none to build', () => {
  const [update] = planRelease(sources).updates
  const known: KnownUpdate = {
    pkgpath: 'base',
    key: update?.key ?? '',
    builds: [
      { id: 1, arch: 'amd64', state: 'waiting' },
      { id: 2, arch: 'arm64', state: 'built' },
    ],
  }
  assert.deepEqual(planRelease({ ...sources, known: [known] }).updates, [])
  const commits = [{ id: 'three', seconds: 3 * day, message: '004_c: words', paths: ['004_c.patch.sig'] }, ...sources.commits]
  const changes = [...sources.changes, { kind: 'added' as const, path: '004_c.patch.sig' }]
  const next = planRelease({ ...sources, commits, changes, level: 4, known: [known] })
  assert.deepEqual([next.updates.length, next.superseded.builds], [1, [1]])
  assert.deepEqual(planRelease({ ...sources, commits: [], changes: [], level: 0 }).updates, [])
})

const least = `[release.base]
product = "base"
release = "15.1"
git = "/usr/src"
from = "release/15.1.0"
to = "releng/15.1"
command = "make -C /usr/src installworld"
root = "/build/%a"
base = "/build/base-%a.tar.zst"
repository = "repo"
archs = ["amd64"]
`

test('a farm of releases alone needs no key for packages', () => {
  const { key, branches, releases } = decodeFarmConfig(utf8(least))
  assert.deepEqual([key, branches.length, releases[0]?.source.kind, releases[0]?.work.kind], [undefined, 0, 'git', 'command'])
})

test('what a line of releases cannot be is told', () => {
  const refused = (text: string, message: RegExp): void =>
    assert.throws(
      () => decodeFarmConfig(utf8(text)),
      (error) => isBinderyError(error, 'bad-format') && message.test(error.message),
    )
  refused(least.replace('command =', 'cmd ='), /has 'cmd'/)
  refused(least.replace('git = "/usr/src"', 'errata = "/errata"'), /from says nothing with errata/)
  refused(least.replace('product = "base"', 'product = "a/b"'), /would be no name of a release/)
  refused(least.replace(/command = .*\n/, ''), /command is missing/)
  refused(`${least}errata-key = "k.pub"\n`, /errata-key says nothing without errata/)
  const branch = '[branch.base]\nrelease = "7.6"\ngit = "g"\nfrom = "a"\nto = "b"\narchs = ["amd64"]\n'
  refused(`${least}${branch}`, /key is missing/)
  refused(`key = "k.pub"\n${least}${branch}`, /have one name/)
})

test('a mirror of a repository is judged by its timestamp', () => {
  const stamp = (version: number, issued: number): Timestamp =>
    ({ kind: 'timestamp', version, expires: 10_000, issued, snapshot: { version: 1 }, extra: {} }) as unknown as Timestamp
  assert.deepEqual(judgeRepository(stamp(2, 9000), stamp(2, 9000)), { kind: 'current' })
  assert.deepEqual(judgeRepository(stamp(2, 9000), stamp(1, 4000)), { kind: 'behind', seconds: 5 })
  assert.deepEqual(judgeRepository(stamp(2, 9000), stamp(3, 9000)), { kind: 'other' })
})
