import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { showSize } from '../src/base/show-size.ts'
import { assemble } from '../src/engine/client/fetch/assemble.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { channelFile, channelFiles, statePaths } from '../src/engine/client/state.ts'
import { address, amd64, trustIn } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { hardlink, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { fileOf, machineWith, notingPlace, whole, wholeRelease } from './helpers/served-release.ts'
import type { Assembled } from '../src/engine/client/fetch/assemble.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Literal } from './helpers/plant.ts'
import type { Served } from './helpers/listed-releases.ts'
import type { Machine, WholeRelease } from './helpers/served-release.ts'

/** A tar that is put together from files of the tree and frames of its dist. */

const stays: Literal = { 'bin/sh': noise(6000, 1), 'lib/c': noise(6000, 2), 'bin/link': hardlink('bin/sh'), sym: symlink('bin') }
const tree: Literal = { ...stays, 'etc/version': '1\n', gone: 'gone' }
const one = await wholeRelease(1, tree)
const { 'lib/c': moved, ...rest } = stays
const two = await wholeRelease(2, { ...rest, 'lib/moved': moved as never, 'etc/version': '2\n', 'etc/again': '2\n' })

type Tried = {
  readonly found: Assembled | undefined
  readonly error: unknown
  readonly machine: Machine
  readonly metered: number
  readonly advanced: readonly number[]
}

type Given = {
  readonly on?: Literal
  readonly next?: WholeRelease
  readonly update?: Update
  readonly budget?: number
  readonly served?: readonly Served[]
  readonly change?: (machine: Machine) => Partial<Session>
}

const enough = two.dist.bytes.length

async function tried({ on = tree, next = two, update = next.update, budget = enough, served, change }: Given = {}): Promise<Tried> {
  const machine = await machineWith(one, { on, listed: next.all, ...(served === undefined ? {} : { served }) })
  const session = { ...machine.session, ...change?.(machine) }
  const { place, meter } = notingPlace([address])
  const offer = { ...machine.offer, trust: trustIn({ 'base-amd64': next.all }) }
  const work = assemble(session, { offer, update, manifest: next.manifest, place, budget })
  const { found, error } = await work.then(
    (made) => ({ found: made, error: undefined }),
    (thrown: unknown) => ({ found: undefined, error: thrown }),
  )
  return { found, error, machine, metered: meter.reduce((sum, bytes) => sum + bytes, 0), advanced: meter }
}

const explained = ({ machine }: Tried): readonly string[] => machine.session.explained
const asked = ({ machine }: Tried): readonly string[] => [...new Set(machine.requests())]
const code = async ({ error }: Tried): Promise<string | undefined> => (await refused(Promise.reject(error)))[0]
const [dist, frames] = ['base-2-20260101-amd64.tar.zst*', 'base-2-20260101-amd64.frames']

async function assertTar({ found }: Tried, of: WholeRelease = two): Promise<void> {
  assert.deepEqual(found === undefined ? undefined : await whole(found.tar()), of.tar)
}

const index = two.frames.bytes.length
const price = ((await tried()).found?.bytes ?? 0) - index

test('what stays comes out of the tree, by whatever name, and the rest by frames of the dist', async () => {
  const all = await tried()
  await assertTar(all)
  assert.deepEqual(asked(all), [frames, dist])
  const version = fileOf(two, 'etc/version')
  assert.deepEqual(all.found?.files, [{ path: cachePath(version.sha256), sha256: version.sha256, size: 2 }])
  assert.deepEqual(explained(all), [
    `base-2-20260101-amd64: put together from files that are here and ${showSize(price + index)} of its dist`,
  ])
  // What need not come counts as if it had.
  assert.deepEqual([all.metered, all.advanced.includes(enough - price)], [enough + index, true])
  assert.ok(price > 0 && price < enough / 2)
})

test('what was changed here, or is gone, comes as well', async () => {
  const { 'lib/c': _, ...lacking } = tree
  for (const on of [{ ...tree, 'lib/c': 'mine' }, lacking]) {
    const all = await tried({ on })
    await assertTar(all)
    assert.deepEqual(
      all.found?.files.map(({ sha256 }) => sha256),
      [fileOf(two, 'etc/version').sha256, fileOf(two, 'lib/moved').sha256],
    )
    assert.ok((all.found?.bytes ?? 0) > price + index + 5000)
  }
})

test('more than half of a dist may come, where that is less than comes otherwise', async () => {
  const more = await tried({ on: {} })
  await assertTar(more)
  assert.ok((more.found?.bytes ?? 0) > enough / 2)
})

test('where all of it is here, nothing is asked for, whatever the price of the dist', async () => {
  const { 'etc/version': _, ...without } = tree
  const next = await wholeRelease(2, { ...without, 'etc/new': '1\n' })
  const all = await tried({ next, budget: 1 })
  await assertTar(all, next)
  assert.deepEqual([asked(all), all.found?.bytes, all.found?.files, all.advanced], [[], 0, [], []])
  const { frames: _frames, ...way } = two.update.full[0] as Update['full'][number]
  const unframed = { ...two.update, full: [way] }
  const here: Literal = { ...tree, [cachePath(fileOf(two, 'etc/version').sha256)]: '2\n' }
  const earlier = await tried({ on: here, update: unframed })
  await assertTar(earlier)
  assert.deepEqual([asked(earlier), earlier.found?.bytes, earlier.found?.files.length], [[], 0, 1])
  assert.equal((await tried({ update: unframed })).found, undefined)
})

test('of the tree, those files alone are looked at that stay', async () => {
  const looks: string[] = []
  const all = await tried({ change: looking(looks) })
  assert.equal(all.found?.files.length, 1)
  assert.deepEqual(looks.sort(), ['.', 'bin', 'bin/link', 'lib', 'lib/c'])
})

/** A machine on which each look at a file of the tree is noted. */
function looking(looks: string[]): (machine: Machine) => Partial<Session> {
  return ({ session: { disk } }) => ({
    disk: {
      ...disk,
      lstat: async (path) => {
        if (!path.startsWith('var/')) looks.push(path)
        return await disk.lstat(path)
      },
    },
  })
}

test('what would not be cheaper is known without a look at the tree, and there is nothing to tell', async () => {
  const looks: string[] = []
  for (const budget of [0, 1, price]) {
    const all = await tried({ budget, change: looking(looks) })
    assert.deepEqual([all.found, all.error, explained(all), looks, all.advanced.length > 1], [undefined, undefined, [], [], false])
    assert.deepEqual(asked(all), budget === 0 ? [] : [frames])
  }
  await assertTar(await tried({ budget: price + 1, change: looking(looks) }))
  assert.ok(looks.length > 0)
})

test('a tree that was changed so much that it is not cheaper any more is no use', async () => {
  const all = await tried({ on: { ...tree, 'lib/c': 'mine', 'bin/sh': 'mine' }, budget: price + 1000 })
  assert.deepEqual([all.found, all.error, explained(all), asked(all)], [undefined, undefined, [], [frames]])
})

test('there has to be room for what is new', async () => {
  const room = (freeBytes: number): ((machine: Machine) => Partial<Session>) => {
    return ({ session: { disk } }) => ({
      disk: {
        ...disk,
        space: async (path) => ({ ...(await disk.space(path)), ...(path === statePaths.cache ? { freeBytes } : {}) }),
      },
    })
  }
  // The frames do not lie there, and the index of them does before.
  const here: Literal = { ...tree, [cachePath(two.frames.info.sha256)]: { kind: 'file', content: two.frames.bytes } }
  await assertTar(await tried({ on: here, change: room(2) }))
  const none = await tried({ on: here, change: room(1) })
  assert.equal(none.found, undefined)
  assert.deepEqual(explained(none), ['base-2-20260101-amd64: no room for the files that are new; fetching the whole release'])
})

test('what stands in its way is explained, and the whole release comes', async () => {
  const manifest = channelFile(amd64('base'), channelFiles.manifest)
  const damaged = await tried({ on: { ...tree, [manifest]: 'damaged' } })
  assert.deepEqual(explained(damaged), [`${manifest}: is not the manifest of the installed release; fetching the whole release`])
  const ignoring = await tried({
    change: ({ session }) => {
      ;(session.http as MemoryHttp).pages.set(blobUrl(address, two.dist.info), { bytes: two.dist.bytes, ranges: 'ignored' })
      return {}
    },
  })
  assert.deepEqual(explained(ignoring), [`${blobUrl(address, two.dist.info)}: ignores ranges; fetching the whole release`])
  const nameless = await tried({ change: failing(new BinderyError('bad-digest', 'is strange')) })
  assert.deepEqual(explained(nameless), ['base-2-20260101-amd64: is strange; fetching the whole release'])
  for (const { found, error } of [damaged, ignoring, nameless]) assert.deepEqual([found, error], [undefined, undefined])
})

function failing(failure: Error): (machine: Machine) => Partial<Session> {
  return ({ session: { disk } }) => ({ disk: { ...disk, space: async () => await Promise.reject(failure) } })
}

test('a network that is away, a failure of this machine, a stop and a bug end it', async () => {
  for (const one of ['network', 'too-slow', 'io', 'no-space', 'read-only', 'permission', 'stopped', 'interrupted'] as const) {
    const all = await tried({ change: failing(new BinderyError(one, 'fails')) })
    assert.deepEqual([await code(all), explained(all)], [one, []])
  }
  assert.match(String((await tried({ change: failing(new Error('a bug')) })).error), /a bug/)
  const away = await tried({ served: [two.frames] })
  assert.equal(await code(away), 'network')
})
