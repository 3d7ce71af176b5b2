import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { machineId } from '../src/engine/client/machine-id.ts'
import { mendedBit } from '../src/engine/client/mended-bit.ts'
import { coveredBy, describeStanding, readPhase, readPresentManifest, standingJson, standingOf } from '../src/engine/client/phase.ts'
import {
  channelFile,
  channelFiles,
  keepingTime,
  makeStateFolders,
  naming,
  readReleaseState,
  readStateFile,
  removeHalfWritten,
  removeStateFolder,
  removeStateFolders,
  stateFolder,
  statePaths,
  writeStateFile,
} from '../src/engine/client/state.ts'
import { noteStateVersion, refuseNewerState } from '../src/engine/client/state-version.ts'
import { changeTold, readTold } from '../src/engine/client/told.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { encodePhaseState } from '../src/format/phase-state.ts'
import { encodeStateVersion } from '../src/format/state-version.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { release, text } from './helpers/client-world.ts'
import { enrolledState } from './helpers/enrolled-state.ts'
import { plant, relPath, symlink } from './helpers/plant.ts'
import { digestOfBytes, zstd } from './helpers/served-release.ts'
import type { PhaseState } from '../src/format/phase-state.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** The small files of the state: what is read of them, when they are written, and what a damaged one is. */

async function rootWith(literal: Literal = {}): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  await makeStateFolders(disk)
  return disk
}

const random = { bytes: (count: number) => new Uint8Array(count).fill(0xab) }
const own = 'ab'.repeat(16)

for (const [what, literal, wanted] of [
  ['the one of the system', { 'etc/machine-id': `${'1'.repeat(32)}\n` }, '1'.repeat(32)],
  ['none of the system that is empty', { 'etc/machine-id': '' }, undefined],
  ['none of the system that waits for a first start', { 'etc/machine-id': 'uninitialized\n' }, undefined],
  ['none of the system that is too long', { 'etc/machine-id': `${'1'.repeat(33)}\n` }, undefined],
  ['none of the system that is huge', { 'etc/machine-id': `${'1'.repeat(32)}${'\n'.repeat(8192)}` }, undefined],
  ['none of the system through a link', { 'etc/machine-id': symlink('id'), 'etc/id': '1'.repeat(32) }, undefined],
  ['none where there is none', {}, undefined],
] as const)
  test(`a machine id: ${what}`, async () => {
    const disk = await rootWith(literal)
    assert.equal(await machineId(disk, random, 'read'), wanted)
    assert.equal(await disk.lstat(statePaths.machineId), undefined)
    assert.equal(await machineId(disk, random, 'write'), wanted ?? own)
    assert.equal((await disk.lstat(statePaths.machineId))?.mode, wanted === undefined ? 0o644 : undefined)
    assert.equal(await machineId(disk, { bytes: () => new Uint8Array(16) }, 'write'), wanted ?? own)
  })

test('a damaged machine id of our own is made anew', async () => {
  for (const damaged of ['', 'nonsense\n', 'bindery-machine-id 1\n', 'bindery-machine-id 1\nid short\n']) {
    const disk = await rootWith()
    await writeStateFile(disk, statePaths.machineId, utf8(damaged))
    assert.equal(await machineId(disk, random, 'read'), undefined)
    assert.equal(await machineId(disk, random, 'write'), own)
  }
})

test('a machine id that cannot be looked for is no missing one', async () => {
  const disk = await rootWith()
  const failing: Disk = {
    ...disk,
    lstat: async (path) => await (path === statePaths.machineId ? Promise.reject(new TypeError('no error of ours')) : disk.lstat(path)),
  }
  await assert.rejects(machineId(failing, random, 'read'), TypeError)
})

