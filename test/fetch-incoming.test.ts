import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { withIncoming } from '../src/engine/client/fetch/fetch.ts'
import { channelFile, channelFiles } from '../src/engine/client/state.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { encodeObsolete } from '../src/format/obsolete.ts'
import { address, amd64, record, served } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import {
  deltaBetween,
  deltaStep,
  digestOfBytes,
  fileOf,
  gzipOnly,
  machineWith,
  whole,
  wholeRelease,
  zstd,
} from './helpers/served-release.ts'
import type { Offer } from '../src/engine/client/fetch/offer.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Basis } from '../src/format/enrolled.ts'
import type { KeptBase } from '../src/format/release-state.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Literal } from './helpers/plant.ts'
import type { Served } from './helpers/listed-releases.ts'
import type { Machine } from './helpers/served-release.ts'

/** How the newest release comes, and what else is tried where a way turns out to be none. */

const tree: Literal = { 'bin/sh': noise(9000, 1), 'etc/version': '1\n', 'etc/hosts': 'hosts\n' }
const one = await wholeRelease(1, tree)
const plain = await wholeRelease(2, { ...tree, 'etc/version': '2\n' })
const { step, delta } = await deltaStep(one, plain)
const two = { ...plain, update: { ...plain.update, deltas: [step.delta] } }
const all = [...one.all, ...two.all, delta]
const at = { delta: delta.info.path }

const baseFile = channelFile(amd64('base'), channelFiles.base)
const base: KeptBase = { file: digestOfBytes(one.dist.bytes), tar: one.update.release.tar, deltas: [] }

type Given = {
  readonly basis?: Basis
  readonly base?: KeptBase
  readonly on?: Literal
  readonly updates?: readonly Update[]
  readonly listed?: readonly Served[]
  readonly served?: readonly Served[]
  readonly offer?: Partial<Offer>
  readonly progress?: Session['progress']
}

async function behind({ basis = 'installed', updates = [two.update], listed = all, ...given }: Given = {}): Promise<Machine> {
  const change = given.progress === undefined ? {} : { progress: given.progress }
  const on: Literal = {
    ...tree,
    ...(given.base === undefined ? {} : { [baseFile]: { kind: 'file', content: one.dist.bytes } }),
    ...given.on,
  }
  const machine = await machineWith(one, {
    basis,
    on,
    listed,
    change,
    ...(given.base === undefined ? {} : { base: given.base }),
    ...(given.served === undefined ? {} : { served: given.served }),
  })
  const known = new Map(listed.map(({ info }) => [info.path, info.sha256] as const))
  const verified = updates.map(markVerified)
  return { ...machine, offer: { ...machine.offer, updates: verified, goals: verified, listed: known, ...given.offer } }
}

type Came = { readonly tar: Uint8Array; readonly incoming: Incoming }
type Fetched = {
  readonly came: Came | undefined
  readonly broken: readonly string[] | undefined
  /** By which way it came each time that it was used. */
  readonly routes: readonly string[]
  readonly error: unknown
  readonly machine: Machine
}

/** Reads the tar; `before` happens before, with how often it was used. */
async function fetched(given: Given = {}, before: (machine: Machine, times: number) => Promise<void> = async () => {}): Promise<Fetched> {
  const machine = await behind(given)
  const routes: string[] = []
  const work = withIncoming(machine.session, machine.offer, async (incoming) => {
    routes.push(incoming.fetched.route)
    await before(machine, routes.length)
    return { incoming, tar: await whole(incoming.tar()) }
  })
  const { used, error } = await work.then(
    (found) => ({ used: found, error: undefined }),
    (thrown: unknown) => ({ used: undefined, error: thrown }),
  )
  return { came: used?.result, broken: used?.broken, routes, error, machine }
}

const isTwo = ({ came, error }: Fetched): void => assert.deepEqual([error, came?.tar], [undefined, two.tar])
const said = ({ machine }: Fetched): readonly string[] => machine.session.said
const asked = ({ machine }: Fetched): readonly string[] => [...new Set(machine.requests())]
const without = (...gone: readonly Served[]): readonly Served[] => all.filter((blob) => !gone.includes(blob))
const spoilt = ({ info }: Served, bytes = utf8('something else')): Served => served(info.path, bytes)

test('where the installed release is the newest, nothing comes', async () => {
  const { came, routes, error, machine } = await fetched({ updates: [] })
  assert.deepEqual([came, routes, error, machine.requests()], [undefined, [], undefined, []])
})

