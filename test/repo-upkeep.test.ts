import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromUtf8, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { usualLifetimes } from '../src/engine/repo/commit.ts'
import { emptyKeyring, openKeyring } from '../src/engine/repo/keyring.ts'
import { executePrune, planPrune } from '../src/engine/repo/prune.ts'
import { blobKey } from '../src/engine/repo/layout.ts'
import { refreshRepository } from '../src/engine/repo/refresh.ts'
import { loadRepository } from '../src/engine/repo/repository.ts'
import { encodePieces, pieceHasher, pieceSizeOf } from '../src/format/pieces.ts'
import { makeKeys, noise, openWorkshop, smallDist } from './helpers/repository.ts'
import { resign } from './helpers/resign.ts'
import type { Finding } from '../src/engine/repo/fsck-findings.ts'
import type { Keyring } from '../src/engine/repo/keyring.ts'

const errorsOf = (findings: readonly Finding[]): readonly Finding[] => findings.filter(({ severity }) => severity === 'error')

async function openSeries(...revisions: readonly string[]) {
  const workshop = await openWorkshop()
  for (const revision of revisions) await workshop.publish(await smallDist(revision))
  const { store, clock, keyring } = workshop
  const common = { store, clock, lifetimes: usualLifetimes }
  return {
    ...workshop,
    prune: async (keep: number, keys: Keyring = keyring) =>
      await executePrune({ ...common, keep, keyring: keys }, await planPrune({ store, keep })),
    refresh: async (keys: Keyring = keyring) => await refreshRepository({ ...common, keyring: keys }),
  }
}

test('fsck finds a flipped bit in every file, of former versions, too', async () => {
  const { store, fsck } = await openSeries('1.0', '1.1')
  const { snapshot } = await loadRepository(store)
  const newest = snapshot.signed.value
  const isFormer = (key: string): boolean => {
    const [, version, role] = /^metadata\/(\d+)\.(.*)\.json$/.exec(key) ?? []
    const current = role === 'snapshot' ? newest.version : newest.meta.get(role ?? '')?.version
    return current !== undefined && Number(version) < current
  }
  const keys = [...store.files.keys()]
  assert.ok(keys.length >= 14)
  for (const key of keys) {
    const whole = store.files.get(key) as Uint8Array
    for (const part of [0, 0.13, 0.5, 0.87, 0.9999]) {
      const broken = whole.slice()
      const at = Math.floor(part * broken.length)
      broken[at] = (broken[at] as number) ^ 1
      store.files.set(key, broken)
      const errors = errorsOf(await fsck())
      assert.ok(
        errors.some((finding) => finding.key === key),
        `${key} at ${at}: ${JSON.stringify(errors)}`,
      )
    }
    for (const broken of [whole.slice(0, -1), new Uint8Array([...whole, 0x20]), new Uint8Array(0)]) {
      store.files.set(key, broken)
      // A blank after the end of a root, a timestamp or a former snapshot, whose digests nothing names, changes nothing that is signed.
      const isNamed = !/root|timestamp/.test(key) && !(isFormer(key) && key.endsWith('.snapshot.json'))
      const blank = broken.length > whole.length && !isNamed
      assert.equal(
        errorsOf(await fsck()).some((finding) => finding.key === key),
        !blank,
        `${key} of ${broken.length} bytes`,
      )
    }
    store.files.delete(key)
    // Without its only root, a folder is no repository at all.
    if (key === 'metadata/1.root.json') await assert.rejects(fsck(), (error) => isBinderyError(error, 'not-found'))
    // What a prune has taken away is not missed.
    else if (!isFormer(key))
      assert.ok(
        errorsOf(await fsck()).some((finding) => finding.key === key),
        `${key} missing`,
      )
    store.files.set(key, whole)
  }
  assert.deepEqual(await fsck(), [])
})

test('fsck goes on where a former role names a file without a digest that it knows', async () => {
  const { store, fsck } = await openSeries('1.0', '1.1')
  const key = 'metadata/1.base-amd64.json'
  const text = fromUtf8(store.files.get(key) as Uint8Array)
  store.files.set(key, utf8(text.replace('"sha256"', '"rha256"')))
  assert.deepEqual(
    errorsOf(await fsck()).map((finding) => finding.key),
    [key],
  )
})

