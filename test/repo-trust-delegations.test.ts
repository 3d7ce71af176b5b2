import { deepEqual as sameContent } from 'node:assert'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sha256 } from '../src/base/digest.ts'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { matchesPath } from '../src/engine/repo/delegations.ts'
import { sourceName } from '../src/engine/repo/role-files.ts'
import { clientOf, simulate } from './helpers/tuf-simulator.ts'
import { ed25519Signer } from './helpers/tuf-signers.ts'
import type { Client, Simulator } from './helpers/tuf-simulator.ts'

type Edge = readonly [delegator: string, role: string, options?: { readonly terminating?: true; readonly patterns?: readonly string[] }]

/** A repository with these delegations, and a client that has refreshed. */
async function graph(
  edges: readonly Edge[],
  targets: readonly (readonly [role: string, path: string])[] = [],
): Promise<{ sim: Simulator; client: Client }> {
  const sim = simulate()
  for (const [delegator, name, options] of edges) {
    sim.delegate(delegator, {
      name,
      terminating: options?.terminating ?? false,
      scope: { kind: 'paths', patterns: options?.patterns ?? ['*'] },
    })
  }
  for (const [role, path] of targets) sim.addTarget(role, path, `${path} by ${role}`)
  sim.publish(...new Set(edges.map(([, name]) => name)), 'targets', 'snapshot', 'timestamp')
  return { sim, client: clientOf(sim) }
}

/** The roles that a search asks the repository for, in order. */
async function visits(edges: readonly Edge[], path: string): Promise<string> {
  const { sim, client } = await graph(edges)
  const trust = await client.refresh()
  sim.requests.length = 0
  assert.equal(await trust.target(path), undefined)
  return sim.requests.map((file) => file.replace(/^1\.|\.json$/g, '')).join(' ')
}

test('delegations are searched depth first, in their order', async () => {
  assert.equal(await visits([['targets', 'A']], 'x'), 'A')
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['B', 'C'],
      ],
      'x',
    ),
    'A B C',
  )
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C'],
        ['A', 'D'],
      ],
      'x',
    ),
    'A C D B',
  )
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C'],
        ['C', 'D'],
      ],
      'x',
    ),
    'A C D B',
  )
})

test('a terminating delegation ends the search with its own descendants', async () => {
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C', { terminating: true }],
        ['A', 'D'],
      ],
      'x',
    ),
    'A C',
  )
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['A', 'C', { terminating: true }],
        ['C', 'D'],
      ],
      'x',
    ),
    'A C D',
  )
  assert.equal(
    await visits(
      [
        ['targets', 'A', { terminating: true, patterns: ['*.py'] }],
        ['targets', 'B'],
      ],
      'x',
    ),
    'B',
  )
})

test('only delegations that cover the path are followed', async () => {
  assert.equal(
    await visits(
      [
        ['targets', 'A', { patterns: ['*.py'] }],
        ['targets', 'B'],
        ['A', 'C'],
      ],
      'x',
    ),
    'B',
  )
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['B', 'C'],
        ['A', 'C', { patterns: ['*.py'] }],
      ],
      'x',
    ),
    'A B C',
  )
  assert.equal(await visits([['targets', 'A', { patterns: [] }]], 'x'), '')
})

test('cycles end, a role is visited once', async () => {
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['B', 'C'],
        ['C', 'D'],
        ['D', 'B'],
      ],
      'x',
    ),
    'A B C D',
  )
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['targets', 'B'],
        ['B', 'C'],
        ['A', 'C'],
      ],
      'x',
    ),
    'A C B',
  )
  assert.equal(
    await visits(
      [
        ['targets', 'A'],
        ['A', 'A'],
      ],
      'x',
    ),
    'A',
  )
})

test('a search visits no more roles than the limit', async () => {
  const edges = Array.from({ length: 40 }, (_, i) => ['targets', `role${i}`] as const)
  assert.equal((await visits(edges, 'x')).split(' ').length, 31)
})

test('the first role that lists a target wins', async () => {
  const { client } = await graph(
    [
      ['targets', 'A'],
      ['targets', 'B'],
    ],
    [
      ['A', 'both'],
      ['B', 'both'],
      ['B', 'one'],
    ],
  )
  const trust = await client.refresh()
  assert.equal((await trust.findTarget('both'))?.value.role, 'A')
  assert.deepEqual((await trust.target('one'))?.value, { path: 'one', length: 8, sha256: sha256(utf8('one by B')) })
})

test('every role of a chain must be trusted with the path', async () => {
  const { client } = await graph(
    [
      ['targets', 'B', { patterns: ['releases/*/*'] }],
      ['B', 'D', { patterns: ['releases/y/*.zip'] }],
    ],
    [
      ['D', 'releases/y/1.zip'],
      ['D', 'releases/z/1.zip'],
      ['D', 'other/y/1.zip'],
    ],
  )
  const trust = await client.refresh()
  assert.equal((await trust.findTarget('releases/y/1.zip'))?.value.role, 'D')
  assert.equal(await trust.target('releases/z/1.zip'), undefined)
  assert.equal(await trust.target('other/y/1.zip'), undefined)
})

