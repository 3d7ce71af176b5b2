import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { composeHistory, isRepeated, receiptsBackTo } from '../src/engine/client/apply/history.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { dir, plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { DirEntry, FileEntry } from '../src/base/entry.ts'
import type { Goal, History } from '../src/engine/client/apply/history.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Action, Journal, Purpose, ReleaseChange } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Receipts put together by hand: which of them a way back takes, and what several of them come to as one step. */

type Written = { readonly purpose?: Purpose; readonly undoes?: readonly number[]; readonly releases?: readonly ReleaseChange[] }

function receipt(
  transaction: number,
  { purpose = 'install', undoes = [], releases = [] }: Written,
  actions: readonly Action[] = [],
): Journal {
  return {
    transaction,
    purpose,
    direction: 'forward',
    time: 1_700_000_000,
    releases,
    areas: [relPath('var/db/bindery'), relPath('usr/.bindery')],
    undoes,
    postSteps: [],
    reboot: [],
    kept: [],
    actions,
  }
}

const change = (role: string, old: string, next: string): ReleaseChange => ({ role, old, new: next })
const install = (...releases: readonly ReleaseChange[]): Written => ({ releases })
const repair = (...releases: readonly ReleaseChange[]): Written => ({ purpose: 'repair', releases })
const rollback = (undoes: readonly number[], ...releases: readonly ReleaseChange[]): Written => ({ purpose: 'rollback', undoes, releases })

/** The receipts by their numbers; a string is a damaged one. */
type Kept = Readonly<Record<number, Written | string>>

async function diskWith(kept: Kept): Promise<Disk> {
  const disk = memoryDisk()
  const files = Object.entries(kept).map(([number, one]) => {
    const content = typeof one === 'string' ? one : encodeJournal(receipt(Number(number), one))
    return [`var/db/bindery/receipt/${number}`, { kind: 'file', content }] as const
  })
  await plant(disk, { 'var/db/bindery/receipt': dir(), ...Object.fromEntries(files) } satisfies Literal)
  return disk
}

const steps = (count: number): Goal => ({ kind: 'steps', count })
const release = (name: string): Goal => ({ kind: 'release', name })

async function wayBack(kept: Kept, goal: Goal): Promise<readonly number[]> {
  return (await receiptsBackTo(await diskWith(kept), goal)).map(({ transaction }) => transaction)
}

const [first, second, third] = [change('base', '1.0', '1.1'), change('base', '1.1', '1.2'), change('base', '1.2', '1.3')]
const straight: Kept = { 1: install(first), 2: install(second), 3: install(third) }
/** The second was rolled back, and something else was installed. */
const undone: Kept = {
  1: install(first),
  2: install(second),
  3: rollback([2], change('base', '1.2', '1.1')),
  4: install(change('base', '1.1', '1.3')),
}
const repaired: Kept = { 1: repair(), 2: install(first), 3: repair(), 4: install(second), 5: repair() }
/** 1.1 came in two phases, with another channel in the second. */
const phases: Kept = { 1: install(first), 2: install(first, change('ports', '7', '8')), 3: install(second) }

for (const [what, kept, goal, expected] of [
  ['the newest install', straight, steps(1), [3]],
  ['two installs', straight, steps(2), [3, 2]],
  ['all of them', straight, steps(3), [3, 2, 1]],
  ['to a release', straight, release('1.1'), [3, 2]],
  ['to the first release', straight, release('1.0'), [3, 2, 1]],
  ['over a rollback and what it undid', undone, steps(2), [4, 1]],
  ['to the release in front of a rollback', undone, release('1.1'), [4]],
  ['with the repairs behind it', repaired, steps(1), [5, 4]],
  ['with the repairs between', repaired, steps(2), [5, 4, 3, 2]],
  ['all phases of a release', phases, steps(2), [3, 2, 1]],
  ['to what another channel had before one of the phases', phases, release('7'), [3, 2, 1]],
  ['to what the first of two channels had', { 1: install(change('ports', '7', '8'), first) }, release('7'), [1]],
  ['without a look at what is older', { 1: 'damaged', 2: install(second), 3: install(third) }, steps(2), [3, 2]],
] as const)
  test(`a way back takes ${what}`, async () => {
    assert.deepEqual(await wayBack(kept, goal), expected)
  })

