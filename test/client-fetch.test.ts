import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { digestStream, sha256 } from '../src/base/digest.ts'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { blamed } from '../src/engine/client/fetch/fault.ts'
import { withIncoming } from '../src/engine/client/fetch/fetch.ts'
import { findOffers } from '../src/engine/client/fetch/offer.ts'
import { readInstalledManifest } from '../src/engine/client/installed.ts'
import { openRepairSource } from '../src/engine/client/fetch/repair-source.ts'
import { channelFile, readReleaseState, statePaths, writeStateFile } from '../src/engine/client/state.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { base, channel, many, openRepositoryOnline, readText, stateNames, takeRequests, tree } from './helpers/client-repository.ts'
import { plant } from './helpers/plant.ts'
import { noise } from './helpers/noise.ts'
import type { RelPath } from '../src/base/path.ts'
import type { FileEntry } from '../src/base/entry.ts'
import type { FaultFinder } from '../src/engine/client/fetch/fault.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Page } from '../src/host/memory-http.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'

async function incomingOf(session: Session): Promise<Incoming | undefined> {
  const [offer] = await findOffers(session)
  return offer === undefined ? undefined : (await withIncoming(session, offer, async (incoming) => incoming))?.result
}

/** What the install half does with the state, without a journal. */
async function adopt(session: Session, incoming: Incoming): Promise<void> {
  const { sha256: digest, size } = incoming.update.value.release.tar
  assert.deepEqual(await digestStream(incoming.tar()), { sha256: digest, size })
  for (const { path, content } of incoming.stateFiles) {
    const file = channelFile(channel, path)
    if (content === 'remove') await session.disk.unlink(file)
    else {
      const parts: Uint8Array[] = []
      for await (const bytes of content()) parts.push(bytes)
      await writeStateFile(session.disk, file, Buffer.concat(parts))
    }
  }
}

for (const basis of ['tar', 'installed'] as const) {
  test(`a fetch brings delta and manifest, and the new tar comes out of it (basis ${basis})`, async () => {
    const online = await openRepositoryOnline()
    await online.release(tree(1))
    const session = await online.client(tree(1))
    await online.enroll(session, { basis })
    await online.release(tree(2))
    takeRequests(online.http)
    const incoming = await incomingOf(session)
    assert.deepEqual(incoming?.fetched.route, 'deltas')
    assert.ok(!takeRequests(online.http).some(({ path }) => path.endsWith('.tar.zst')))
    await adopt(session, incoming)
    assert.deepEqual(
      await stateNames(session),
      basis === 'tar' ? ['1.delta', 'base.tar.zst', 'manifest.mtree.zst', 'release'] : ['manifest.mtree.zst', 'release'],
    )
    assert.equal((await readReleaseState(session.disk, channel)).sequence, 2)
    await readInstalledManifest(session.disk, channel, await readReleaseState(session.disk, channel))
  })
}

test('deltas pile up on the base from release to release', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  for (const revision of [2, 3, 4]) {
    await online.release(tree(revision))
    await adopt(session, (await incomingOf(session)) as Incoming)
  }
  assert.deepEqual(await stateNames(session), ['1.delta', '2.delta', '3.delta', 'base.tar.zst', 'manifest.mtree.zst', 'release'])
  assert.equal(await incomingOf(session), undefined)
})

test('deltas that outgrow a quarter of the base are folded into a new one', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  await online.release(tree(2, { 'share/new': noise(200_000, 3) }))
  const incoming = await incomingOf(session)
  assert.equal(incoming?.fetched.route, 'deltas')
  await adopt(session, incoming)
  assert.deepEqual(await stateNames(session), ['base.tar.zst', 'manifest.mtree.zst', 'release'])
  await online.release(tree(3, { 'share/new': noise(200_000, 3) }))
  await adopt(session, (await incomingOf(session)) as Incoming)
})

