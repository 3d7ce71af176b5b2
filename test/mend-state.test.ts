import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { mendState } from '../src/engine/client/fetch/mend-state.ts'
import { channelFile, channelFiles, readReleaseState, statePaths } from '../src/engine/client/state.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { amd64, digestOf, installedOf, trustIn } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { openWorkshop } from './helpers/repository.ts'
import { machineWith, unpacked, wholeRelease } from './helpers/served-release.ts'
import type { StateFinding } from '../src/engine/client/audit-state.ts'
import type { Mended } from '../src/engine/client/fetch/mend-state.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Literal } from './helpers/plant.ts'
import type { Machine } from './helpers/served-release.ts'

/** How damaged files of the state become what they were. */

const tree: Literal = { 'bin/sh': noise(3000, 1), 'etc/one': 'one\n', 'etc/two': 'two\n' }
const one = await wholeRelease(1, tree)
const two = await wholeRelease(2, { ...tree, 'etc/one': '2', 'etc/two': '2' })
const channel = amd64('base')
const of = (file: RelPath): RelPath => channelFile(channel, file)
const root = (await (await openWorkshop()).store.get('metadata/1.root.json')) as Uint8Array
const rootOf: Literal = { [`${statePaths.trust}/${'0'.repeat(16)}/root.json`]: { kind: 'file', content: root } }

const finding = (path: string, mend: StateFinding['mend']): StateFinding => ({
  path: relPath(path),
  code: 'bad-digest',
  message: 'is damaged',
  mend,
})
const ofChannel = (file: RelPath, named = channel): StateFinding => finding(channelFile(named, file), { kind: 'channel', channel: named })

async function machine(on: Literal = {}, change: Parameters<typeof machineWith>[1] = {}): Promise<Machine & { readonly graces: number[] }> {
  const graces: number[] = []
  const all = [...one.all, ...two.all]
  const refresh: Session['refresh'] = async ({ grace }) => {
    graces.push(grace as number)
    if (grace === 0) throw new BinderyError('expired', 'has expired')
    return trustIn({ 'base-amd64': all })
  }
  const made = await machineWith(one, { listed: all, ...change, on: { ...rootOf, ...on }, change: { refresh, ...change.change } })
  return { ...made, graces }
}

async function textOf({ session: { disk } }: Machine, path: RelPath): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const bytes of disk.read(path)) parts.push(bytes)
  return Buffer.concat(parts).toString()
}

const errors = (all: readonly Mended[]): readonly unknown[] => all.map(({ error }) => error?.code)

// --- single files

const path = relPath('var/db/bindery/some')

test('a file whose bytes are known is written again, with the mode that it has', async () => {
  const on = await machine({ [path]: { kind: 'file', content: 'damaged', mode: 0o640 } })
  const found = finding(path, { kind: 'bytes', bytes: utf8('as it was') })
  assert.deepEqual(await mendState(on.session, [found]), [{ finding: found }])
  assert.deepEqual([await textOf(on, path), (await on.session.disk.lstat(path))?.mode], ['as it was', 0o640])
  const gone = await machine()
  assert.deepEqual(await mendState(gone.session, [found]), [{ finding: found }])
  assert.equal(await textOf(gone, path), 'as it was')
})

test('what is made anew when it is needed is removed', async () => {
  const on = await machine({ [path]: 'damaged' })
  const found = finding(path, { kind: 'remove' })
  assert.deepEqual(await mendState(on.session, [found]), [{ finding: found }])
  assert.equal(await on.session.disk.lstat(path), undefined)
})

test('the program is written again, for root alone', async () => {
  const on = await machine({ [statePaths.recover]: 'damaged' })
  const found = finding(statePaths.recover, { kind: 'program' })
  assert.deepEqual(await mendState(on.session, [found]), [{ finding: found }])
  assert.equal(await textOf(on, statePaths.recover), Buffer.from(await on.session.recovery()).toString())
  assert.equal((await on.session.disk.lstat(statePaths.recover))?.mode, 0o700)
})

test('what a person has to decide stays, with what is wrong and what may be done', async () => {
  const on = await machine({ [path]: 'damaged' })
  const [mended] = await mendState(on.session, [finding(path, { kind: 'none', hint: 'ask somebody' })])
  assert.deepEqual([mended?.error?.code, mended?.error?.message, mended?.error?.hint], ['bad-digest', 'is damaged', 'ask somebody'])
  assert.equal(await textOf(on, path), 'damaged')
})

test('what cannot be mended does not keep the others from it; a stop and a bug do', async () => {
  const on = await machine({ [path]: 'damaged' })
  const found = [finding('var/db/bindery/gone', { kind: 'remove' }), finding(path, { kind: 'remove' })]
  assert.deepEqual(errors(await mendState(on.session, found)), ['not-found', undefined])
  const failing = (failure: Error): Promise<unknown> =>
    mendState({ ...on.session, recovery: async () => await Promise.reject(failure) }, [finding(path, { kind: 'program' })])
  assert.deepEqual(await refused(failing(new BinderyError('stopped', 'was stopped'))), ['stopped', undefined])
  await assert.rejects(failing(new Error('a bug')), /a bug/)
  assert.deepEqual(errors((await failing(new BinderyError('io', 'fails'))) as readonly Mended[]), ['io'])
})