test('hash prefixes spread paths over roles', async () => {
  const sim = simulate()
  for (const half of ['01234567', '89abcdef'])
    sim.delegate('targets', { name: `bin-${half[0] as string}`, scope: { kind: 'hashes', prefixes: [...half] } })
  for (const role of ['bin-0', 'bin-8']) for (const path of ['a', 'b', 'c', 'd']) sim.addTarget(role, path, path)
  sim.publish('bin-0', 'bin-8', 'targets', 'snapshot', 'timestamp')
  const trust = await clientOf(sim).refresh()
  for (const path of ['a', 'b', 'c', 'd']) {
    const bin = parseInt(sha256(utf8(path))[0] as string, 16) < 8 ? 'bin-0' : 'bin-8'
    assert.equal((await trust.findTarget(path))?.value.role, bin)
  }
})

test('a role is verified anew for each role that delegates to it', async () => {
  const { sim } = await graph([
    ['targets', 'a', { patterns: ['team-a/*'] }],
    ['targets', 'b', { patterns: ['team-b/*'] }],
    ['a', 'release', { patterns: ['team-a/*'] }],
    ['b', 'release', { patterns: ['team-b/*'] }],
  ])
  // Each delegation named a key of its own; only that of `a` signs.
  sim.signers.set('release', (sim.signers.get('release') ?? []).slice(0, 1))
  for (const team of ['a', 'b']) sim.addTarget('release', `team-${team}/x`, team)
  sim.publish('release', 'snapshot', 'timestamp')
  const trust = await clientOf(sim).refresh()
  assert.equal((await trust.findTarget('team-a/x'))?.value.role, 'release')
  await assert.rejects(trust.findTarget('team-b/x'), (error) => isBinderyError(error, 'bad-signature'))
})

test('a delegated role is checked like targets.json, and a bad one ends the search', async () => {
  for (const [spoil, code] of [
    [(sim: Simulator) => sim.files.delete('1.A.json'), 'incomplete'],
    [(sim: Simulator) => (sim.signers.set('A', [ed25519Signer(99)]), sim.publishAs('A', 1)), 'bad-signature'],
    [(sim: Simulator) => (sim.publishAs('A', 7), sim.files.set('1.A.json', sim.files.get('7.A.json') as Uint8Array)), 'mix-and-match'],
    [(sim: Simulator) => sim.files.set('1.A.json', new Uint8Array(6_000_000)), 'over-limit'],
  ] as const) {
    const { sim, client } = await graph(
      [
        ['targets', 'A'],
        ['targets', 'B'],
      ],
      [['B', 'x']],
    )
    spoil(sim)
    const trust = await client.refresh()
    await assert.rejects(trust.target('x'), (error) => isBinderyError(error, code))
    assert.equal(client.files.has('A.json'), false)
  }
})

test('a role that the snapshot does not list is not asked for', async () => {
  const { sim, client } = await graph([['targets', 'A']])
  sim.edit('snapshot', ({ meta }) => ({ meta: new Map([...meta].filter(([role]) => role !== 'A')) }))
  sim.publishAs('snapshot', 2)
  const trust = await client.refresh()
  sim.requests.length = 0
  await assert.rejects(trust.target('x'), (error) => isBinderyError(error, 'mix-and-match') && error.subject === 'A.json')
  assert.deepEqual(sim.requests, [])
})

test('delegated roles are kept, and not fetched again while they are current', async () => {
  const { sim, client } = await graph([['targets', 'A']], [['A', 'x']])
  await (await client.refresh()).target('x')
  sim.requests.length = 0
  const trust = await client.refresh()
  assert.equal((await trust.target('x'))?.value.length, 6)
  assert.deepEqual(sim.requests, ['2.root.json', 'timestamp.json'])
  sim.publish('A', 'snapshot', 'timestamp')
  await (await client.refresh()).target('x')
  assert.ok(client.trusted().includes('A 2'))
})

test('strange role names stay one file, on the repository and in the store', async () => {
  for (const role of ['?', '#', '/delegatedrole', '../delegatedrole', 'a b', "it's", '%2f', '..', '__proto__', 'ü']) {
    const { sim, client } = await graph([['targets', role]])
    const quoted = sim.requests.length
    const file = `1.${encodeURIComponent(role).replaceAll("'", '%27')}.json`
    if (!sim.files.has(file)) sim.files.set(file, sim.files.get(`1.${encodeURIComponent(role)}.json`) as Uint8Array)
    const trust = await client.refresh()
    assert.equal(await trust.target('x'), undefined)
    assert.ok(sim.requests.slice(quoted).includes(file), sim.requests.join(' '))
    const kept = [...client.files.keys()].filter((name) => !['root.json', 'timestamp.json', 'snapshot.json', 'targets.json'].includes(name))
    assert.deepEqual(kept, [file.slice(2)])
    assert.match(kept[0] as string, /^[A-Za-z0-9%._~-]+$/)
  }
})

