import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromUtf8, oneChunk, utf8 } from '../src/base/bytes.ts'
import {
  diskTrustStore,
  emptyTrustStore,
  passingTrustStore,
  pendingTrustStore,
  readingTrustStore,
  sweepTrust,
  trustFile,
} from '../src/engine/client/fetch/trust-store.ts'
import { makeStateFolders } from '../src/engine/client/state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { dir, plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Enrolled } from '../src/format/enrolled.ts'
import type { TrustStore } from '../src/engine/repo/trust-types.ts'
import type { Disk } from '../src/port/disk.ts'

/** Where the metadata of a repository lies, and when what comes is written there. */

const trust = 'var/db/bindery/trust'

async function stateDisk(): Promise<Disk> {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  return disk
}

async function loaded(store: Pick<TrustStore, 'load'>, name: string): Promise<string | undefined> {
  const bytes = await store.load(name)
  return bytes === undefined ? undefined : fromUtf8(bytes)
}

/** A store of texts, and what was done to it. */
function recording(files: Readonly<Record<string, string>> = {}): { readonly store: TrustStore; readonly done: string[] } {
  const [held, done]: [Map<string, string>, string[]] = [new Map(Object.entries(files)), []]
  return {
    done,
    store: {
      load: async (name) => (held.has(name) ? utf8(held.get(name) as string) : undefined),
      save: async (name, bytes) => {
        held.set(name, fromUtf8(bytes))
        done.push(`${name} = ${fromUtf8(bytes)}`)
      },
      remove: async (name) => {
        held.delete(name)
        done.push(`${name} goes`)
      },
    },
  }
}

test('a file of metadata lies in the folder of its repository, and no name leads out of it', () => {
  assert.equal(trustFile('r', 'root.json'), `${trust}/r/root.json`)
  for (const name of ['.', '..', '', 'a/b', '/root.json', '../root.json', 'a\0b'])
    assert.throws(() => trustFile('r', name), { code: 'hostile', message: `'${name}' is no name for a metadata file` })
})

test('what is saved is there, for all to read, and durable with the name of its folder', async () => {
  const faulty = faultyDisk(await stateDisk(), { kind: 'none' })
  const store = diskTrustStore(faulty.disk, 'r')
  assert.equal(await loaded(store, 'root.json'), undefined)
  await store.save('root.json', utf8('one'))
  assert.equal(await loaded(store, 'root.json'), 'one')
  const stat = async (path: string): Promise<number | undefined> => (await faulty.disk.lstat(relPath(path)))?.mode
  assert.deepEqual([await stat(`${trust}/r`), await stat(`${trust}/r/root.json`)], [0o755, 0o644])
  const short = (call: string): string => call.replaceAll(trust, '')
  const first = faulty.calls.map(short)
  assert.deepEqual(first.slice(0, 2), ['mkdir /r', 'sync '])
  await store.save('root.json', utf8('two'))
  assert.equal(await loaded(store, 'root.json'), 'two')
  assert.deepEqual(faulty.calls.map(short), [...first, ...first.slice(2)])
})

test('what is removed is durably gone; what is not there changes nothing', async () => {
  const disk = await stateDisk()
  await plant(disk, { [`${trust}/r/snapshot.json`]: 'old' })
  const faulty = faultyDisk(disk, { kind: 'none' })
  const store = diskTrustStore(faulty.disk, 'r')
  await store.remove('timestamp.json')
  assert.deepEqual(faulty.calls, [])
  await store.remove('snapshot.json')
  assert.equal(await loaded(store, 'snapshot.json'), undefined)
  assert.deepEqual(faulty.calls, [`unlink ${trust}/r/snapshot.json`, `sync ${trust}/r`])
})

for (const [name, storeOf] of [
  ['who writes', diskTrustStore],
  ['who reads', readingTrustStore],
] as const)
  test(`metadata of 64 MiB is read by ${name}, and a byte more is refused`, async () => {
    const disk = await stateDisk()
    await plant(disk, { [`${trust}/r/root.json`]: '' })
    const ofSize = async (size: number): Promise<number | undefined> =>
      (await storeOf({ ...disk, read: () => oneChunk(new Uint8Array(size)) }, 'r').load('root.json'))?.length
    assert.equal(await ofSize(64 << 20), 64 << 20)
    assert.deepEqual(await refused(ofSize((64 << 20) + 1)), ['over-limit', `${trust}/r/root.json`])
  })