// --- channels

const damage: Literal = { ...tree, [of(channelFiles.manifest)]: 'damaged', [of(channelFiles.base)]: 'damaged' }

test('a channel becomes what it was, once for all of its files, however old the news are', async () => {
  const on = await machine({
    ...damage,
    [of(channelFiles.obsolete)]: 'o',
    [of(channelFiles.phase)]: 'p',
    [of(channelFiles.nextManifest)]: 'n',
    [of(channelFiles.terms)]: 't',
    [`${statePaths.cache}/x`]: 'left',
  })
  const found = [ofChannel(channelFiles.base), ofChannel(channelFiles.manifest)]
  assert.deepEqual(
    await mendState(on.session, found),
    found.map((each) => ({ finding: each })),
  )
  const { disk } = on.session
  assert.deepEqual(await unpacked(disk.read(of(channelFiles.base))), one.tar)
  assert.deepEqual((await disk.digest(of(channelFiles.manifest))).sha256, one.packed.info.sha256)
  assert.deepEqual([...(await disk.readdir(relPath('var/db/bindery/channel/base-amd64')))].sort(), [
    'base.tar.zst',
    'manifest.mtree.zst',
    'next.mtree.zst',
    'obsolete',
    'phase',
    'release',
  ])
  assert.deepEqual([on.graces, await disk.readdir(statePaths.cache)], [[0, Infinity], []])
})

test('the release is what is installed by its name, whatever the tree is; a name that is lost is found by the tree', async () => {
  const other: Literal = { ...damage, 'etc/one': '2', 'etc/two': '2' }
  const known = await machine(other)
  assert.deepEqual(errors(await mendState(known.session, [ofChannel(channelFiles.manifest)])), [undefined])
  assert.equal((await readReleaseState(known.session.disk, channel)).sequence, 1)
  const lost = await machine({ ...other, [of(channelFiles.release)]: 'damaged' })
  const found = [ofChannel(channelFiles.manifest), ofChannel(channelFiles.release)]
  assert.deepEqual(errors(await mendState(lost.session, found)), [undefined, undefined])
  assert.equal((await readReleaseState(lost.session.disk, channel)).sequence, 2)
})

test('a channel that keeps no base gets none', async () => {
  const on = await machine({ ...tree, [of(channelFiles.manifest)]: 'damaged' }, { basis: 'installed' })
  assert.deepEqual(errors(await mendState(on.session, [ofChannel(channelFiles.manifest)])), [undefined])
  assert.equal(await on.session.disk.lstat(of(channelFiles.base)), undefined)
})

test('a release that has other contents in the repository is not what is installed', async () => {
  const on = await machine(damage)
  await on.session.disk.unlink(of(channelFiles.release))
  const state = encodeReleaseState(installedOf('base', 1, { tar: digestOf('other') }))
  await plant(on.session.disk, { [of(channelFiles.release)]: { kind: 'file', content: state } })
  const [mended] = await mendState(on.session, [ofChannel(channelFiles.manifest)])
  assert.deepEqual(
    [mended?.error?.code, mended?.error?.subject, mended?.error?.message],
    ['no-way', 'base-1-20260101-amd64', 'has other contents in the repository'],
  )
  assert.equal(await textOf(on, of(channelFiles.manifest)), 'damaged')
})

test('channels come after all else, each with its own outcome', async () => {
  const comp = amd64('comp')
  const on = await machine({ ...damage, [path]: 'damaged' })
  const all = [
    ofChannel(channelFiles.base, comp),
    ofChannel(channelFiles.base),
    ofChannel(channelFiles.manifest, comp),
    finding(path, { kind: 'remove' }),
  ]
  const mended = await mendState(on.session, all)
  assert.deepEqual(
    mended.map((each) => [all.indexOf(each.finding), each.error?.code]),
    [
      [3, undefined],
      [0, 'not-enrolled'],
      [2, 'not-enrolled'],
      [1, undefined],
    ],
  )
  assert.ok(!('error' in (mended[3] as Mended)))
})

test('a cache that cannot be swept is for the next fetch', async () => {
  const on = await machine({ ...damage, [`${statePaths.cache}/x`]: 'left' })
  const { disk } = on.session
  const unlink: typeof disk.unlink = async (at) => {
    if (at === `${statePaths.cache}/x`) throw new BinderyError('io', 'fails')
    return await disk.unlink(at)
  }
  const session = { ...on.session, disk: { ...disk, unlink } }
  assert.deepEqual(errors(await mendState(session, [ofChannel(channelFiles.manifest)])), [undefined])
})
