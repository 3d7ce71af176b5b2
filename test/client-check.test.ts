import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { findingOf, describeFinding } from '../src/engine/client/fetch/check.ts'
import { withIncoming } from '../src/engine/client/fetch/fetch.ts'
import { mirrorOrder } from '../src/engine/client/fetch/mirror-order.ts'
import { findOffers } from '../src/engine/client/fetch/offer.ts'
import { signedFile } from '../src/engine/repo/commit.ts'
import { requireSigners } from '../src/engine/repo/keyring.ts'
import { loadRepository, roleKeysOf } from '../src/engine/repo/repository.ts'
import { readEnrolled, statePaths } from '../src/engine/client/state.ts'
import { memoryHttp } from '../src/host/memory-http.ts'
import { base, channel, openRepositoryOnline, readText, takeRequests, tree } from './helpers/client-repository.ts'
import { plant } from './helpers/plant.ts'
import { noise } from './helpers/noise.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Validators } from './helpers/client-repository.ts'

async function incomingOf(session: Session): Promise<Incoming | undefined> {
  const [offer] = await findOffers(session)
  return offer === undefined ? undefined : (await withIncoming(session, offer, async (incoming) => incoming))?.result
}

for (const validators of ['etag', 'date', 'none'] as const satisfies readonly Validators[]) {
  test(`a check when current is one request (${validators})`, async () => {
    const online = await openRepositoryOnline(validators)
    await online.release(tree(1))
    const session = await online.client(tree(1))
    await online.enroll(session)
    takeRequests(online.http)
    const [offer] = await findOffers(session)
    assert.deepEqual(offer?.updates, [])
    const requests = takeRequests(online.http)
    assert.deepEqual(
      requests.map(({ path }) => path),
      ['/metadata/timestamp.json'],
    )
    const conditions = { etag: 'if-none-match', date: 'if-modified-since', none: undefined }
    if (conditions[validators] !== undefined) assert.ok(requests[0]?.headers[conditions[validators]])
    assert.equal(requests[0]?.headers['cache-control'], 'max-age=0')
    assert.ok(((await online.workshop.store.get('metadata/timestamp.json')) as Uint8Array).length <= 1024)
  })
}

test('check tells of a small delta, of several releases at once, and of what is held', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  await online.release(tree(2), tree(3))
  const [offer] = await findOffers(session)
  assert.ok(offer)
  const finding = await findingOf(session, offer, [])
  assert.deepEqual([finding.route, finding.steps, finding.releases], ['deltas', 1, 2])
  assert.ok(finding.bytes < 20_000, `${finding.bytes} bytes`)
  const held = { ...session, config: { ...session.config, hold: ['base/amd64'] } }
  const [heldOffer] = await findOffers(held)
  const [line] = describeFinding(await findingOf(held, heldOffer as never, []))
  assert.match(line as string, /^base\/amd64: base-1-20260101-amd64 -> base-3-20260101-amd64, .* in 1 delta, 2 releases, held$/)
})

test('who may only read checks too, and keeps nothing', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  await online.release(tree(2))
  const before = await readText(session.disk, `${statePaths.trust}/${(await readEnrolled(session.disk))[0]?.repository}/timestamp.json`)
  const [offer] = await findOffers({ ...session, access: 'read' })
  assert.equal(offer?.updates.length, 1)
  assert.equal(await readText(session.disk, `${statePaths.trust}/${offer.enrolled.repository}/timestamp.json`), before)
  assert.deepEqual(await session.disk.readdir(statePaths.cache), [])
})

test('an expired repository is stale since its date', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  online.workshop.pass(4000)
  await assert.rejects(findOffers(session), { code: 'expired', message: /since/ })
})

