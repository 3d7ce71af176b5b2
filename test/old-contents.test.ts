import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { readOldContents } from '../src/engine/client/fetch/old-contents.ts'
import { channelFile, channelFiles } from '../src/engine/client/state.ts'
import { amd64 } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { refused } from './helpers/refused.ts'
import { digestOfBytes, fileOf, machineWith, wholeRelease } from './helpers/served-release.ts'
import type { KeptBase } from '../src/format/release-state.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Literal } from './helpers/plant.ts'
import type { Machine } from './helpers/served-release.ts'

/** Old contents for a merge: out of what is here, or over the network where that does not cost much. */

const tree: Literal = { 'bin/sh': noise(9000, 1), 'etc/one': 'one\n', 'etc/too': 'one\n', 'etc/two': 'two\n' }
const one = await wholeRelease(1, tree)
const [dist, frames, record] = ['base-1-20260101-amd64.tar.zst', 'base-1-20260101-amd64.frames', 'base-1-20260101-amd64.update']
const baseFile = channelFile(amd64('base'), channelFiles.base)
const base: KeptBase = { file: digestOfBytes(one.dist.bytes), tar: one.update.release.tar, deltas: [] }

/** A release whose dist is said to have this size. */
async function sized(size: number, hasFrames: boolean): Promise<typeof one> {
  const { frames: index, ...way } = { ...(one.update.full[0] as (typeof one.update.full)[number]), size }
  return await wholeRelease(1, tree, { full: [hasFrames && index !== undefined ? { ...way, frames: index } : way] })
}

async function contents({ session, offer }: Machine, ...paths: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const found = await readOldContents(
    session,
    offer,
    paths.map((path) => fileOf(one, path)),
  )
  const named = paths.map((path) => [path, found.get(fileOf(one, path).sha256)] as const)
  assert.equal(new Set(named.filter(([, bytes]) => bytes !== undefined).map(([, bytes]) => bytes)).size, found.size)
  return Object.fromEntries(named.flatMap(([path, bytes]) => (bytes === undefined ? [] : [[path, Buffer.from(bytes).toString()]])))
}

const all = { 'etc/one': 'one\n', 'etc/too': 'one\n', 'etc/two': 'two\n' }
const asked = ({ requests }: Machine): readonly string[] => [...new Set(requests())]
const quiet = ({ session }: Machine): void => assert.deepEqual(session.said, [])

test('of no files nothing is read', async () => {
  const machine = await machineWith(one, { on: { [channelFile(amd64('base'), channelFiles.manifest)]: 'damaged' } })
  assert.deepEqual([await contents(machine), asked(machine)], [{}, []])
  quiet(machine)
})

test('they come out of the kept base, or are here already', async () => {
  const kept = await machineWith(one, { base, on: { [baseFile]: { kind: 'file', content: one.dist.bytes } } })
  assert.deepEqual([await contents(kept, 'etc/one', 'etc/too', 'etc/two'), asked(kept)], [all, []])
  const here: Literal = { [cachePath(fileOf(one, 'etc/two').sha256)]: 'two\n' }
  const fetched = await machineWith(one, { on: here })
  assert.deepEqual([await contents(fetched, 'etc/two'), asked(fetched)], [{ 'etc/two': 'two\n' }, []])
  for (const machine of [kept, fetched]) quiet(machine)
})

test('where they are not here, they come over the network, and of what is here nothing comes again', async () => {
  const machine = await machineWith(one)
  assert.deepEqual([await contents(machine, 'etc/one', 'etc/too', 'etc/two'), asked(machine)], [all, [record, frames, `${dist}*`]])
  ;(machine.session.http as MemoryHttp).requests.length = 0
  assert.deepEqual([await contents(machine, 'etc/one', 'etc/two'), asked(machine)], [{ 'etc/one': 'one\n', 'etc/two': 'two\n' }, []])
  quiet(machine)
})