test('what was told is written where it changes, by who may, and a damaged note is none', async () => {
  const disk = await rootWith()
  const told = { endOfLife: [], unreachable: 1_700_000_000 }
  await changeTold({ disk, access: 'read' }, () => told)
  await changeTold({ disk, access: 'write' }, (before) => before)
  assert.equal(await disk.lstat(statePaths.told), undefined)
  await changeTold({ disk, access: 'write' }, () => told)
  assert.deepEqual(await readTold(disk), told)
  const written = await disk.lstat(statePaths.told)
  assert.equal(written?.mode, 0o644)
  await changeTold({ disk, access: 'write' }, (before) => ({ ...before }))
  assert.equal((await disk.lstat(statePaths.told))?.inode, written?.inode)
  await writeStateFile(disk, statePaths.told, utf8('nonsense\n'))
  assert.deepEqual(await readTold(disk), { endOfLife: [] })
  const failing: Disk = { ...disk, lstat: async () => await Promise.reject(new TypeError('no error of ours')) }
  await assert.rejects(readTold(failing), TypeError)
})

test('a state of a newer bindery is refused, one of an older one is marked', async () => {
  const disk = await rootWith()
  await refuseNewerState(disk, '0.0.1')
  await noteStateVersion(disk)
  assert.match(await text(disk, statePaths.version), /^bindery-state 1\nleast 0\.1\.0\n$/)
  assert.equal((await disk.lstat(statePaths.version))?.mode, 0o644)
  await refuseNewerState(disk, '0.1.0')
  await assert.rejects(refuseNewerState(disk, '0.0.9'), { code: 'not-supported', subject: '/var/db/bindery/version', hint: /newer/ })
  for (const [least, left] of [
    ['0.0.9', '0.1.0'],
    ['9.0.0', '9.0.0'],
  ] as const) {
    await writeStateFile(disk, statePaths.version, encodeStateVersion(least))
    await noteStateVersion(disk)
    assert.match(await text(disk, statePaths.version), new RegExp(`least ${left}\n$`))
  }
})

test('a mark of the version that cannot be read ends everything, with the way out', async () => {
  const disk = await rootWith()
  const subject = '/var/db/bindery/version'
  await writeStateFile(disk, statePaths.version, utf8('nonsense\n'))
  await assert.rejects(refuseNewerState(disk, '9.0.0'), { code: 'bad-format', subject, hint: /remove the file/ })
  await writeStateFile(disk, statePaths.version, utf8('bindery-state 2\nleast 1.0.0\n'))
  await assert.rejects(noteStateVersion(disk), (error: { hint?: string; code: string }) => {
    assert.equal(error.code, 'not-supported')
    return error.hint?.includes('remove the file') !== true
  })
})

test('one flipped bit of a small file is mended by its digest, and nothing else is', async () => {
  const good = utf8('a few bytes')
  const wanted = { sha256: sha256(good), size: good.length }
  const damaged = (...flips: readonly (readonly [at: number, bit: number])[]): Uint8Array => {
    const bytes = good.slice()
    for (const [at, bit] of flips) bytes[at] = (bytes[at] as number) ^ (1 << bit)
    return bytes
  }
  const path = relPath('f')
  const mended = async (content: Uint8Array, size = wanted.size): Promise<Uint8Array | undefined> => {
    const disk = memoryDisk()
    await plant(disk, { f: { kind: 'file', content } })
    return await mendedBit(disk, path, { ...wanted, size })
  }
  for (const flip of [
    [0, 0],
    [0, 7],
    [5, 3],
    [10, 7],
  ] as const)
    assert.deepEqual(await mended(damaged(flip)), good)
  assert.equal(await mended(damaged([0, 0], [1, 0])), undefined)
  assert.equal(await mended(good.slice(1)), undefined)
})

test('the largest file that is tried has 16 KiB, and what lies on the disk stays as it is', async () => {
  const path = relPath('f')
  for (const [size, isTried] of [
    [1 << 14, true],
    [(1 << 14) + 1, false],
  ] as const) {
    const disk = memoryDisk()
    const good = new Uint8Array(size)
    await plant(disk, { f: { kind: 'file', content: good.with(0, 1) } })
    assert.deepEqual(await mendedBit(disk, path, { sha256: sha256(good), size }), isTried ? good : undefined)
    assert.equal((await disk.digest(path)).sha256, sha256(good.with(0, 1)))
    assert.equal(await mendedBit(disk, path, { sha256: sha256(good), size: 10 }), undefined)
  }
})