for (const [kept, goal, message] of [
  [{}, steps(1), 'there is nothing to roll back'],
  [{}, release('1.0'), 'there is nothing to roll back'],
  [{ 1: repair() }, steps(1), 'there is nothing to roll back'],
  [{ 1: install(first), 2: rollback([1]) }, steps(1), 'there is nothing to roll back'],
  [{ 1: install(first) }, steps(2), 'only 1 install can be rolled back'],
  [straight, steps(4), 'only 3 installs can be rolled back'],
  [phases, steps(3), 'only 2 installs can be rolled back'],
  [straight, release('1.3'), 'no way leads back to 1.3'],
] as const)
  test(`no way back to ${JSON.stringify(goal)} with ${Object.keys(kept).length}: ${message}`, async () => {
    await assert.rejects(wayBack(kept, goal), { code: 'not-found', message, hint: /bindery list/ })
  })

test('a damaged receipt on the way is no way, nor is one that may hold what is asked for', async () => {
  assert.deepEqual(await refused(wayBack({ ...straight, 2: 'damaged' }, steps(2))), ['bad-format', '/var/db/bindery/receipt/2'])
  // Also one that seems to be undone.
  assert.deepEqual(await refused(wayBack({ ...undone, 2: 'damaged' }, steps(2))), ['bad-format', '/var/db/bindery/receipt/2'])
  assert.deepEqual(await refused(wayBack({ ...straight, 2: 'damaged' }, steps(3))), ['bad-format', '/var/db/bindery/receipt/2'])
  assert.deepEqual(await refused(wayBack({ ...straight, 1: 'damaged' }, release('1.0'))), ['bad-format', '/var/db/bindery/receipt/1'])
})

// --- an interrupted rollback

const interrupted = (more: Partial<Journal> = {}): Journal => ({
  ...receipt(6, rollback([3, 2], change('base', '1.3', '1.1'), change('ports', '8', '7'))),
  ...more,
})

for (const [what, goal, expected, more, kept] of [
  ['wherever it goes', undefined, true],
  ['a repair', undefined, false, { purpose: 'repair' }],
  ['an install', release('1.1'), false, { purpose: 'install' }],
  ['one that is taken back itself', undefined, false, { direction: 'backward' }],
  ['to the release of the first channel', release('1.1'), true],
  ['to the release of the second channel', release('7'), true],
  ['to the release that it leaves', release('1.3'), false],
  ['so many installs', steps(2), true],
  ['fewer installs', steps(1), false],
  ['more installs', steps(3), false],
  ['an install and the repair behind it', steps(1), true, {}, { ...straight, 3: repair() }],
  ['an install and the repair behind it, not two', steps(2), false, {}, { ...straight, 3: repair() }],
  ['a release in two phases', steps(1), true, { undoes: [2, 1] }, phases],
] as const satisfies readonly (readonly [string, Goal | undefined, boolean, Partial<Journal>?, Kept?])[])
  test(`the rollback that was cut off is the same again, or not: ${what}`, async () => {
    assert.equal(await isRepeated(await diskWith(kept ?? straight), interrupted(more), goal), expected)
  })

// --- several receipts as one step

const meta = { mode: 0o644, uid: 0, gid: 0, mtime: { sec: 1_600_000_000, nsec: 0 } }
const fileAt = (path: string, content: string): FileEntry => ({
  kind: 'file',
  path: relPath(path),
  ...meta,
  size: content.length,
  sha256: sha256(utf8(content)),
})
const folder = (path: string): DirEntry => ({ kind: 'dir', path: relPath(path), ...meta })
const slot = (number: number, area = 0): { area: number; number: number } => ({ area, number })

