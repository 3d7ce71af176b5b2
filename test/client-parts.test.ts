import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { markVerified } from '../src/base/verified.ts'
import { nodeTree } from '../src/engine/client/apply/nodes.ts'
import { contentsOfParts, joinParts, joinTrees } from '../src/engine/client/apply/parts.ts'
import { stateFolder } from '../src/engine/client/state.ts'
import { compress } from '../src/engine/dist/wire.ts'
import { isOwnState } from '../src/engine/tree/scan.ts'
import { encodeEnrolled } from '../src/format/enrolled.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { incoming, release } from './helpers/client-world.ts'
import { dir, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import type { Changes } from '../src/engine/client/apply/changes.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { JoinedParts, Part } from '../src/engine/client/apply/parts.ts'
import type { PartPhase } from '../src/engine/client/apply/phases.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { ObsoleteList } from '../src/format/obsolete.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Releases of several channels that come by one plan, as if they were one. */

const scope = { xattrs: true, flags: true, excluded: isOwnState }

async function part(product: string, before: Literal, after: Literal, changes: Partial<Incoming> = {}): Promise<Part> {
  const [old, next] = [await release('1', before), await release('2', after)]
  const named = { ...next, name: { ...next.name, product } }
  return { incoming: incoming(old, named, { channel: { product, arch: 'amd64' }, ...changes }), installed: old.manifest }
}

async function joined(parts: readonly Part[], disk = memoryDisk()): Promise<JoinedParts> {
  return await joinParts({ disk, parts, scope, look: {} })
}

/** The trees of these tests have a word in each file, and nothing else. */
const words = new Map(['old', 'new', 'left', 'right', 'third', 'x'].map((word) => [sha256(utf8(word)), word]))

function shown(node: Node): string {
  return node.kind === 'file' ? `${words.get(node.sha256)} ${node.mode.toString(8)}` : node.kind
}

/** All but the folders that each release has. */
function picture({ nodes }: NodeTree): Readonly<Record<string, string>> {
  const own = [...nodes].filter(([path]) => !['.', 'var', 'var/db'].includes(path))
  return Object.fromEntries(own.map(([path, node]) => [path, shown(node)]))
}

test('one release alone is what it is', async () => {
  const alone = await part('left', { a: 'old', b: hardlink('a') }, { a: 'new', b: hardlink('a'), l: symlink('a') })
  const { base, next } = await joined([alone])
  assert.deepEqual(next, nodeTree(alone.incoming.manifest.value, scope))
  assert.deepEqual(base, nodeTree(alone.installed, scope))
  assert.equal(joinTrees([next]), next)
})

test('several are all of them, and what is of more than one is of the first', async () => {
  const parts = await Promise.all([
    part('left', { l: 'old', both: 'old' }, { l: 'left', both: file('x', { mode: 0o600 }) }),
    part('right', { r: 'old', gone: 'old' }, { r: 'right', both: 'x' }),
    part('third', {}, { t: symlink('x') }),
  ])
  const { base, next } = await joined(parts)
  assert.deepEqual(picture(next), { l: 'left 644', both: 'x 600', r: 'right 644', t: 'symlink' })
  assert.deepEqual(picture(base), { l: 'old 644', both: 'old 644', r: 'old 644', gone: 'old 644' })
  assert.deepEqual((await joined(parts.toReversed())).next.nodes.get(relPath('both'))?.mode, 0o644)
})

test('what was there is what the one had to which it belongs now, where that had it', async () => {
  type Step = readonly [Literal, Literal]
  const [had, had2, has] = [{ a: 'old' }, { a: file('old', { mode: 0o600 }) }, { a: 'new' }]
  const cases: readonly (readonly [Step, Step, string | undefined])[] = [
    [[had, has], [had2, has], 'old 644'],
    // It has moved from the first to the second.
    [[had, {}], [had2, has], 'old 600'],
    [[had, {}], [{}, has], 'old 644'],
    [[{}, has], [had2, {}], 'old 600'],
    [[{}, has], [{}, has], undefined],
  ]
  for (const [left, right, expected] of cases) {
    const { base } = await joined([await part('left', ...left), await part('right', ...right)])
    assert.equal(picture(base)['a'], expected)
  }
})

test('names of one file are those of the release to which each belongs', async () => {
  const two = { a: 'x', b: hardlink('a') }
  const three = { b: 'x', c: hardlink('b'), d: 'x' }
  const { next, base } = await joined([await part('left', two, two), await part('right', three, three)])
  for (const { groups, leaders } of [next, base]) {
    assert.deepEqual(Object.fromEntries(groups), { a: ['a', 'b'], b: ['a', 'b'], c: ['b', 'c'] })
    assert.deepEqual(Object.fromEntries(leaders), { b: 'a', c: 'b' })
  }
})

test('trees are joined by whom a path is said to be of, and else by their order', () => {
  const tree = (mode: number, ...names: readonly string[]): NodeTree => {
    const meta = { kind: 'dir', mode, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 } } as const
    return { nodes: new Map(names.map((name) => [relPath(name), { ...meta, path: relPath(name) }])), groups: new Map(), leaders: new Map() }
  }
  const trees = [tree(0, 'a', 'b'), tree(1, 'a', 'b', 'c'), tree(2, 'a', 'd')]
  const owners = (ownerOf?: (path: string) => number): object =>
    Object.fromEntries([...joinTrees(trees, ownerOf).nodes].map(([path, { mode }]) => [path, mode]))
  assert.deepEqual(owners(), { a: 0, b: 0, c: 1, d: 2 })
  assert.deepEqual(
    owners(() => 2),
    { a: 2, b: 0, c: 1, d: 2 },
  )
  assert.deepEqual(
    owners((path) => (path === 'b' ? 1 : -1)),
    { a: 0, b: 1, c: 1, d: 2 },
  )
})