test('by a delta, it comes with all that an install asks for', async () => {
  for (const given of [{}, { basis: 'tar', base }] as const) {
    const result = await fetched({ ...given, offer: { records: [two.record.info.sha256] } })
    isTwo(result)
    const { incoming } = result.came as Came
    const { offer } = result.machine
    assert.deepEqual([result.broken, result.routes, said(result)], [[], ['deltas'], []])
    assert.deepEqual([incoming.channel, incoming.installed], [amd64('base'), offer.installed])
    assert.deepEqual([incoming.update, incoming.passed, incoming.manifest.value], [offer.updates[0], [], two.manifest])
    assert.deepEqual(incoming.fetched, { route: 'deltas', steps: 1, bytes: delta.bytes.length + two.packed.bytes.length })
    assert.deepEqual([...incoming.cached].sort(), [two.record, two.packed, delta].map(({ info }) => info.sha256).sort())
    assert.deepEqual([incoming.obsolete, asked(result).length], [undefined, 2])
    const names = incoming.stateFiles.map(({ path }) => path)
    assert.deepEqual(names, ['base' in given ? '1.delta' : [], 'manifest.mtree.zst', 'release'].flat())
  }
})

test('what the base is packed to, and what was fetched to rebuild the old tar, belongs to it', async () => {
  const packed = await fetched({ basis: 'tar', updates: [{ ...plain.update, ...gzipOnly(plain) }], listed: [...all, plain.gzip] })
  isTwo(packed)
  const { stateFiles, cached } = (packed.came as Came).incoming
  const kept = stateFiles.find(({ path }) => path === channelFiles.base)?.from
  assert.ok(cached.some((digest) => cachePath(digest) === kept))
  assert.notEqual(kept, cachePath(plain.gzip.info.sha256))
  const modified = await fetched({ on: { 'etc/hosts': 'mine' }, updates: [{ ...two.update, full: [] }] })
  isTwo(modified)
  assert.ok(modified.came?.incoming.cached.includes(fileOf(one, 'etc/hosts').sha256))
  const full = await fetched({ basis: 'tar', updates: [plain.update], listed: without(two.frames) })
  isTwo(full)
  assert.deepEqual(full.routes, ['full'])
  // The dist is the new base as well.
  assert.deepEqual(
    full.came?.incoming.cached,
    [two.packed, two.dist, two.dist].map(({ info }) => info.sha256),
  )
})

test('releases that are passed go with it', async () => {
  const between = record(2)
  const last = await wholeRelease(3, { ...tree, 'etc/version': '3\n' })
  const { came } = await fetched({ updates: [between, last.update], listed: last.all })
  assert.deepEqual(
    came?.incoming.passed.map(({ value }) => value),
    [between],
  )
  assert.deepEqual([came?.tar, came?.incoming.fetched.route], [last.tar, 'assembled'])
})

/** Of the index and of the ranges that were asked for. */
function bytesByFrames({ session }: Machine): number {
  return (session.http as MemoryHttp).requests.reduce((sum, { headers }) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers?.['range'] ?? '') ?? []
    return from === undefined ? sum : sum + Number(to) - Number(from) + 1
  }, two.frames.bytes.length)
}

test('without a delta it is put together, or comes whole, and what it cost is told', async () => {
  const updates = [plain.update]
  const together = await fetched({ updates })
  isTwo(together)
  const manifest = two.packed.bytes.length
  const { fetched: account } = (together.came as Came).incoming
  assert.deepEqual(account, { route: 'assembled', steps: 0, bytes: manifest + bytesByFrames(together.machine) })
  const full = await fetched({ updates, listed: without(two.frames) })
  isTwo(full)
  assert.deepEqual(full.came?.incoming.fetched, { route: 'full', steps: 0, bytes: manifest + two.dist.bytes.length })
})

test('the list of what is obsolete comes with it, where it is needed', async () => {
  const list = served(releaseTargets(two.name).obsolete, await zstd(encodeObsolete({ through: 2, items: [] })))
  const update = { ...two.update, obsolete: { target: list.info.path, size: list.bytes.length } }
  const listed = [...all, list, served(releaseTargets(one.name).obsolete, utf8('x'))]
  const whole = { ...update, deltas: [] }
  for (const [next, route, costOf] of [
    [update, 'deltas', () => delta.bytes.length],
    [{ ...whole, full: whole.full.map(({ frames: _, ...way }) => way) }, 'full', () => two.dist.bytes.length],
    [whole, 'assembled', bytesByFrames],
  ] as const) {
    const machine = await behind({ updates: [next], listed })
    const offer = { ...machine.offer, installed: { ...machine.offer.installed, sequence: 5 } }
    const used = await withIncoming(machine.session, offer, async (incoming) => incoming)
    assert.ok(used !== undefined)
    const { obsolete, cached, fetched: account } = used.result
    assert.ok(obsolete !== undefined)
    assert.ok(cached.includes(list.info.sha256))
    const bytes = costOf(machine) + two.packed.bytes.length + list.bytes.length
    assert.deepEqual([account.route, account.bytes], [route, bytes])
  }
})