const put = (path: string, content: string): Action => ({ kind: 'put', path: relPath(path), slot: slot(9), new: fileAt(path, content) })
const drop = (path: string, content: string, number = 0, twin?: string): Action => ({
  kind: 'drop',
  path: relPath(path),
  slot: slot(number),
  old: fileAt(path, content),
  ...(twin === undefined ? {} : { twin: relPath(twin) }),
})
const swap = (path: string, old: string, next: string, number = 0, area = 0): Action => ({
  kind: 'swap',
  path: relPath(path),
  slot: slot(number, area),
  old: fileAt(path, old),
  new: fileAt(path, next),
})
const mkdir = (path: string): Action => ({ kind: 'mkdir', path: relPath(path), new: folder(path) })
const rmdir = (path: string): Action => ({ kind: 'rmdir', path: relPath(path), old: folder(path) })
const attr = (path: string, content: string): Action => ({
  kind: 'attr',
  path: relPath(path),
  old: fileAt(path, content),
  new: { ...fileAt(path, content), mode: 0o600 },
})

type Shown = Readonly<Record<string, string>>
type Picture = {
  readonly base: Shown
  readonly next: Shown
  readonly origins: Shown
  readonly relinked: readonly string[]
  readonly state: Shown
}

/** Contents by the beginnings of their digests would say little: they are found among these. */
const contents = new Map(['v1', 'v2', 'v3', 'damage'].map((content) => [sha256(utf8(content)), content]))

function show(node: { readonly kind: string; readonly sha256?: string }): string {
  return node.kind === 'file' ? (contents.get(node.sha256 as never) ?? '?') : node.kind
}

function pictureOf({ base, next, origins, relinked, state }: History): Picture {
  const shown = (nodes: History['base']['nodes']): Shown => Object.fromEntries([...nodes].map(([path, node]) => [path, show(node)]))
  for (const { groups, leaders } of [base, next]) assert.equal(groups.size + leaders.size, 0)
  return {
    base: shown(base.nodes),
    next: shown(next.nodes),
    origins: Object.fromEntries(
      [...origins].map(([path, { kind, from, node, twin }]) => [
        path,
        [kind, from, show(node), ...(twin === undefined ? [] : [`twin ${twin}`])].join(' '),
      ]),
    ),
    relinked: [...relinked],
    state: Object.fromEntries(
      [...state].map(([path, was]) => [path, was === undefined ? 'was not there' : `${show(was.node)} ${was.from}`]),
    ),
  }
}

/** Oldest first, numbered from 1. */
function composed(...receipts: readonly (readonly [Written, ...Action[]])[]): Picture {
  const numbered = receipts.map(([written, ...actions], i) => receipt(i + 1, written, actions))
  return pictureOf(composeHistory(numbered.toReversed()))
}

const nothing: Picture = { base: {}, next: {}, origins: {}, relinked: [], state: {} }
const store = (transaction: number, number = 0, area = 'var/db/bindery'): string => `link ${area}/store/${transaction}/${number}`

