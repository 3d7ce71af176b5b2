import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planBuilds } from '../src/engine/farm/plan.ts'
import type { Commit } from '../src/base/source-change.ts'
import type { BuildState } from '../src/port/farm-build.ts'
import type { KnownUpdate, SourcePlan } from '../src/port/farm-catalog.ts'
import type { Sources } from '../src/engine/farm/plan.ts'

const port = (pkgpath: string, facts: object = {}): readonly [string, readonly [never]] => [
  pkgpath,
  [{ fullpkgpath: pkgpath, onlyFor: undefined, notFor: [], broken: [], ...facts }] as unknown as readonly [never],
]

const commit = (id: string, message: string, ...paths: readonly string[]): Commit => ({ id, seconds: 0, message, paths })

const base: Sources = {
  branch: '7.6',
  from: 'release',
  to: 'stable',
  revision: { name: 'stable', seconds: undefined },
  archs: ['amd64', 'arm64'],
  changes: ['net/a/Makefile', 'net/b/Makefile'].map((path) => ({ kind: 'changed', path })),
  commits: [commit('1', 'update a', 'net/a/Makefile'), commit('2', 'fix CVE-2026-1234', 'net/b/Makefile')],
  list: { ports: new Map([port('net/a'), port('net/b', { onlyFor: ['amd64'] })]), source: 'test' },
  cves: new Map(),
  known: [],
}

/** As the catalog would have it after the plan was applied. */
function applied(plan: SourcePlan, state: BuildState, known: readonly KnownUpdate[] = []): readonly KnownUpdate[] {
  const fresh = new Map(plan.updates.map((one) => [one.pkgpath, one]))
  const made = plan.updates.map(({ pkgpath, key, builds }, index) => ({
    pkgpath,
    key,
    builds: builds.map(({ arch }, at) => ({ id: index * 10 + at + 1, arch, state })),
  }))
  return [...known.filter(({ pkgpath }) => !fresh.has(pkgpath)), ...made]
}

const buildsOf = ({ updates }: SourcePlan): readonly string[] =>
  updates.flatMap(({ pkgpath, builds }) => builds.map(({ arch, priority }) => `${pkgpath} ${arch} ${priority}`))

test('each port on each architecture that can have it, security first', () => {
  const plan = planBuilds(base)
  assert.deepEqual(buildsOf(plan), ['net/a amd64 0', 'net/a arm64 0', 'net/b amd64 100'])
  assert.deepEqual(
    plan.updates.map(({ cves, messages }) => [cves, messages]),
    [
      [[], ['update a']],
      [['CVE-2026-1234'], ['fix CVE-2026-1234']],
    ],
  )
})

test('the same sources come to nothing, and to the same digest', () => {
  const first = planBuilds(base)
  const again = planBuilds({ ...base, known: applied(first, 'built') })
  assert.deepEqual([again.updates, again.superseded.builds, again.digest], [[], [], first.digest])
})

test('another commit to the same file is another state, and supersedes what is not built yet', () => {
  const known = applied(planBuilds(base), 'waiting')
  const commits = [commit('3', 'once more', 'net/a/Makefile'), ...base.commits]
  const plan = planBuilds({ ...base, commits, known })
  assert.deepEqual(buildsOf(plan), ['net/a amd64 0', 'net/a arm64 0'])
  assert.deepEqual(plan.superseded.builds, [1, 2])
  for (const state of ['built', 'handed-over', 'signed', 'published', 'superseded'] as const)
    assert.deepEqual(planBuilds({ ...base, commits, known: applied(planBuilds(base), state) }).superseded.builds, [], state)
})

test('a change that was taken back leaves nothing to build', () => {
  const known = applied(planBuilds(base), 'failed')
  const plan = planBuilds({ ...base, changes: base.changes.slice(1), commits: base.commits.slice(1), known })
  assert.deepEqual([plan.updates, plan.superseded.builds], [[], [1, 2]])
})

test('a new architecture is built for what is known, and nothing else is', () => {
  const known = applied(planBuilds({ ...base, archs: ['amd64'] }), 'published')
  assert.deepEqual(buildsOf(planBuilds({ ...base, known })), ['net/a arm64 0'])
})