test('a dist of up to 8 MiB comes whole, where parts of it do not; of a larger one, parts alone come', async () => {
  const most = await machineWith(await sized(8 << 20, false))
  assert.deepEqual([await contents(most, 'etc/two'), asked(most)], [{ 'etc/two': 'two\n' }, [record, dist]])
  quiet(most)
  const larger = await machineWith(await sized((8 << 20) + 1, false))
  assert.deepEqual([await contents(larger, 'etc/two'), asked(larger)], [{}, [record]])
  const parts = await machineWith(await sized((8 << 20) + 1, true))
  assert.deepEqual([await contents(parts, 'etc/two'), asked(parts)], [{ 'etc/two': 'two\n' }, [record, frames, `${dist}*`]])
  quiet(parts)
  assert.deepEqual(larger.session.said, ['/etc/two: not merged, since the old version cannot be had: it would cost too much'])
})

test('any dist that is small enough does', async () => {
  const [way] = (await sized((8 << 20) + 1, false)).update.full
  const { frames: _, ...small } = one.update.full[0] as (typeof one.update.full)[number]
  const both = await wholeRelease(1, tree, { full: [way as typeof small, { ...small, target: one.gzip.info.path, codec: 'gzip' }] })
  const machine = await machineWith(both, { listed: [both.record, both.dist, both.gzip] })
  assert.deepEqual(await contents(machine, 'etc/two'), { 'etc/two': 'two\n' })
})

test('where they cannot be had, that is said of the first with the number of the others, and nothing fails', async () => {
  const told = (others: string, why: string): readonly string[] => [
    `/etc/one${others}: not merged, since the old version cannot be had: ${why}`,
  ]
  const pruned = 'is not in the repository any more'
  for (const [paths, others] of [
    [['etc/one'], ''],
    [['etc/one', 'etc/two'], ' and 1 others'],
    [['etc/one', 'etc/two', 'bin/sh'], ' and 2 others'],
  ] as const) {
    const machine = await machineWith(one, { listed: [] })
    assert.deepEqual(await contents(machine, ...paths), {})
    assert.deepEqual(machine.session.said, told(others, pruned))
  }
  const away = await machineWith(one, { served: [] })
  assert.deepEqual([await contents(away, 'etc/one'), away.session.said], [{}, told('', 'answered 404')])
  const damaged = await machineWith(one, { on: { [channelFile(amd64('base'), channelFiles.manifest)]: 'damaged' } })
  assert.deepEqual(await contents(damaged, 'etc/one'), {})
  assert.deepEqual(damaged.session.said, told('', 'is not the manifest of the installed release'))
})

test('what is here of them is read, even where others cannot be had, and what is not as it was is not', async () => {
  const here: Literal = {
    [cachePath(fileOf(one, 'etc/one').sha256)]: 'one\n',
    [cachePath(fileOf(one, 'etc/two').sha256)]: 'tow\n',
    [cachePath(fileOf(one, 'bin/sh').sha256)]: new Uint8Array(10_000).toString(),
  }
  const machine = await machineWith(one, { on: here, listed: [] })
  assert.deepEqual(await contents(machine, 'etc/one', 'etc/two', 'bin/sh'), { 'etc/one': 'one\n' })
  assert.equal(machine.session.said.length, 1)
})

test('a failure of this machine, a stop and a bug end it', async () => {
  const { session, offer } = await machineWith(one)
  const failing = (failure: Error): Promise<unknown> => {
    const lstat = async (): Promise<never> => await Promise.reject(failure)
    return readOldContents({ ...session, disk: { ...session.disk, lstat } }, offer, [fileOf(one, 'etc/one')])
  }
  for (const code of ['io', 'no-space', 'read-only', 'permission', 'stopped', 'interrupted'] as const)
    assert.deepEqual(await refused(failing(new BinderyError(code, 'fails'))), [code, undefined])
  await assert.rejects(failing(new Error('a bug')), /a bug/)
  assert.deepEqual(session.said, [])
})
