import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { describeEnrollment, enrollChannels } from '../src/engine/client/fetch/enroll.ts'
import { channelFile, channelFiles, channelFolder, readEnrolled, readReleaseState, statePaths } from '../src/engine/client/state.ts'
import { encodeEnrolled } from '../src/format/enrolled.ts'
import { address, amd64, enrolledOf, follower, record, serve, served, servedRecord, trustIn } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { openWorkshop, releaseName } from './helpers/repository.ts'
import { digestOfBytes, unpacked, wholeRelease } from './helpers/served-release.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import type { Enrollment, EnrollInput } from '../src/engine/client/fetch/enroll.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { RefreshInput, TrustStore } from '../src/engine/repo/trust-types.ts'
import type { RelPath } from '../src/base/path.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'
import type { TestSession } from './helpers/client.ts'
import type { Served } from './helpers/listed-releases.ts'

/** What enrolling writes of a channel, and that a failure leaves the state as it was. */

const tree: Literal = { 'bin/sh': noise(6000, 1), 'etc/one': 'one\n', 'etc/two': 'two\n' }
const one = await wholeRelease(1, tree)
const two = await wholeRelease(2, { ...tree, 'etc/one': '2', 'etc/two': '2' })
const root = (await (await openWorkshop()).store.get('metadata/1.root.json')) as Uint8Array
const repository = sha256(root).slice(0, 16)
const other = 'f'.repeat(16)
const trustFolder = (of = repository): RelPath => relPath(`${statePaths.trust}/${of}`)
const [base, comp] = [amd64('base'), amd64('comp')]

/** A second channel, with a release of the very same files. */
const compName = releaseName('1', { product: 'comp' })
const compPacked = served(releaseTargets(compName).manifest, one.packed.bytes)
const compRecord = servedRecord(record(1, { manifest: { target: compPacked.info.path, size: compPacked.bytes.length } }, 'comp'))
const all: readonly Served[] = [...one.all, ...two.all]
const compAll: readonly Served[] = [compPacked, compRecord]

type World = { readonly session: TestSession; readonly loaded: unknown[]; readonly disk: Disk }
type Given = { readonly on?: Literal; readonly blobs?: readonly Served[]; readonly learn?: (store: TrustStore) => Promise<void> }

/** A machine that follows nothing yet; `loaded` is what the trust workflow found of an earlier time. */
async function world({ on = {}, blobs = all, learn = async () => {} }: Given = {}): Promise<World> {
  const loaded: unknown[] = []
  const refresh = async ({ store }: RefreshInput): Promise<ReturnType<typeof trustIn>> => {
    const before = await store.load('timestamp.json')
    loaded.push(before === undefined ? undefined : Buffer.from(before).toString())
    await store.save('timestamp.json', utf8('new'))
    await learn(store)
    return trustIn({ 'base-amd64': blobs, 'comp-amd64': compAll })
  }
  const session = await follower({}, { ...tree, ...on }, { refresh })
  serve(session.http as MemoryHttp, [...blobs, ...compAll])
  return { session, loaded, disk: session.disk }
}

async function enroll({ session }: Pick<World, 'session'>, change: Partial<EnrollInput> = {}): Promise<readonly Enrollment[]> {
  return await enrollChannels(session, { urls: [address], root, channels: [base], basis: 'tar', force: false, ...change })
}

const names = async ({ disk }: Pick<World, 'disk'>, folder: RelPath): Promise<readonly string[]> => [...(await disk.readdir(folder))].sort()
const modeOf = async ({ disk }: World, path: RelPath): Promise<number | undefined> => (await disk.lstat(path))?.mode
const of = (file: RelPath, channel = base): RelPath => channelFile(channel, file)
const content = async ({ disk }: World, path: RelPath): Promise<string> => {
  const parts: Uint8Array[] = []
  for await (const bytes of disk.read(path)) parts.push(bytes)
  return Buffer.concat(parts).toString()
}

const added = { channel: base, repository, basis: 'tar', urls: [address] } as const

