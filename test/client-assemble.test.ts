import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestStream } from '../src/base/digest.ts'
import { withIncoming } from '../src/engine/client/fetch/fetch.ts'
import { findOffers } from '../src/engine/client/fetch/offer.ts'
import { readReleaseState } from '../src/engine/client/state.ts'
import { base, channel, installNewest, openRepositoryOnline, stateNames, takeRequests, tree } from './helpers/client-repository.ts'
import { noise } from './helpers/noise.ts'
import { plant } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Used } from '../src/engine/client/fetch/fetch.ts'
import type { TestSession } from './helpers/client.ts'
import type { Literal, Plant } from './helpers/plant.ts'
import type { Online } from './helpers/client-repository.ts'

/** Where no delta leads to a release: put together from what is here and frames of its dist. */

const isDelta = (key: string): boolean => /(?<!mtree)\.delta$/.test(key)

const mass = (byte: number): Plant => ({ kind: 'file', content: new Uint8Array(1_500_000).fill(byte) })

/** With what `tree` has two frames of 4 MiB: 0 is in the first of them, 3 in the second. */
const large: Literal = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`share/${i}`, mass(10 + i)]))
const changed = { ...large, 'share/3': mass(99) }

/** A machine with one release, and a second one to which no mirror has a usable delta. */
async function behind(
  [first, second]: readonly [Literal, Literal],
  basis: 'tar' | 'installed' = 'tar',
): Promise<{ online: Online; session: TestSession }> {
  const online = await openRepositoryOnline()
  await online.release(first)
  const session = await online.client(first)
  await online.enroll(session, { basis })
  await online.release(second)
  await online.serve(base, (key, page) => (isDelta(key) ? { status: 404 } : page))
  takeRequests(online.http)
  return { online, session }
}

async function fetchNewest(session: TestSession, use: (incoming: Incoming) => Promise<void> = passOver): Promise<Used<readonly string[]>> {
  const [offer] = await findOffers(session)
  const routes: string[] = []
  const used = await withIncoming(session, offer as never, async (incoming) => {
    routes.push(incoming.fetched.route)
    await use(incoming)
    return routes
  })
  return used as Used<readonly string[]>
}

async function passOver(incoming: Incoming): Promise<void> {
  const { sha256, size } = incoming.update.value.release.tar
  assert.deepEqual(await digestStream(incoming.tar()), { sha256, size })
}

function asked(online: Online): { readonly ranges: number; readonly whole: number } {
  const dists = takeRequests(online.http).filter(({ path }) => path.endsWith('.tar.zst'))
  const ranges = dists.filter(({ headers }) => headers['range'] !== undefined).length
  return { ranges, whole: dists.length - ranges }
}

test('what a release is said to have cost is its manifest, the index of its frames, and frames', async () => {
  const { online, session } = await behind([tree(1, large), tree(1, changed)])
  const [offer] = await findOffers(session)
  const used = await withIncoming(session, offer as never, async ({ fetched, update }) => fetched.bytes - update.value.manifest.size)
  const pages = new Map([...online.http.pages].map(([url, page]) => [new URL(url).pathname, page.bytes?.length ?? 0]))
  const sizes = takeRequests(online.http).flatMap(({ path, headers }) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '') ?? []
    if (first !== undefined) return Number(last) - Number(first) + 1
    return path.endsWith('.frames') ? (pages.get(path) as number) : []
  })
  assert.equal(sizes.length, 2)
  assert.equal(used?.result, (sizes[0] as number) + (sizes[1] as number))
})

for (const basis of ['tar', 'installed'] as const) {
  test(`without a delta, only the frames come whose files are not here (basis ${basis})`, async () => {
    const { online, session } = await behind([tree(1, large), tree(1, changed)], basis)
    const used = await fetchNewest(session)
    assert.deepEqual([used.result, used.broken.length], [['assembled'], 1])
    assert.deepEqual(asked(online), { ranges: 1, whole: 0 })
    await installNewest(session)
    assert.equal((await readReleaseState(session.disk, channel)).sequence, 2)
    assert.deepEqual(
      await stateNames(session),
      basis === 'tar' ? ['base.tar.zst', 'manifest.mtree.zst', 'release'] : ['manifest.mtree.zst', 'release'],
    )
    // What was made the base serves the next delta.
    await online.release(tree(3, large))
    assert.deepEqual((await fetchNewest(session)).result, ['deltas'])
  })
}