// --- what two of them have otherwise

const [x, left, right] = [{ a: 'x' }, { a: 'left' }, { a: 'right' }]

for (const [what, parts, names] of [
  [
    'a content that both bring',
    [
      [{}, x],
      [{}, x],
    ],
    undefined,
  ],
  [
    'two contents',
    [
      [{}, left],
      [{}, right],
    ],
    ['left', 'right'],
  ],
  [
    'two contents that were there before, as they are',
    [
      [left, left],
      [right, right],
    ],
    undefined,
  ],
  [
    'a change of the first',
    [
      [x, left],
      [right, right],
    ],
    ['left', 'right'],
  ],
  [
    'a change of the second',
    [
      [left, left],
      [x, right],
    ],
    ['left', 'right'],
  ],
  [
    'a change to what the other has',
    [
      [x, right],
      [right, right],
    ],
    undefined,
  ],
  [
    'other attributes',
    [
      [x, x],
      [x, { a: file('x', { mode: 0o600 }) }],
    ],
    undefined,
  ],
  [
    'another kind',
    [
      [{}, x],
      [{}, { a: dir() }],
    ],
    ['left', 'right'],
  ],
  [
    'what only one has now',
    [
      [left, {}],
      [{}, right],
    ],
    undefined,
  ],
  [
    'the first and the third',
    [
      [{}, left],
      [{}, {}],
      [{}, right],
    ],
    ['left', 'third'],
  ],
  [
    'the second and the third',
    [
      [{}, {}],
      [{}, left],
      [{}, right],
    ],
    ['right', 'third'],
  ],
] as const) {
  test(`${what}: ${names === undefined ? 'nothing against it' : 'refused, with both named'}`, async () => {
    const products = ['left', 'right', 'third']
    const given = await Promise.all(parts.map(async ([before, after], i) => await part(products[i] as string, before, after)))
    if (names === undefined) return assert.ok((await joined(given)).next.nodes.size > 0)
    await assert.rejects(joined(given), {
      name: 'BinderyError',
      code: 'conflict',
      message: `is of ${names.map((name) => `${name}-2-20260101-amd64`).join(' and of ')}, with different contents`,
      subject: '/a',
      hint: 'whoever publishes them has to leave it to one of the two; nothing was changed',
    })
  })
}

// --- what former releases left

const nothing: Changes = { changes: [], kept: [], merges: new Map(), live: { stats: new Map(), nodes: new Map() } }
const obsolete = markVerified<ObsoleteList>({
  through: 7,
  items: [{ path: relPath('a'), last: 1, kind: 'file', size: 3, sha256: sha256(utf8('old')) }],
})

async function holding(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return disk
}