test('the mirror is asked when the repository is away, stale, or tampered with', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  const mirror = 'http://mirror.test/'
  await online.serve(mirror)
  await online.enroll(session, { urls: [base, mirror] })
  await online.release(tree(2))
  await online.serve(mirror)
  const pages = [...online.http.pages].filter(([url]) => url.startsWith(base))
  const behaviours: readonly ((url: string) => void)[] = [
    (url) => void online.http.pages.delete(url),
    (url) => void online.http.pages.set(url, { status: 200, bytes: utf8('<html>log in</html>') }),
    (url) => void online.http.pages.set(url, { bytes: utf8('{"signed":{},"signatures":[]}') }),
    (url) => void online.http.pages.set(url, { status: 503 }),
    (url) => void online.http.pages.set(url, { bytes: utf8('{"signed":{"_type":"timestamp","spec_version":"2.0.0"},"signatures":[]}') }),
  ]
  for (const behave of behaviours) {
    for (const [url] of pages) behave(url)
    // Nothing is known of either yet, so that the first one is asked first.
    const fresh = { ...session, access: 'read' as const, mirrors: mirrorOrder([]) }
    const [offer] = await findOffers(fresh)
    assert.equal(offer?.updates.length, 1)
  }
  const incoming = await incomingOf(session)
  assert.equal(incoming?.fetched.route, 'deltas')
})

test('an old mirror cannot roll a client back', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const old = new Map(online.http.pages)
  const session = await online.client(tree(1))
  await online.enroll(session)
  await online.release(tree(2))
  await findOffers(session)
  const stale = memoryHttp(old)
  await assert.rejects(findOffers({ ...session, http: stale }), { code: 'downgrade' })
})

test('two channels of one repository share its trust and its request', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  const { makeDist, releaseName } = await import('./helpers/repository.ts')
  await online.workshop.publish(
    await makeDist(releaseName('1', { product: 'comp' }), { 'bin/cc': noise(1000, 5), 'bin/ld': noise(1000, 6), var: { kind: 'dir' } }),
  )
  await online.serve()
  await plant(session.disk, { 'bin/cc': noise(1000, 5), 'bin/ld': noise(1000, 6) }).catch(() => {})
  await online.enroll(session, { channels: [{ product: 'comp', arch: 'amd64' }] })
  takeRequests(online.http)
  const offers = await findOffers(session)
  assert.equal(offers.length, 2)
  assert.equal(takeRequests(online.http).length, 1)
  await assert.rejects(findOffers(session, [{ product: 'none', arch: 'amd64' }]), { code: 'not-enrolled' })
  assert.equal((await findOffers(session, [channel])).length, 1)
})

const lan = 'http://lan.test/'

test('a refused repository is one error that names address and file', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  online.workshop.pass(4000)
  await assert.rejects(findOffers(session), { code: 'expired', subject: `${base}: root.json` })
  assert.deepEqual(session.said, [])
})

test('what each of several mirrors failed with is told once, and a refusal keeps its status', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session, { urls: [base, lan] })
  session.explained.length = 0
  await online.release(tree(2))
  online.http.pages.set(`${base}metadata/timestamp.json`, { bytes: utf8('{"signed":1}') })
  await assert.rejects(findOffers(session), { code: 'bad-format', subject: `${lan}: timestamp.json`, hint: undefined })
  assert.equal(session.said.length, 1)
  assert.match(session.said[0] as string, /^http:\/\/updates\.test\/: timestamp\.json: .*; going on with http:\/\/lan\.test\/$/)
  assert.deepEqual(session.explained, [])
})

test('where all mirrors are away, the error is the last one, and says how to learn of the others', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session, { urls: [base, lan] })
  session.explained.length = 0
  for (const key of online.http.pages.keys()) online.http.pages.set(key, { status: 503, bytes: utf8('') })
  await online.serve(lan, (_, page) => ({ ...page, status: 500 }))
  await assert.rejects(findOffers(session), { code: 'network', subject: `${lan}metadata/timestamp.json`, hint: /-v/ })
  assert.deepEqual(session.said, [])
  assert.equal(session.explained.length, 1)
})

