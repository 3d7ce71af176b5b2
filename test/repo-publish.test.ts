import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, equalBytes, oneChunk } from '../src/base/bytes.ts'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { formatDistName } from '../src/base/name.ts'
import { applyDelta } from '../src/engine/delta/apply.ts'
import { compress } from '../src/engine/dist/wire.ts'
import { openTarget } from '../src/engine/repo/blob.ts'
import { openKeyring } from '../src/engine/repo/keyring.ts'
import { blobKey } from '../src/engine/repo/layout.ts'
import { readManifestText } from '../src/engine/repo/manifest-text.ts'
import { publish as publishDists } from '../src/engine/repo/publish.ts'
import { loadRepository } from '../src/engine/repo/repository.ts'
import { readUpdates } from '../src/engine/repo/channel-draft.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { cheapestRoute } from '../src/engine/update/route.ts'
import { tufKeyId } from '../src/format/tuf.ts'
import { memoryStore } from '../src/host/memory-store.ts'
import { file } from './helpers/plant.ts'
import { makeDist, makeKeys, namesOf, noise, noQuestions, openWorkshop, releaseName, smallDist } from './helpers/repository.ts'
import { resign } from './helpers/resign.ts'
import type { Effort } from '../src/engine/delta/effort.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { TargetFile, TufKey } from '../src/format/tuf.ts'
import { encodeUpdate } from '../src/format/update.ts'
import type { TargetRef, Update } from '../src/format/update.ts'
import type { Store } from '../src/port/store.ts'

const rejects = async (code: ErrorCode, work: Promise<unknown>): Promise<void> =>
  await assert.rejects(work, (error) => isBinderyError(error, code))
const packed = async (tar: Uint8Array, codec: 'zstd' | 'gzip'): Promise<Uint8Array> =>
  (await collectBytes(compress(oneChunk(tar), codec), Infinity)) as Uint8Array

async function updatesOf(store: Store, role = 'base-amd64'): Promise<readonly Update[]> {
  const repository = await loadRepository(store)
  return await readUpdates(store, repository.channels.get(role)?.signed.value.targets ?? new Map())
}

/** Keys without their digests. */
const shape = (keys: Iterable<string>): readonly string[] => [...keys].map((key) => key.replace(/[0-9a-f]{64}/, '*')).sort()

test('a new repository is empty, sound, and its timestamp small', async () => {
  const { store, fsck } = await openWorkshop()
  assert.deepEqual(shape(store.files.keys()), [
    'metadata/1.root.json',
    'metadata/1.snapshot.json',
    'metadata/1.targets.json',
    'metadata/timestamp.json',
  ])
  assert.deepEqual(await fsck(), [])
  assert.ok((store.files.get('metadata/timestamp.json') as Uint8Array).length <= 1024)
})

