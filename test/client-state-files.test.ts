import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { markVerified } from '../src/base/verified.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { stateFilesOf } from '../src/engine/client/fetch/state-files.ts'
import { decodeReleaseState } from '../src/format/release-state.ts'
import { decodeTerms } from '../src/format/release-terms.ts'
import { testSession } from './helpers/client.ts'
import { plant } from './helpers/plant.ts'
import type { CachedFile } from '../src/engine/client/fetch/cache.ts'
import type { NextBase } from '../src/engine/client/fetch/state-files.ts'
import type { StateFile } from '../src/engine/client/incoming.ts'
import type { Digest, ReleaseState } from '../src/format/release-state.ts'
import type { Update } from '../src/format/update.ts'
import type { TestSession } from './helpers/client.ts'

/** How the state of a channel changes with a release: which files come, which go, and what the last of them says. */

const digestOf = (text: string): Digest => ({ sha256: sha256(utf8(text)), size: text.length })
const cached = (text: string): CachedFile => ({ path: cachePath(digestOf(text).sha256), ...digestOf(text) })

const name = { product: 'base', revision: '2.0', date: '20260101', arch: 'amd64' }
const tars = ['tar', 'first tar', 'second tar', 'third tar'].map(digestOf) as [Digest, Digest, Digest, Digest]

const update: Update = {
  sequence: 7,
  release: { name, tar: tars[3] },
  manifest: { target: 'base/amd64/manifest', size: 0 },
  full: [],
  deltas: [],
  notices: [],
  postSteps: [],
  reboot: 'none',
  security: false,
}

const installed: ReleaseState = {
  name: { ...name, revision: '1.0' },
  sequence: 6,
  tar: tars[1],
  manifest: digestOf('old manifest'),
  base: { file: digestOf('base'), tar: tars[0], deltas: [{ file: digestOf('first'), tar: tars[1] }] },
}

type Change = { readonly installed?: ReleaseState; readonly update?: Partial<Update>; readonly session?: TestSession }

async function filesOf(next: NextBase, change: Change = {}): Promise<readonly StateFile[]> {
  const session = change.session ?? (await testSession())
  for (const text of ['manifest', 'whole', 'second', 'third'])
    if ((await session.disk.lstat(cached(text).path)) === undefined) await session.disk.create(cached(text).path, oneChunk(utf8(text)))
  const manifest = markVerified({ target: 'm', ...cached('manifest') })
  return await stateFilesOf(session, change.installed ?? installed, { ...update, ...change.update }, manifest, next)
}

/** Each file as text: its path, mode, size, and whence it comes. */
async function shown(files: readonly StateFile[]): Promise<readonly string[]> {
  const lines: string[] = []
  for (const { path, content, mode, size, from } of files) {
    const bytes = content === 'remove' ? undefined : ((await collectBytes(content(), 10_000)) as Uint8Array)
    const isSmall = from !== undefined && bytes !== undefined
    if (bytes !== undefined) assert.equal(size, bytes.length)
    if (isSmall) assert.equal(from, cachePath(sha256(bytes)))
    const what = bytes === undefined ? `goes, ${size}` : isSmall ? Buffer.from(bytes).toString() : 'in memory'
    lines.push(`${path} ${mode.toString(8)}: ${what}`)
  }
  return lines
}

async function stateIn(files: readonly StateFile[]): Promise<ReleaseState> {
  const { content } = files.at(-1) as StateFile
  assert.ok(content !== 'remove')
  return decodeReleaseState((await collectBytes(content(), 10_000)) as Uint8Array)
}

const common = { name, sequence: 7, tar: tars[3], manifest: digestOf('manifest') }
const longer: NextBase = {
  kind: 'longer',
  before: installed.base as NonNullable<ReleaseState['base']>,
  added: [
    { blob: cached('second'), tar: tars[2] },
    { blob: cached('third'), tar: tars[3] },
  ],
}

test('where nothing is kept, the manifest comes, and the state that names it', async () => {
  const files = await filesOf({ kind: 'none' })
  assert.deepEqual(await shown(files), ['manifest.mtree.zst 644: manifest', 'release 644: in memory'])
  assert.deepEqual(await stateIn(files), common)
})

test('deltas are added behind those that are kept', async () => {
  const files = await filesOf(longer)
  assert.deepEqual(await shown(files), [
    '2.delta 600: second',
    '3.delta 600: third',
    'manifest.mtree.zst 644: manifest',
    'release 644: in memory',
  ])
  const deltas = [
    { file: digestOf('first'), tar: tars[1] },
    { file: digestOf('second'), tar: tars[2] },
    { file: digestOf('third'), tar: tars[3] },
  ]
  assert.deepEqual(await stateIn(files), { ...common, base: { file: digestOf('base'), tar: tars[0], deltas } })
})

test('a new base takes the place of the old one, and its deltas go', async () => {
  const { base, ...bare } = installed
  const two = { ...installed, tar: tars[2], base: { ...base, deltas: [...(base?.deltas ?? []), { file: digestOf('x'), tar: tars[2] }] } }
  const rest = ['manifest.mtree.zst 644: manifest', 'release 644: in memory']
  for (const [before, gone] of [
    [two as ReleaseState, ['1.delta 600: goes, 0', '2.delta 600: goes, 0']],
    [installed, ['1.delta 600: goes, 0']],
    [bare, []],
  ] as const) {
    const files = await filesOf({ kind: 'new', file: cached('whole') }, { installed: before })
    assert.deepEqual(await shown(files), ['base.tar.zst 600: whole', ...gone, ...rest])
    assert.deepEqual(await stateIn(files), { ...common, base: { file: digestOf('whole'), tar: tars[3], deltas: [] } })
  }
})

test('what holds as long as the release is installed is written beside it', async () => {
  const files = await filesOf({ kind: 'none' }, { update: { generated: ['/var/db/*.db'] } })
  assert.deepEqual(await shown(files), ['manifest.mtree.zst 644: manifest', 'terms 644: in memory', 'release 644: in memory'])
  const { content } = files[1] as StateFile
  assert.ok(content !== 'remove')
  const bytes = (await collectBytes(content(), 10_000)) as Uint8Array
  assert.deepEqual(decodeTerms(bytes, name), { needs: [], generated: ['/var/db/*.db'] })
})

test('what the release before said goes where this one says nothing, of its own channel alone', async () => {
  const goes = ['manifest.mtree.zst 644: manifest', 'terms 644: goes, 0', 'release 644: in memory']
  for (const [channel, expected] of [
    ['base-amd64', goes],
    ['base-i386', [goes[0], goes[2]]],
  ] as const) {
    const session = await testSession()
    await plant(session.disk, { [`var/db/bindery/channel/${channel}/terms`]: 'terms' })
    assert.deepEqual(await shown(await filesOf({ kind: 'none' }, { session })), expected)
  }
})
