import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { firstBase } from '../src/engine/client/fetch/first-base.ts'
import { address, follower, record, serve, served, trustIn } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { gzipOnly, inCache, notingPlace, unpacked, wholeRelease } from './helpers/served-release.ts'
import type { RelPath } from '../src/base/path.ts'
import type { CachedFile } from '../src/engine/client/fetch/cache.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Served } from './helpers/listed-releases.ts'
import type { Literal } from './helpers/plant.ts'
import type { TestSession } from './helpers/client.ts'

/** The base of a newly enrolled channel: out of the tree where it can, out of the network where it cannot. */

const tree: Literal = { 'bin/sh': noise(9000, 1), 'etc/nil': '', 'etc/nul': '', 'etc/one': 'one\n', 'etc/too': 'one\n', 'etc/two': 'two\n' }
const one = await wholeRelease(1, tree)
const onlyGzip = await wholeRelease(1, tree, gzipOnly(one))
const both: Partial<Update> = { full: [...one.update.full, ...(gzipOnly(one).full ?? [])] }

type Given = {
  /** Beside the tree. */
  readonly on?: Literal
  /** Paths that are seen to differ. */
  readonly differing?: readonly string[]
  readonly update?: Update
  readonly listed?: readonly Served[]
  readonly served?: readonly Served[]
  readonly ranges?: 'ignored'
  readonly fault?: (session: TestSession) => Partial<Session>
}

type Found = {
  readonly file: CachedFile | undefined
  readonly error: unknown
  readonly session: TestSession
  /** Dists that were asked for, by range or whole. */
  readonly asked: readonly string[]
}

async function based(given: Given = {}): Promise<Found> {
  const { on = {}, differing = [], update = one.update, listed = one.all } = given
  const world = await follower({}, { ...tree, ...on })
  const session = { ...world, ...given.fault?.(world) }
  const http = session.http as MemoryHttp
  serve(http, given.served ?? listed)
  const url = blobUrl(address, one.dist.info)
  if (given.ranges !== undefined) http.pages.set(url, { bytes: one.dist.bytes, ranges: given.ranges })
  const { place } = notingPlace([address])
  const match = { differing: differing.map(relPath), otherMeta: 0, files: 0, sameFiles: 0 }
  const manifestBlob = await inCache(session.disk, one.packed)
  const candidate = { update: markVerified(update), manifest: markVerified(one.manifest), manifestBlob, match }
  const requests = (): readonly string[] =>
    http.requests.filter(({ url: at }) => at.includes('.tar')).map(({ headers }) => (headers?.['range'] === undefined ? 'whole' : 'range'))
  try {
    const file = await firstBase(session, place, trustIn({ 'base-amd64': listed }), candidate)
    return { file, error: undefined, session, asked: requests() }
  } catch (error) {
    return { file: undefined, error, session, asked: requests() }
  }
}

async function assertBase({ file, session, error }: Found): Promise<void> {
  assert.equal(error, undefined)
  assert.deepEqual(await unpacked(session.disk.read(file?.path as RelPath)), one.tar)
}

const code = async ({ error }: Found): Promise<readonly unknown[]> => await refused(Promise.reject(error))

test('out of a tree as it was released, the tar is rebuilt without the network', async () => {
  const found = await based()
  await assertBase(found)
  assert.deepEqual([(found.session.http as MemoryHttp).requests, found.session.explained], [[], []])
})

test('what was modified is fetched alone, what two names share once', async () => {
  const mine = { 'etc/nil': 'x', 'etc/nul': 'x', 'etc/two': 'my own two', 'etc/one': '', 'etc/too': 'x' }
  const few = await based({ on: mine, differing: Object.keys(mine) })
  await assertBase(few)
  assert.ok(few.asked.length > 0 && few.asked.every((how) => how === 'range'), few.asked.join())
  assert.deepEqual(few.session.explained, [])
  // What differs and is no file of its own is no reason to ask.
  const meta = await based({ differing: ['etc', 'var/db'] })
  await assertBase(meta)
  assert.deepEqual(meta.asked, [])
})