const channel = { product: 'base', arch: 'amd64' }
const [installed, coming] = ['1.0', '1.1'].map((revision) => ({ ...channel, revision, date: '20260101' })) as [
  PhaseState['installed'],
  PhaseState['release'],
]
const phase: PhaseState = {
  installed,
  release: coming,
  manifest: { sha256: sha256(utf8('')), size: 0 },
  boot: 'start-1',
  done: ['kernel'],
  paths: ['/boot/*'],
}

test('phases that are in place count for the release that is installed, and no other', async () => {
  const disk = await rootWith()
  assert.equal(await readPhase(disk, channel, { name: installed }), undefined)
  const path = channelFile(channel, channelFiles.phase)
  await disk.mkdir(relPath('var/db/bindery/channel/base-amd64'), 0o755)
  await writeStateFile(disk, path, encodePhaseState(phase))
  assert.deepEqual(await readPhase(disk, channel, { name: installed }), phase)
  assert.equal(await readPhase(disk, channel, { name: coming }), undefined)
  await writeStateFile(disk, path, utf8('nonsense\n'))
  await assert.rejects(readPhase(disk, channel, { name: installed }), { code: 'bad-format', subject: path })
})

test('of a release that came in part, what came counts; its manifest is the one that the note names, or is refused', async () => {
  const [old, next] = await Promise.all([release('1.0', { kernel: '1', sh: '1' }), release('1.1', { kernel: '2', sh: '2' })])
  const disk = await rootWith(await enrolledState(old))
  const state = await readReleaseState(disk, channel)
  assert.deepEqual(await readPresentManifest(disk, channel, state), old.manifest)
  const [path, packed] = [channelFile(channel, channelFiles.nextManifest), await zstd(encodeManifest(next.manifest))]
  await writeStateFile(disk, path, packed)
  const present = async (manifest: PhaseState['manifest']): Promise<readonly string[]> => {
    const noted = encodePhaseState({ ...phase, installed: old.name, release: next.name, manifest, paths: ['/kernel'] })
    await writeStateFile(disk, channelFile(channel, channelFiles.phase), noted)
    const isNew = new Set(next.manifest.entries.flatMap((entry) => (entry.kind === 'file' ? [entry.sha256] : [])))
    const { entries } = await readPresentManifest(disk, channel, state)
    return entries.flatMap((entry) => (entry.kind === 'file' && isNew.has(entry.sha256) ? [entry.path] : []))
  }
  const named = digestOfBytes(packed)
  assert.deepEqual(await present(named), ['kernel'])
  const refused = { code: 'bad-digest', subject: path, hint: /--force/ }
  for (const change of [{ size: named.size + 1 }, { sha256: state.manifest.sha256 }])
    await assert.rejects(present({ ...named, ...change }), refused)
  await disk.unlink(path)
  await assert.rejects(present(named), refused)
})

for (const [boot, isPending, waits] of [
  ['start-1', false, 'reboot'],
  ['start-2', false, 'install'],
  ['start-2', true, 'reboot'],
  [undefined, true, 'install'],
  [undefined, false, 'install'],
] as const)
  test(`a release in part waits for the ${waits} at ${boot}${isPending ? ' with a reboot due' : ''}`, () => {
    const standing = standingOf(channel, phase, { boot, isPending })
    assert.equal(standing.waits, waits)
    assert.deepEqual(standingJson(standing), { release: 'base-1.1-20260101-amd64', done: ['kernel'], waitsFor: waits })
    assert.equal(describeStanding(standing).includes('reboot'), waits === 'reboot')
  })

test('it is told with its phases', () => {
  const told = (done: readonly string[]): string => describeStanding({ channel, state: { ...phase, done }, waits: 'install' })
  assert.equal(told(['kernel']), "base/amd64: of base-1.1-20260101-amd64 the phase kernel is in place; 'bindery install' brings the rest")
  assert.match(told(['boot', 'kernel']), / the phases boot, kernel are in place; /)
})

test('patterns of a phase cover what they match, and no patterns cover nothing', () => {
  const covers = coveredBy(['/boot/*', '/etc/rc'])
  assert.deepEqual(
    ['boot/kernel', 'etc/rc', 'etc/rcd', 'bin/sh'].map((path) => covers(relPath(path))),
    [true, true, false, false],
  )
  assert.equal(coveredBy([])(relPath('boot/kernel')), false)
  assert.equal(coveredBy(['no pattern'])(relPath('boot/kernel')), false)
})

