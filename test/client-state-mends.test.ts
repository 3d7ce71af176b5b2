import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { joinPath } from '../src/base/path.ts'
import { auditState } from '../src/engine/client/audit-state.ts'
import { noteChecksums } from '../src/engine/client/checksums.ts'
import { stateFolder } from '../src/engine/client/state.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { encodeEnrolled } from '../src/format/enrolled.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { encodePhaseState } from '../src/format/phase-state.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { plant, relPath } from './helpers/plant.ts'
import { zstd } from './helpers/served-release.ts'
import type { StateFinding } from '../src/engine/client/audit-state.ts'
import type { Digest, KeptBase } from '../src/format/release-state.ts'
import type { Action, Journal } from '../src/format/journal.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Plant } from './helpers/plant.ts'

/** States put together by hand: what is found in each of their files, and what mends it. */

type Files = Readonly<Record<string, string | Uint8Array | Plant>>

async function state(files: Files): Promise<Disk> {
  const disk = memoryDisk()
  const planted = Object.entries(files).map(([name, content]) => {
    const isContent = typeof content === 'string' || content instanceof Uint8Array
    return [`var/db/bindery/${name}`, isContent ? { kind: 'file', content, mtime } : content] as const
  })
  await plant(disk, { 'var/db/bindery/cache': { kind: 'dir' }, ...Object.fromEntries(planted) })
  return disk
}

const mtime = { sec: 1_700_000_000, nsec: 5 }
const digest = (content: string): Digest => ({ sha256: sha256(utf8(content)), size: content.length })

const findings = async (disk: Disk): Promise<readonly (readonly string[])[]> =>
  (await auditState(disk)).map(({ path, code }) => [path.slice(stateFolder.length + 1), code])

async function foundAt(disk: Disk, name: string): Promise<StateFinding | undefined> {
  return (await auditState(disk)).find(({ path }) => path === joinPath(stateFolder, relPath(name)))
}

test('what mends a file that was noted goes by its name', async () => {
  const channel = { kind: 'channel', channel: { product: 'base', arch: 'amd64' } }
  const none = (hint: string): object => ({ kind: 'none', hint })
  const again = 'enroll the channel again with --force'
  const mends = {
    'channel/base-amd64/release': channel,
    'channel/base-amd64/terms': channel,
    'channel/base-amd64/12.delta.1': none('put it back from a backup'),
    'channel/base-amd64/phase': none(again),
    'channel/base-amd64/obsolete': none('remove it: what former releases left here then stays'),
    'channel/other/release': none('put it back from a backup'),
    'bundles/told': none('put it back from a backup'),
    enrolled: none(again),
    'log/1': none('only people read it'),
    'machine-id': { kind: 'remove' },
    'machine.sec': none('remove it: the machine then signs its reports with a new key'),
    'receipt/1': none('this install cannot be rolled back, and only newer ones can; put it back from a backup'),
    reboot: none('remove it: a reboot that was asked for may still be due'),
    recover: { kind: 'program' },
    rest: none("remove it, and run 'bindery install'"),
    told: { kind: 'remove' },
    'trust/0123456789abcdef/root.json': none('enroll its channels again with --force, and a ROOT.json that you trust'),
    'trust/0123456789abcdef/targets.json': { kind: 'remove' },
    version: none('put it back from a backup'),
  }
  const disk = await state(Object.fromEntries(Object.keys(mends).map((name) => [name, `of ${name}`])))
  await noteChecksums(disk)
  for (const [name, mend] of Object.entries(mends)) {
    const path = joinPath(stateFolder, relPath(name))
    const damaged = utf8(`OF ${name}`)
    const rotten: Disk = {
      ...disk,
      read: (asked) => (asked === path ? oneChunk(damaged) : disk.read(asked)),
      digest: async (asked) => (asked === path ? { sha256: sha256(damaged), size: damaged.length } : await disk.digest(asked)),
    }
    const found = await foundAt(rotten, name)
    assert.deepEqual([found?.code, found?.message, found?.mend], ['bad-digest', 'is not as it was written', mend], name)
  }
})

