import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { describeLeaving, planUnenroll, unenroll } from '../src/engine/client/unenroll.ts'
import { noteChecksums } from '../src/engine/client/checksums.ts'
import { generatedHere } from '../src/engine/client/generated.ts'
import { readInstalledManifest } from '../src/engine/client/installed.ts'
import { pathsOfOthers } from '../src/engine/client/other-channels.ts'
import { channelsLeft, describeLeft, ownerOf, restBeside } from '../src/engine/client/rest.ts'
import {
  channelFile,
  channelFiles,
  makeStateFolders,
  readEnrolled,
  readReleaseState,
  stateFolder,
  statePaths,
  writeEnrolled,
  writeStateFile,
} from '../src/engine/client/state.ts'
import { readTerms, termsOf } from '../src/engine/client/terms.ts'
import { readToRemove } from '../src/engine/client/to-remove.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { encodeTerms } from '../src/format/release-terms.ts'
import { decodeRest, encodeRest } from '../src/format/rest.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { channel, installNewest, openRepositoryOnline, readText } from './helpers/client-repository.ts'
import { text } from './helpers/client-world.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { dir, relPath } from './helpers/plant.ts'
import type { Rest } from '../src/format/rest.ts'
import type { Update } from '../src/format/update.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Online } from './helpers/client-repository.ts'
import type { Literal } from './helpers/plant.ts'

/** A root that leaves its channels, waits for the rest of them, or has several. */

const tree = (revision: string): Literal => ({
  'bin/sh': `sh ${revision}`,
  [`doc/${revision}`]: 'doc',
  var: dir(),
})

let online: Online

before(async () => {
  online = await openRepositoryOnline()
  await online.release(tree('1'), tree('2'))
})

/** A root with release 2, and the install that brought it. */
async function installed(): Promise<Disk> {
  const session = await online.client(tree('1'))
  await online.enroll(session)
  await installNewest(session)
  return session.disk
}

const other = { product: 'comp', arch: 'amd64' }

/** A second channel, whose release is that of the first under another name. */
async function withOther(disk: Disk): Promise<void> {
  const [first] = await readEnrolled(disk)
  assert.ok(first !== undefined)
  await writeEnrolled(disk, [first, { ...first, channel: other }])
  await disk.mkdir(relPath(`${statePaths.channel}/comp-amd64`), 0o755)
  for (const name of [channelFiles.release, channelFiles.manifest]) {
    const content = await readText(disk, channelFile(channel, name))
    const bytes = Buffer.from(content.replaceAll('base-2-', 'comp-2-'), 'latin1')
    await writeStateFile(disk, channelFile(other, name), name === channelFiles.release ? bytes : Buffer.from(content, 'latin1'))
  }
}

test('the last channel takes everything with it but the tree, and says what can no longer be taken back', async () => {
  const disk = await installed()
  await noteChecksums(disk)
  const plan = await planUnenroll(disk, [])
  assert.deepEqual([plan.staying, plan.forgotten, plan.installs], [[], [1], 1])
  assert.deepEqual(describeLeaving(plan), ['base/amd64: no longer enrolled', 'one install can no longer be taken back'])
  await unenroll(disk, plan)
  const left = (await disk.readdir(stateFolder)).toSorted()
  assert.deepEqual(left, ['cache', 'channel', 'lock', 'log', 'receipt', 'stage', 'steps', 'store', 'trust'])
  for (const name of ['channel', 'receipt', 'store', 'trust'])
    assert.deepEqual(await disk.readdir(relPath(`${stateFolder}/${name}`)), [], name)
  assert.equal(await text(disk, 'bin/sh'), 'sh 2')
})

test('one of two leaves the other as it is, and what only that one did can still be taken back', async () => {
  const disk = await installed()
  await withOther(disk)
  const kept = await planUnenroll(disk, [other])
  assert.deepEqual([kept.staying.map((one) => one.channel), kept.forgotten, kept.installs], [[channel], [], 0])
  assert.deepEqual(describeLeaving(kept), ['comp/amd64: no longer enrolled'])
  assert.match(describeLeaving({ ...kept, installs: 2 })[1] ?? '', /^2 installs /)
  await unenroll(disk, kept)
  assert.deepEqual(
    (await readEnrolled(disk)).map((one) => one.channel),
    [channel],
  )
  assert.deepEqual(await disk.readdir(statePaths.channel), ['base-amd64'])
  assert.deepEqual(await disk.readdir(statePaths.receipt), ['1'])
  assert.equal((await disk.readdir(statePaths.trust)).length, 1)
  assert.notEqual(await disk.lstat(statePaths.version), undefined)
  await assert.rejects(planUnenroll(disk, [other]), { code: 'not-enrolled' })
})

