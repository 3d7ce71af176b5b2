import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { fetchModified, missingOf, openOldTar } from '../src/engine/client/fetch/old-tar.ts'
import { wantedOf } from '../src/engine/client/fetch/basis.ts'
import { channelFile, channelFiles } from '../src/engine/client/state.ts'
import { address, amd64, served } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { digestOfBytes, fileOf, machineWith, pathsOf, whole, wholeRelease } from './helpers/served-release.ts'
import type { OldTar } from '../src/engine/client/fetch/old-tar.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Literal, Plant } from './helpers/plant.ts'
import type { Machine } from './helpers/served-release.ts'

/** The tar of the installed release, whatever it is kept as. */

const tree: Literal = { 'bin/sh': noise(9000, 1), 'etc/one': 'one\n', 'etc/too': 'one\n', 'etc/two': 'two\n' }
const one = await wholeRelease(1, tree)
const { frames: _, ...plainWay } = one.update.full[0] as (typeof one.update.full)[number]
const unframed = await wholeRelease(1, tree, { full: [plainWay] })

const [dist, frames, record] = ['base-1-20260101-amd64.tar.zst*', 'base-1-20260101-amd64.frames', 'base-1-20260101-amd64.update']
const mine: Literal = { ...tree, 'etc/one': 'mine', 'etc/too': 'x', 'etc/two': '' }

async function tarOf(old: OldTar | undefined): Promise<Uint8Array | undefined> {
  return old === undefined ? undefined : await whole(old.open())
}

/** What is thrown, or undefined where there is no tar. */
async function none({ session, offer }: Machine, budget = Infinity): Promise<void> {
  assert.equal(await openOldTar(session, offer, budget), undefined)
}

// --- kept as a tar

const baseFile = channelFile(amd64('base'), channelFiles.base)
const base = { file: digestOfBytes(one.dist.bytes), tar: one.update.release.tar, deltas: [] }
const file = (content: Uint8Array): Plant => ({ kind: 'file', content })

test('where the base is kept, it is the tar; the tree is not looked at', async () => {
  const { session, offer, requests } = await machineWith(one, { base, on: { [baseFile]: file(one.dist.bytes) } })
  const old = await openOldTar(session, offer, 0)
  assert.deepEqual([await tarOf(old), old?.files, requests(), session.said], [one.tar, [], [], []])
})

test('where none is kept, there is no tar, and nothing to say', async () => {
  const machine = await machineWith(one, { on: tree })
  await none(machine)
  assert.deepEqual([machine.session.said, machine.session.explained], [[], []])
})

test('a base that is damaged or gone is said, and no delta is used', async () => {
  for (const [on, told] of [
    [{ [baseFile]: 'damaged' }, 'is damaged'],
    [{}, 'is not there'],
  ] as const) {
    const machine = await machineWith(one, { base, on })
    await none(machine)
    assert.deepEqual(machine.session.said, [`${baseFile}: ${told}; no delta can be used`])
  }
})

// --- rebuilt from the tree

const installed = { basis: 'installed' } as const

test('out of a tree as it was released, the tar is rebuilt without the network', async () => {
  const { session, offer, requests } = await machineWith(one, { ...installed, on: tree })
  const old = await openOldTar(session, offer, 0)
  assert.deepEqual([await tarOf(old), old?.files, requests()], [one.tar, [], []])
})

test('what was modified is fetched alone, once for each content, and told; another run finds it here', async () => {
  const { session, offer, requests } = await machineWith(one, { ...installed, on: mine })
  for (const asked of [true, false]) {
    ;(session.http as MemoryHttp).requests.length = 0
    const old = await openOldTar(session, offer, Infinity)
    assert.deepEqual(await tarOf(old), one.tar)
    assert.deepEqual(pathsOf(old?.files ?? []), ['etc/too', 'etc/two'])
    assert.deepEqual([...new Set(requests())], asked ? [record, frames, dist] : [])
  }
  // One that is not as it should be comes again.
  const { sha256 } = fileOf(one, 'etc/two')
  await session.disk.unlink(cachePath(sha256))
  await plant(session.disk, { [cachePath(sha256)]: 'twoo' })
  ;(session.http as MemoryHttp).requests.length = 0
  assert.deepEqual(await tarOf(await openOldTar(session, offer, Infinity)), one.tar)
  assert.ok(requests().includes(dist))
})

test('a file that differs where nothing came for it is not passed over', async () => {
  const { session, offer } = await machineWith(one, { ...installed, on: mine })
  const paths = new Set(['etc/one', 'etc/two'].map(relPath))
  const wanted = wantedOf(offer.installed.name, one.manifest, paths)
  assert.deepEqual(pathsOf(await missingOf(session, wanted)), ['etc/one', 'etc/two'])
  await plant(session.disk, { [cachePath(fileOf(one, 'etc/one').sha256)]: 'one\n' })
  assert.deepEqual(pathsOf(await missingOf(session, wanted)), ['etc/two'])
  assert.deepEqual(await missingOf(session, []), [])
})

