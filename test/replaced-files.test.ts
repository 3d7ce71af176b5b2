import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replacedFiles } from '../src/engine/client/apply/replaced.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { action } from './helpers/planned.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import type { Action, Journal } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Plant } from './helpers/plant.ts'

/** Files that installs replaced or removed, as something may run them still: known by what the store holds. */

const areas = ['var/db/bindery', 'usr/.bindery'].map(relPath)

function receipt(transaction: number, actions: readonly Action[], undoes: readonly number[] = []): Journal {
  const none = { releases: [], postSteps: [], reboot: [], kept: [] }
  const own = actions.map((one, number) => ('slot' in one ? { ...one, slot: { ...one.slot, number } } : one))
  return { ...none, transaction, purpose: 'install', direction: 'forward', time: 0, areas, undoes, actions: own }
}

async function machine(receipts: readonly Journal[], stored: readonly string[]): Promise<Disk> {
  const disk = memoryDisk()
  const named = receipts.map((one): [string, Plant] => [`var/db/bindery/receipt/${one.transaction}`, file(encodeJournal(one))])
  await plant(disk, { 'var/db/bindery/receipt': dir(), ...Object.fromEntries([...named, ...stored.map((path) => [path, 'x'] as const)]) })
  return disk
}

const slot = (transaction: number, number: number): string => `var/db/bindery/store/${transaction}/${number}`

/** Each with the file that the store has of it. */
async function found(disk: Disk, stored: readonly string[], transactions?: ReadonlySet<number>): Promise<readonly string[]> {
  const inodes = new Map<bigint | undefined, string>()
  for (const path of stored) inodes.set((await disk.lstat(relPath(path)))?.inode, path)
  return (await replacedFiles(disk, transactions)).map(({ path, inode }) =>
    [path, ...(inode === undefined ? [] : [inodes.get(inode)])].join(' '),
  )
}

const three = [receipt(1, [action('swap', 'bin/a')]), receipt(2, [action('drop', 'bin/b')]), receipt(3, [action('swap', 'bin/c')])]

for (const [what, transactions, expected] of [
  ['of all that can be taken back', undefined, [1, 2, 3]],
  ['of one install', [2], [2]],
  ['of some', [1, 3], [1, 3]],
  ['of an install of which there is no receipt', [4], []],
  ['of none', [], []],
] as const)
  test(`files that were replaced or removed: ${what}`, async () => {
    const stored = [1, 2, 3].map((transaction) => slot(transaction, 0))
    const all = [`bin/a ${slot(1, 0)}`, `bin/b ${slot(2, 0)}`, `bin/c ${slot(3, 0)}`]
    const disk = await machine(three, stored)
    const asked = transactions && new Set<number>(transactions)
    assert.deepEqual(
      await found(disk, stored, asked),
      expected.map((number) => all[number - 1]),
    )
  })

test('without receipts there are none', async () => {
  assert.deepEqual(await found(await machine([], []), []), [])
})

test('what a rollback has undone is there again', async () => {
  const stored = [slot(1, 0), slot(2, 0)]
  const disk = await machine([...three, receipt(4, [], [2, 3])], stored)
  assert.deepEqual(await found(disk, stored), [`bin/a ${slot(1, 0)}`])
})

for (const [what, one, isFound] of [
  ['a file that got another version', action('swap', 'bin/f'), true],
  ['a file that went', action('drop', 'bin/f'), true],
  ['a file that became a link', action('swap', 'bin/f', { next: symlink('x') }), true],
  ['a link that became a file', action('swap', 'bin/f', { old: symlink('x') }), false],
  ['a link that went', action('drop', 'bin/f', { old: symlink('x') }), false],
  ['a file that came', action('put', 'bin/f'), false],
  ['a file with other attributes', action('attr', 'bin/f'), false],
  ['a folder that came', action('mkdir', 'bin/f'), false],
  ['a folder that went', action('rmdir', 'bin/f'), false],
  ['a file of bindery itself', action('swap', 'var/db/bindery/installed'), false],
  ['a file in an area', action('drop', 'usr/.bindery/x'), false],
] as const)
  test(`${what} ${isFound ? 'may be run still' : 'is none that is run'}`, async () => {
    const disk = await machine([receipt(1, [one])], [slot(1, 0)])
    assert.deepEqual(await found(disk, [slot(1, 0)]), isFound ? [`bin/f ${slot(1, 0)}`] : [])
  })

test('each is known by its own slot, on the file system that it was on', async () => {
  const stored = [slot(7, 0), 'usr/.bindery/store/7/1', slot(7, 2)]
  const actions = [action('swap', 'bin/a'), action('drop', 'usr/bin/b', { area: 1 }), action('swap', 'bin/c')]
  const disk = await machine([receipt(7, actions)], stored)
  const paths = ['bin/a', 'usr/bin/b', 'bin/c']
  assert.deepEqual(
    await found(disk, stored),
    paths.map((path, i) => `${path} ${stored[i]}`),
  )
})

test('what the store does not have is known by its path alone', async () => {
  const disk = await machine([receipt(1, [action('swap', 'bin/a'), action('swap', 'bin/b')])], [slot(1, 1)])
  assert.deepEqual(await found(disk, [slot(1, 1)]), ['bin/a', `bin/b ${slot(1, 1)}`])
})
