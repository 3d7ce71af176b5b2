import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { collectBytes, emptyBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { joinPath } from '../src/base/path.ts'
import { auditState } from '../src/engine/client/audit-state.ts'
import { noteChecksums, readSoundChecksums } from '../src/engine/client/checksums.ts'
import { stateFolder, statePaths, writeStateFile } from '../src/engine/client/state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { installNewest, openRepositoryOnline } from './helpers/client-repository.ts'
import { dir, plant, relPath, symlink } from './helpers/plant.ts'
import type { Mend, StateFinding } from '../src/engine/client/audit-state.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Damages of the state: each is named, with what mends it, and nothing else is said. */

let disk: Disk

before(async () => {
  const online = await openRepositoryOnline()
  const tree = (revision: string): Literal => ({
    'bin/sh': `sh ${revision}`,
    'etc/link': symlink(revision),
    [`doc/${revision}`]: 'same',
    var: dir(),
  })
  await online.release(tree('1'))
  const session = await online.client(tree('1'))
  await online.enroll(session)
  await online.release(tree('2'))
  await installNewest(session)
  disk = session.disk
  await writeStateFile(disk, statePaths.told, utf8('bindery-told 1\n'))
  await noteChecksums(disk)
})

async function bytesAt(path: RelPath): Promise<Uint8Array> {
  return (await collectBytes(disk.read(path), Infinity)) as Uint8Array
}

/** The disk gives back other bytes than were written: nothing else tells. */
async function rotten(path: RelPath, change: (bytes: Uint8Array) => void): Promise<Disk> {
  const bytes = (await bytesAt(path)).slice()
  change(bytes)
  return {
    ...disk,
    read: (asked) => (asked === path ? oneChunk(bytes) : disk.read(asked)),
    digest: async (asked) => (asked === path ? { sha256: sha256(bytes), size: bytes.length } : await disk.digest(asked)),
  }
}

const oneBit = (bytes: Uint8Array): void => void (bytes[1] = (bytes[1] as number) ^ 4)
const manyBits = (bytes: Uint8Array): void => void bytes.set([0xff, 0xff])

/** As though somebody, or a program, had removed it or put something else there. */
function without(path: RelPath): Disk {
  return { ...disk, lstat: async (asked) => (asked === path ? undefined : await disk.lstat(asked)) }
}

async function filesBelow(folder: RelPath): Promise<readonly RelPath[]> {
  const found: RelPath[] = []
  for (const name of await disk.readdir(folder)) {
    const path = joinPath(folder, name)
    const kind = (await disk.lstat(path))?.kind
    if (kind === 'dir') found.push(...(await filesBelow(path)))
    else if (kind === 'file') found.push(path)
  }
  return found
}

const told = ({ path, mend }: StateFinding): readonly unknown[] => [
  path.slice(stateFolder.length + 1),
  mend.kind === 'none' ? mend.hint : mend.kind,
]

test('a sound state has no findings, and its notes stay as they are', async () => {
  assert.deepEqual(await auditState(disk), [])
  const written = await disk.lstat(statePaths.checksums)
  await noteChecksums(disk)
  assert.equal((await disk.lstat(statePaths.checksums))?.inode, written?.inode)
  assert.deepEqual(await auditState(memoryDiskWithCache()), [])
})

function memoryDiskWithCache(): Disk {
  const empty = memoryDisk()
  return { ...empty, readdir: async (path) => (path === statePaths.cache ? [] : await empty.readdir(path)) }
}

test('each file is found by one bit, and what is small and was noted can be had back', async () => {
  const noted = new Map((await readSoundChecksums(disk)).map((one) => [joinPath(stateFolder, one.path), one]))
  const files = await filesBelow(stateFolder)
  assert.ok(files.length > 20)
  for (const path of files) {
    const found = await auditState(await rotten(path, oneBit))
    assert.ok(
      found.some((one) => one.path === path),
      path,
    )
    if (noted.has(path)) {
      assert.deepEqual([found.length, found[0]?.path, found[0]?.code], [1, path, 'bad-digest'])
      assert.deepEqual(found[0]?.mend, { kind: 'bytes', bytes: await bytesAt(path) } satisfies Mend, path)
    }
  }
})

const channel = { kind: 'channel', channel: { product: 'base', arch: 'amd64' } }

test('what mends more than a bit goes by what the file is', async () => {
  for (const [name, wanted] of [
    [/^told$/, { kind: 'remove' }],
    [/^checksums$/, { kind: 'remove' }],
    [/^recover$/, { kind: 'program' }],
    [/^cache\/[0-9a-f]{64}$/, { kind: 'remove' }],
    [/^trust\/[0-9a-f]+\/(?:snapshot|timestamp|targets|base-amd64)\.json$/, { kind: 'remove' }],
    [/^trust\/[0-9a-f]+\/root\.json$/, /ROOT\.json/],
    [/^channel\/base-amd64\/(?:release|manifest\.mtree\.zst|base\.tar\.zst)$/, channel],
    [/^enrolled$/, /--force/],
    [/^receipt\/1$/, /cannot be rolled back, and only newer ones/],
    [/^store\/1\/[0-9]+$/, /what it keeps cannot be rolled back/],
    [/^version$/, /backup/],
  ] as const) {
    const files = (await filesBelow(stateFolder)).filter((path) => name.test(path.slice(stateFolder.length + 1)))
    assert.notEqual(files.length, 0, name.source)
    for (const path of files) {
      const mend = (await auditState(await rotten(path, manyBits))).find((one) => one.path === path)?.mend
      if (wanted instanceof RegExp) assert.match(mend?.kind === 'none' ? mend.hint : String(mend?.kind), wanted, path)
      else assert.deepEqual(mend, wanted, path)
    }
  }
})

test('files that are gone are told where something names them', async () => {
  const store = (await filesBelow(statePaths.store))[0] as RelPath
  for (const [path, code] of [
    ['channel/base-amd64/base.tar.zst', 'not-found'],
    ['channel/base-amd64/manifest.mtree.zst', 'bad-digest'],
    ['channel/base-amd64/release', 'not-enrolled'],
    [store.slice(stateFolder.length + 1), 'not-found'],
  ] as const) {
    const found = await auditState(without(joinPath(stateFolder, path)))
    assert.deepEqual(
      found.map((one) => [one.path.slice(stateFolder.length + 1), one.code]),
      [[path, code]],
    )
  }
})

test('a file that another program has written since is judged by its reader alone', async () => {
  for (const [path, content, wanted] of [
    [statePaths.enrolled, 'nonsense\n', ['enrolled', 'enroll the channel again with --force']],
    [statePaths.rest, 'nonsense\n', ['rest', "remove it, and run 'bindery install'"]],
    [statePaths.bootHook, 'nonsense\n', ['boot-hook', "remove it; 'bindery enroll --force --boot-hook' writes it anew"]],
    [
      statePaths.oldNames,
      'nonsense\n',
      ['old-names', 'put it back from a backup, or remove it: what it names is then kept as if it were yours'],
    ],
    [statePaths.told, 'of another bindery\n', undefined],
  ] as const) {
    const before = (await disk.lstat(path)) === undefined ? undefined : await bytesAt(path)
    await writeStateFile(disk, path, utf8(content))
    assert.deepEqual((await auditState(disk)).map(told), wanted === undefined ? [] : [wanted])
    if (before === undefined) await disk.unlink(path)
    else await writeStateFile(disk, path, before)
    await noteChecksums(disk)
  }
})

test('a link that leads elsewhere is damaged; a file with another time was changed through another name', async () => {
  const slots = (await disk.readdir(relPath('var/db/bindery/store/1'))).map((name) => relPath(`var/db/bindery/store/1/${name}`))
  const kinds = await Promise.all(slots.map(async (path) => (await disk.lstat(path))?.kind))
  const symbolic = slots[kinds.indexOf('symlink')] as RelPath
  const misled: Disk = { ...disk, readlink: async (path) => (path === symbolic ? 'elsewhere' : await disk.readlink(path)) }
  assert.deepEqual((await auditState(misled)).map(told), [
    [symbolic.slice(stateFolder.length + 1), 'what it keeps cannot be rolled back; put it back from a backup'],
  ])
  const kept = slots[kinds.indexOf('file')] as RelPath
  const rotted = await rotten(kept, oneBit)
  const later: Disk = {
    ...rotted,
    lstat: async (path) => {
      const stat = await disk.lstat(path)
      return path === kept && stat !== undefined ? { ...stat, mtime: { sec: 1, nsec: 0 } } : stat
    },
  }
  assert.equal((await auditState(rotted)).length, 1)
  assert.deepEqual(await auditState(later), [])
})

test('findings come by path; an error of the disk ends it, and so does whoever stops it', async () => {
  const [name = ''] = await disk.readdir(statePaths.cache)
  const cached = joinPath(statePaths.cache, name)
  const both = await rotten(statePaths.told, oneBit)
  const more: Disk = {
    ...both,
    digest: async (path) => (path === cached ? { sha256: sha256(emptyBytes), size: 0 } : await both.digest(path)),
  }
  assert.deepEqual(
    (await auditState(more)).map(({ path }) => path),
    [cached, statePaths.told],
  )
  for (const error of [new BinderyError('io', 'fails'), new BinderyError('permission', 'fails'), new TypeError('a mistake')]) {
    const failing: Disk = {
      ...disk,
      lstat: async (path) => (path === statePaths.rest ? await Promise.reject(error) : await disk.lstat(path)),
    }
    await assert.rejects(auditState(failing), error)
  }
  await assert.rejects(auditState(disk, AbortSignal.abort(new BinderyError('stopped', 'stopped'))), { code: 'stopped' })
})

test('notes go where nothing is enrolled, are made anew where they are damaged, and follow what is written', async () => {
  const empty = memoryDisk()
  await plant(empty, { 'var/db/bindery/checksums': 'nonsense\n' })
  await noteChecksums(empty)
  assert.equal(await empty.lstat(statePaths.checksums), undefined)
  await noteChecksums(empty)

  const before = await readSoundChecksums(disk)
  const names = before.map(({ path }) => path)
  assert.ok(!names.some((path) => /^(?:checksums|cache\/|channel\/.*zst$|.*\.new$)/.test(path)), names.join(' '))
  for (const path of ['enrolled', 'told', 'version', 'recover', 'receipt/1', 'channel/base-amd64/release'])
    assert.ok(names.includes(relPath(path)), path)
  assert.ok(names.some((path) => path.startsWith('store/1/')))

  await writeStateFile(disk, statePaths.checksums, utf8('nonsense\n'))
  await noteChecksums(disk)
  assert.deepEqual(
    (await readSoundChecksums(disk)).map(({ path }) => path),
    names,
  )
  await writeStateFile(disk, statePaths.told, utf8('bindery-told 1\nunreachable 5\n'))
  await noteChecksums(disk)
  const changed = (await readSoundChecksums(disk)).filter(
    (one) => !before.some((old) => old.path === one.path && old.sha256 === one.sha256),
  )
  assert.deepEqual(
    changed.map(({ path }) => path),
    ['told'],
  )
  await disk.unlink(statePaths.told)
  await noteChecksums(disk)
  assert.deepEqual(
    (await readSoundChecksums(disk)).map(({ path }) => path),
    names.filter((path) => path !== 'told'),
  )
})
