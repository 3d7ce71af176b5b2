import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findBeside, nameBeside, namesBeside } from '../src/engine/client/apply/beside.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { nodeAt } from './helpers/planned.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Beside, BesideOptions } from '../src/engine/client/apply/beside.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Literal, Plant } from './helpers/plant.ts'

/** Which name a version gets that may not replace what is there. */

function treeOf(literal: Literal): NodeTree {
  const named = Object.entries(literal).map(
    ([path, given]) => [relPath(path), nodeAt(path, typeof given === 'string' ? file(given) : given)] as const,
  )
  return { nodes: new Map(named), groups: new Map(), leaders: new Map() }
}

type Situation = {
  readonly here?: Literal
  readonly base?: Literal
  readonly next?: Literal
  readonly taken?: readonly string[]
  readonly node?: Plant
  readonly path?: string
} & Partial<Pick<BesideOptions, 'suffix'>>

async function beside({
  here = {},
  base = {},
  next = {},
  taken = [],
  node = file('new'),
  path = 'etc/f',
  suffix = '.new',
}: Situation): Promise<Beside | undefined> {
  const disk = memoryDisk()
  await plant(disk, { etc: dir(), ...here })
  const scope = { xattrs: true, flags: true, excluded: () => false }
  const options = { suffix, base: treeOf(base), next: treeOf(next), scope, isTaken: (one: RelPath) => taken.includes(one) }
  return await findBeside(disk, relPath(path), nodeAt(path, node), options)
}

const found = async (situation: Situation): Promise<string> => {
  const one = await beside(situation)
  return one === undefined ? 'none' : `${one.kind} ${one.path}`
}

for (const [what, situation, expected] of [
  ['nothing is there', {}, 'add etc/f.new'],
  ['nothing is there, for what was there', { suffix: '.old' }, 'add etc/f.old'],
  ['it lies there already', { here: { 'etc/f.new': 'new' } }, 'there etc/f.new'],
  ['it lies there already, with other rights', { here: { 'etc/f.new': file('new', { mode: 0o600, uid: 5 }) } }, 'there etc/f.new'],
  ['it lies there already, behind another', { here: { 'etc/f.new': 'mine', 'etc/f.new.1': 'new' } }, 'there etc/f.new.1'],
  ['another is there', { here: { 'etc/f.new': 'mine' } }, 'add etc/f.new.1'],
  ['others are there', { here: { 'etc/f.new': 'mine', 'etc/f.new.1': 'mine', 'etc/f.new.2': symlink('f') } }, 'add etc/f.new.3'],
  ['a folder is there', { here: { 'etc/f.new/x': 'x' } }, 'add etc/f.new.1'],
  ['the earlier version is there, unchanged', { here: { 'etc/f.new': 'old' }, base: { 'etc/f': 'old' } }, 'replace etc/f.new'],
  ['the earlier version is there, edited', { here: { 'etc/f.new': 'edited' }, base: { 'etc/f': 'old' } }, 'add etc/f.new.1'],
  [
    'a link is there that was the earlier version',
    { here: { 'etc/f.new': symlink('a') }, base: { 'etc/f': symlink('a') } },
    'replace etc/f.new',
  ],
  ['a folder is there, and was the earlier version', { here: { 'etc/f.new': dir() }, base: { 'etc/f': dir() } }, 'add etc/f.new.1'],
  ['the last release has the name', { base: { 'etc/f.new': 'x' } }, 'add etc/f.new.1'],
  ['the next release has the name', { next: { 'etc/f.new': 'x' } }, 'add etc/f.new.1'],
  ['a release has the name, and this version in it', { here: { 'etc/f.new': 'new' }, next: { 'etc/f.new': 'new' } }, 'add etc/f.new.1'],
  ['another path got the name', { taken: ['etc/f.new', 'etc/f.new.1'] }, 'add etc/f.new.2'],
  ['the folder is a link by now, behind which nobody looks', { here: { etc: symlink('x'), 'x/f.new': 'mine' } }, 'add etc/f.new'],
] as const satisfies readonly (readonly [string, Situation, string])[])
  test(`a name beside: ${what}`, async () => {
    assert.equal(await found(situation), expected)
  })

test('what is replaced is told as it lies there', async () => {
  const time = { sec: 5, nsec: 0 }
  const one = await beside({ here: { 'etc/f.new': file('old', { mode: 0o600, mtime: time }) }, base: { 'etc/f': 'old' } })
  if (one?.kind !== 'replace') return assert.fail(one?.kind)
  assert.deepEqual([one.old.path, one.old.mode, one.old.mtime, one.stat.kind, one.stat.mtime], ['etc/f.new', 0o600, time, 'file', time])
})

test('a hundred names are tried', async () => {
  const names = namesBeside(relPath('etc/f'), '.new')
  assert.deepEqual([names.length, names[0], names[1], names[99]], [100, 'etc/f.new', 'etc/f.new.1', 'etc/f.new.99'])
  assert.equal(await found({ taken: names.slice(0, 99) }), 'add etc/f.new.99')
  assert.equal(await found({ taken: names }), 'none')
})

test('where the path would be too long, there is no name', async () => {
  const deep = (length: number): string => `${'d'.repeat(250)}/`.repeat(16) + 'f'.repeat(length - 16 * 251)
  assert.equal(await found({ path: deep(4095 - 4) }), `add ${deep(4095 - 4)}.new`)
  assert.equal(await found({ path: deep(4095 - 3) }), 'none')
  assert.equal(await found({ path: deep(4095 - 4), taken: [`${deep(4095 - 4)}.new`] }), 'none')
})

for (const [what, name, suffix, expected] of [
  ['is as it is where there is room', 'f', '.new', 'f.new'],
  ['is as it is where there is just room', 'f'.repeat(251), '.new', `${'f'.repeat(251)}.new`],
  ['loses its end where there is none', `${'f'.repeat(251)}gh`, '.new', `${'f'.repeat(251)}.new`],
  ['loses more for a longer suffix', 'f'.repeat(255), '.new.99', `${'f'.repeat(248)}.new.99`],
  // In UTF-8: é is two bytes, € three, 😀 four.
  ['loses a whole é', `${'f'.repeat(250)}\xc3\xa9ff`, '.new', `${'f'.repeat(250)}.new`],
  ['loses a whole €', `${'f'.repeat(249)}\xe2\x82\xacff`, '.new', `${'f'.repeat(249)}.new`],
  ['loses a whole 😀', `${'f'.repeat(248)}\xf0\x9f\x98\x80ff`, '.new', `${'f'.repeat(248)}.new`],
  ['keeps an é that ends where it is cut', `${'f'.repeat(249)}\xc3\xa9ff`, '.new', `${'f'.repeat(249)}\xc3\xa9.new`],
  ['keeps an é at its end', `${'f'.repeat(20)}\xc3\xa9`, '.new', `${'f'.repeat(20)}\xc3\xa9.new`],
  ['that is no UTF-8 loses three bytes more and no others', '\x80'.repeat(255), '.new', `${'\x80'.repeat(248)}.new`],
  ['of other bytes above ASCII loses its end alone', '\xe9'.repeat(255), '.new', `${'\xe9'.repeat(251)}.new`],
] as const)
  test(`a name ${what}`, () => {
    assert.equal(nameBeside(relPath(`etc/${name}`), suffix), `etc/${expected}`)
    assert.equal(nameBeside(relPath(name), suffix), expected)
  })