test('a channel has its manifest, its base and its release, and trust in its repository, and the cache is empty', async () => {
  const on = await world()
  const [enrollment] = await enroll(on)
  const state = await readReleaseState(on.disk, base)
  const { sequence, release } = one.update
  assert.deepEqual(state, {
    name: release.name,
    sequence,
    tar: release.tar,
    manifest: digestOfBytes(one.packed.bytes),
    base: { file: state.base?.file, tar: release.tar, deltas: [] },
  })
  assert.deepEqual(enrollment, { enrolled: added, state, differing: [], paths: one.manifest.entries.length })
  assert.deepEqual(await readEnrolled(on.disk), [added])
  assert.deepEqual(await names(on, channelFolder(base)), ['base.tar.zst', 'manifest.mtree.zst', 'release'])
  const { manifest, base: kept, release: named } = channelFiles
  assert.deepEqual(await Promise.all([manifest, kept, named].map(async (file) => await modeOf(on, of(file)))), [0o644, 0o600, 0o644])
  assert.equal(await modeOf(on, channelFolder(base)), 0o755)
  assert.deepEqual(await unpacked(on.disk.read(of(kept))), one.tar)
  assert.equal((await on.disk.digest(of(kept))).sha256, state.base?.file.sha256)
  assert.equal((await on.disk.digest(of(kept))).size, state.base?.file.size)
  assert.deepEqual([await names(on, trustFolder()), await names(on, statePaths.cache)], [['root.json', 'timestamp.json'], []])
  assert.equal(await content(on, relPath(`${trustFolder()}/root.json`)), Buffer.from(root).toString())
  assert.ok((await on.disk.lstat(statePaths.version)) !== undefined)
})

test('with basis installed no base is kept', async () => {
  const on = await world()
  const [enrollment] = await enroll(on, { basis: 'installed' })
  assert.deepEqual([enrollment?.enrolled.basis, enrollment?.state.base], ['installed', undefined])
  assert.deepEqual(await names(on, channelFolder(base)), ['manifest.mtree.zst', 'release'])
  assert.ok(!('base' in (await readReleaseState(on.disk, base))))
})

test('the release is found by the tree, or named', async () => {
  const found = await world({ on: { 'etc/one': '2' } })
  assert.deepEqual(
    (await enroll(found, { basis: 'installed' })).map(({ state, differing }) => [state.sequence, differing]),
    [[2, ['etc/two']]],
  )
  const named = await world()
  const [enrollment] = await enroll(named, { release: 'base-2-20260101-amd64' })
  assert.deepEqual([enrollment?.state.sequence, enrollment?.differing], [2, ['etc/one', 'etc/two']])
  assert.deepEqual(await refused(enroll(await world(), { release: 'base-9-20260101-amd64' })), ['not-found', 'base/amd64'])
})

test('channels are enrolled together, even of the same manifest', async () => {
  const on = await world()
  const both = await enroll(on, { channels: [comp, base], basis: 'installed' })
  assert.deepEqual(
    both.map(({ enrolled }) => enrolled.channel),
    [comp, base],
  )
  assert.deepEqual((await readEnrolled(on.disk)).map(({ channel }) => channel.product).sort(), ['base', 'comp'])
  for (const channel of [base, comp])
    assert.equal((await on.disk.digest(of(channelFiles.manifest, channel))).sha256, one.packed.info.sha256)
  assert.deepEqual(await refused(enroll(await world(), { channels: [base, comp, base] })), ['usage', undefined])
})

// --- what is there before

const file = (bytes: Uint8Array): Literal[string] => ({ kind: 'file', content: bytes })
const enrolledBefore = (...products: readonly string[]): Literal => ({
  [statePaths.enrolled]: file(encodeEnrolled(products.map((product) => enrolledOf(product, { repository: other })))),
  [`${trustFolder(other)}/root.json`]: file(root),
})

test('an install that was interrupted is recovered first', async () => {
  const on = await world({ on: { [statePaths.journal]: '' } })
  await assert.rejects(enroll(on), { code: 'interrupted', subject: statePaths.journal, hint: /bindery recover/ })
  assert.deepEqual((on.session.http as MemoryHttp).requests, [])
})

test('a channel that is enrolled already is enrolled anew by force alone, and the others stay', async () => {
  const literal: Literal = {
    ...enrolledBefore('base', 'comp'),
    [of(channelFiles.release)]: 'old',
    [of(relPath('1.delta'))]: 'old',
    [of(channelFiles.terms)]: 'old',
    [of(channelFiles.obsolete)]: 'old',
    [of(channelFiles.release, comp)]: 'comp',
  }
  const on = await world({ on: literal })
  await assert.rejects(enroll(on), { code: 'exists', subject: 'base/amd64', hint: /^--force / })
  assert.equal(await content(on, of(channelFiles.release)), 'old')
  await enroll(on, { force: true })
  assert.deepEqual(await readEnrolled(on.disk), [enrolledOf('comp', { repository: other }), added])
  assert.deepEqual(await names(on, channelFolder(base)), ['base.tar.zst', 'manifest.mtree.zst', 'release'])
  assert.equal(await content(on, of(channelFiles.release, comp)), 'comp')
  assert.deepEqual([...(await names(on, statePaths.trust))].sort(), [repository, other].sort())
  // Another one asks for no force.
  const more = await world({ on: enrolledBefore('comp') })
  await enroll(more)
  assert.equal((await readEnrolled(more.disk)).length, 2)
})