for (const [what, receipts, expected] of [
  ['nothing', [], {}],
  ['a file that came goes', [[install(), put('f', 'v1')]], { base: { f: 'v1' } }],
  ['a file that went comes', [[install(), drop('f', 'v1', 3)]], { next: { f: 'v1' }, origins: { f: `${store(1, 3)} v1` } }],
  [
    'a file that was exchanged, on the file system where it lies',
    [[install(), swap('f', 'v1', 'v2', 4, 1)]],
    { base: { f: 'v2' }, next: { f: 'v1' }, origins: { f: `${store(1, 4, 'usr/.bindery')} v1` } },
  ],
  ['a folder that came goes', [[install(), mkdir('d')]], { base: { d: 'dir' } }],
  ['a folder that went comes, from nowhere', [[install(), rmdir('d')]], { next: { d: 'dir' } }],
  ['attributes have no content', [[install(), attr('f', 'v1')]], { base: { f: 'v1' }, next: { f: 'v1' } }],
  [
    'of a file that was exchanged twice, the oldest',
    [
      [install(), swap('f', 'v1', 'v2')],
      [install(), swap('f', 'v2', 'v3')],
    ],
    { base: { f: 'v3' }, next: { f: 'v1' }, origins: { f: `${store(1)} v1` } },
  ],
  [
    'a file that came and went again is of no interest',
    [
      [install(), put('f', 'v1')],
      [install(), drop('f', 'v1')],
    ],
    {},
  ],
  [
    'a file that went and came again the same is another inode',
    [
      [install(), drop('f', 'v1')],
      [install(), put('f', 'v1')],
    ],
    { base: { f: 'v1' }, next: { f: 'v1' }, origins: { f: `${store(1)} v1` }, relinked: ['f'] },
  ],
  [
    'attributes were changed before the content was',
    [
      [install(), attr('f', 'v1')],
      [install(), swap('f', 'v1', 'v2')],
    ],
    { base: { f: 'v2' }, next: { f: 'v1' }, origins: { f: `${store(2)} v1` } },
  ],
  [
    'attributes were changed, and somebody worked on the file before they were changed again: its content is no matter of the way back',
    [
      [install(), attr('f', 'v1')],
      [install(), attr('f', 'v2')],
    ],
    { base: { f: 'v2' }, next: { f: 'v2' } },
  ],
  [
    'attributes were changed, and the content was another one when it was exchanged: that is what is kept',
    [
      [install(), attr('f', 'v1')],
      [install(), swap('f', 'v2', 'v3')],
    ],
    { base: { f: 'v3' }, next: { f: 'v2' }, origins: { f: `${store(2)} v2` } },
  ],
  [
    'attributes were changed of what was removed here, and came again',
    [
      [install(), attr('f', 'v1')],
      [install(), put('f', 'v2')],
    ],
    { base: { f: 'v2' } },
  ],
  [
    'attributes were changed of what was made a link here',
    [
      [install(), attr('f', 'v1')],
      [install(), { ...drop('f', 'v1'), old: { kind: 'symlink', path: relPath('f'), ...meta, target: 'g' } } as Action],
    ],
    { next: { f: 'symlink' }, origins: { f: `${store(2)} symlink` } },
  ],
  [
    'attributes of a folder were changed, and it came again',
    [
      [install(), { kind: 'attr', path: relPath('d'), old: folder('d'), new: folder('d') }],
      [install(), mkdir('d')],
    ],
    { base: { d: 'dir' }, next: { d: 'dir' } },
  ],
  [
    'attributes were changed of what a repair mended behind that',
    [
      [install(), attr('f', 'damage')],
      [repair(), swap('f', 'damage', 'v1')],
    ],
    { base: { f: 'v1' }, next: { f: 'v1' } },
  ],
  [
    'attributes were changed of what a repair mended before it was exchanged',
    [
      [install(), attr('f', 'damage')],
      [repair(), swap('f', 'damage', 'v1')],
      [install(), swap('f', 'v1', 'v2')],
    ],
    { base: { f: 'v2' }, next: { f: 'v1' }, origins: { f: `${store(3)} v1` } },
  ],
  [
    'a file became a folder in one receipt',
    [[install(), drop('p', 'v1', 5), mkdir('p')]],
    { base: { p: 'dir' }, next: { p: 'v1' }, origins: { p: `${store(1, 5)} v1` } },
  ],
  ['a folder became a file in one receipt', [[install(), rmdir('p'), put('p', 'v1')]], { base: { p: 'v1' }, next: { p: 'dir' } }],
  [
    'a folder became a file and a folder again: no kept file is meant',
    [
      [install(), rmdir('p'), put('p', 'v1')],
      [install(), drop('p', 'v1'), mkdir('p')],
    ],
    { base: { p: 'dir' }, next: { p: 'dir' } },
  ],
  [
    'a file that left another name of it',
    [[install(), drop('f', 'v1', 0, 'g')]],
    { next: { f: 'v1' }, origins: { f: `${store(1)} v1 twin g` } },
  ],
  [
    'the other name went later: it is what is kept of both',
    [
      [install(), drop('f', 'v1', 0, 'g')],
      [install(), drop('g', 'v1', 7)],
    ],
    { next: { f: 'v1', g: 'v1' }, origins: { f: `${store(2, 7)} v1`, g: `${store(2, 7)} v1` } },
  ],
  [
    'the other name was taken by another file, which went again: nothing of that is kept of both',
    [
      [install(), drop('f', 'v1', 0, 'g')],
      [install(), put('g', 'v2')],
      [install(), drop('g', 'v2', 7)],
    ],
    { next: { f: 'v1' }, origins: { f: `${store(1)} v1 twin g` } },
  ],
  ['what a repair mended is not brought back', [[repair(), swap('f', 'damage', 'v1')]], {}],
  [
    'a repair behind an install says what is there',
    [
      [install(), put('f', 'v1')],
      [repair(), attr('f', 'v2')],
    ],
    { base: { f: 'v2' } },
  ],
  [
    'a repair before an install takes nothing from it',
    [
      [repair(), swap('f', 'damage', 'v1')],
      [install(), swap('f', 'v1', 'v2')],
    ],
    { base: { f: 'v2' }, next: { f: 'v1' }, origins: { f: `${store(2)} v1` } },
  ],
  [
    'a repair between two installs',
    [
      [install(), swap('f', 'v1', 'v2')],
      [repair(), swap('f', 'damage', 'v2')],
      [install(), swap('f', 'v2', 'v3')],
    ],
    { base: { f: 'v3' }, next: { f: 'v1' }, origins: { f: `${store(1)} v1` } },
  ],
  [
    'files of the state are on their own, and folders among them none of it',
    [
      [
        install(),
        swap('var/db/bindery/channel/c/release', 'v1', 'v2', 1),
        put('var/db/bindery/channel/c/1.delta', 'v2'),
        drop('var/db/bindery/channel/c/2.delta', 'v1', 2),
        mkdir('var/db/bindery/channel/d'),
        rmdir('var/db/bindery/channel/e'),
      ],
    ],
    {
      state: {
        'var/db/bindery/channel/c/release': 'v1 var/db/bindery/store/1/1',
        'var/db/bindery/channel/c/1.delta': 'was not there',
        'var/db/bindery/channel/c/2.delta': 'v1 var/db/bindery/store/1/2',
      },
    },
  ],
  [
    'a file of the state that came and went again was not there',
    [
      [install(), put('var/db/bindery/channel/c/1.delta', 'v1')],
      [install(), drop('var/db/bindery/channel/c/1.delta', 'v1')],
    ],
    { state: { 'var/db/bindery/channel/c/1.delta': 'was not there' } },
  ],
] as const satisfies readonly (readonly [string, readonly (readonly [Written, ...Action[]])[], Partial<Picture>])[])
  test(`what receipts come to: ${what}`, () => {
    assert.deepEqual(composed(...receipts), { ...nothing, ...expected })
  })