for (const [name, spoil] of Object.entries({
  truncated: async (disk: Disk, path: RelPath) => await disk.truncate(path, 100),
  gone: async (disk: Disk, path: RelPath) => await disk.unlink(path),
})) {
  test(`a trusted root that is ${name} is this host's trouble, and no mirror's`, async () => {
    const online = await openRepositoryOnline()
    await online.release(tree(1))
    const session = await online.client(tree(1))
    await online.enroll(session)
    const root = `${statePaths.trust}/${(await readEnrolled(session.disk))[0]?.repository}/root.json` as RelPath
    await spoil(session.disk, root)
    takeRequests(online.http)
    const code = name === 'gone' ? 'not-found' : 'bad-format'
    await assert.rejects(findOffers(session), { code, subject: root, hint: /enroll the channel again with --force/ })
    assert.deepEqual([takeRequests(online.http), session.said], [[], []])
    await online.enroll(session, { force: true })
    assert.equal((await findOffers(session)).length, 1)
  })
}

for (const access of ['write', 'read'] as const) {
  test(`a mirror in the middle of its sync does not make the others downgrades, nor is it one afterwards (${access})`, async () => {
    const online = await openRepositoryOnline()
    await online.release(tree(1))
    const session = await online.client(tree(1))
    await online.enroll(session, { urls: [lan, base] })
    await online.release(tree(2))
    await online.serve(lan)
    assert.equal((await findOffers(session))[0]?.updates.length, 1)
    const older = new Map(online.http.pages)
    await online.release(tree(3))
    await online.serve(lan)
    const newer = new Map(online.http.pages)
    // rsync in the order of names, or what of a new state a cache on the way happens to hold.
    const metadata = [...newer.keys()].filter((key) => key.startsWith(`${lan}metadata/`) && newer.get(key)?.etag !== older.get(key)?.etag)
    assert.equal(metadata.length, 3)
    for (const missing of metadata.filter((key) => !key.endsWith('/timestamp.json'))) {
      const pages = new Map([...older, ...[...newer].filter(([key]) => key.startsWith(lan) && key !== missing)])
      session.said.length = 0
      const early = { ...session, access, http: memoryHttp(pages), mirrors: mirrorOrder([]) }
      assert.equal((await findOffers(early))[0]?.updates.length, 1, missing)
      assert.deepEqual(session.said, [])
    }
    const late = { ...session, access, http: memoryHttp(newer), mirrors: mirrorOrder([]) }
    assert.equal((await findOffers(late))[0]?.updates.length, 2)
    // What was taken is not gone back on.
    if (access === 'write') await assert.rejects(findOffers({ ...late, http: memoryHttp(older) }), { code: 'downgrade' })
  })
}

test('a new root is kept, whatever else its mirror lacks', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  const [enrollment] = await online.enroll(session, { urls: [lan, base] })
  const older = new Map(online.http.pages)
  const { keyring, store } = online.workshop
  const repository = await loadRepository(store)
  const signers = await requireSigners(keyring, 'root', roleKeysOf(repository, 'root'))
  const next = signedFile('root', { ...repository.root.signed.value, version: 2 }, signers)
  await online.release(tree(2))
  const timestamp = online.http.pages.get(`${base}metadata/timestamp.json`)
  const half = { [`${lan}metadata/2.root.json`]: { bytes: next.file }, [`${lan}metadata/timestamp.json`]: timestamp ?? {} }
  const pages = new Map([...older, ...Object.entries(half)])
  online.workshop.pass(2)
  assert.deepEqual((await findOffers({ ...session, http: memoryHttp(pages), mirrors: mirrorOrder([]) }))[0]?.updates, [])
  const root = `${statePaths.trust}/${enrollment?.enrolled.repository}/root.json` as RelPath
  assert.match(await readText(session.disk, root), /"version":2/)
})