/** What fetching `etc/two` alone costs. */
async function priceOfTwo(): Promise<number> {
  const { session, offer } = await machineWith(one, { ...installed, on: { ...tree, 'etc/two': '' } })
  await openOldTar(session, offer, Infinity)
  const range = /^bytes=(\d+)-(\d+)$/
  return (session.http as MemoryHttp).requests.reduce((sum, { headers }) => {
    const [, from, to] = range.exec(headers?.['range'] ?? '') ?? []
    return from === undefined ? sum : sum + Number(to) - Number(from) + 1
  }, 0)
}

const tooDear = 'installed files were modified: fetching them would cost more than the whole release'

test('what would cost more than the budget is not fetched, and why is explained', async () => {
  const price = await priceOfTwo()
  assert.ok(price > 0)
  const machine = async (): Promise<Machine> => await machineWith(one, { ...installed, on: { ...tree, 'etc/two': '' } })
  const dear = await machine()
  await none(dear, price - 1)
  assert.deepEqual([dear.session.explained, dear.session.said], [[`1 ${tooDear}`], []])
  assert.ok(!dear.requests().includes(dist))
  const cheap = await machine()
  assert.deepEqual(await tarOf(await openOldTar(cheap.session, cheap.offer, price)), one.tar)
  assert.deepEqual(cheap.session.explained, [])
})

test('where the dist has no frames, or no mirror understands ranges, modified files cannot come alone', async () => {
  const without = await machineWith(unframed, { ...installed, on: mine })
  await none(without)
  assert.deepEqual([without.session.explained, without.session.said], [[`2 ${tooDear}`], []])
  const ignoring = await machineWith(one, { ...installed, on: mine })
  ;(ignoring.session.http as MemoryHttp).pages.set(blobUrl(address, one.dist.info), { bytes: one.dist.bytes, ranges: 'ignored' })
  await none(ignoring)
  assert.deepEqual(ignoring.session.explained, ['base-1-20260101-amd64: ignores ranges: modified files cannot be fetched alone'])
  assert.deepEqual(ignoring.session.said, [])
})

test('what stands in the way of rebuilding it is said; no delta is used then', async () => {
  const manifestFile = channelFile(amd64('base'), channelFiles.manifest)
  const damaged = await machineWith(one, { ...installed, on: { ...tree, [manifestFile]: 'damaged' } })
  await none(damaged)
  assert.deepEqual(damaged.session.said, [`${manifestFile}: is not the manifest of the installed release; no delta can be used`])
  const pruned = await machineWith(one, { ...installed, on: mine, listed: [] })
  await none(pruned)
  assert.deepEqual(pruned.session.said, ['base-1-20260101-amd64: is not in the repository any more; no delta can be used'])
  const nameless = await machineWith(one, { ...installed, on: tree })
  const lstat = async (): Promise<never> => await Promise.reject(new BinderyError('bad-format', 'is strange'))
  await none({ ...nameless, session: { ...nameless.session, disk: { ...nameless.session.disk, lstat } } })
  assert.deepEqual(nameless.session.said, ['base/amd64: is strange; no delta can be used'])
})

test('a network that is away, and a disk that fails, end it', async () => {
  const away = await machineWith(one, { ...installed, on: mine, served: [] })
  assert.deepEqual(await refused(openOldTar(away.session, away.offer, Infinity)), ['incomplete', blobUrl(address, one.record.info)])
  const { session, offer } = await machineWith(one, { ...installed, on: tree })
  const failing = (failure: Error): Session => {
    const lstat = async (): Promise<never> => await Promise.reject(failure)
    return { ...session, disk: { ...session.disk, lstat } }
  }
  const io = failing(new BinderyError('io', 'cannot be read'))
  assert.deepEqual(await refused(openOldTar(io, offer, Infinity)), ['io', undefined])
  // A bug may have any name.
  const bug = failing(Object.assign(new Error('a bug'), { code: 'bad-digest' }))
  await assert.rejects(openOldTar(bug, offer, Infinity), /a bug/)
  assert.deepEqual(session.said, [])
})

test('fetching them tells that it has begun and that it has ended, whatever comes', async () => {
  const told: unknown[] = []
  const progress: Session['progress'] = {
    start: (...begun) => {
      told.push(begun)
      return { advance: (bytes) => void told.push(bytes), end: () => void told.push('end') }
    },
  }
  for (const [listed, budget] of [
    [one.all, Infinity],
    [one.all, 0],
    [[one.record, one.dist, one.frames], Infinity],
  ] as const) {
    const { session, offer } = await machineWith(one, { ...installed, on: mine, listed, change: { progress } })
    const wanted = wantedOf(one.name, one.manifest, new Set([relPath('etc/two')]))
    assert.equal(await fetchModified(session, offer, wanted, budget), budget > 0)
    const all = told.splice(0)
    assert.deepEqual([all[0], all.at(-1)], [['fetching modified files', undefined], 'end'])
    assert.equal(all.length > 3, budget > 0)
  }
  const { session, offer } = await machineWith(one, {
    ...installed,
    change: { progress },
    served: [one.record, served(one.frames.info.path, one.dist.bytes)],
  })
  const wanted = wantedOf(one.name, one.manifest, new Set([relPath('etc/two')]))
  assert.equal((await refused(fetchModified(session, offer, wanted, Infinity)))[0], 'incomplete')
  assert.deepEqual([told[0], told.at(-1)], [['fetching modified files', undefined], 'end'])
})