test('an install of several channels cannot be taken back when one of them has left; repairs are not counted', async () => {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  const common = { repository: '0123456789abcdef', basis: 'tar', urls: ['https://updates.test/'] } as const
  await writeEnrolled(
    disk,
    [channel, other].map((one) => ({ channel: one, ...common })),
  )
  const releases = ['base-amd64', 'comp-amd64'].map((role) => ({ role, old: '-', new: 'x' }))
  for (const [transaction, more] of [
    [1, { releases: releases.slice(0, 1) }],
    [2, { releases }],
    [3, { releases, purpose: 'repair' }],
    [4, { releases: releases.slice(0, 1) }],
  ] as const)
    await writeStateFile(disk, relPath(`${statePaths.receipt}/${transaction}`), encodeJournal(plainJournal({ transaction, ...more })))
  const plan = await planUnenroll(disk, [other])
  assert.deepEqual([plan.forgotten, plan.installs], [[1, 2, 3], 2])
})

test('nobody leaves while something is half done', async () => {
  const disk = await installed()
  await writeStateFile(disk, statePaths.journal, utf8('x'))
  await assert.rejects(planUnenroll(disk, []), { code: 'interrupted', subject: '/var/db/bindery/journal', hint: /recover/ })
  await disk.unlink(statePaths.journal)
  await writeStateFile(disk, relPath(`${statePaths.steps}/1`), utf8('x'))
  await assert.rejects(planUnenroll(disk, []), { code: 'conflict', subject: '/var/db/bindery/steps', hint: /recover/ })
})

test('paths of other channels are theirs, and those of the channels that are updated are not', async () => {
  const disk = await installed()
  await withOther(disk)
  assert.deepEqual(await pathsOfOthers(disk, [channel, other]), new Set())
  const theirs = await pathsOfOthers(disk, [channel])
  assert.ok(theirs.has(relPath('doc/2')) && theirs.has(relPath('bin/sh')))
})

test('a manifest that is not that of the installed release is refused', async () => {
  const disk = await installed()
  const state = await readReleaseState(disk, channel)
  const path = channelFile(channel, channelFiles.manifest)
  const { manifest } = state
  assert.ok((await readInstalledManifest(disk, channel, state)).entries.length > 3)
  const wrong = { code: 'bad-digest', subject: path, hint: /--force/ }
  for (const change of [{ size: manifest.size + 1 }, { sha256: state.tar.sha256 }])
    await assert.rejects(readInstalledManifest(disk, channel, { ...state, manifest: { ...manifest, ...change } }), wrong)
  await disk.unlink(path)
  await assert.rejects(readInstalledManifest(disk, channel, state), wrong)
})

test('what the system makes anew is told by the installed releases, those that come, and bindery.conf', async () => {
  const disk = await installed()
  const state = await readReleaseState(disk, channel)
  const covered = async (config = defaultConfig, coming: readonly Partial<Update>[] = []): Promise<readonly boolean[]> => {
    const isGenerated = await generatedHere(disk, config, coming as readonly Update[])
    return ['lib/a', 'lib/b', 'lib/c', 'lib/d'].map((path) => isGenerated(relPath(path)))
  }
  const none = { ...defaultConfig, generated: [] }
  assert.deepEqual(await covered(none), [false, false, false, false])
  assert.deepEqual(await covered(none, [{ generated: ['/lib/a'] }, {}]), [true, false, false, false])
  assert.deepEqual(await readTerms(disk, channel, state), { needs: [], generated: [] })
  await writeStateFile(disk, channelFile(channel, channelFiles.terms), encodeTerms(state.name, { needs: [], generated: ['/lib/b'] }))
  assert.deepEqual(await covered(none, [{ generated: ['/lib/a'] }]), [true, true, false, false])
  await writeStateFile(disk, channelFile(channel, channelFiles.terms), utf8('nonsense\n'))
  await assert.rejects(covered(none), { code: 'bad-format', subject: channelFile(channel, channelFiles.terms) })
})

test('a channel without terms is not asked for its release, which may be damaged', async () => {
  const disk = await installed()
  await writeStateFile(disk, channelFile(channel, channelFiles.release), utf8('nonsense\n'))
  assert.equal((await generatedHere(disk, { generated: [] }))(relPath('bin/sh')), false)
})