test('what comes back has the attributes of before; another content since has its own time, and what is no file its own attributes', () => {
  const at = (content: string, sec: number, mode = 0o600): FileEntry => ({ ...fileAt('f', content), mode, mtime: { sec, nsec: 0 } })
  const attributes: Action = { kind: 'attr', path: relPath('f'), old: at('v1', 1, 0o644), new: at('v1', 2) }
  const link: Leaf = { kind: 'symlink', path: relPath('f'), ...meta, uid: 7, target: 'g' }
  const ways: readonly (readonly [Leaf, Leaf])[] = [
    [at('v1', 2), at('v1', 1, 0o644)],
    [at('v2', 3), at('v2', 3, 0o644)],
    [link, link],
  ]
  for (const [since, expected] of ways) {
    const exchange: Action = { kind: 'swap', path: relPath('f'), slot: slot(0), old: since, new: at('v3', 9) }
    const { next } = composeHistory([receipt(2, install(), [exchange]), receipt(1, install(), [attributes])])
    assert.deepEqual(next.nodes.get(relPath('f')), expected)
  }
})

for (const [what, receipts, expected] of [
  ['none', [], []],
  ['of one install', [install(first)], [change('base', '1.1', '1.0')]],
  ['of three', [install(first), install(second), install(third)], [change('base', '1.3', '1.0')]],
  [
    'of two channels',
    [install(first, change('ports', '7', '8')), install(second), install(change('ports', '8', '9'))],
    [change('ports', '9', '7'), change('base', '1.2', '1.0')],
  ],
  ['a repair of another channel goes nowhere', [install(first), repair(change('ports', '7', '7'))], [change('base', '1.1', '1.0')]],
] as const)
  test(`releases that a way back leaves and comes to: ${what}`, () => {
    const numbered = receipts.map((written, i) => receipt(i + 1, written))
    assert.deepEqual(composeHistory(numbered.toReversed()).releases, expected)
  })