test('trust in a repository that nobody follows any more goes', async () => {
  const on = await world({ on: enrolledBefore('base') })
  await enroll(on, { force: true })
  assert.deepEqual(await names(on, statePaths.trust), [repository])
  // Nor is a base kept that nobody asks for any more.
  await enroll(on, { force: true, basis: 'installed' })
  assert.deepEqual(await names(on, channelFolder(base)), ['manifest.mtree.zst', 'release'])
})

test('force is the way out of a list of channels that is damaged, and of nothing else', async () => {
  const damaged = await world({ on: { [statePaths.enrolled]: 'damaged' } })
  assert.deepEqual(await refused(enroll(damaged)), ['bad-format', statePaths.enrolled])
  await enroll(damaged, { force: true })
  assert.deepEqual(await readEnrolled(damaged.disk), [added])
  const failing = await world()
  const disk: Disk = {
    ...failing.disk,
    lstat: async (path) => {
      if (path === statePaths.enrolled) throw new BinderyError('io', 'fails')
      return await failing.disk.lstat(path)
    },
  }
  assert.deepEqual(await refused(enroll({ session: { ...failing.session, disk } }, { force: true })), ['io', undefined])
})

test('trust that is there goes on; force begins it anew, with the root that is given', async () => {
  const known: Literal = { [`${trustFolder()}/root.json`]: file(root), [`${trustFolder()}/timestamp.json`]: 'old' }
  const learn = async (store: TrustStore): Promise<void> => await store.remove('snapshot.json')
  for (const [force, before] of [
    [false, 'old'],
    [true, undefined],
  ] as const) {
    const on = await world({ on: { ...known, [`${trustFolder()}/snapshot.json`]: 'old' }, learn })
    await enroll(on, { force })
    assert.deepEqual(on.loaded, [before])
    assert.deepEqual(await names(on, trustFolder()), ['root.json', 'timestamp.json'])
    assert.equal(await content(on, relPath(`${trustFolder()}/timestamp.json`)), 'new')
  }
  const none = await world()
  await enroll(none)
  assert.deepEqual(none.loaded, [undefined])
})

test('a root that is none is refused', async () => {
  assert.equal((await refused(enroll(await world(), { root: utf8('{}') })))[0], 'bad-format')
})

test('what a run that was killed wrote aside is no hindrance', async () => {
  const on = await world({ on: { [of(relPath('manifest.mtree.zst.new'))]: 'half', [of(relPath('base.tar.zst.new'))]: 'half' } })
  await enroll(on)
  assert.deepEqual(await names(on, channelFolder(base)), ['base.tar.zst', 'manifest.mtree.zst', 'release'])
})

test('what holds as long as a release is installed is written, for all to read', async () => {
  const update = { ...one.update, generated: ['/etc/made'] }
  const blob = servedRecord(update)
  const on = await world({ blobs: [...one.all.filter((each) => each !== one.record), blob] })
  await enroll(on)
  assert.deepEqual(await names(on, channelFolder(base)), ['base.tar.zst', 'manifest.mtree.zst', 'release', 'terms'])
  assert.equal(await modeOf(on, of(channelFiles.terms)), 0o644)
  assert.match(await content(on, of(channelFiles.terms)), /etc\/made/)
})

// --- failures

/** All of the state but folders, with contents. */
async function picture({ disk }: Pick<World, 'disk'>, folder = relPath('var/db/bindery')): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of await disk.readdir(folder)) {
    const path = relPath(`${folder}/${name}`)
    if ((await disk.lstat(path))?.kind === 'dir') found.push(...(await picture({ disk }, path)))
    else found.push(`${path} ${(await disk.digest(path)).sha256}`)
  }
  return found.sort()
}