test('what has another name now is here, and a release of which all is here asks for nothing of its dist', async () => {
  const { 'share/3': moved, ...rest } = large
  const { online, session } = await behind([tree(1, large), { ...tree(1, rest), 'lib/moved': moved as Plant }])
  assert.deepEqual((await fetchNewest(session)).result, ['assembled'])
  assert.deepEqual(asked(online), { ranges: 0, whole: 0 })
})

test('what was changed here comes as well', async () => {
  const { online, session } = await behind([tree(1, large), tree(1, { ...large, zoo: 'new' })])
  await session.disk.unlink('share/3' as RelPath)
  await plant(session.disk, { 'share/3': 'changed here' })
  assert.deepEqual((await fetchNewest(session)).result, ['assembled'])
  assert.deepEqual(asked(online), { ranges: 1, whole: 0 })
})

test('frames that came are not asked for again by the next run', async () => {
  const larger = { ...large, 'share/4': mass(14), 'share/5': mass(15) }
  const next = { ...larger, 'share/0': mass(60), 'share/3': mass(63) }
  const { online, session } = await behind([tree(1, larger), tree(1, next)])
  const whole = session.http
  let ranges = 0
  const breaking: typeof whole = {
    ...whole,
    get: async (request) => {
      if (request.headers?.['range'] !== undefined && ++ranges > 1) online.http.pages.set(request.url, { status: 503 })
      return await whole.get(request)
    },
  }
  await assert.rejects(fetchNewest({ ...session, http: breaking }), { code: 'network' })
  await online.serve(base, (key, page) => (isDelta(key) ? { status: 404 } : page))
  takeRequests(online.http)
  assert.deepEqual((await fetchNewest(session)).result, ['assembled'])
  assert.ok(asked(online).ranges === 1)
})

test('a release of which most is new comes whole, in one request', async () => {
  const { online, session } = await behind([tree(1), { 'bin/other': noise(700_000, 77), var: { kind: 'dir' } }])
  assert.deepEqual((await fetchNewest(session)).result, ['full'])
  assert.deepEqual(asked(online), { ranges: 0, whole: 1 })
})

test('where the new files have no room as they are, the dist that holds them may have', async () => {
  const { online, session } = await behind([tree(1, large), tree(1, changed)])
  const { disk } = session
  const small: typeof disk = { ...disk, space: async (path) => ({ ...(await disk.space(path)), freeBytes: 1_000_000 }) }
  assert.deepEqual((await fetchNewest({ ...session, disk: small })).result, ['full'])
  assert.deepEqual(asked(online), { ranges: 0, whole: 1 })
  assert.match(session.explained.join('\n'), /no room for the files that are new/)
})

test('mirrors without ranges have the whole release', async () => {
  const { online, session } = await behind([tree(1, large), tree(1, changed)])
  await online.serve(base, (key, page) => (isDelta(key) ? { status: 404 } : { ...page, ranges: 'ignored' }))
  assert.deepEqual((await fetchNewest(session)).result, ['full'])
})

test('a frame that no mirror has as it is signed: the whole release is tried', async () => {
  const { online, session } = await behind([tree(1, large), tree(1, changed)])
  const spoilt = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i % 100 === 50 ? byte ^ 1 : byte))
  const good = new Map(online.http.pages)
  await online.serve(base, (key, page) => {
    if (isDelta(key)) return { status: 404 }
    return key.endsWith('.tar.zst') ? { ...page, bytes: spoilt(page.bytes as Uint8Array) } : page
  })
  await assert.rejects(fetchNewest(session), { code: 'bad-digest' })
  for (const [url, page] of good) online.http.pages.set(url, page)
  assert.deepEqual((await fetchNewest(session)).result, ['assembled'])
})

test('a file that changes while the release is put together: it comes whole', async () => {
  const { session } = await behind([tree(1, large), tree(1, changed)], 'installed')
  let calls = 0
  const { result } = await fetchNewest(session, async (incoming) => {
    if (++calls === 1) {
      await session.disk.unlink('bin/sh' as RelPath)
      await plant(session.disk, { 'bin/sh': noise(300_000, 9) })
    }
    await passOver(incoming)
  })
  assert.deepEqual(result, ['assembled', 'full'])
  assert.match(session.said.join('\n'), /files changed meanwhile: .*trying another way/)
})
