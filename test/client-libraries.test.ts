import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { decodeJournal, encodeJournal } from '../src/format/journal.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { elfFile } from './helpers/elf-file.ts'
import { install, leftovers, machine, picture, release, text } from './helpers/client-world.ts'
import { file, plant, relPath, symlink } from './helpers/plant.ts'
import { recovery } from './helpers/recovery.ts'
import type { ClientConfig } from '../src/format/conf.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Done } from '../src/engine/client/apply/transaction.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal, Plant } from './helpers/plant.ts'

const stateFile = 'var/db/bindery/channel/base-amd64/obsolete'
const clock = { now: () => 1_700_000_100_000 }
const program = (...needed: string[]): Plant => file(elfFile({ needed, interpreter: '/libexec/ld-elf.so.1' }), { mode: 0o755 })
const library = (soname: string, ...needed: string[]): Plant => file(elfFile({ needed, soname }))

/** Installs NEXT over OLD on a machine that has `local` besides. */
async function step(old: Literal, next: Literal, local: Literal, config: Partial<ClientConfig> = {}): Promise<World> {
  const [a, b] = [await release('1.0', old), await release('1.1', next)]
  const disk = await machine(memoryDisk(), { ...old, ...local })
  const before = await picture(disk)
  return { disk, a, b, before, done: await install(disk, a, b, { config: { ...defaultConfig, ...config } }) }
}

type World = { readonly disk: Disk; readonly a: Release; readonly b: Release; readonly before: string; readonly done: Done }

const kept = ({ kept: all }: Done): readonly string[] => all.map(({ path, reason, by }) => `${path} ${reason} ${by ?? ''}`.trimEnd())
const names = async (disk: Disk, folder: string): Promise<readonly string[]> => [...(await disk.readdir(relPath(folder)))].sort()

test('a library stays while a program of the machine’s own needs it, and goes when that is gone', async () => {
  const old = { 'usr/lib/libfoo.so.1': library('libfoo.so.1'), 'usr/lib/libbar.so.1': library('libbar.so.1') }
  const next = { 'usr/lib/libfoo.so.2': library('libfoo.so.2') }
  const { disk, b, before, done } = await step(old, next, { 'usr/local/bin/x': program('libfoo.so.1') })
  assert.deepEqual(kept(done), ['usr/lib/libfoo.so.1 needed usr/local/bin/x'])
  assert.deepEqual(await names(disk, 'usr/lib'), ['libfoo.so.1', 'libfoo.so.2'])
  assert.match(await text(disk, stateFile), /^bindery-obsolete 1\nthrough 0\n1 file 8192 [0-9a-f]{64} usr\/lib\/libfoo\.so\.1\n$/)
  assert.deepEqual(decodeJournal(encodeJournal(done.receipt)), done.receipt)

  const c = await release('1.2', { ...next, 'bin/sh': '3' })
  assert.deepEqual(kept(await install(disk, b, c)), ['usr/lib/libfoo.so.1 needed usr/local/bin/x'])
  await disk.unlink(relPath('usr/local/bin/x'))
  assert.deepEqual(kept(await install(disk, c, await release('1.3', next))), [])
  assert.deepEqual(await names(disk, 'usr/lib'), ['libfoo.so.2'])
  assert.equal(await text(disk, stateFile), 'bindery-obsolete 1\nthrough 0\n')

  await plant(disk, { 'usr/local/bin/x': program('libfoo.so.1') })
  await rollback({ disk, goal: { kind: 'steps', count: 3 }, config: defaultConfig, recovery, clock })
  assert.deepEqual([await picture(disk), await disk.lstat(relPath(stateFile)), await leftovers(disk)], [before, undefined, []])
})