test('what former releases of each channel left here is known, and that it was looked for', async () => {
  const parts = [await part('left', {}, {}, { obsolete }), await part('right', {}, {}), await part('third', {}, {}, { obsolete })]
  const { base, stateFiles } = await joined(parts, await holding({ a: 'old' }))
  assert.deepEqual(picture(base), { a: 'old 644' })
  assert.deepEqual(
    stateFiles(nothing).map(({ path }) => path),
    ['left', 'third'].map((product) => `${stateFolder}/channel/${product}-amd64/obsolete`),
  )
  assert.deepEqual(picture((await joined(parts, await holding({ a: 'new' }))).base), {})
})

test('of a release that comes in part, only that part is to be there, and what former ones left is for the end', async () => {
  const whole = await part('left', { k: 'old', w: 'old' }, { k: 'new', w: 'new' }, { obsolete })
  const { manifest: wanted } = await release('2', { k: 'new', w: 'old' })
  const phase: PartPhase = { name: 'kernel', wanted, after: { postSteps: [], reboot: 'reboot' }, stateFiles: [] }
  const { base, next, stateFiles } = await joined([{ ...whole, phase }], await holding({ a: 'old' }))
  assert.deepEqual(
    [picture(next), picture(base)],
    [
      { k: 'new 644', w: 'old 644' },
      { k: 'old 644', w: 'old 644' },
    ],
  )
  assert.deepEqual(stateFiles(nothing), [])
})

test('what a release no longer has goes, unless it is of a channel that is not in the plan', async () => {
  const { manifest, name } = await release('1', { a: 'old' })
  const bytes = (await collectBytes(compress(oneChunk(encodeManifest(manifest)), 'zstd'), Infinity)) as Uint8Array
  const digest = { sha256: sha256(bytes), size: bytes.length }
  const channels = ['left', 'right'].map((product) => ({ product, arch: 'amd64' }))
  const folder = (product: string): Literal => ({
    [`${stateFolder}/channel/${product}-amd64/manifest.mtree.zst`]: file(bytes),
    [`${stateFolder}/channel/${product}-amd64/release`]: file(
      encodeReleaseState({ name: { ...name, product }, sequence: 1, tar: digest, manifest: digest }),
    ),
  })
  const enrolled = encodeEnrolled(
    channels.map((channel) => ({ channel, urls: ['file:///repo/'], repository: '0123456789abcdef', basis: 'tar' as const })),
  )
  const disk = await holding({ [`${stateFolder}/enrolled`]: file(enrolled), ...folder('left'), ...folder('right') })
  const parts = [await part('left', { a: 'old' }, {}), await part('right', { a: 'old' }, {})]
  assert.deepEqual(picture((await joined(parts, disk)).base), { a: 'old 644' })
  for (const one of parts) assert.deepEqual(picture((await joined([one], disk)).base), {})
})

// --- contents

async function contents(parts: readonly Part[], ...names: readonly string[]): Promise<readonly (readonly string[])[]> {
  const found: (readonly string[])[] = []
  const wanted = new Map(names.map((name) => [relPath(name), { size: 1, sha256: sha256(utf8('x')) }]))
  for await (const { path, content } of contentsOfParts(parts)(wanted))
    found.push([path, Buffer.from((await collectBytes(content, 100)) as Uint8Array).toString()])
  assert.deepEqual([...wanted.keys()], names)
  return found
}

test('contents come out of one tar after the other, each path once, from the first that has a file there', async () => {
  const parts = [
    await part('left', {}, { a: 'left', link: symlink('a'), 'bin/other': 'left' }),
    await part('right', {}, { a: 'right', link: 'right', c: 'right' }),
  ]
  assert.deepEqual(await contents(parts, 'a', 'c', 'link'), [
    ['a', 'left'],
    ['c', 'right'],
    ['link', 'right'],
  ])
  assert.deepEqual(await contents(parts, 'c'), [['c', 'right']])
  assert.deepEqual(await contents(parts, 'none'), [])
})

test('a tar out of which nothing is wanted is read and judged all the same', async () => {
  const tar: Incoming['tar'] = async function* () {
    yield await Promise.reject<Uint8Array>(new Error('was read'))
  }
  const parts = [await part('left', {}, { a: 'left' }), await part('right', {}, { c: 'right' }, { tar })]
  await assert.rejects(contents(parts, 'a'), { message: 'was read' })
})