// --- other ways

const whole2 = { listed: without(two.frames) }

test('a delta that is broken is said and told, and the next way is taken', async () => {
  const broken = spoilt(delta, delta.bytes.subarray(0, -9))
  const listed = without(delta, two.frames).concat(broken)
  const result = await fetched({ listed })
  isTwo(result)
  assert.deepEqual([result.routes, result.broken], [['deltas', 'full'], [at.delta]])
  assert.equal(said(result).length, 1)
  assert.match(said(result)[0] as string, new RegExp(`^${at.delta} is broken: .*; trying another way$`))
  const other = (await deltaStep(one, one)).delta
  const elsewhere = await fetched({ listed: without(delta, two.frames).concat(spoilt(delta, other.bytes)) })
  isTwo(elsewhere)
  assert.deepEqual(said(elsewhere), [
    `${at.delta} is broken: ${at.delta}: does not lead from and to the releases that its record says; trying another way`,
  ])
})

test('a target that no mirror has as it is signed is said, and the next way is taken', async () => {
  const url = blobUrl(address, delta.info)
  for (const [answered, why] of [
    [without(delta), 'answered 404'],
    [without(delta).concat({ info: delta.info, bytes: delta.bytes.map((byte) => byte ^ 1) }), ''],
  ] as const) {
    const result = await fetched({ ...whole2, served: answered })
    isTwo(result)
    assert.deepEqual([result.routes, result.broken, said(result).length], [['full'], [at.delta], 1])
    assert.ok(said(result)[0]?.startsWith(`${at.delta} cannot be had: ${url}: ${why}`), said(result)[0])
  }
})

test('a manifest comes by a delta, too, and whole where that cannot be had', async () => {
  const text = await deltaBetween(encodeManifest(one.manifest), encodeManifest(two.manifest))
  const small = served(releaseTargets(two.name).manifestDelta(step.delta.from), text)
  const manifest = { target: small.info.path, size: two.packed.bytes.length - 1 }
  const given = { updates: [{ ...two.update, deltas: [{ ...step.delta, manifest }] }], listed: [...all, small] }
  const patched = await fetched(given)
  isTwo(patched)
  assert.deepEqual([patched.came?.incoming.manifest.value, said(patched)], [two.manifest, []])
  const whole = await fetched({ ...given, served: all })
  isTwo(whole)
  assert.deepEqual([whole.came?.incoming.manifest.value, whole.routes, whole.broken], [two.manifest, ['deltas'], [small.info.path]])
  assert.deepEqual(said(whole), [`${small.info.path} cannot be had: ${blobUrl(address, small.info)}: answered 404; trying another way`])
  for (const [result, came] of [
    [patched, small],
    [whole, two.packed],
  ] as const)
    assert.ok(result.came?.incoming.cached.includes(came.info.sha256))
})

test('where no way is left, why the last one was none is told; where there never was one, that', async () => {
  const nothing = await fetched({ listed: without(delta, two.frames), served: without(two.dist) })
  assert.deepEqual(await refused(Promise.reject(nothing.error as Error)), ['incomplete', blobUrl(address, two.dist.info)])
  assert.equal(said(nothing).length, 1)
  const never = await fetched({ listed: without(delta, two.dist) })
  assert.deepEqual(await refused(Promise.reject(never.error as Error)), ['no-way', 'base/amd64'])
  // Of broken ones it was said before.
  const broken = without(delta, two.frames, two.dist).concat(spoilt(two.dist, one.dist.bytes))
  const last = await fetched({ listed: broken })
  assert.deepEqual(await refused(Promise.reject(last.error as Error)), ['no-way', 'base/amd64'])
  assert.deepEqual(said(last), [`${two.dist.info.path} is broken: does not unpack to the release that its record says; trying another way`])
})

test('what no other way would help with ends it', async () => {
  const manifest = await fetched({ served: without(two.packed) })
  assert.deepEqual(await refused(Promise.reject(manifest.error as Error)), ['incomplete', blobUrl(address, two.packed.info)])
  const failing = await fetched({}, async () => await Promise.reject(new BinderyError('conflict', 'is in the way')))
  assert.deepEqual(await refused(Promise.reject(failing.error as Error)), ['conflict', undefined])
  const bug = await fetched({}, async () => await Promise.reject(new Error('a bug')))
  assert.match(String(bug.error), /a bug/)
  for (const result of [manifest, failing, bug]) assert.deepEqual([said(result), result.routes.length < 2], [[], true])
  const machine = await behind(whole2)
  const away: Session['http'] = {
    get: async (request) => {
      if (request.url.includes('.delta')) throw new BinderyError('network', 'is away', { subject: request.url })
      return await machine.session.http.get(request)
    },
  }
  const work = withIncoming({ ...machine.session, http: away }, machine.offer, async () => {})
  assert.deepEqual(await refused(work), ['network', blobUrl(address, delta.info)])
})

