import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { digestStream } from '../src/base/digest.ts'
import { withIncoming } from '../src/engine/client/fetch/fetch.ts'
import { findOffers } from '../src/engine/client/fetch/offer.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { base, many, openRepositoryOnline, takeRequests, tree } from './helpers/client-repository.ts'
import { noise } from './helpers/noise.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Online } from './helpers/client-repository.ts'
import type { Literal } from './helpers/plant.ts'

/** What an interrupted download of a chain of deltas leaves, and what the next run makes of it. */

/** Answers what was handed over after the whole new tar was read and found right. */
async function fetched(session: Session): Promise<Incoming> {
  const [offer] = await findOffers(session)
  const used = await withIncoming(session, offer as NonNullable<typeof offer>, async (incoming) => {
    const { sha256, size } = incoming.update.value.release.tar
    assert.deepEqual(await digestStream(incoming.tar()), { sha256, size })
    return incoming
  })
  assert.deepEqual(used?.broken, [])
  return used.result
}

/** Which deltas of tars were asked for: `2-3 50000-` is the one from the second release to the third, from that byte on. */
function deltasAsked(online: Online): readonly string[] {
  const asked = takeRequests(online.http).map(({ path, headers }) => ({
    ...headers,
    name: /base-(\d+)-.*_to_base-(\d+)-.*\.delta$/.exec(path),
  }))
  return asked.flatMap((one) =>
    one.name === null || one.name[0].endsWith('.mtree.delta')
      ? []
      : [`${one.name[1]}-${one.name[2]} ${(one as { range?: string }).range?.replace('bytes=', '') ?? ''}`.trim()],
  )
}

/** The network is lost behind the first 50,000 bytes of one delta. */
async function breakDelta(online: Online, from: number, to: number): Promise<void> {
  const isIt = (key: string): boolean => key.endsWith('.delta') && key.includes(`.base-${from}-`) && key.includes(`_to_base-${to}-`)
  await online.serve(base, (key, page) => (isIt(key) && !key.endsWith('.mtree.delta') ? { ...page, breakAfter: 50_000 } : page))
}

/** Each release changes another file: a chain, since the direct delta is no smaller. */
const chained: readonly Literal[] = [0, 1, 2, 3].map((n) =>
  tree(n + 1, Object.fromEntries([1, 2, 3].map((i) => [`share/${i}`, noise(200_000, i <= n ? 20 + i : 10 + i)]))),
)

/** A client of the first release whose fetch of the second of three deltas was cut off. */
async function cutOff(): Promise<{ readonly online: Online; readonly session: Session }> {
  const online = await openRepositoryOnline()
  await online.release(chained[0] as Literal)
  const session = await online.client(chained[0] as Literal)
  await online.enroll(session)
  await online.release(...chained.slice(1))
  await breakDelta(online, 2, 3)
  takeRequests(online.http)
  await assert.rejects(fetched(session), { code: 'network' })
  assert.deepEqual(deltasAsked(online), ['1-2', '2-3'])
  await online.serve()
  return { online, session }
}

test('a chain goes on in the middle of the delta in which it was cut off', async () => {
  const { online, session } = await cutOff()
  const incoming = await fetched(session)
  assert.equal(incoming.fetched.steps, 3)
  assert.deepEqual(deltasAsked(online), ['2-3 50000-', '3-4'])
  await fetched(session)
  assert.deepEqual(deltasAsked(online), [])
})

test('a part that was damaged meanwhile comes again, that delta alone', async () => {
  const { online, session } = await cutOff()
  const part = (await session.disk.readdir(statePaths.cache)).find((name) => name.endsWith('.part')) as string
  const path = `${statePaths.cache}/${part}` as RelPath
  await session.disk.unlink(path)
  await session.disk.create(path, oneChunk(new Uint8Array(50_000)))
  await fetched(session)
  assert.deepEqual(deltasAsked(online), ['2-3 50000-', '2-3', '3-4'])
})

test('a release that comes meanwhile does not waste what is here', async () => {
  const online = await openRepositoryOnline()
  const large = noise(300_000, 3).content
  await online.release(tree(1))
  const [cut, fresh] = [await online.client(tree(1)), await online.client(tree(1))]
  for (const session of [cut, fresh]) await online.enroll(session)
  await online.release(tree(2, { 'share/large': { kind: 'file', content: large } }))
  await fetched(cut)
  // A third of the file is new again: straight from the first release takes less, unless one has the second half way.
  const changed = Uint8Array.from([...noise(100_000, 4).content, ...large.subarray(100_000)])
  await online.release(tree(3, { 'share/large': { kind: 'file', content: changed } }))
  takeRequests(online.http)
  await fetched(fresh)
  assert.deepEqual(deltasAsked(online), ['1-3'])
  await fetched(cut)
  assert.deepEqual(deltasAsked(online), ['2-3'])
})

test('modified files that an earlier run brought do not come again', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1, many))
  const session = await online.client(tree(1, many))
  await online.enroll(session, { basis: 'installed' })
  await online.release(tree(2, many))
  await session.disk.unlink('share/3' as RelPath)
  await session.disk.create('share/3' as RelPath, oneChunk(utf8('changed here')))
  const ranges = (): number => takeRequests(online.http).filter(({ headers }) => headers['range'] !== undefined).length
  ranges()
  await fetched(session)
  assert.ok(ranges() > 0)
  await fetched(session)
  assert.equal(ranges(), 0)
})