test('a first release begins its channel', async () => {
  const { store, publish, fsck } = await openWorkshop()
  const [release] = await publish(await smallDist('1.0'))
  assert.equal(release?.kind, 'added')
  assert.deepEqual(shape(store.files.keys()), [
    'blobs/base/amd64/*.base-1.0-20260101-amd64.frames',
    'blobs/base/amd64/*.base-1.0-20260101-amd64.mtree.zst',
    'blobs/base/amd64/*.base-1.0-20260101-amd64.tar.zst',
    'blobs/base/amd64/*.base-1.0-20260101-amd64.update',
    'metadata/1.base-amd64.json',
    'metadata/1.root.json',
    'metadata/1.snapshot.json',
    'metadata/1.targets.json',
    'metadata/2.snapshot.json',
    'metadata/2.targets.json',
    'metadata/timestamp.json',
  ])
  const [update] = await updatesOf(store)
  assert.equal(update?.sequence, 1)
  assert.equal(update.previous, undefined)
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('the next release comes with a delta and touches no other role', async () => {
  const { store, publish, fsck } = await openWorkshop()
  await publish(await smallDist('1.0'))
  await publish(await smallDist('1.1'))
  const [, update] = await updatesOf(store)
  assert.equal(update?.sequence, 2)
  assert.equal(update.previous, 'base-1.0-20260101-amd64')
  assert.deepEqual(
    update.deltas.map(({ from }) => from),
    ['base-1.0-20260101-amd64'],
  )
  assert.ok(store.files.has('metadata/2.base-amd64.json') && !store.files.has('metadata/3.targets.json'))
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('each delta comes with one of the manifest, which makes the manifest that is published', async () => {
  const { store, publish, input, keyring } = await openWorkshop()
  await publish(await smallDist('1.0'))
  await publishDists({ ...input([await smallDist('1.1'), await smallDist('1.2')]), keyring })
  const [first, , third] = await updatesOf(store)
  assert.ok(first && third)
  const targets = (await loadRepository(store)).channels.get('base-amd64')?.signed.value.targets as ReadonlyMap<string, TargetFile>
  const direct = third.deltas.find(({ from }) => from === 'base-1.0-20260101-amd64')?.manifest
  assert.equal(direct?.target, 'base/amd64/base-1.0-20260101-amd64_to_base-1.2-20260101-amd64.mtree.delta')
  assert.ok(direct.size < third.manifest.size)
  const delta = await openTarget(store, direct.target, targets.get(direct.target) as TargetFile)
  const made = await collectBytes(applyDelta(delta, oneChunk(await readManifestText(store, first, targets))), 1 << 20)
  assert.ok(made !== undefined && equalBytes(made, await readManifestText(store, third, targets)))
})

test('fsck finds a delta between other manifests than the record says', async () => {
  const workshop = await openWorkshop()
  await workshop.publish(await smallDist('1.0'))
  await workshop.publish(await smallDist('1.1'), await smallDist('1.2'))
  const swapped: string[] = []
  await resign(workshop, ({ targets, updates }) => {
    const update = updates[2] as Update
    const [one, two] = update.deltas.map(({ manifest }) => manifest as TargetRef) as [TargetRef, TargetRef]
    swapped.push(one.target, two.target)
    const bytesOf = ({ target }: TargetRef): Uint8Array | undefined =>
      workshop.store.files.get(blobKey(target, targets.get(target)?.hashes['sha256'] as string))
    const other = (ref: TargetRef): TargetRef => (ref.target === one.target ? two : one)
    const deltas = update.deltas.map((delta) => {
      const manifest = delta.manifest as TargetRef
      return { ...delta, manifest: { ...manifest, size: other(manifest).size } }
    })
    const record = {
      target: releaseTargets(releaseName('1.2')).update,
      bytes: encodeUpdate({ ...update, deltas }),
      custom: { sequence: 3 },
    }
    return [{ ...one, bytes: bytesOf(two) }, { ...two, bytes: bytesOf(one) }, record]
  })
  const errors = (await workshop.fsck()).filter(({ severity }) => severity === 'error')
  assert.deepEqual(
    errors.map(({ code, key }) => [code, key]),
    swapped.map((target) => ['mix-and-match', target]),
  )
})

test('deltas come from so many releases at most, and every release before is reached', async () => {
  const { store, input, keyring } = await openWorkshop()
  for (const revision of ['1.0', '1.1', '1.2', '1.3']) await publishDists({ ...input([await smallDist(revision)], { deltas: 2 }), keyring })
  const updates = await updatesOf(store)
  assert.deepEqual(
    updates.map(({ deltas }) => deltas.length <= 2),
    [true, true, true, true],
  )
  for (const old of updates.slice(0, 3)) assert.equal(cheapestRoute({ updates, from: old.release.tar.sha256 }).kind, 'deltas')
})

test('effort reaches the deltas', async () => {
  const text = (seed: number): string => [...noise(seed, 6000)].map((byte) => `word${byte % 97}`).join(' ')
  const sizeWith = async (effort: Effort): Promise<number> => {
    const { store, input, keyring } = await openWorkshop()
    for (const [i, seed] of [1, 2].entries())
      await publishDists({
        ...input([await makeDist(releaseName(`1.${i}`), { a: text(seed), b: file(noise(9, 100_000)) })], { making: { effort } }),
        keyring,
      })
    return (await updatesOf(store))[1]?.deltas[0]?.size ?? 0
  }
  const [quick, thorough] = [await sizeWith(0), await sizeWith(9)]
  assert.ok(thorough > 0 && thorough < quick, `${thorough} and ${quick} bytes`)
})

test('a direct delta that saves less than a twentieth of the chain is left out', async () => {
  const { store, publish } = await openWorkshop()
  // Each release changes another file: the direct delta is the sum of the two.
  const seeds = [
    [1, 2, 9],
    [3, 2, 9],
    [3, 4, 9],
  ] as const
  for (const [i, [a, b, c]] of seeds.entries()) {
    const tree = { a: file(noise(a, 400_000)), b: file(noise(b, 400_000)), c: file(noise(c, 900_000)) }
    await publish(await makeDist(releaseName(`1.${i}`), tree))
  }
  const updates = await updatesOf(store)
  assert.deepEqual(
    updates[2]?.deltas.map(({ from }) => from),
    [formatDistName(releaseName('1.1'))],
  )
})

test('a delta that is no smaller than the whole is not kept', async () => {
  const { store, publish } = await openWorkshop()
  await publish(await makeDist(releaseName('1.0'), { a: 'x' }), await makeDist(releaseName('1.1'), { b: 'y' }))
  const [, update] = await updatesOf(store)
  for (const delta of update?.deltas ?? []) assert.ok(delta.size < (update?.full[0]?.size ?? 0))
})

test('publishing the same again changes nothing, whatever it is wrapped in', async () => {
  const { store, publish } = await openWorkshop()
  const dist = await smallDist('1.0')
  await publish(await packed(dist, 'zstd'))
  const before = new Map(store.files)
  for (const again of [dist, await packed(dist, 'gzip'), await packed(dist, 'zstd')]) {
    assert.deepEqual(
      (await publish(again)).map(({ kind }) => kind),
      ['present'],
    )
    assert.deepEqual(store.files, before)
  }
})

test('a name belongs to one dist for ever', async () => {
  const { store, publish } = await openWorkshop()
  await publish(await makeDist(releaseName('1.0'), { a: 'one' }), await makeDist(releaseName('1.1'), { a: 'two' }))
  const before = new Map(store.files)
  await rejects('exists', publish(await makeDist(releaseName('1.0'), { a: 'another' })))
  assert.deepEqual(store.files, before)
})

test('each wrapping goes out as it came, a plain tar compressed; only zstd has frames', async () => {
  const { store, publish, fsck } = await openWorkshop()
  await publish(await packed(await smallDist('1.0'), 'zstd'), await packed(await smallDist('1.1'), 'gzip'), await smallDist('1.2'))
  const ways = (await updatesOf(store)).map(({ full }) =>
    full.map(({ codec, frames }) => `${codec}${frames === undefined ? '' : ' frames'}`),
  )
  assert.deepEqual(ways, [['zstd frames'], ['gzip'], ['zstd frames']])
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('several channels in one call', async () => {
  const { store, publish, fsck } = await openWorkshop()
  const kernel = await smallDist('1.0', { product: 'kernel-GENERIC' })
  const releases = await publish(await smallDist('1.0'), kernel, await smallDist('1.0', { arch: 'arm64' }), await smallDist('1.1'))
  assert.deepEqual(namesOf(releases), [
    'base-1.0-20260101-amd64',
    'kernel-GENERIC-1.0-20260101-amd64',
    'base-1.0-20260101-arm64',
    'base-1.1-20260101-amd64',
  ])
  const { channels, snapshot } = await loadRepository(store)
  assert.deepEqual([...channels.keys()].sort(), ['base-amd64', 'base-arm64', 'kernel-GENERIC-amd64'])
  assert.equal(snapshot.signed.value.version, 2)
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('notes of the maker reach the record', async () => {
  const { store, input, keyring } = await openWorkshop()
  const notes = { notices: ['restart sshd'], postSteps: [], reboot: 'restart', security: true } as const
  await publishDists({ ...input([await smallDist('1.0')], { notes }), keyring })
  const [update] = await updatesOf(store)
  assert.deepEqual([update?.notices, update?.reboot, update?.security], [['restart sshd'], 'restart', true])
})

test('what is no canonical dist is refused, and nothing is written', async () => {
  const { store, publish } = await openWorkshop()
  const before = new Map(store.files)
  const dist = await smallDist('1.0')
  for (const bad of [dist.slice(0, -512), new Uint8Array([...dist, 0]), new Uint8Array(0), new TextEncoder().encode('<html>')]) {
    await assert.rejects(publish(bad), BinderyError)
    assert.deepEqual(store.files, before)
  }
})

test('each key is asked for before anything is written', async () => {
  const { store, input, holding } = await openWorkshop()
  const before = new Map(store.files)
  const all = ['root', 'targets', 'channels', 'snapshot', 'timestamp']
  for (const missing of ['targets', 'channels', 'snapshot', 'timestamp']) {
    const keyring = holding(...all.filter((name) => name !== missing))
    await rejects('wrong-key', publishDists({ ...input([await smallDist('1.0')]), keyring }))
    assert.deepEqual(store.files, before)
  }
  await publishDists({ ...input([await smallDist('1.0')]), keyring: holding('targets', 'channels', 'snapshot', 'timestamp') })
  // Once the channel is there, the key of targets can stay in the safe.
  await publishDists({ ...input([await smallDist('1.1')]), keyring: holding('channels', 'snapshot', 'timestamp') })
})

test('keys of somebody else do not publish', async () => {
  const { input } = await openWorkshop()
  const keyring = openKeyring(await makeKeys(['root', 'targets', 'channels', 'snapshot', 'timestamp']), noQuestions)
  await rejects('wrong-key', publishDists({ ...input([await smallDist('1.0')]), keyring }))
})

test('the same steps at the same time give the same repository', async () => {
  const dists = [await smallDist('1.0'), await smallDist('1.1')]
  const first = await openWorkshop()
  const again = memoryStore(new Map([...first.store.files].map(([key, bytes]) => [key, bytes.slice()])))
  for (const dist of dists) {
    await first.publish(dist)
    await publishDists({ ...first.input([dist], { store: again }), keyring: first.keyring })
  }
  assert.deepEqual(again.files, first.store.files)
})

/** Fails every put from the `n`th on, some of them after half of the bytes; counts what it let through. */
function failingStore(store: Store, n: number): Store & { readonly puts: () => number } {
  let puts = 0
  return {
    ...store,
    puts: () => puts,
    put: async (key, content) => {
      if (puts >= n) throw new BinderyError('no-space', 'no space left', { subject: key })
      puts++
      await store.put(key, content)
    },
  }
}

test('a publish that fails at any write leaves the old repository whole, and the next one goes through', async () => {
  const dists = [await smallDist('1.1'), await smallDist('1.0', { product: 'kernel' })]
  for (let n = 0, failed = true; failed; n++) {
    const { store, publish: publishWhole, input, keyring, fsck } = await openWorkshop()
    await publishWhole(await smallDist('1.0'))
    const timestamp = store.files.get('metadata/timestamp.json')
    const failing = failingStore(store, n)
    failed = await publishDists({ ...input(dists, { store: failing }), keyring }).then(
      () => false,
      (error) => isBinderyError(error, 'no-space') || Promise.reject(error),
    )
    if (failed) {
      assert.deepEqual(store.files.get('metadata/timestamp.json'), timestamp)
      assert.deepEqual(
        (await fsck({ deep: true })).filter(({ severity }) => severity !== 'note'),
        [],
        `after ${n} writes`,
      )
      assert.deepEqual(
        (await updatesOf(store)).map(({ sequence }) => sequence),
        [1],
      )
    }
    await publishWhole(...dists)
    assert.deepEqual(await fsck({ deep: true }), [], `again after ${n} writes`)
    if (!failed) assert.ok(n >= 12, `only ${n} writes`)
  }
})

test('an abort stops between two steps', async () => {
  const { input, keyring, store } = await openWorkshop()
  const before = new Map(store.files)
  const signal = AbortSignal.abort(new BinderyError('interrupted', 'stopped'))
  await rejects('interrupted', publishDists({ ...input([await smallDist('1.0')], { signal }), keyring }))
  assert.deepEqual(store.files, before)
})

test('a damaged repository is not built upon', async () => {
  for (const damage of ['metadata/timestamp.json', 'metadata/2.snapshot.json', 'metadata/1.root.json', 'metadata/1.base-amd64.json']) {
    const { store, publish } = await openWorkshop()
    await publish(await smallDist('1.0'))
    const bytes = store.files.get(damage) as Uint8Array
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
    await assert.rejects(publish(await smallDist('1.1')), BinderyError, damage)
  }
})

test('a passphrase is asked for when its key is needed, once, and tried on the next key first', async () => {
  const asked: string[] = []
  const ring = openKeyring(await makeKeys(['one', 'two'], 'secret'), async (prompt) => {
    asked.push(prompt)
    return 'secret'
  })
  const ids = ['one', 'two'].map((name) => tufKeyId(ring.publicKey(name) as TufKey))
  assert.deepEqual(await ring.signers(['somebody else']), [])
  assert.deepEqual(asked, [])
  assert.equal((await ring.signers(ids)).length, 2)
  assert.equal((await ring.signers(ids)).length, 2)
  assert.deepEqual(asked, ['passphrase for one.sec: '])
})