test('fsck names a file whose channel says other pieces of it than it has', async () => {
  const { fsck, ...workshop } = await openSeries('1.0')
  const [target, bytes] = ['base/amd64/large', noise(1, 200_000)]
  const size = pieceSizeOf(bytes.length) as number
  const named = async (other: Uint8Array): Promise<readonly string[]> => {
    const hasher = pieceHasher(size)
    const digests = [...hasher.update(other), ...hasher.end()]
    await resign(workshop, () => [{ target, bytes, custom: encodePieces({ size, digests }) }])
    return errorsOf(await fsck()).map(({ key, message }) => `${key}: ${message}`)
  }
  assert.deepEqual(await named(bytes), [])
  assert.deepEqual(await named(noise(2, 200_000)), [`${blobKey(target, sha256(bytes))}: has other pieces than its channel says`])
})

test('fsck goes on after the first finding, and names each damage once', async () => {
  const { store, fsck } = await openSeries('1.0', '1.1')
  const broken = [...store.files.keys()].filter((key) => key.startsWith('blobs/'))
  for (const key of broken) store.files.set(key, utf8('damage'))
  assert.deepEqual(
    errorsOf(await fsck())
      .map(({ key }) => key)
      .sort(),
    broken.sort(),
  )
})

test('fsck notes what belongs to nothing, and warns of what has expired', async () => {
  const { store, fsck, pass } = await openSeries('1.0')
  await store.put(`blobs/base/amd64/${'0'.repeat(64)}.left`, oneChunk(utf8('left')))
  await store.put('metadata/9.snapshot.json', oneChunk(utf8('{}')))
  await store.put('index.html', oneChunk(utf8('<html>')))
  assert.deepEqual(
    (await fsck()).map(({ severity, code, key }) => [severity, code, key]),
    [
      ['note', 'orphan', `blobs/base/amd64/${'0'.repeat(64)}.left`],
      ['note', 'orphan', 'index.html'],
      ['note', 'orphan', 'metadata/9.snapshot.json'],
    ],
  )
  pass(8)
  assert.deepEqual(
    (await fsck()).filter(({ severity }) => severity === 'warning').map(({ key }) => key),
    ['metadata/timestamp.json'],
  )
  assert.deepEqual(errorsOf(await fsck()), [])
})

test('fsck compares with a root that came another way', async () => {
  const { store, fsck } = await openSeries('1.0')
  const other = await openWorkshop()
  const own = store.files.get('metadata/1.root.json') as Uint8Array
  assert.deepEqual(await fsck({ trustedRoot: own }), [])
  const findings = await fsck({ trustedRoot: other.store.files.get('metadata/1.root.json') as Uint8Array })
  assert.deepEqual(
    findings.map(({ code, key }) => [code, key]),
    [['wrong-key', 'metadata/1.root.json']],
  )
})