test('a record that says nothing of what holds leaves no terms', () => {
  const need = { channel: other } as never
  const update = {} as Update
  assert.equal(termsOf(update), undefined)
  assert.equal(termsOf({ ...update, needs: [], generated: [] }), undefined)
  assert.deepEqual(termsOf({ ...update, needs: [need] }), { needs: [need], generated: [] })
  assert.deepEqual(termsOf({ ...update, generated: ['/a'] }), { needs: [], generated: ['/a'] })
  assert.deepEqual(termsOf({ ...update, needs: [need], generated: ['/a'] }), { needs: [need], generated: ['/a'] })
})

test('nothing waits to be removed where nothing says so', async () => {
  const disk = await installed()
  assert.deepEqual(await readToRemove(disk, channel), { through: 0, items: [] })
  await writeStateFile(disk, channelFile(channel, channelFiles.obsolete), utf8('nonsense\n'))
  await assert.rejects(readToRemove(disk, channel), { subject: channelFile(channel, channelFiles.obsolete) })
})

test('the channel that has one of the paths owns them', async () => {
  const disk = await installed()
  await withOther(disk)
  assert.deepEqual(await ownerOf(disk, [other, channel], [relPath('bin/sh')]), other)
  assert.deepEqual(await ownerOf(disk, [channel, other], [relPath('nowhere'), relPath('doc')]), channel)
  assert.equal(await ownerOf(disk, [channel], [relPath('nowhere'), relPath('bin/s')]), undefined)
  await writeStateFile(disk, channelFile(channel, channelFiles.release), utf8('damaged, and not asked\n'))
  assert.equal(await ownerOf(disk, [channel], []), undefined)
})

test('channels that an install has left wait until they are at another release', async () => {
  const disk = await installed()
  await withOther(disk)
  assert.deepEqual(await channelsLeft(disk), new Set())
  const { name } = await readReleaseState(disk, other)
  await writeStateFile(disk, statePaths.rest, encodeRest([{ channel: other, installed: name }]))
  assert.deepEqual(await channelsLeft(disk), new Set(['comp/amd64']))
  await writeStateFile(disk, statePaths.rest, encodeRest([{ channel: other, installed: { ...name, revision: '1' } }]))
  assert.deepEqual(await channelsLeft(disk), new Set())
  await writeStateFile(disk, statePaths.rest, utf8('nonsense\n'))
  await assert.rejects(channelsLeft(disk), { code: 'bad-format', subject: statePaths.rest })
  assert.match(describeLeft('comp/amd64'), /^comp\/amd64: .*'bindery install'/)
})

test('the note of what is left comes with the first plan that changes bindery, and goes with the last channel that it names', async () => {
  const disk = await installed()
  await withOther(disk)
  const own = [relPath('bin')]
  const rest: Rest = { channel: other, installed: (await readReleaseState(disk, other)).name }
  /** What a plan that changes these paths does with the note. */
  const noted = async (paths: readonly string[], now: readonly Rest['channel'][], later: readonly Rest[]): Promise<unknown> => {
    const beside = await restBeside(disk, own, { now, later })
    const files = beside?.({ changes: paths.map((path) => ({ path: relPath(path) })) } as never)
    const one = files?.[0]
    if (one === undefined) return undefined
    assert.deepEqual([files?.length, one.path, one.mode], [1, statePaths.rest, 0o644])
    if (one.content === 'remove') return 'remove'
    const parts: Uint8Array[] = []
    for await (const part of one.content()) parts.push(part)
    const bytes = Buffer.concat(parts)
    assert.equal(bytes.length, one.size)
    return decodeRest(bytes)
  }
  assert.equal(await noted(['bin/sh'], [channel], []), undefined)
  assert.equal(await noted(['etc/rc'], [channel], [rest]), undefined)
  assert.deepEqual(await noted(['etc/rc', 'bin/sh'], [channel], [rest]), [rest])
  await writeStateFile(disk, statePaths.rest, encodeRest([rest]))
  assert.deepEqual(await noted([], [channel], []), [rest])
  assert.deepEqual(await noted([], [channel], [rest]), [rest])
  assert.equal(await noted([], [other], []), 'remove')
  await writeStateFile(disk, statePaths.rest, encodeRest([{ ...rest, installed: { ...rest.installed, revision: '1' } }]))
  assert.equal(await noted([], [channel], []), 'remove')
})
