import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAreas, writeAreas } from '../src/engine/client/apply/area-list.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { BinderyError } from '../src/base/error.ts'
import type { KnownArea } from '../src/engine/client/apply/area-list.ts'
import type { Disk } from '../src/port/disk.ts'

/** The list of areas on other file systems: what is written into it, and what is no such list. */

const path = 'var/db/bindery/areas'

async function listed(content?: string): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, { 'var/db/bindery/cache': { kind: 'dir' }, ...(content === undefined ? {} : { [path]: content }) })
  return disk
}

test('an area is a line; the time that the folder above it is still to get back is another behind it', async () => {
  const areas: readonly KnownArea[] = [
    { path: relPath('usr/.bindery'), above: { sec: 1_700_000_000, nsec: 5 } },
    { path: relPath('.bindery') },
    { path: relPath('home/\u00e9/.bindery'), above: { sec: -1, nsec: 999_999_999 } },
    { path: relPath('a b/.bindery'), above: { sec: 0, nsec: 0 } },
  ]
  const lines = [
    'bindery-areas 1',
    'area usr/.bindery',
    'above 1700000000.000000005',
    'area .bindery',
    'area home/\\351/.bindery',
    'above -1.999999999',
    'area a b/.bindery',
    'above 0.000000000',
    '',
  ]
  const disk = await listed('of before')
  await writeAreas(disk, areas)
  assert.deepEqual((await text(disk, path)).split('\n'), lines)
  assert.deepEqual(await readAreas(disk), areas)
  assert.equal((await disk.lstat(relPath(path)))?.mode, 0o600)
})

test('where nothing was written there are none', async () => {
  assert.deepEqual(await readAreas(await listed()), [])
  const disk = await listed()
  await writeAreas(disk, [])
  assert.equal(await text(disk, path), 'bindery-areas 1\n')
  assert.deepEqual(await readAreas(disk), [])
})

test('of several times of one area the last counts', async () => {
  const disk = await listed('bindery-areas 1\narea a\nabove 1.000000000\nabove 2.000000000\narea b\n')
  assert.deepEqual(await readAreas(disk), [{ path: 'a', above: { sec: 2, nsec: 0 } }, { path: 'b' }])
})

test('what is no list of areas is refused by its name', async () => {
  const times = ['', '1', '1.0', '1.00000000', '1.0000000000', '.000000000', '-.000000000', '--1.000000000', 'x1.000000000', '1.00000000x']
  const more = ['1x000000000', '1.000000000 x', '+1.000000000', '12345678901234567.000000000', 'x.000000000']
  const lines = [
    ...[...times, ...more].map((time) => `area a\nabove ${time}\n`),
    'above 1.000000000\n',
    'area ../a\n',
    'area /a\n',
    'area \n',
    'below 1.000000000\n',
    'area a\nbelow 1.000000000\n',
  ]
  for (const line of lines)
    assert.deepEqual(await refused(readAreas(await listed(`bindery-areas 1\n${line}`))), ['bad-format', `/${path}`], line)
})

test('a file that has not even the shape of one is told by its name, too, and what to do about it', async () => {
  const shapes = {
    '': 'bad-format',
    'bindery-areas 1': 'bad-format',
    'bindery-tree 1\n': 'bad-format',
    'bindery-areas 1\narea\n': 'bad-format',
    'bindery-areas 1\narea \\000\\999\n': 'bad-format',
    'bindery-areas 2\n': 'not-supported',
    [`bindery-areas 1\n${'area a\n'.repeat(4097)}`]: 'over-limit',
  }
  for (const [content, code] of Object.entries(shapes))
    assert.deepEqual(await refused(readAreas(await listed(content))), [code, `/${path}`])
  await assert.rejects(
    async () => await readAreas(await listed('')),
    ({ hint }: BinderyError) => hint?.startsWith('remove it') === true,
  )
})