test('a prune leaves readers of the snapshot before what they have begun with', async () => {
  const { store, prune, publish, fsck } = await openSeries('1.0', '1.1', '1.2')
  const blobs = (): readonly string[] => [...store.files.keys()].filter((key) => key.startsWith('blobs/'))
  const before = blobs()
  const { files } = await planPrune({ store, keep: 1 })
  assert.deepEqual(
    files.filter(({ key }) => key.startsWith('blobs/')),
    [],
  )
  await prune(1)
  assert.deepEqual(blobs(), before)
  assert.deepEqual(await prune(1, emptyKeyring), [])
  assert.deepEqual(await fsck({ deep: true }), [])
  await publish(await smallDist('1.3'))
  const removed = (await prune(2)).map(({ key }) => key)
  assert.deepEqual(
    removed.filter((key) => key.startsWith('blobs/') && !before.includes(key)),
    [],
  )
  assert.ok(removed.some((key) => key.endsWith('base-1.0-20260101-amd64.tar.zst')))
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('prune keeps the last releases and what leads to them', async () => {
  const { store, prune, publish, fsck } = await openSeries('1.0', '1.1', '1.2')
  await prune(1)
  await publish(await smallDist('1.3'))
  const removed = await prune(2)
  const blobs = [...store.files.keys()]
    .filter((key) => key.startsWith('blobs/'))
    .map((key) => key.replace(/^.*\.(?=base-)/, '').replaceAll('-20260101-amd64', ''))
  for (const name of [
    'base-1.3.tar.zst',
    'base-1.2.tar.zst',
    'base-1.2.update',
    'base-1.0_to_base-1.2.delta',
    'base-1.0_to_base-1.2.mtree.delta',
  ])
    assert.ok(blobs.includes(name), name)
  for (const name of [
    'base-1.0.tar.zst',
    'base-1.1.tar.zst',
    'base-1.1.update',
    'base-1.0_to_base-1.1.delta',
    'base-1.0_to_base-1.1.mtree.delta',
  ])
    assert.ok(!blobs.includes(name), name)
  assert.ok(removed.some(({ key }) => key.endsWith('base-1.0-20260101-amd64.tar.zst')))
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('old metadata goes, the one before the newest stays, roots stay for ever', async () => {
  const { store, prune } = await openSeries('1.0', '1.1', '1.2')
  await prune(99)
  const metadata = [...store.files.keys()].filter((key) => key.startsWith('metadata/')).sort()
  assert.deepEqual(metadata, [
    'metadata/1.root.json',
    'metadata/2.base-amd64.json',
    'metadata/2.targets.json',
    'metadata/3.base-amd64.json',
    'metadata/3.snapshot.json',
    'metadata/4.snapshot.json',
    'metadata/timestamp.json',
  ])
})

test('prune of a clean repository removes nothing and needs no key', async () => {
  const { store, prune } = await openSeries('1.0', '1.1')
  await prune(8)
  const before = new Map(store.files)
  assert.deepEqual(await prune(8, emptyKeyring), [])
  assert.deepEqual(store.files, before)
  await assert.rejects(prune(1, emptyKeyring), (error) => isBinderyError(error, 'wrong-key'))
  assert.deepEqual(store.files, before)
})

test('leavings of a failed publish do not survive, nor what prune itself writes under their names', async () => {
  const { store, prune, fsck } = await openSeries('1.0', '1.1', '1.2')
  await store.put('metadata/5.snapshot.json', oneChunk(utf8('left')))
  await store.put('metadata/4.base-amd64.json', oneChunk(utf8('left')))
  await store.put(`blobs/base/amd64/${'1'.repeat(64)}.left`, oneChunk(utf8('left')))
  await prune(2)
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('after a prune the next release is published as ever', async () => {
  const { publish, prune, fsck, store } = await openSeries('1.0', '1.1', '1.2')
  await prune(1)
  const [release] = await publish(await smallDist('1.3'))
  assert.equal(release?.update.sequence, 4)
  assert.deepEqual(
    release.update.deltas.map(({ from }) => from),
    ['base-1.2-20260101-amd64'],
  )
  const left = await fsck({ deep: true })
  assert.deepEqual(
    left.filter(({ code }) => code !== 'orphan'),
    [],
  )
  const removed = new Set((await prune(8)).map(({ key }) => key))
  assert.deepEqual(
    left.filter(({ key }) => !removed.has(key)),
    [],
    'what belongs to nothing any more goes',
  )
  assert.deepEqual(await fsck({ deep: true }), [])
  assert.ok(store.files.size > 0)
})

test('refresh renews the timestamp alone, with its key alone', async () => {
  const { store, refresh, holding, fsck, pass } = await openSeries('1.0')
  pass(6)
  const before = new Map(store.files)
  assert.deepEqual(await refresh(holding('timestamp')), { renewed: ['timestamp'], expiring: [] })
  const changed = [...store.files].filter(([key, bytes]) => before.get(key) !== bytes).map(([key]) => key)
  assert.deepEqual(changed, ['metadata/timestamp.json'])
  pass(6)
  assert.deepEqual(await fsck(), [])
  await assert.rejects(refresh(holding('snapshot')), (error) => isBinderyError(error, 'wrong-key'))
})

test('refresh renews what is in its last quarter, and tells what it has no key for', async () => {
  const { refresh, holding, fsck, pass } = await openSeries('1.0')
  pass(300)
  const { renewed, expiring } = await refresh(holding('timestamp', 'snapshot', 'channels'))
  assert.deepEqual(renewed, ['base-amd64', 'snapshot', 'timestamp'])
  assert.deepEqual(
    expiring.map(({ role }) => role),
    ['root', 'targets'],
  )
  assert.deepEqual((await refresh()).renewed, ['root', 'targets', 'snapshot', 'timestamp'])
  assert.deepEqual(
    (await fsck()).map(({ severity }) => severity),
    [],
  )
})

test('refresh in cron passes over keys that need a passphrase, and still renews the timestamp', async () => {
  const { refresh, keys, pass } = await openSeries('1.0')
  pass(300)
  const [sealed] = await makeKeys(['channels'], 'secret')
  const channels = keys.find(({ name }) => name === 'channels') as (typeof keys)[number]
  const cron = openKeyring(
    [
      ...keys.filter(({ name }) => name === 'timestamp' || name === 'snapshot'),
      { ...channels, secret: (sealed as typeof channels).secret },
    ],
    async () => {
      throw new (await import('../src/base/error.ts')).BinderyError('usage', 'no terminal')
    },
  )
  assert.deepEqual((await refresh(cron)).renewed, ['snapshot', 'timestamp'])
})