test('a role is one file by RFC 3986, in capitals', () => {
  assert.equal(sourceName("a*b'/ü", 3, true), '3.a%2Ab%27%2F%C3%BC.json')
  assert.equal(sourceName('(a)!', 3, false), '%28a%29%21.json')
})

test('all targets of a role, within what was delegated to it', async () => {
  const { client } = await graph(
    [['targets', 'base-amd64', { patterns: ['base/amd64/*'] }]],
    [
      ['base-amd64', 'base/amd64/1.update'],
      ['base-amd64', 'base/amd64/1.tar.zst'],
      ['base-amd64', 'comp/amd64/1.update'],
    ],
  )
  const trust = await client.refresh()
  const { value } = await trust.targetsOf('base-amd64')
  assert.deepEqual(
    value.map(({ path }) => path),
    ['base/amd64/1.tar.zst', 'base/amd64/1.update'],
  )
  await assert.rejects(trust.targetsOf('comp-amd64'), (error) => isBinderyError(error, 'not-found'))
  assert.deepEqual(trust.delegated, ['base-amd64'])
  const plain = await clientOf(simulate()).refresh()
  assert.deepEqual(plain.delegated, [])
  await assert.rejects(plain.targetsOf('base-amd64'), (error) => isBinderyError(error, 'not-found'))
})

test('a role is read and verified once, however often it is asked', async () => {
  const { client } = await graph([['targets', 'base-amd64', { patterns: ['base/amd64/*'] }]], [['base-amd64', 'base/amd64/1.update']])
  const loads: string[] = []
  const store = { ...client.store, load: async (file: string) => (loads.push(file), await client.store.load(file)) }
  const trust = await client.refresh({ store })
  for (const path of ['base/amd64/1.update', 'base/amd64/2.update']) await trust.findTarget(path)
  await trust.targetsOf('base-amd64')
  assert.equal(loads.filter((file) => file === 'base-amd64.json').length, 1)
})

test('a target has what its role says of it, and a sha256', async () => {
  const sim = simulate()
  const sha256 = '0f'.repeat(32)
  sim.edit('targets', () => ({
    targets: new Map([
      ['a', { length: 5, hashes: { sha256, sha512: '00' }, custom: { sequence: 1 } }],
      ['b', { length: 6, hashes: { sha256 } }],
      ['c', { length: 7, hashes: { sha512: '00' } }],
    ]),
  }))
  sim.publish('targets', 'snapshot', 'timestamp')
  const trust = await clientOf(sim).refresh()
  // Objects that were read have no prototype.
  sameContent((await trust.target('a'))?.value, { path: 'a', length: 5, sha256, custom: { sequence: 1 } })
  assert.deepEqual((await trust.target('b'))?.value, { path: 'b', length: 6, sha256 })
  assert.equal(await trust.target('d'), undefined)
  assert.equal((await trust.findTarget('a'))?.value.role, 'targets')
  await assert.rejects(trust.target('c'), (error) => isBinderyError(error, 'not-supported') && error.subject === 'c')
})

test('patterns match by components', () => {
  for (const [pattern, path, expected] of [
    ['targets/*.tgz', 'targets/foo.tgz', true],
    ['targets/*.tgz', 'targets/foo.txt', false],
    ['foo-version-?.tgz', 'foo-version-2.tgz', true],
    ['foo-version-?.tgz', 'foo-version-alpha.tgz', false],
    ['*.tgz', 'foo.tgz', true],
    ['*.tgz', 'targets/foo.tgz', false],
    ['foo.tgz', 'foo.tgz', true],
    ['foo.tgz', 'FOO.tgz', false],
    ['*', 'a', true],
    ['*', '', true],
    ['*', 'a/b', false],
    ['**', 'a/b', false],
    ['*/*', 'a/b', true],
    ['a*b*c', 'axxbxxc', true],
    ['a*b*c', 'axxbxx', false],
    ['*b', 'b', true],
    ['a*b', 'ab', true],
    ['ab*', 'ab', true],
    ['?', 'ü', true],
    ['?', '😀', true],
    ['[ab]', 'a', false],
    ['a.c', 'abc', false],
  ] as const) {
    assert.equal(matchesPath(pattern, path), expected, `${pattern} ${path}`)
  }
})

test('patterns mean what the same pattern means as a regular expression', () => {
  const part = fc.array(fc.constantFrom('a', 'b', '*', '?', '/'), { maxLength: 12 }).map((chars) => chars.join(''))
  const path = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 12 }).map((chars) => chars.join(''))
  fc.assert(
    fc.property(part, path, (pattern, name) => {
      const regex = new RegExp(`^${pattern.replaceAll(/\*+/g, '[^/]*').replaceAll('?', '[^/]')}$`)
      assert.equal(matchesPath(pattern, name), regex.test(name))
    }),
  )
})

/** Trying every way would not end within the runner's limit. */
test('no pattern is slow', () => {
  assert.equal(matchesPath(`${'a*'.repeat(2000)}b`, 'a'.repeat(4000)), false)
})