test('trust in repositories that nobody follows goes, with its files; that of the others stays', async () => {
  const disk = await stateDisk()
  await plant(disk, { [`${trust}/a/root.json`]: 'a', [`${trust}/b/root.json`]: 'b', [`${trust}/c`]: dir() })
  await sweepTrust(disk, [{ repository: 'b' } as Enrolled])
  assert.deepEqual(await disk.readdir(relPath(trust)), ['b'])
  assert.equal(await loaded(diskTrustStore(disk, 'b'), 'root.json'), 'b')
  await sweepTrust(disk, [])
  assert.deepEqual(await disk.readdir(relPath(trust)), [])
})

test('who may only read sees changes of its own, and the disk none', async () => {
  const disk = await stateDisk()
  await plant(disk, { [`${trust}/r/root.json`]: 'one', [`${trust}/r/snapshot.json`]: 'kept', [`${trust}/r/targets.json`]: 'old' })
  const faulty = faultyDisk(disk, { kind: 'none' })
  const store = readingTrustStore(faulty.disk, 'r')
  await store.save('root.json', utf8('two'))
  await store.remove('targets.json')
  assert.deepEqual(
    [await loaded(store, 'root.json'), await loaded(store, 'snapshot.json'), await loaded(store, 'targets.json')],
    ['two', 'kept', undefined],
  )
  assert.deepEqual(faulty.calls, [])
  assert.equal(await loaded(readingTrustStore(disk, 'r'), 'root.json'), 'one')
})

test('a store that keeps nothing tells what would have changed', async () => {
  const store = passingTrustStore(emptyTrustStore)
  assert.equal(await loaded(store, 'root.json'), undefined)
  await store.save('root.json', utf8('one'))
  await store.remove('targets.json')
  assert.deepEqual(
    [...store.changed],
    [
      ['root.json', utf8('one')],
      ['targets.json', undefined],
    ],
  )
  assert.equal(await store.save('root.json', utf8('two')), undefined)
  assert.equal(await loaded(store, 'root.json'), 'two')
})

test('what a mirror brings is seen at once, and kept when all of it is there', async () => {
  const { store, done } = recording({ 'snapshot.json': 'old', 'targets.json': 'old' })
  const pending = pendingTrustStore(store)
  await pending.save('timestamp.json', utf8('new'))
  await pending.remove('snapshot.json')
  const seen = async (): Promise<readonly (string | undefined)[]> =>
    await Promise.all(['timestamp.json', 'snapshot.json', 'targets.json'].map(async (name) => await loaded(pending, name)))
  assert.deepEqual(await seen(), ['new', undefined, 'old'])
  assert.deepEqual(done, [])
  await pending.complete()
  assert.deepEqual(done.splice(0), ['timestamp.json = new', 'snapshot.json goes'])
  assert.deepEqual(await seen(), ['new', undefined, 'old'])
})

test('what comes after all is there is kept at once, and what was kept is not written again', async () => {
  const { store, done } = recording()
  const pending = pendingTrustStore(store)
  await pending.save('timestamp.json', utf8('new'))
  await pending.complete()
  done.splice(0)
  await pending.save('base-amd64.json', utf8('role'))
  await pending.remove('timestamp.json')
  assert.deepEqual(done.splice(0), ['base-amd64.json = role', 'timestamp.json goes'])
  assert.deepEqual([await loaded(pending, 'base-amd64.json'), await loaded(pending, 'timestamp.json')], ['role', undefined])
  await pending.complete()
  assert.deepEqual(done, [])
})

test('a root is kept when it comes, with what was taken away before it; what comes behind it waits', async () => {
  const { store, done } = recording({ 'timestamp.json': 'old' })
  const pending = pendingTrustStore(store)
  await pending.remove('timestamp.json')
  await pending.save('root.json', utf8('2'))
  assert.deepEqual(done.splice(0), ['timestamp.json goes', 'root.json = 2'])
  await pending.save('timestamp.json', utf8('new'))
  assert.deepEqual([done, await loaded(pending, 'timestamp.json')], [[], 'new'])
})
