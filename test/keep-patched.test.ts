import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk } from '../src/base/bytes.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { keepPatched } from '../src/engine/client/fetch/patched.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { follower, served } from './helpers/listed-releases.ts'
import { refused } from './helpers/refused.ts'
import { deltaStep, inCache, unpacked, wholeRelease } from './helpers/served-release.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { FaultFinder } from '../src/engine/client/fetch/fault.ts'
import type { Served } from './helpers/listed-releases.ts'

/** What deltas make of bytes that are here. */

const [one, two, three] = [await wholeRelease(1, { a: '1' }), await wholeRelease(2, { a: '2', b: 'b' }), await wholeRelease(3, { a: '3' })]
const oneTwo = (await deltaStep(one, two)).delta
const twoThree = (await deltaStep(two, three)).delta

type Kept = {
  readonly work: ReturnType<typeof keepPatched>
  readonly finder: FaultFinder
  readonly session: Awaited<ReturnType<typeof follower>>
}

async function kept(deltas: readonly Served[], limit = 1 << 20, old: ByteStream = oneChunk(one.tar)): Promise<Kept> {
  const session = await follower({})
  const finder: FaultFinder = { found: undefined }
  const blobs = []
  for (const delta of deltas) blobs.push(await inCache(session.disk, delta))
  return { work: keepPatched(session, { old, deltas: blobs, limit, finder }), finder, session }
}

test('deltas are applied one after the other, and what the last one makes is kept, packed, for its target', async () => {
  for (const [deltas, tar] of [
    [[oneTwo], two.tar],
    [[oneTwo, twoThree], three.tar],
  ] as const) {
    const { work, session, finder } = await kept(deltas)
    const { value } = await work
    const last = deltas.at(-1) as Served
    assert.deepEqual([value.target, value.path, finder.found], [last.info.path, cachePath(value.sha256), undefined])
    assert.deepEqual(await unpacked(session.disk.read(value.path)), tar)
    const names = [...deltas.map(({ info }) => info.sha256), value.sha256]
    assert.deepEqual([...(await session.disk.readdir(statePaths.cache))].sort(), names.sort())
  }
})

test('until it is done it has the name of its delta, so that two do not meet', async () => {
  const seen: string[] = []
  const { work, session } = await kept([oneTwo], 1 << 20, watching())
  async function* watching(): ByteStream {
    yield one.tar
    seen.push(...(await session.disk.readdir(statePaths.cache)))
  }
  await work
  assert.ok(seen.includes(`${oneTwo.info.sha256}.patched`), seen.join())
})

test('a delta that would make more than the limit is refused before it makes anything, and is to blame', async () => {
  const most = Math.max(two.tar.length, three.tar.length)
  await (
    await kept([oneTwo, twoThree], most)
  ).work
  const { work, finder } = await kept([oneTwo], two.tar.length - 1)
  assert.equal((await refused(work))[0], 'over-limit')
  assert.partialDeepStrictEqual(finder.found, { kind: 'target', target: oneTwo.info.path })
})

test('of deltas in a row, the broken one is to blame', async () => {
  const broken = ({ info, bytes }: Served): Served => served(info.path, bytes.subarray(0, -9))
  for (const [deltas, at] of [
    [[broken(oneTwo), twoThree], oneTwo],
    [[oneTwo, broken(twoThree)], twoThree],
  ] as const) {
    const { work, finder } = await kept(deltas)
    assert.match(String((await refused(work))[0]), /^bad-/)
    assert.partialDeepStrictEqual(finder.found, { kind: 'target', target: at.info.path })
  }
})
