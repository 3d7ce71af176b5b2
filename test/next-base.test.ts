import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { nextBase, packTar } from '../src/engine/client/fetch/next-base.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { digestOf, enrolledOf, follower, installedOf, record, trustIn } from './helpers/listed-releases.ts'
import { refused } from './helpers/refused.ts'
import { digestOfBytes, unpacked, zstd } from './helpers/served-release.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { CachedFile } from '../src/engine/client/fetch/cache.ts'
import type { FetchedRoute } from '../src/engine/client/fetch/next-base.ts'
import type { NextBase } from '../src/engine/client/fetch/state-files.ts'
import type { KeptBase } from '../src/format/release-state.ts'
import type { TestSession } from './helpers/client.ts'

/** What is kept of a release for the update after it. */

const content = utf8('the tar of the release')
const packed = await zstd(content)
const update = record(9, { release: { name: record(9).release.name, tar: digestOfBytes(content) } })

/** As of a size alone: nobody reads it. */
const cached = (size: number, name = String(size)): CachedFile => ({
  path: cachePath(digestOf(name).sha256),
  size,
  sha256: digestOf(name).sha256,
})
const dist = cached(500)

const full = (codec: 'zstd' | 'gzip', more: Partial<FetchedRoute> = {}): Partial<FetchedRoute> => ({
  route: { kind: 'full', update, way: { target: 'x', size: 500, codec }, bytes: 0, left: 0 },
  files: [dist],
  ...more,
})

const step = (sequence: number): { update: typeof update; delta: (typeof update.deltas)[number] } => ({
  update: record(sequence),
  delta: { target: `${sequence}`, size: 1, from: '', fromSha256: digestOf('').sha256, memory: 0 },
})

/** Deltas of these sizes that come now. */
const deltas = (...sizes: readonly number[]): Partial<FetchedRoute> => ({
  route: { kind: 'deltas', steps: sizes.map((_, i) => step(i + 2)), manifest: 'whole', bytes: 0, left: 0 },
  files: sizes.map((size) => cached(size)),
})

/** A base of this size, and deltas of these sizes that are kept with it. */
const kept = (size: number, ...sizes: readonly number[]): KeptBase => ({
  file: { ...digestOf('base'), size },
  tar: digestOf('base tar'),
  deltas: sizes.map((bytes) => ({ file: { ...digestOf(`${bytes}`), size: bytes }, tar: digestOf('t') })),
})

type Kept = { readonly next: NextBase; readonly session: TestSession; readonly read: number }

async function nextOf(fetched: Partial<FetchedRoute>, base?: KeptBase, basis: 'tar' | 'installed' = 'tar'): Promise<Kept> {
  const session = await follower({})
  let read = 0
  const tar = (): ByteStream => {
    read++
    return oneChunk(content)
  }
  const empty = { goals: [], records: [], listed: new Map(), isHeld: false, trust: trustIn({}), updates: [] }
  const installed = installedOf('base', 1, base === undefined ? {} : { base })
  const next = await nextBase(session, { ...empty, enrolled: enrolledOf('base', { basis }), installed }, update, {
    ...fetched,
    tar,
  } as FetchedRoute)
  return { next, session, read }
}

/** Packed, into the cache, and nothing else is left there. */
async function assertPacked({ next, session, read }: Kept): Promise<void> {
  const file = { path: cachePath(sha256(packed)), size: packed.length, sha256: sha256(packed) }
  assert.deepEqual([next, read], [{ kind: 'new', file }, 1])
  assert.deepEqual(await session.disk.readdir(statePaths.cache), [file.sha256])
  assert.deepEqual(await unpacked(session.disk.read(file.path)), content)
}

test('of a machine that rebuilds the tar from its files, nothing is kept', async () => {
  for (const fetched of [full('zstd', { dist }), deltas(1)]) {
    const { next, read } = await nextOf(fetched, kept(100), 'installed')
    assert.deepEqual([next, read], [{ kind: 'none' }, 0])
  }
})

test('a dist that came as zstd is the next base as it is; of any other the tar is packed', async () => {
  const { next, read, session } = await nextOf(full('zstd', { dist }), kept(1000, 1))
  assert.deepEqual([next, read, session.explained], [{ kind: 'new', file: dist }, 0, []])
  await assertPacked(await nextOf(full('gzip', { dist })))
  await assertPacked(await nextOf(full('zstd')))
})

const folding = 'folding the kept deltas into a new base'

test('deltas are added to the base up to a quarter of its size, and up to sixteen; then they are folded', async () => {
  const ones = (count: number): readonly number[] => Array.from({ length: count }, () => 1)
  const cases: readonly (readonly [string, KeptBase, readonly number[], boolean])[] = [
    ['the first', kept(100), [25], false],
    ['the first, too large', kept(100), [26], true],
    ['more', kept(100, 10, 5), [6, 4], false],
    ['more, too large with those before', kept(100, 10, 5), [6, 5], true],
    ['sixteen', kept(1000, ...ones(15)), [1], false],
    ['sixteen that come at once', kept(1000), ones(16), false],
    ['seventeen', kept(1000, ...ones(16)), [1], true],
    ['seventeen with two that come', kept(1000, ...ones(15)), [1, 1], true],
  ]
  for (const [name, base, sizes, isFolded] of cases) {
    const found = await nextOf(deltas(...sizes), base)
    assert.deepEqual(found.session.explained, isFolded ? [folding] : [], name)
    if (isFolded) await assertPacked(found)
    else {
      const added = sizes.map((size, i) => ({ blob: cached(size), tar: record(i + 2).release.tar }))
      assert.deepEqual([found.next, found.read], [{ kind: 'longer', before: base, added }, 0], name)
    }
  }
})

test('where no base is kept, deltas make one', async () => {
  const found = await nextOf(deltas(1))
  assert.deepEqual(found.session.explained, [folding])
  await assertPacked(found)
})

test('packing tells how far it is, and that it has ended, whatever comes', async () => {
  const told: unknown[] = []
  const progress: TestSession['progress'] = {
    start: (...begun) => {
      told.push(begun)
      return { advance: (bytes) => void told.push(bytes), end: () => void told.push('end') }
    },
  }
  const session = await follower({}, {}, { progress })
  async function* tar(): ByteStream {
    yield content.subarray(0, 4)
    yield content.subarray(4)
  }
  await packTar(session, update, tar)
  const begun = ['packing the base', content.length]
  assert.deepEqual(told.splice(0), [begun, 4, content.length - 4, 'end'])
  async function* failing(): ByteStream {
    yield content.subarray(0, 4)
    throw new BinderyError('bad-digest', 'is damaged')
  }
  assert.deepEqual(await refused(packTar(session, update, failing)), ['bad-digest', undefined])
  assert.deepEqual(told, [begun, 4, 'end'])
})

test('what is packed has its tar’s name until it is done, so that two do not meet', async () => {
  const session = await follower({})
  const seen: (readonly string[])[] = []
  async function* tar(): ByteStream {
    yield content
    seen.push(await session.disk.readdir(statePaths.cache))
  }
  const file = await packTar(session, update, tar)
  assert.deepEqual(seen, [[`${update.release.tar.sha256}.base`]])
  assert.deepEqual(await session.disk.readdir(statePaths.cache), [file.sha256])
  assert.deepEqual(await unpacked(session.disk.read(file.path)), content)
})