test('a release that is cheaper as a whole comes whole, and is the new base', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1), tree(2))
  const session = await online.client(tree(1))
  await online.enroll(session)
  await adopt(session, (await incomingOf(session)) as Incoming)
  // Nothing of it was there before: no delta is smaller.
  await online.release({ 'bin/other': noise(50_000, 77), var: { kind: 'dir' } })
  const incoming = await incomingOf(session)
  assert.equal(incoming?.fetched.route, 'full')
  await adopt(session, incoming)
  assert.deepEqual(await stateNames(session), ['base.tar.zst', 'manifest.mtree.zst', 'release'])
})

for (const [name, damage] of [
  ['damaged', async (session: Session, file: RelPath) => await writeStateFile(session.disk, file, new Uint8Array(100))],
  ['missing', async (session: Session, file: RelPath) => await session.disk.unlink(file)],
] as const) {
  test(`a ${name} base is said, and the release fetched whole`, async () => {
    const online = await openRepositoryOnline()
    await online.release(tree(1))
    const session = await online.client(tree(1))
    await online.enroll(session)
    await online.release(tree(2))
    await damage(session, channelFile(channel, 'base.tar.zst' as RelPath))
    const incoming = await incomingOf(session)
    assert.equal(incoming?.fetched.route, 'full')
    assert.match(session.said.join('\n'), /base\.tar\.zst: .*no delta can be used/)
    await adopt(session, incoming)
    await online.release(tree(3))
    assert.equal((await incomingOf(session))?.fetched.route, 'deltas')
  })
}

test('with basis installed, modified files are fetched alone, and the tar is that of the release', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1, many))
  const session = await online.client(tree(1, many))
  await online.enroll(session, { basis: 'installed' })
  await online.release(tree(2, many))
  await session.disk.unlink('etc/version' as RelPath)
  await session.disk.unlink('share/3' as RelPath)
  await session.disk.create('share/3' as RelPath, oneChunk(utf8('changed here')))
  takeRequests(online.http)
  const incoming = await incomingOf(session)
  assert.equal(incoming?.fetched.route, 'deltas')
  const ranges = takeRequests(online.http).filter(({ path, headers }) => path.endsWith('.tar.zst') && headers['range'] !== undefined)
  assert.ok(ranges.length >= 1 && ranges.length <= 3, `${ranges.length} ranges`)
  await adopt(session, incoming)
})

test('with basis installed, too many modified files make the whole release cheaper', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session, { basis: 'installed' })
  await online.release(tree(2))
  for (const path of ['bin/sh', 'lib/libc.so.1']) await session.disk.unlink(path as RelPath)
  const incoming = await incomingOf(session)
  assert.equal(incoming?.fetched.route, 'full')
  await adopt(session, incoming)
})

test('a file that changes while the old tar is rebuilt is the host’s fault, and the release comes whole', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session, { basis: 'installed' })
  await online.release(tree(2))
  const [offer] = await findOffers(session)
  const routes: string[] = []
  const used = await withIncoming(session, offer as never, async (incoming) => {
    routes.push(incoming.fetched.route)
    if (routes.length === 1) {
      await session.disk.unlink('bin/sh' as RelPath)
      await plant(session.disk, { 'bin/sh': noise(300_000, 9) })
    }
    await digestStream(incoming.tar())
  })
  assert.deepEqual([routes, used?.broken], [['deltas', 'full'], []])
  assert.match(session.said.join('\n'), /cannot be rebuilt/)
})

test('a broken delta is named, another way is taken, and nobody can overlook it', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  await online.release(tree(2))
  // The base is another tar than the state believes, so that the delta cannot apply; its own digest is right.
  const other = await openRepositoryOnline()
  await other.release({ ...tree(1), 'bin/sh': noise(300_000, 9) })
  const twin = await other.client({ ...tree(1), 'bin/sh': noise(300_000, 9) })
  await other.enroll(twin)
  const file = channelFile(channel, 'base.tar.zst' as RelPath)
  const bytes = Buffer.from(await readText(twin.disk, file), 'latin1')
  await writeStateFile(session.disk, file, bytes)
  const state = await readReleaseState(session.disk, channel)
  const lie = { ...state, base: { file: { sha256: sha256(bytes), size: bytes.length }, tar: state.tar, deltas: [] } }
  await writeStateFile(session.disk, channelFile(channel, 'release' as RelPath), encodeReleaseState(lie))
  const [offer] = await findOffers(session)
  const used = await withIncoming(session, offer as never, async (incoming) => await digestStream(incoming.tar()))
  assert.deepEqual(used?.broken, ['base/amd64/base-1-20260101-amd64_to_base-2-20260101-amd64.delta'])
  assert.match(session.said.join('\n'), /\.delta is broken: .*trying another way/)
})