test('where nothing was noted, the reader of a file finds it', async () => {
  assert.deepEqual(await findings(await state({ 'steps/3': 'nonsense\n', 'steps/note': 'n' })), [['steps', 'bad-format']])
  const found = await foundAt(await state({ enrolled: enrolled(), ...released() }), 'trust/0123456789abcdef/root.json')
  assert.equal(found?.mend.kind, 'none')
})

test('what is found comes by path', async () => {
  const disk = await state({ rest: 'x\n', enrolled: 'x\n', 'boot-hook': 'x\n', 'old-names': 'x\n', 'steps/3': 'x\n' })
  assert.deepEqual(
    (await findings(disk)).map(([name]) => name),
    ['boot-hook', 'enrolled', 'old-names', 'rest', 'steps'],
  )
})

// --- channels

const enrolled = (): Uint8Array =>
  encodeEnrolled([{ channel: { product: 'base', arch: 'amd64' }, repository: '0123456789abcdef', urls: ['https://host/'], basis: 'tar' }])

function released(base?: KeptBase): Files {
  const name = { product: 'base', revision: '1.0', date: '20260101', arch: 'amd64' }
  const content = encodeReleaseState({ name, sequence: 1, tar: digest('tar'), manifest: digest('m'), ...(base && { base }) })
  return { 'channel/base-amd64/release': content, 'channel/base-amd64/manifest.mtree.zst': 'm' }
}

const kept: KeptBase = {
  file: digest('base'),
  tar: digest('base tar'),
  deltas: [
    { file: digest('delta 1'), tar: digest('tar 1') },
    { file: digest('delta 2'), tar: digest('tar') },
  ],
}

const inChannel = async (files: Files): Promise<readonly (readonly string[])[]> =>
  (await findings(await state({ enrolled: enrolled(), ...files })))
    .filter(([name = '']) => name.startsWith('channel/') && !name.endsWith('/manifest.mtree.zst'))
    .map(([name = '', code = '']) => [name.slice('channel/base-amd64/'.length), code])

test('the kept tar of a channel and its deltas are what the release says', async () => {
  const whole = {
    ...released(kept),
    'channel/base-amd64/base.tar.zst': 'base',
    'channel/base-amd64/1.delta': 'delta 1',
    'channel/base-amd64/2.delta': 'delta 2',
  }
  assert.deepEqual(await inChannel(whole), [])
  assert.deepEqual(await inChannel({ ...whole, 'channel/base-amd64/2.delta': 'delta 1' }), [['2.delta', 'bad-digest']])
  assert.deepEqual(await inChannel({ ...whole, 'channel/base-amd64/base.tar.zst': { kind: 'dir' } }), [['base.tar.zst', 'not-found']])
  const found = await foundAt(await state({ enrolled: enrolled(), ...released(kept) }), 'channel/base-amd64/1.delta')
  assert.deepEqual([found?.code, found?.mend.kind], ['not-found', 'channel'])
  assert.deepEqual(await inChannel(released()), [])
})