async function change({ session: { disk } }: Machine, path: string, content: string): Promise<void> {
  await disk.unlink(relPath(path))
  await disk.create(relPath(path), oneChunk(utf8(content)))
}

test('a file that changes while the old tar is rebuilt lets no delta be used any more', async () => {
  const changing = async (machine: Machine, times: number): Promise<void> => {
    if (times === 1) await change(machine, 'etc/hosts', 'mine!\n')
  }
  const result = await fetched(whole2, changing)
  isTwo(result)
  assert.deepEqual([result.routes, result.broken], [['deltas', 'full'], []])
  assert.equal(said(result).length, 1)
  assert.match(said(result)[0] as string, /^the old release cannot be rebuilt: etc\/hosts: .*; trying another way$/)
})

test('a file that changes while a release is put together lets it come whole', async () => {
  const changing = async (machine: Machine, times: number): Promise<void> => {
    if (times === 1) await change(machine, 'etc/hosts', 'mine!\n')
  }
  const result = await fetched({ updates: [plain.update] }, changing)
  isTwo(result)
  assert.deepEqual([result.routes, result.broken], [['assembled', 'full'], []])
  assert.match(said(result).join('|'), /^files changed meanwhile: etc\/hosts: .*; trying another way$/)
})

test('the old tar is only looked for where a delta is hoped for, and mended for no more than is saved by it', async () => {
  const damaged = { [channelFile(amd64('base'), channelFiles.manifest)]: 'damaged' }
  const none = await fetched({ on: damaged, updates: [plain.update], listed: without(two.frames) })
  isTwo(none)
  assert.deepEqual(said(none), [])
  const hoped = await fetched({ on: damaged, listed: without(two.frames) })
  isTwo(hoped)
  assert.deepEqual([hoped.routes, said(hoped).length], [['full'], 1])
  const cheap = await fetched({ on: { 'etc/hosts': 'mine' }, listed: without(two.frames) })
  isTwo(cheap)
  assert.deepEqual(cheap.routes, ['deltas'])
  const less: Update = { ...two.update, full: two.update.full.map((way) => ({ ...way, size: delta.bytes.length + 1 })) }
  const notWorth = await fetched({ on: { 'etc/hosts': 'mine' }, updates: [less], listed: without(two.frames) })
  assert.deepEqual(notWorth.routes, ['full'])
})

test('what is here of a way makes it cheaper', async () => {
  const update = { ...two.update, deltas: [{ ...step.delta, size: two.dist.bytes.length - 1 }] }
  const fresh = await fetched({ updates: [update], listed: without(two.frames) })
  assert.deepEqual(fresh.routes, ['deltas'])
  const part: Literal = {
    [`var/db/bindery/cache/${two.dist.info.sha256}.part`]: { kind: 'file', content: two.dist.bytes.subarray(0, 100) },
  }
  const begun = await fetched({ updates: [update], listed: without(two.frames), on: part })
  isTwo(begun)
  assert.deepEqual(begun.routes, ['full'])
})

test('it is told how much is to come, how far that is, and that it has ended, each time', async () => {
  const told: unknown[] = []
  const progress: Session['progress'] = {
    start: (...begun) => {
      if (!begun[0].startsWith('fetching base')) return { advance: () => {}, end: () => {} }
      told.push(begun)
      return { advance: (bytes) => void told.push(bytes), end: () => void told.push('end') }
    },
  }
  const left = delta.bytes.length + two.packed.bytes.length
  isTwo(await fetched({ progress }))
  assert.deepEqual(told.splice(0), [['fetching base-2-20260101-amd64', left], two.packed.bytes.length, delta.bytes.length, 'end'])
  await fetched({ progress, served: without(two.packed) })
  assert.deepEqual([told[0], told.at(-1)], [['fetching base-2-20260101-amd64', left], 'end'])
})

test('old contents come from the installed release', async () => {
  const { came } = await fetched({ basis: 'tar', base })
  const file = fileOf(one, 'etc/version')
  const found = await came?.incoming.oldContents([file])
  assert.deepEqual(
    [...(found ?? [])].map(([digest, bytes]) => [digest, Buffer.from(bytes).toString()]),
    [[file.sha256, '1\n']],
  )
})