test('a state file is for root, or as wanted, and one that is too large is refused', async () => {
  const disk = await rootWith()
  await writeStateFile(disk, statePaths.rest, utf8('1234'))
  assert.equal((await disk.lstat(statePaths.rest))?.mode, 0o600)
  assert.deepEqual(Buffer.from((await readStateFile(disk, statePaths.rest, 4)) ?? []).toString(), '1234')
  await assert.rejects(readStateFile(disk, statePaths.rest, 3), { code: 'over-limit', subject: 'var/db/bindery/rest', hint: /--force/ })
  assert.equal(await readStateFile(disk, statePaths.told, 3), undefined)
})

test('what was written aside and got no name goes, and nothing else', async () => {
  const disk = await rootWith()
  for (const name of ['told', 'told.new', 'steps/1', 'steps/1.new', 'cache/x.new'])
    await writeStateFile(disk, relPath(`${stateFolder}/${name}`), utf8('x'))
  await removeHalfWritten(disk)
  assert.deepEqual(
    (await disk.readdir(stateFolder)).filter((name) => name.startsWith('told')),
    ['told'],
  )
  assert.deepEqual(await disk.readdir(statePaths.steps), ['1'])
  assert.deepEqual(await disk.readdir(statePaths.cache), ['x.new'])
  await removeHalfWritten(memoryDisk())
})

test('a folder of the state goes with its files; one that is not there is gone', async () => {
  const disk = await rootWith()
  for (const name of ['1', '2']) await writeStateFile(disk, relPath(`${statePaths.steps}/${name}`), utf8('x'))
  await removeStateFolder(disk, statePaths.steps)
  assert.equal(await disk.lstat(statePaths.steps), undefined)
  await removeStateFolder(disk, statePaths.steps)
})

test('folders of the state that hold something stay, but for the note of a run that is there to see to them', async () => {
  const disk = memoryDisk()
  const made = await makeStateFolders(disk)
  await writeStateFile(disk, statePaths.commitHooks, utf8('x'))
  await writeStateFile(disk, relPath(`${statePaths.log}/1`), utf8('x'))
  await removeStateFolders(disk, made)
  assert.deepEqual(await disk.readdir(stateFolder), ['log'])
  await writeStateFile(disk, statePaths.commitHooks, utf8('x'))
  await removeStateFolders(disk, [])
  assert.deepEqual((await disk.readdir(stateFolder)).toSorted(), ['commit-hooks', 'log'])
})

test('a name that comes in a folder does not change its time', async () => {
  const disk = await rootWith({ 'etc/a': 'a' })
  const before = await disk.lstat(relPath('etc'))
  await keepingTime(disk, relPath('etc'), async () => await disk.mkdir(relPath('etc/d'), 0o755))
  assert.deepEqual((await disk.lstat(relPath('etc')))?.mtime, before?.mtime)
  await keepingTime(disk, relPath('new'), async () => await disk.mkdir(relPath('new'), 0o755))
})

test('of what is made for the state, only the folder around it has its time put back, which may cost a process', async () => {
  const disk = memoryDisk()
  const timed: string[] = []
  const watched: Disk = { ...disk, setTimes: async (times) => (timed.push(...times.map(({ path }) => path)), await disk.setTimes(times)) }
  const made = await makeStateFolders(watched)
  assert.deepEqual(timed, ['.'])
  await disk.rmdir(statePaths.steps)
  await makeStateFolders(watched)
  assert.deepEqual(timed, ['.'])
  await removeStateFolders(watched, made)
  assert.deepEqual(timed, ['.', '.'])
})

test('a decoder’s error is told of its file, a mistake of ours is not', () => {
  const failing = (error: Error) => () =>
    naming(statePaths.rest, () => {
      throw error
    })
  assert.throws(failing(new BinderyError('bad-format', 'x')), { code: 'bad-format', subject: statePaths.rest, hint: /--force/ })
  assert.throws(failing(new BinderyError('bad-format', 'x', { hint: 'its own' })), { hint: 'its own' })
  assert.throws(failing(new TypeError('no error of ours')), TypeError)
})
