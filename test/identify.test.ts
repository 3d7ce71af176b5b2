import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { formatDistName } from '../src/base/name.ts'
import { identifyRelease, takeRelease } from '../src/engine/client/fetch/identify.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { release } from './helpers/client-world.ts'
import { address, amd64, follower, record, serve, served, servedRecord, trustIn } from './helpers/listed-releases.ts'
import { hardlink, plant } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { notingPlace } from './helpers/served-release.ts'
import type { Candidate } from '../src/engine/client/fetch/identify.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Literal } from './helpers/plant.ts'
import type { Release } from './helpers/client-world.ts'
import type { Served } from './helpers/listed-releases.ts'
import type { TestSession } from './helpers/client.ts'

/** Which release a tree is. */

const channel = amd64('base')

type Listed = Release & { readonly record: Served; readonly packed: Served }

/** Nobody asks for its dist. Its manifest is packed with nothing. */
async function listedRelease(sequence: number, literal: Literal): Promise<Listed> {
  const made = await release(String(sequence), literal)
  const packed = served(releaseTargets(made.name).manifest, encodeManifest(made.manifest))
  const manifest = { target: packed.info.path, size: packed.bytes.length }
  return { ...made, packed, record: servedRecord(record(sequence, { manifest })) }
}

type Looked = {
  readonly candidate: Candidate | undefined
  readonly error: unknown
  readonly session: TestSession
  /** Which records were fetched, by release. */
  readonly looked: readonly number[]
}

async function looked(releases: readonly Listed[], tree: Literal, name?: string): Promise<Looked> {
  const session = await follower({})
  await plant(session.disk, tree)
  const http = session.http as MemoryHttp
  for (const { record, packed } of releases) serve(http, [record, packed])
  const trust = trustIn({ 'base-amd64': releases.flatMap(({ record, packed }) => [record, packed]) })
  const { place } = notingPlace([address])
  const work = name === undefined ? identifyRelease(session, place, trust, channel) : takeRelease(session, place, trust, channel, name)
  const { candidate, error } = await work.then(
    (found) => ({ candidate: found, error: undefined }),
    (thrown: unknown) => ({ candidate: undefined, error: thrown }),
  )
  const records = http.requests.map(({ url }) => /base-(\d+)-[^/]*\.update/.exec(url)?.[1]).filter((one) => one !== undefined)
  return { candidate, error, session, looked: records.map(Number) }
}

const revision = ({ candidate }: Looked): string | undefined => candidate?.update.value.release.name.revision
const releasesOf = async (...trees: readonly Literal[]): Promise<readonly Listed[]> =>
  await Promise.all(trees.map(async (tree, i) => await listedRelease(i + 1, tree)))

/** Four files that stay, and what is named. */
const tree = (more: Literal): Literal => ({ a: 'a', b: 'b', c: 'c', d: 'd', ...more })
const version = (text: string, more: Literal = {}): Literal => tree({ version: text, ...more })
const numbered = async (count: number): Promise<readonly Listed[]> =>
  await releasesOf(...Array.from({ length: count }, (_, i) => version(`${i + 1}`)))
const four = await numbered(4)

test('it is the release that the tree differs least from, whatever its age', async () => {
  for (const number of [1, 2, 3, 4]) {
    const found = await looked(four.slice(0, number + 1), version(`${number}`))
    assert.equal(revision(found), `${number}`)
    assert.deepEqual(found.candidate?.match.differing, [])
    assert.deepEqual(found.candidate?.manifest.value, four[number - 1]?.manifest)
    assert.equal(found.candidate?.manifestBlob.value.sha256, four[number - 1]?.packed.info.sha256)
  }
})

test('what differs of each is explained, the newest first', async () => {
  const { session } = await looked(four.slice(0, 2), version('1', { a: 'mine', b: 'mine' }))
  const entries = four[0]?.manifest.entries.length
  assert.deepEqual(session.explained, [
    `base-2-20260101-amd64: 3 of ${entries} paths differ`,
    `base-1-20260101-amd64: 2 of ${entries} paths differ`,
  ])
})

test('where as much differs, other modes, owners and times decide, and then the newest is taken', async () => {
  const mode = (bits: number): Literal => tree({ version: { kind: 'file', content: 'v', mode: bits } })
  const releases = await releasesOf(mode(0o644), mode(0o600), mode(0o600), mode(0o640))
  assert.equal(revision(await looked(releases, mode(0o644))), '1')
  assert.equal(revision(await looked(releases, mode(0o600))), '3')
  assert.equal(revision(await looked(releases, mode(0o640))), '4')
  assert.equal(revision(await looked(releases, mode(0o400))), '4')
  // A content that differs counts more than any of them.
  const other = await releasesOf(version('1'), tree({ version: '2', a: { kind: 'file', content: 'a', mode: 0o600 } }))
  assert.equal(revision(await looked(other, version('2'))), '2')
})