test('where it cannot be found out or written, the state is as it was', async () => {
  const failing = (on: World, at: RelPath): TestSession => ({
    ...on.session,
    disk: {
      ...on.disk,
      rename: async (from, to) => {
        if (to === at) throw new BinderyError('io', 'fails')
        return await on.disk.rename(from, to)
      },
    },
  })
  const places: readonly RelPath[] = [
    relPath(`${trustFolder()}/root.json`),
    of(channelFiles.manifest),
    of(channelFiles.base),
    of(channelFiles.release),
    statePaths.enrolled,
  ]
  for (const literal of [{}, enrolledBefore('comp')]) {
    for (const at of places) {
      const on = await world({ on: literal })
      const before = await picture(on)
      assert.equal((await refused(enroll({ session: failing(on, at) })))[0], 'io', at)
      const after = (await picture(on)).filter((line) => !line.includes('.new '))
      assert.deepEqual(after, before, at)
      assert.equal(await on.disk.lstat(channelFolder(base)), undefined)
      assert.equal(await on.disk.lstat(trustFolder()), undefined)
    }
    const none = await world({ on: literal, blobs: [] })
    const before = await picture(none)
    assert.deepEqual(await refused(enroll(none)), ['not-found', 'base/amd64'])
    assert.deepEqual(await picture(none), before)
  }
})

test('a failure takes back neither a channel that was enrolled before, nor trust that another one needs', async () => {
  const same: Literal = {
    [statePaths.enrolled]: file(encodeEnrolled([enrolledOf('base', { repository }), enrolledOf('comp', { repository: other })])),
    [`${trustFolder()}/root.json`]: file(root),
    [`${trustFolder(other)}/root.json`]: file(root),
    [of(channelFiles.release)]: 'old',
    [of(channelFiles.release, comp)]: 'comp',
  }
  const forced = await world({ on: same, blobs: [] })
  assert.equal((await refused(enroll(forced, { force: true })))[0], 'not-found')
  assert.equal(await content(forced, of(channelFiles.release)), 'old')
  assert.deepEqual([...(await names(forced, statePaths.trust))].sort(), [repository, other].sort())
  const more = await world({ on: same })
  const x11 = amd64('x11')
  assert.equal((await refused(enroll(more, { channels: [x11] })))[0], 'not-found')
  assert.equal(await more.disk.lstat(channelFolder(x11)), undefined)
  assert.deepEqual([...(await names(more, statePaths.trust))].sort(), [repository, other].sort())
  assert.equal(await content(more, of(channelFiles.release, comp)), 'comp')
})

test('a damaged list of channels does not hide why they could not be enrolled anew, and stays', async () => {
  const damaged = await world({ on: { [statePaths.enrolled]: 'damaged' }, blobs: [] })
  assert.deepEqual(await refused(enroll(damaged, { force: true })), ['not-found', 'base/amd64'])
  assert.equal(await content(damaged, statePaths.enrolled), 'damaged')
})

test('a cache that cannot be swept is for the next fetch', async () => {
  const on = await world({ on: { [`${statePaths.cache}/x`]: 'left' } })
  const disk: Disk = {
    ...on.disk,
    unlink: async (path) => {
      if (path === `${statePaths.cache}/x`) throw new BinderyError('io', 'fails')
      return await on.disk.unlink(path)
    },
  }
  assert.equal((await enroll({ session: { ...on.session, disk } })).length, 1)
})

test('it is told what is looked at, and when that has ended, whatever comes', async () => {
  for (const blobs of [all, []]) {
    const on = await world({ blobs })
    const told: unknown[] = []
    const progress: Session['progress'] = {
      start: (...begun) => {
        if (begun[0].startsWith('looking')) told.push(begun)
        return { advance: () => {}, end: () => void (begun[0].startsWith('looking') && told.push('end')) }
      },
    }
    await refused(enroll({ session: { ...on.session, progress } }))
    assert.deepEqual(told, [['looking at base/amd64', undefined], 'end'])
  }
})

test('of an enrollment, people are told which release it is and how far the tree is from it', async () => {
  const [enrollment] = await enroll(await world())
  const told = (change: Partial<Enrollment>): string => describeEnrollment({ ...(enrollment as Enrollment), ...change })
  assert.equal(told({}), 'base/amd64: base-1-20260101-amd64 is installed, as it was released')
  const differing = [relPath('a'), relPath('b')]
  assert.equal(told({ differing, paths: 9 }), 'base/amd64: base-1-20260101-amd64 is installed, 2 of 9 paths differ')
})