test('of a release that came in part its note and its manifest are read, each of them told by its own name', async () => {
  const name = { product: 'base', revision: '1.0', date: '20260101', arch: 'amd64' }
  const [old, next] = await Promise.all([packedTree('1'), packedTree('2')])
  const of = (bytes: Uint8Array): Digest => ({ sha256: sha256(bytes), size: bytes.length })
  const release = { ...name, revision: '1.1' }
  const whole = {
    'channel/base-amd64/release': encodeReleaseState({ name, sequence: 1, tar: digest('tar'), manifest: of(old) }),
    'channel/base-amd64/manifest.mtree.zst': old,
    'channel/base-amd64/phase': encodePhaseState({
      installed: name,
      release,
      manifest: of(next),
      boot: undefined,
      done: ['kernel'],
      paths: ['/kernel'],
    }),
    'channel/base-amd64/next.mtree.zst': next,
  }
  assert.deepEqual(await inChannel(whole), [])
  for (const [file, content, code] of [
    ['phase', 'nonsense\n', 'bad-format'],
    ['next.mtree.zst', old, 'bad-digest'],
    ['next.mtree.zst', { kind: 'dir' }, 'wrong-type'],
  ] as const) {
    const damaged = { ...whole, [`channel/base-amd64/${file}`]: content }
    assert.deepEqual(await inChannel(damaged), [[file, code]])
    const found = await foundAt(await state({ enrolled: enrolled(), ...damaged }), `channel/base-amd64/${file}`)
    assert.deepEqual(found?.mend, { kind: 'none', hint: 'enroll the channel again with --force' })
  }
  const { 'channel/base-amd64/next.mtree.zst': _, ...gone } = whole
  assert.deepEqual(await inChannel(gone), [['next.mtree.zst', 'bad-digest']])
})

async function packedTree(kernel: string): Promise<Uint8Array> {
  const disk = memoryDisk()
  await plant(disk, { kernel })
  return await zstd(encodeManifest(await scanTree(disk)))
}

// --- receipts and the cache

const leaf: Leaf = { kind: 'file', path: relPath('f'), mode: 0o644, uid: 0, gid: 0, mtime, ...digest('old') }

function receipt(transaction: number, more: Partial<Journal> = {}): Uint8Array {
  const actions: readonly Action[] = [
    { kind: 'drop', path: relPath('f'), slot: { area: 0, number: 0 }, old: leaf },
    { kind: 'put', path: relPath('g'), slot: { area: 0, number: 1 }, new: { ...leaf, path: relPath('g') } },
  ]
  return encodeJournal(plainJournal({ transaction, actions, ...more }))
}

test('what a receipt keeps is there, but for rollbacks and for what was rolled back', async () => {
  assert.deepEqual(await findings(await state({ 'receipt/1': receipt(1), 'store/1/0': 'old' })), [])
  assert.deepEqual(await findings(await state({ 'receipt/1': receipt(1) })), [['store/1/0', 'not-found']])
  assert.deepEqual(await findings(await state({ 'receipt/1': receipt(1), 'store/1/0': 'bad' })), [['store/1/0', 'bad-digest']])
  const undoing = receipt(2, { purpose: 'rollback', undoes: [1] })
  assert.deepEqual(await findings(await state({ 'receipt/1': receipt(1), 'receipt/2': undoing })), [])
  assert.deepEqual(await findings(await state({ 'receipt/1': receipt(1), 'receipt/2': undoing, 'receipt/3': receipt(3) })), [
    ['store/3/0', 'not-found'],
  ])
  const misled = receipt(1, { actions: [{ kind: 'drop', path: relPath('f'), slot: { area: 0, number: 0 }, old: link }] })
  const links = { 'receipt/1': misled, 'store/1/0': { kind: 'symlink', target: 'elsewhere' } } as const
  assert.deepEqual(await findings(await state(links)), [['store/1/0', 'bad-digest']])
})

const link: Leaf = { kind: 'symlink', path: relPath('f'), mode: 0o777, uid: 0, gid: 0, mtime, target: 'x' }

test('a file of the cache is what its name says; what has no digest for a name is nobody’s matter', async () => {
  const { sha256: name } = digest('content')
  const files = { [`cache/${name}`]: 'content', [`cache/x${name}`]: 'x', [`cache/${name}.part`]: 'x', 'cache/note': 'x' }
  assert.deepEqual(await findings(await state(files)), [])
  assert.deepEqual(await findings(await state({ ...files, [`cache/${name}`]: 'other' })), [[`cache/${name}`, 'bad-digest']])
})
