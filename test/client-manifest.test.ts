import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { findingOf } from '../src/engine/client/fetch/check.ts'
import { withIncoming } from '../src/engine/client/fetch/fetch.ts'
import { readInstalledManifest } from '../src/engine/client/installed.ts'
import { findOffers } from '../src/engine/client/fetch/offer.ts'
import { channelFile, channelFiles, readReleaseState, writeStateFile } from '../src/engine/client/state.ts'
import { makeDelta } from '../src/engine/delta/make.ts'
import { readManifestText } from '../src/engine/repo/manifest-text.ts'
import { loadRepository } from '../src/engine/repo/repository.ts'
import { publish } from '../src/engine/repo/publish.ts'
import { readUpdates } from '../src/engine/repo/channel-draft.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { decodeManifest } from '../src/format/manifest.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { encodeUpdate } from '../src/format/update.ts'
import { channel, openRepositoryOnline, takeRequests, tree } from './helpers/client-repository.ts'
import { makeDist, memorySpool, releaseName, sourceOf } from './helpers/repository.ts'
import { resign } from './helpers/resign.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { Offer } from '../src/engine/client/fetch/offer.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { TargetFile } from '../src/format/tuf.ts'
import type { Update } from '../src/format/update.ts'
import type { Changed } from './helpers/resign.ts'
import type { Online } from './helpers/client-repository.ts'
import type { Literal } from './helpers/plant.ts'

/** The manifest of a new release, brought by deltas from that of the installed one. */

/** Files of 30 folders, all digests different. */
const files = (length: number): Literal =>
  Object.fromEntries(Array.from({ length }, (_, i) => [`share/${i % 30}/${i}`, `the content of ${i}\n`]))
const crowd = files(300)

/** A client with the first tree, and a repository that has gone on to the others. */
async function behind(first: Literal, ...others: readonly Literal[]): Promise<{ online: Online; session: Session & { said: string[] } }> {
  const online = await openRepositoryOnline()
  await online.release(first)
  const session = await online.client(first)
  await online.enroll(session)
  await online.release(...others)
  return { online, session }
}

async function offerOf(session: Session): Promise<Offer> {
  const [offer] = await findOffers(session)
  assert.ok(offer)
  return offer
}

type Fetched = {
  readonly incoming: Incoming
  readonly broken: readonly string[]
  readonly paths: readonly string[]
  readonly bytes: number
}

async function fetchNext({ http }: Online, session: Session): Promise<Fetched> {
  const offer = await offerOf(session)
  takeRequests(http)
  const used = await withIncoming(session, offer, async (incoming) => {
    for await (const _ of incoming.tar());
    return incoming
  })
  assert.ok(used)
  const requests = http.requests.splice(0)
  const bytes = requests.reduce((sum, { url }) => sum + (http.pages.get(url)?.bytes?.length ?? 0), 0)
  const paths = requests.map(({ url }) => new URL(url).pathname.replace(/^.*\/[0-9a-f]{64}\./, ''))
  return { incoming: used.result, broken: used.broken, paths, bytes }
}

/** What the repository has as the newest manifest. */
async function publishedManifest({ workshop: { store } }: Online): Promise<Manifest> {
  const targets = (await loadRepository(store)).channels.get('base-amd64')?.signed.value.targets as ReadonlyMap<string, TargetFile>
  return decodeManifest(await readManifestText(store, (await readUpdates(store, targets)).at(-1) as Update, targets))
}

async function adopt(session: Session, incoming: Incoming): Promise<void> {
  for (const { path, content, mode } of incoming.stateFiles) {
    assert.ok(content !== 'remove')
    await writeStateFile(session.disk, channelFile(channel, path), await (await memorySpool(content())).read(0, 1 << 30), mode)
  }
}

const oldToNew = (from: number, to: number): string => `base-${from}-20260101-amd64_to_base-${to}-20260101-amd64`
const manifestDelta = (from: number, to: number): string => `base/amd64/${oldToNew(from, to)}.mtree.delta`

test('one changed file of thousands comes with a few kilobytes in all, as check has said', async () => {
  const thousands = files(3000)
  const { online, session } = await behind(tree(1, thousands), tree(2, thousands))
  const finding = await findingOf(session, await offerOf(session), [])
  const { incoming, paths, bytes } = await fetchNext(online, session)
  assert.deepEqual(paths, [`${oldToNew(1, 2)}.mtree.delta`, `${oldToNew(1, 2)}.delta`])
  assert.ok(bytes < 4000, `${bytes} bytes`)
  assert.deepEqual([finding.bytes, incoming.fetched.bytes], [bytes, bytes])
  const whole = await publishedManifest(online)
  assert.deepEqual(incoming.manifest.value, whole)
  await adopt(session, incoming)
  assert.deepEqual(await readInstalledManifest(session.disk, channel, await readReleaseState(session.disk, channel)), whole)
})

test('what was fetched serves the install that follows without network', async () => {
  const { online, session } = await behind(tree(1, crowd), tree(2, crowd))
  const { incoming } = await fetchNext(online, session)
  const cached = new Set<string>(incoming.cached)
  for (const name of await session.disk.readdir('var/db/bindery/cache' as never)) assert.ok(cached.has(name), name)
  assert.deepEqual((await fetchNext(online, session)).paths, [])
})