for (const [what, spoil, code] of [
  ['damaged', (page: Page): Page => ({ bytes: (page.bytes as Uint8Array).map((byte, i) => (i === 100 ? byte ^ 1 : byte)) }), 'bad-digest'],
  ['missing', (): Page => ({ status: 404 }), 'incomplete'],
] as const) {
  test(`a delta that is ${what} on every mirror is named, and another way is taken; with none left, that is the error`, async () => {
    const online = await openRepositoryOnline()
    await online.release(tree(1))
    const session = await online.client(tree(1))
    await online.enroll(session)
    await online.release(tree(2))
    const isDelta = (key: string): boolean => /(?<!mtree)\.delta$/.test(key)
    await online.serve(base, (key, page) => (isDelta(key) ? spoil(page) : page))
    const [offer] = await findOffers(session)
    const used = await withIncoming(session, offer as never, async (incoming) => {
      await adopt(session, incoming)
      return incoming.fetched.route
    })
    assert.deepEqual([used?.result, used?.broken], ['full', ['base/amd64/base-1-20260101-amd64_to_base-2-20260101-amd64.delta']])
    assert.match(session.said.join('\n'), /\.delta: .*trying another way/)
    await online.release(tree(3))
    await online.serve(base, (key, page) => (/(?<!mtree)\.delta$|base-3.*\.tar\.zst$/.test(key) ? spoil(page) : page))
    const [next] = await findOffers(session)
    await assert.rejects(
      withIncoming(session, next as never, async (incoming) => await digestStream(incoming.tar())),
      { code },
    )
  })
}

test('a disk that fails is not blamed on a delta', async () => {
  const finder: FaultFinder = { found: undefined }
  const suspect = { kind: 'target', target: 'base.delta' } as const
  for (const code of ['io', 'permission', 'read-only', 'no-space'] as const) blamed(finder, suspect, new BinderyError(code, 'x'))
  assert.equal(finder.found, undefined)
  blamed(finder, suspect, new BinderyError('bad-format', 'x'))
  assert.deepEqual(Object.keys(finder.found ?? {}), ['kind', 'target', 'error'])
})

test('an error of the consumer is the consumer’s', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  await online.release(tree(2))
  const [offer] = await findOffers(session)
  let calls = 0
  const use = async (incoming: Incoming): Promise<void> => {
    calls++
    for await (const bytes of incoming.tar()) if (bytes.length > 0) throw new Error('no space in the consumer')
  }
  await assert.rejects(withIncoming(session, offer as never, use), /no space in the consumer/)
  assert.equal(calls, 1)
})

test('files are repaired from the base, and over the network when it is gone', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  const [enrollment] = await online.enroll(session)
  const installed = await readReleaseState(session.disk, channel)
  const manifest = await readInstalledManifest(session.disk, channel, installed)
  const wanted = manifest.entries.filter(
    (entry): entry is FileEntry => entry.kind === 'file' && ['etc/version', 'bin/sh'].includes(entry.path),
  )
  const repair = { enrolled: enrollment?.enrolled as never, installed, manifest, files: wanted }
  for (const prepare of [async () => {}, async () => await session.disk.unlink(channelFile(channel, 'base.tar.zst' as RelPath))]) {
    await prepare()
    const read = await openRepairSource(session, repair)
    for (const entry of wanted) assert.equal((await digestStream(read(entry))).sha256, entry.sha256)
    for (const name of await session.disk.readdir(statePaths.cache)) await session.disk.unlink(`${statePaths.cache}/${name}` as RelPath)
  }
  assert.match(session.said.join('\n'), /base\.tar\.zst: .*fetching instead/)
})
