import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audit } from '../src/engine/client/apply/audit.ts'
import { neededFiles, planRepair, runRepair } from '../src/engine/client/apply/repair.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { leftovers, machine, picture, release, text } from './helpers/client-world.ts'
import { dir, file, hardlink, relPath, symlink } from './helpers/plant.ts'
import { recovery } from './helpers/recovery.ts'
import { refused } from './helpers/refused.ts'
import type { Finding } from '../src/engine/client/apply/audit.ts'
import type { Plan } from '../src/engine/client/apply/plan.ts'
import type { RepairInput } from '../src/engine/client/apply/repair.ts'
import type { ClientConfig } from '../src/format/conf.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

/** What a repair plans of findings, and which contents it asks for. */

type World = { readonly disk: Disk; readonly made: Release; readonly input: RepairInput; readonly plan: Plan }

/** `only`: of the findings. */
async function world(
  released: Literal,
  here: Literal,
  { only = () => true, ...config }: Partial<ClientConfig> & { readonly only?: (finding: Finding) => boolean } = {},
): Promise<World> {
  const [made, disk] = [await release('1.0', released), await machine(memoryDisk(), here)]
  const input = {
    disk,
    role: 'base-amd64',
    release: 'base-1.0',
    config: { ...defaultConfig, ...config },
    clock: { now: () => 1_700_000_100_900 },
    recovery,
  }
  const found = await audit({ disk, manifest: made.manifest, config: input.config })
  return { disk, made, input, plan: await planRepair(input, found, found.findings.filter(only)) }
}

async function done({ made, input, plan }: World): Promise<void> {
  await runRepair(input, plan, neededFiles(plan, made.manifest), ({ path }) => made.disk.read(path))
}

const actions = ({ plan }: World): readonly string[] => plan.journal.actions.map(({ kind, path }) => `${kind} ${path}`)
const needed = ({ plan, made }: World): readonly string[] => neededFiles(plan, made.manifest).map(({ path }) => path)

test('a repair is a plan of its own kind, from a release to itself', async () => {
  const found = await world({ 'bin/a': 'a' }, { bin: dir() })
  const { actions: _, ...head } = found.plan.journal
  assert.deepEqual(head, {
    transaction: 1,
    purpose: 'repair',
    direction: 'forward',
    time: 1_700_000_100,
    releases: [{ role: 'base-amd64', old: 'base-1.0', new: 'base-1.0' }],
    areas: ['var/db/bindery'],
    undoes: [],
    postSteps: [],
    reboot: [],
    kept: [],
  })
})

const later = { sec: 1_650_000_000, nsec: 0 }

for (const [what, released, here, expected, contents] of [
  ['nothing differs', { 'bin/a': 'a' }, { 'bin/a': 'a' }, [], []],
  ['a file is missing', { 'bin/a': 'a', 'bin/b': 'b' }, { 'bin/b': 'b' }, ['put bin/a', 'attr bin'], ['bin/a']],
  ['a content differs', { 'bin/a': 'a' }, { 'bin/a': 'mine' }, ['swap bin/a', 'attr bin'], ['bin/a']],
  ['a link differs', { 'bin/a': symlink('b') }, { 'bin/a': symlink('c') }, ['swap bin/a', 'attr bin'], []],
  ['a mode differs', { 'bin/a': 'a' }, { 'bin/a': file('a', { mode: 0o600 }) }, ['attr bin/a'], []],
  ['a time differs', { 'bin/a': 'a' }, { 'bin/a': file('a', { mtime: later }) }, ['attr bin/a'], []],
  ['a folder is missing', { 'opt/a': 'a' }, {}, ['mkdir opt', 'put opt/a', 'attr .'], ['opt/a']],
  ['a file is in the place of a folder', { 'opt/a': 'a' }, { opt: 'x' }, ['drop opt', 'mkdir opt', 'put opt/a', 'attr .'], ['opt/a']],
  [
    'a file has its content under the first of its names',
    { 'bin/a': 'a', 'bin/b': hardlink('bin/a') },
    { bin: dir() },
    ['put bin/a', 'put bin/b', 'attr bin'],
    ['bin/a'],
  ],
  [
    'one of two names is missing: it comes back as a name of the other',
    { 'bin/a': 'a', 'bin/b': hardlink('bin/a') },
    { 'bin/b': 'a' },
    ['put bin/a', 'attr bin'],
    [],
  ],
  [
    'two files have become one',
    { 'bin/a': 'a', 'bin/b': 'a' },
    { 'bin/a': 'a', 'bin/b': hardlink('bin/a') },
    ['swap bin/b', 'attr bin'],
    ['bin/b'],
  ],
] as const satisfies readonly (readonly [string, Literal, Literal, readonly string[], readonly string[]])[])
  test(`a repair where ${what}`, async () => {
    const found = await world(released, here)
    assert.deepEqual([actions(found), needed(found)], [expected, contents])
    await done(found)
    assert.equal(await picture(found.disk), await picture(found.made.disk))
    // What was there is kept, as by an install.
    assert.deepEqual(await leftovers(found.disk), ['store/1'])
  })

test('a repair goes in the order of an install: programs start at every moment', async () => {
  const found = await world({ 'bin/sh': 'sh', 'lib/libc.so.7': 'libc' }, { 'bin/sh': 'mine', 'lib/libc.so.7': 'mine' })
  assert.deepEqual(actions(found), ['swap lib/libc.so.7', 'swap bin/sh', 'attr bin', 'attr lib'])
})

test('what is no finding stays as it is, also beside one', async () => {
  const found = await world(
    { 'bin/a': 'a', 'bin/b': 'b', c: 'c' },
    { 'bin/a': 'mine', 'bin/b': 'mine', d: 'mine' },
    {
      only: ({ path }) => path === 'bin/a',
    },
  )
  assert.deepEqual([actions(found), found.plan.journal.kept], [['swap bin/a', 'attr bin'], []])
  await done(found)
  assert.deepEqual([await text(found.disk, 'bin/a'), await text(found.disk, 'bin/b')], ['a', 'mine'])
})

test('what is protected is no matter of the plan, also as another name of what is mended', async () => {
  const released = { 'bin/a': 'a', 'bin/b': hardlink('bin/a') }
  const found = await world(
    released,
    { 'bin/a': file('a', { mode: 0o600 }), 'bin/b': 'mine' },
    {
      only: ({ path }) => path === 'bin/a',
      protect: [pathPattern('/bin/b')],
    },
  )
  assert.deepEqual([actions(found), found.plan.journal.kept], [['attr bin/a'], []])
})

test('where a folder holds files of others, what belongs there comes to lie beside', async () => {
  const found = await world({ 'bin/a': 'a' }, { 'bin/a/mine': 'x' })
  assert.deepEqual(found.plan.journal.kept, [{ path: relPath('bin/a'), reason: 'not-empty', beside: relPath('bin/a.new') }])
  await done(found)
  assert.deepEqual([await text(found.disk, 'bin/a.new'), await text(found.disk, 'bin/a/mine')], ['a', 'x'])
})

test('a content that nobody has found ends the repair before anything is changed', async () => {
  const found = await world({ 'bin/a': 'a', 'bin/b!': 'b' }, { bin: dir() })
  const files = neededFiles(found.plan, found.made.manifest).filter(({ path }) => path === 'bin/a')
  const repair = runRepair(found.input, found.plan, files, ({ path }) => found.made.disk.read(path))
  assert.deepEqual(await refused(repair), ['not-found', 'bin/b!'])
  assert.deepEqual([await found.disk.readdir(relPath('bin')), await leftovers(found.disk)], [[], []])
})