test('from release to release, and over two at once', async () => {
  const { online, session } = await behind(tree(1, crowd), tree(2, crowd))
  await adopt(session, (await fetchNext(online, session)).incoming)
  for (const revision of ['3', '4']) {
    online.workshop.pass(1)
    const dist = await makeDist(releaseName(revision), tree(Number(revision), crowd))
    // Only from the release before: the way is a chain.
    await publish({ ...online.workshop.input([dist], { deltas: 1 }), keyring: online.workshop.keyring })
  }
  await online.serve()
  const { incoming, paths, bytes } = await fetchNext(online, session)
  assert.deepEqual(paths, [
    `${oldToNew(2, 3)}.mtree.delta`,
    `${oldToNew(3, 4)}.mtree.delta`,
    // Once: what this client's releases removed before is not known to be gone.
    'base-4-20260101-amd64.obsolete.zst',
    `${oldToNew(2, 3)}.delta`,
    `${oldToNew(3, 4)}.delta`,
  ])
  assert.ok(bytes < 8000, `${bytes} bytes`)
  assert.deepEqual(incoming.manifest.value, await publishedManifest(online))
})

const deltaBetween = async (old: Uint8Array, next: Uint8Array): Promise<Uint8Array> => {
  const delta = await memorySpool(makeDelta({ old: sourceOf(old), new: sourceOf(next), oldName: '', newName: '' }))
  return await delta.read(0, delta.size)
}

async function textOfFirst({ workshop: { store } }: Online): Promise<Uint8Array> {
  const targets = (await loadRepository(store)).channels.get('base-amd64')?.signed.value.targets as ReadonlyMap<string, TargetFile>
  return await readManifestText(store, (await readUpdates(store, targets))[0] as Update, targets)
}

const mistakes: readonly (readonly [string, (text: Uint8Array) => Promise<Uint8Array>])[] = [
  ['is no delta', async () => utf8('garbage')],
  ['is cut off', async (text) => (await deltaBetween(text, utf8('#mtree\n'))).subarray(0, -3)],
  ['starts from another manifest', async (text) => await deltaBetween(text.subarray(1), text)],
  ['leads to something that is no manifest', async (text) => await deltaBetween(text, utf8('neither here nor there\n'))],
]

for (const [what, make] of mistakes) {
  test(`a delta of the manifest that ${what} is named, the manifest comes whole, and nobody can overlook it`, async () => {
    const { online, session } = await behind(tree(1, crowd), tree(2, crowd))
    const bytes = await make(await textOfFirst(online))
    await resign(online.workshop, () => [{ target: manifestDelta(1, 2), bytes }])
    await online.serve()
    const { incoming, broken, paths } = await fetchNext(online, session)
    assert.deepEqual(broken, [manifestDelta(1, 2)])
    assert.match(session.said.join('\n'), /\.mtree\.delta is broken: .*trying another way/)
    assert.deepEqual(paths, [`${oldToNew(1, 2)}.mtree.delta`, 'base-2-20260101-amd64.mtree.zst', `${oldToNew(1, 2)}.delta`])
    assert.equal(incoming.fetched.route, 'deltas')
    assert.deepEqual(incoming.manifest.value, await publishedManifest(online))
  })
}

const withoutMember = (update: Update): Update => ({ ...update, deltas: update.deltas.map(({ manifest: _, ...delta }) => delta) })
const oldRecord = (update: Update): Changed => ({
  target: releaseTargets(update.release.name).update,
  bytes: encodeUpdate(withoutMember(update)),
  custom: { sequence: update.sequence },
})

for (const [what, change] of [
  ['that was pruned', () => [{ target: manifestDelta(1, 2), bytes: undefined }]],
  ['that an older publisher did not make', ({ updates }) => updates.map(oldRecord)],
] as const satisfies readonly (readonly [string, Parameters<typeof resign>[1]])[]) {
  test(`without a delta of the manifest ${what}, it comes whole, and check says so`, async () => {
    const { online, session } = await behind(tree(1, crowd), tree(2, crowd))
    await resign(online.workshop, change)
    await online.serve()
    const finding = await findingOf(session, await offerOf(session), [])
    const { incoming, broken, paths, bytes } = await fetchNext(online, session)
    assert.deepEqual([paths, broken], [['base-2-20260101-amd64.mtree.zst', `${oldToNew(1, 2)}.delta`], []])
    assert.deepEqual([finding.bytes, incoming.fetched.bytes], [bytes, bytes])
    assert.deepEqual(incoming.manifest.value, await publishedManifest(online))
  })
}

for (const damage of ['missing', 'damaged', 'another']) {
  test(`an installed manifest that is ${damage} is refused, with what mends it`, async () => {
    const { online, session } = await behind(tree(1, crowd), tree(2, crowd))
    const file = channelFile(channel, channelFiles.manifest)
    await session.disk.unlink(file)
    if (damage !== 'missing') await session.disk.create(file, oneChunk(utf8('#mtree\n')))
    const state = await readReleaseState(session.disk, channel)
    if (damage === 'another') {
      // The state agrees with it: the delta is what does not fit.
      const manifest = { sha256: sha256(utf8('#mtree\n')), size: 7 }
      await writeStateFile(session.disk, channelFile(channel, channelFiles.release), encodeReleaseState({ ...state, manifest }))
      assert.deepEqual((await fetchNext(online, session)).broken, [manifestDelta(1, 2)])
    } else await assert.rejects(fetchNext(online, session), { code: 'bad-digest', hint: /--force/ })
  })
}