test('what another release has and this one does not speaks against it, where it is there', async () => {
  const old = version('1', { gone: 'x', gone2: 'y' })
  const releases = await releasesOf(old, version('1', { gone: 'x' }), version('1'))
  assert.equal(revision(await looked(releases, old)), '1')
  assert.equal(revision(await looked(releases, version('1', { gone: 'x' }))), '2')
  assert.equal(revision(await looked(releases, version('1'))), '3')
  // What is not there does not: a later release has more.
  const grown = await releasesOf(version('1'), version('1', { more: 'x' }))
  assert.equal(revision(await looked(grown, version('1'))), '1')
  // What lies there with other contents is not what another release has.
  assert.equal(revision(await looked(releases, version('1', { gone: 'mine', gone2: 'mine' }))), '3')
  // Together with what differs: one that fits but for two leftovers is further than one that lacks one file.
  const lacking = version('1', { gone: 'x', gone2: 'y' })
  const mixed = await releasesOf(version('0', { gone: 'x', gone2: 'y' }), version('1'))
  assert.equal(revision(await looked(mixed, lacking)), '1')
})

test('what two releases have and this one does not counts once', async () => {
  // Of the newest, one path is left over; of the others, one or two differ.
  const releases = await releasesOf(version('1', { gone: 'x' }), version('2', { gone: 'x' }), version('3'))
  assert.equal(revision(await looked(releases, version('3', { gone: 'x' }))), '3')
})

test('where two in a row fit worse than the best, older ones are not looked at', async () => {
  const three = version('3')
  const all = [...(await numbered(3)), ...(await releasesOf({}, {}, {}, three, three)).slice(3)]
  assert.deepEqual((await looked(all, three)).looked, [5, 4, 3, 2, 1])
  const six = await numbered(6)
  assert.deepEqual((await looked(six, version('6'))).looked, [6, 5, 4])
  assert.deepEqual((await looked(six, version('5'))).looked, [6, 5, 4, 3])
  // One that fits as well as the best begins anew.
  const again = await releasesOf(version('1'), version('2'), version('x'), version('4'), version('x'))
  assert.deepEqual((await looked(again, version('x'))).looked, [5, 4, 3, 2, 1])
  // Worse than the best, not than the one before: from far to near and away again.
  const steps = await releasesOf(
    version('1'),
    version('2', { a: 'A' }),
    version('3', { a: 'A', b: 'B' }),
    version('4'),
    version('5', { a: 'A' }),
  )
  assert.deepEqual((await looked(steps, version('4'))).looked, [5, 4, 3, 2])
})

test('no more than sixteen are looked at, the newest', async () => {
  const same = await releasesOf(...Array.from({ length: 18 }, () => version('x')))
  const found = await looked(same, version('x'))
  assert.deepEqual([found.looked.length, found.looked[0], found.looked.at(-1)], [16, 18, 3])
  assert.equal(revision(found), '18')
})

test('with less than half of its files it is no release any more', async () => {
  const [one] = four as [Listed, ...Listed[]]
  const six = await listedRelease(1, tree({ version: '1', again: hardlink('a') }))
  const half = await looked([six], { a: 'a', again: 'a', b: 'b' })
  assert.equal(revision(half), '1')
  for (const [literal, of, share] of [
    [{ a: 'a', b: 'b' }, one, 40],
    [{ a: 'a', b: 'b', c: 'mine' }, six, 33],
    [{}, one, 0],
  ] as const) {
    const { error, candidate } = await looked([of], literal)
    assert.equal(candidate, undefined)
    assert.deepEqual(await refused(Promise.reject(error as Error)), ['not-found', 'base/amd64'])
    assert.ok(error instanceof BinderyError)
    assert.equal(error.message, `no release looks like what is installed: base-1-20260101-amd64 fits best, with ${share} % of its files`)
    assert.match(error.hint ?? '', /--release NAME/)
  }
})

test('a release without files is any tree', async () => {
  assert.equal(revision(await looked(await releasesOf({}), {})), '1')
})

test('a channel without releases has none to be', async () => {
  assert.deepEqual(await refused(Promise.reject((await looked([], {})).error as Error)), ['not-found', 'base/amd64'])
})

test('a release that is named is taken, however much differs', async () => {
  const name = formatDistName(four[1]?.name as Listed['name'])
  const found = await looked(four, {}, name)
  assert.deepEqual([revision(found), found.looked], ['2', [2]])
  assert.equal(found.candidate?.match.sameFiles, 0)
  const { error } = await looked(four, {}, 'base-9-20260101-amd64')
  assert.deepEqual(await refused(Promise.reject(error as Error)), ['not-found', 'base/amd64'])
  assert.match((error as Error).message, /^has no release 'base-9-20260101-amd64'$/)
})

test('a manifest that is not listed, and one that is none, end it', async () => {
  const [one] = four as [Listed, ...Listed[]]
  const session = await follower({})
  const { place } = notingPlace([address])
  const identified = async (blobs: readonly ReturnType<typeof served>[]): Promise<readonly unknown[]> => {
    serve(session.http as MemoryHttp, blobs)
    return await refused(identifyRelease(session, place, trustIn({ 'base-amd64': blobs }), channel))
  }
  assert.deepEqual(await identified([one.record]), ['not-found', one.packed.info.path])
  assert.equal((await identified([one.record, served(one.packed.info.path, new Uint8Array(3))]))[0], 'bad-format')
})