test('a library that stays needs others, a link needs what it leads to, a program its linker', async () => {
  const old = {
    'lib/libtop.so.1': library('libtop.so.1', 'libmid.so.1'),
    'lib/libmid.so.1': symlink('libmid.so.1.5'),
    'lib/libmid.so.1.5': library('libmid.so.1', 'libend.so.3'),
    'usr/lib/libend.so.3': library('libend.so.3'),
    'usr/lib/libalone.so.3': library('libalone.so.3', 'libend.so.3'),
    'libexec/ld-elf.so.1': library('ld-elf.so.1'),
  }
  const { disk, done } = await step(old, { 'bin/sh': 'sh' }, { 'opt/bin/x': program('libtop.so.1') })
  assert.deepEqual(kept(done).toSorted(), [
    'lib/libmid.so.1 needed lib/libtop.so.1',
    'lib/libmid.so.1.5 needed lib/libtop.so.1',
    'lib/libtop.so.1 needed opt/bin/x',
    'libexec/ld-elf.so.1 needed opt/bin/x',
    'usr/lib/libend.so.3 needed lib/libmid.so.1.5',
  ])
  assert.deepEqual(await names(disk, 'usr/lib'), ['libend.so.3'])
})

test('what needs nothing of it does not keep it', async (t) => {
  const old = {
    'usr/lib/libfoo.so.1': library('libfoo.so.1'),
    'usr/bin/own': program('libfoo.so.1'),
    'usr/bin/stays': program('libfoo.so.1'),
  }
  const next = { 'usr/bin/stays': program('libfoo.so.2'), 'usr/lib/libfoo.so.2': library('libfoo.so.2') }
  await t.test('programs of the release', async () => assert.deepEqual(kept((await step(old, next, {})).done), []))
  const more: Literal = { 'usr/local/bin/x': program('libc.so.7'), 'usr/share/x': program('libfoo.so.1'), 'usr/local/notes': 'libfoo.so.1' }
  await t.test('other programs and files', async () => assert.deepEqual(kept((await step(old, next, more)).done), []))
  const moved = { ...next, 'lib/libfoo.so.1': library('libfoo.so.1') }
  const local = { 'usr/local/bin/x': program('libfoo.so.1') }
  await t.test('when it has only moved', async () => assert.deepEqual(kept((await step(old, moved, local)).done), []))
  const lib32 = { ...next, 'usr/lib32/libfoo.so.1': library('libfoo.so.1') }
  await t.test('but one for other programs is not it', async () => assert.equal(kept((await step(old, lib32, local)).done).length, 1))
  const text = { 'usr/lib/libfoo.so.1': 'INPUT(libfoo.so)' }
  await t.test('what is no library', async () => assert.deepEqual(kept((await step(text, next, local)).done), []))
})

test('a program of a release that was replaced here counts as the machine’s own', async () => {
  const old = { 'usr/lib/libfoo.so.1': library('libfoo.so.1'), 'usr/bin/x': program('libfoo.so.1') }
  const next = { 'usr/bin/x': program('libfoo.so.1', 'libc.so.1') }
  const own = { ...program('libfoo.so.1', 'libmine.so.1'), mtime: { sec: 1_650_000_000, nsec: 0 } }
  const { done } = await step(old, next, { 'usr/bin/x': own })
  assert.deepEqual(kept(done), ['usr/bin/x modified', 'usr/lib/libfoo.so.1 needed usr/bin/x'])
})

test('folders of one’s own are searched when bindery.conf names them', async () => {
  const [old, local] = [{ 'usr/lib/libfoo.so.1': library('libfoo.so.1') }, { 'srv/app/bin/x': program('libfoo.so.1') }]
  assert.deepEqual(kept((await step(old, { 'bin/sh': '' }, local)).done), [])
  const { done } = await step(old, { 'bin/sh': '' }, local, { programs: [relPath('srv')] })
  assert.deepEqual(kept(done), ['usr/lib/libfoo.so.1 needed srv/app/bin/x'])
})

test('a library that stayed is exchanged when a release brings it again', async () => {
  const old = { 'usr/lib/libfoo.so.1': library('libfoo.so.1') }
  const { disk, b } = await step(old, { 'bin/sh': '' }, { 'usr/local/bin/x': program('libfoo.so.1') })
  const c = await release('1.2', { 'usr/lib/libfoo.so.1': library('libfoo.so.1', 'libc.so.7') })
  assert.deepEqual(kept(await install(disk, b, c)), [])
  assert.equal((await disk.digest(relPath('usr/lib/libfoo.so.1'))).sha256, (await c.disk.digest(relPath('usr/lib/libfoo.so.1'))).sha256)
})
