import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { fetchContents, findRelease, gatherFromBase, openRepairSource } from '../src/engine/client/fetch/repair-source.ts'
import { wantedOf } from '../src/engine/client/fetch/basis.ts'
import { channelFile, channelFiles, statePaths } from '../src/engine/client/state.ts'
import { address, amd64, digestOf, trustIn } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { openWorkshop } from './helpers/repository.ts'
import { digestOfBytes, fileOf, gzipOnly, machineWith, whole, wholeRelease } from './helpers/served-release.ts'
import type { FileEntry } from '../src/base/entry.ts'
import type { Wanted } from '../src/engine/client/fetch/gather.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { KeptBase } from '../src/format/release-state.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Literal, Plant } from './helpers/plant.ts'
import type { Machine, WholeRelease } from './helpers/served-release.ts'

/** Contents of the installed release, from the nearest place that has them. */

const tree: Literal = { 'bin/sh': noise(9000, 1), 'etc/one': 'one\n', 'etc/too': 'one\n', 'etc/two': 'two\n' }
const one = await wholeRelease(1, tree)
const packedAnew = await wholeRelease(1, tree, gzipOnly(one))
const [dist, frames, record] = ['base-1-20260101-amd64.tar.zst', 'base-1-20260101-amd64.frames', 'base-1-20260101-amd64.update']

const root = (await (await openWorkshop()).store.get('metadata/1.root.json')) as Uint8Array
const file = (content: Uint8Array): Plant => ({ kind: 'file', content })
const rootOf: Literal = { [`${statePaths.trust}/${'0'.repeat(16)}/root.json`]: file(root) }

const baseFile = channelFile(amd64('base'), channelFiles.base)
const base: KeptBase = { file: digestOfBytes(one.dist.bytes), tar: one.update.release.tar, deltas: [] }
const kept: Literal = { [baseFile]: file(one.dist.bytes) }

const entries = (...paths: readonly string[]): readonly FileEntry[] => paths.map((path) => fileOf(one, path))
const wanted = (...paths: readonly string[]): readonly Wanted[] => wantedOf(one.name, one.manifest, new Set(paths.map(relPath)))
const dists = (requests: readonly string[]): readonly string[] => [...new Set(requests.filter((name) => name.includes('.tar')))]

/** A machine whose repository is trusted as it is listed, however it answers. */
async function machine(
  change: Parameters<typeof machineWith>[1] = {},
  of: WholeRelease = one,
): Promise<Machine & { readonly graces: number[] }> {
  const graces: number[] = []
  const refresh: Session['refresh'] = async ({ grace }) => {
    graces.push(grace as number)
    return trustIn({ 'base-amd64': change.listed ?? of.all })
  }
  const made = await machineWith(of, { ...change, on: { ...rootOf, ...change.on }, change: { refresh, ...change.change } })
  return { ...made, graces }
}

async function sourceOf({ session, offer }: Machine, files: readonly FileEntry[]): Promise<readonly string[]> {
  const { enrolled, installed } = offer
  const read = await openRepairSource(session, { enrolled, installed, manifest: one.manifest, files })
  return await Promise.all(files.map(async (entry) => Buffer.from(await whole(read(entry))).toString()))
}

test('contents come out of the kept base, where it is intact', async () => {
  const on = await machine({ base, on: kept })
  assert.deepEqual(await sourceOf(on, entries('etc/one', 'etc/too', 'etc/two')), ['one\n', 'one\n', 'two\n'])
  assert.deepEqual([on.requests(), on.session.said, on.graces], [[], [], []])
})

test('where no base is kept, they come over the network, by the frames that hold them, however old the news are', async () => {
  const on = await machine()
  assert.deepEqual(await sourceOf(on, entries('etc/two', 'etc/one')), ['two\n', 'one\n'])
  assert.deepEqual([[...new Set(on.requests())], on.session.said, on.graces], [[record, frames, `${dist}*`], [], [0]])
  const stale = await machine()
  const refresh: Session['refresh'] = async (input) => {
    stale.graces.push(input.grace as number)
    if (input.grace === 0) throw new BinderyError('expired', 'has expired')
    return trustIn({ 'base-amd64': one.all })
  }
  assert.deepEqual(await sourceOf({ ...stale, session: { ...stale.session, refresh } }, entries('etc/two')), ['two\n'])
  assert.deepEqual(stale.graces, [0, Infinity])
})

test('a base that is damaged, gone or of something else is said, and they are fetched instead', async () => {
  const other = await wholeRelease(1, { ...tree, 'etc/two': 'owt\n' })
  const otherBase = { ...base, file: digestOfBytes(other.dist.bytes) }
  for (const [of, on, told] of [
    [base, { [baseFile]: 'damaged' }, `${baseFile}: is damaged; fetching instead`],
    [base, {}, `${baseFile}: is not there; fetching instead`],
    [otherBase, { [baseFile]: file(other.dist.bytes) }, 'etc/two: is not the file of the manifest; fetching instead'],
  ] as const) {
    const damaged = await machine({ base: of, on })
    assert.deepEqual(await sourceOf(damaged, entries('etc/two')), ['two\n'])
    assert.deepEqual([damaged.session.said, dists(damaged.requests())], [[told], [`${dist}*`]])
  }
})