test('where most was modified, or frames are none, the whole dist comes, and is the base as it is', async () => {
  const much = { on: { 'bin/sh': 'mine' }, differing: ['bin/sh'] }
  const { frames: _, ...way } = one.update.full[0] as Update['full'][number]
  const without = { ...one.update, full: [way] }
  for (const given of [much, { ...much, update: without }, { differing: ['etc/one'], update: without }]) {
    const found = await based(given)
    await assertBase(found)
    assert.deepEqual([found.file?.sha256, found.asked, found.session.explained], [one.dist.info.sha256, ['whole'], []])
  }
})

test('a dist that is not zstd is packed anew', async () => {
  const found = await based({
    differing: ['etc/one'],
    on: { 'etc/one': 'mine' },
    update: onlyGzip.update,
    listed: [one.gzip],
  })
  await assertBase(found)
  assert.deepEqual(found.asked, ['whole'])
  assert.notEqual(found.file?.sha256, one.gzip.info.sha256)
})

test('the smallest dist that is listed is taken', async () => {
  const given = { differing: ['etc/one'], update: { ...one.update, ...both } }
  const found = await based({ ...given, listed: [one.gzip] })
  await assertBase(found)
  const none = await based({ ...given, listed: [] })
  assert.deepEqual(await code(none), ['no-way', 'base-1-20260101-amd64'])
})

const whole = /; fetching the whole release$/

test('a file that changes meanwhile, and a server without ranges, let the whole dist come, and why is explained', async () => {
  const changing = await based({ on: { 'etc/one': 'abc\n' } })
  await assertBase(changing)
  assert.match(changing.session.explained.join('|'), /^etc\/one: is not the file of the manifest; fetching the whole release$/)
  const ignoring = await based({ on: { 'etc/one': 'abc\n' }, differing: ['etc/one', 'etc/too'], ranges: 'ignored' })
  await assertBase(ignoring)
  assert.match(ignoring.session.explained.at(-1) as string, /: ignores ranges; fetching the whole release$/)
  assert.deepEqual([ignoring.asked, ignoring.session.explained.length], [['range', 'whole'], 1])
  for (const { file } of [changing, ignoring]) assert.equal(file?.sha256, one.dist.info.sha256)
})

test('a tree that makes another tar than the record says is told of by the name of the release, and so is its dist', async () => {
  const { release } = one.update
  const update = { ...one.update, release: { ...release, tar: { ...release.tar, sha256: record(2).release.tar.sha256 } } }
  const found = await based({ update })
  assert.deepEqual(await code(found), ['bad-digest', undefined])
  assert.match(found.session.explained.join('|'), /^base-1-20260101-amd64: does not unpack to the release that its record says; /)
  assert.match(found.session.explained.join('|'), whole)
  const packed = await based({ update: { ...update, ...gzipOnly(one) }, listed: [one.gzip] })
  assert.deepEqual(await code(packed), ['bad-digest', undefined])
})

test('a disk that fails, and a network that is away, end it', async () => {
  const failing = ({ disk }: TestSession): Partial<Session> => ({
    disk: {
      ...disk,
      read: () => {
        throw new BinderyError('io', 'cannot be read')
      },
    },
  })
  assert.deepEqual(await code(await based({ fault: failing })), ['io', undefined])
  const away = await based({ differing: ['etc/one'], served: [one.packed, one.frames] })
  assert.deepEqual([await code(away), away.session.explained], [['network', blobUrl(address, one.dist.info)], []])
  const spoilt = await based({ differing: ['bin/sh'], served: [one.frames, served(one.dist.info.path, one.gzip.bytes)] })
  assert.deepEqual((await code(spoilt))[0], 'incomplete')
})

test('what an earlier run has left of the dist is not fetched again', async () => {
  const left = async (session: TestSession): Promise<void> => void (await inCache(session.disk, one.dist))
  const world = await follower({}, tree)
  await left(world)
  await plant(world.disk, { 'etc/three': '' })
  const { place } = notingPlace([address])
  const match = { differing: [relPath('bin/sh')], otherMeta: 0, files: 0, sameFiles: 0 }
  const manifestBlob = await inCache(world.disk, one.packed)
  const { frames: _, ...way } = one.update.full[0] as Update['full'][number]
  const update = markVerified({ ...one.update, full: [way] })
  const trust = trustIn({ 'base-amd64': one.all })
  const file = await firstBase(world, place, trust, { update, manifest: markVerified(one.manifest), manifestBlob, match })
  assert.equal(file.sha256, one.dist.info.sha256)
  assert.deepEqual((world.http as MemoryHttp).requests, [])
})