test('whether a base has had it is answered; a failure of the disk ends it', async () => {
  const { session, offer } = await machine({ base, on: kept })
  assert.equal(await gatherFromBase(session, offer, wanted('etc/two')), true)
  assert.deepEqual(await whole(session.disk.read(cachePath(fileOf(one, 'etc/two').sha256))), new Uint8Array(Buffer.from('two\n')))
  const without = await machine()
  assert.equal(await gatherFromBase(without.session, without.offer, wanted('etc/two')), false)
  assert.deepEqual(without.session.said, [])
  const failing = (code: 'io' | 'not-found' | 'bad-digest'): Session => {
    const lstat = async (): Promise<never> => await Promise.reject(new BinderyError(code, 'fails'))
    return { ...session, disk: { ...session.disk, lstat } }
  }
  assert.deepEqual(await refused(gatherFromBase(failing('io'), offer, wanted('etc/two'))), ['io', undefined])
  for (const code of ['not-found', 'bad-digest'] as const)
    assert.equal(await gatherFromBase(failing(code), offer, wanted('etc/two')), false)
  assert.deepEqual(
    session.said,
    Array.from({ length: 2 }, () => 'base/amd64: fails; fetching instead'),
  )
})

test('the record of the installed release is that of its name and its tar', async () => {
  const two = await wholeRelease(2, tree)
  const listed = [...two.all, ...one.all]
  const { session, offer } = await machine({ listed })
  const found = async (change: Partial<typeof offer.installed> = {}, blobs = listed): Promise<Update> =>
    await findRelease(session, trustIn({ 'base-amd64': blobs }), offer.enrolled, { ...offer.installed, ...change })
  assert.deepEqual(await found(), one.update)
  assert.deepEqual(await refused(found({}, two.all as never)), ['no-way', 'base-1-20260101-amd64'])
  assert.deepEqual(await refused(found({ tar: digestOf('other') })), ['no-way', 'base-1-20260101-amd64'])
  await assert.rejects(found({}, two.all as never), { message: 'is not in the repository any more' })
  await assert.rejects(found({ tar: digestOf('other') }), { message: 'has other contents in the repository' })
})

// --- over the network

type Fetched = Machine & { readonly told: readonly unknown[]; readonly work: Promise<readonly unknown[]> }

async function fetching(
  all: readonly Wanted[],
  change: Parameters<typeof machineWith>[1] & { readonly ignored?: true } = {},
  update: Update = one.update,
): Promise<Fetched> {
  const told: unknown[] = []
  const progress: Session['progress'] = {
    start: (...begun) => {
      told.push(begun)
      return { advance: (bytes) => void told.push(bytes), end: () => void told.push('end') }
    },
  }
  const on = await machineWith(one, { ...change, change: { progress } })
  if (change.ignored)
    (on.session.http as MemoryHttp).pages.set(blobUrl(address, one.dist.info), { bytes: one.dist.bytes, ranges: 'ignored' })
  const work = refused(fetchContents(on.session, on.offer.trust, on.offer.enrolled, { update, wanted: all }))
  await work
  return { ...on, told, work }
}

async function here({ session }: Machine, path: string): Promise<boolean> {
  return (await session.disk.lstat(cachePath(fileOf(one, path).sha256))) !== undefined
}

const begun = ['fetching files', undefined]

test('where nothing is wanted, nothing is asked for', async () => {
  const { told, requests } = await fetching([])
  assert.deepEqual([told, requests()], [[], []])
})

test('files come by their frames, and it is told how far that is', async () => {
  const on = await fetching(wanted('etc/one', 'etc/two'))
  assert.deepEqual([await here(on, 'etc/one'), await here(on, 'etc/two'), await here(on, 'bin/sh')], [true, true, false])
  assert.deepEqual([[...new Set(on.requests())], on.session.explained], [[frames, `${dist}*`], []])
  assert.deepEqual([on.told[0], on.told.at(-1)], [begun, 'end'])
  assert.ok(on.told.length > 3)
})

test('where frames do not do, the whole dist comes', async () => {
  const { frames: _, ...way } = one.update.full[0] as Update['full'][number]
  const much = await fetching(wanted('bin/sh'))
  const without = await fetching(wanted('etc/two'), {}, { ...one.update, full: [way] })
  const ignoring = await fetching(wanted('etc/two'), { ignored: true })
  for (const [on, path, asked] of [
    [much, 'bin/sh', [dist]],
    [without, 'etc/two', [dist]],
    [ignoring, 'etc/two', [`${dist}*`, dist]],
  ] as const) {
    assert.equal(await here(on, path), true)
    assert.deepEqual([dists(on.requests()), on.told[0], on.told.at(-1)], [asked, begun, 'end'])
  }
  assert.deepEqual([much.session.explained, without.session.explained], [[], []])
  assert.deepEqual(ignoring.session.explained, [`${blobUrl(address, one.dist.info)}: ignores ranges; fetching the whole dist`])
})

test('a dist of any codec does', async () => {
  const on = await fetching(wanted('etc/two'), { listed: [one.gzip] }, packedAnew.update)
  assert.equal(await here(on, 'etc/two'), true)
})

test('where no dist is listed, or the network fails, that is the failure', async () => {
  const { frames: _, ...way } = one.update.full[0] as Update['full'][number]
  const none = await fetching(wanted('etc/two'), { listed: [] }, { ...one.update, full: [way] })
  assert.deepEqual(await none.work, ['no-way', 'base-1-20260101-amd64'])
  const away = await fetching(wanted('etc/two'), { served: [one.frames] })
  assert.deepEqual([await away.work, dists(away.requests())], [['network', blobUrl(address, one.dist.info)], [`${dist}*`]])
  for (const { told } of [none, away]) assert.equal(told.at(-1), 'end')
})
