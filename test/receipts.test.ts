import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import {
  expiredReceipts,
  listNumbers,
  listReceipts,
  nextTransaction,
  readJournal,
  readReceipt,
  readReceiptHeads,
  stepsAmong,
  writeJournal,
} from '../src/engine/client/apply/receipts.ts'
import { makeStateFolders, statePaths } from '../src/engine/client/state.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { text } from './helpers/client-world.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Journal, Purpose, ReleaseChange } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Plant } from './helpers/plant.ts'

/** The journal and what becomes of it, put together by hand: what is read of them, and which receipts are kept. */

const journal = (transaction: number, more?: Partial<Journal>): Journal => plainJournal({ transaction, ...more })

const encoded = (transaction: number, more?: Partial<Journal>): Uint8Array => encodeJournal(journal(transaction, more))

async function state(files: Readonly<Record<string, string | Uint8Array | Plant>>): Promise<Disk> {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  const planted = Object.entries(files).map(([name, given]) => {
    const isContent = typeof given === 'string' || given instanceof Uint8Array
    return [`var/db/bindery/${name}`, isContent ? file(given) : given] as const
  })
  await plant(disk, Object.fromEntries(planted))
  return disk
}

async function failure(work: Promise<unknown>): Promise<BinderyError> {
  return await work.then(
    () => assert.fail('was not refused'),
    (error: unknown) => (error instanceof BinderyError ? error : assert.fail(String(error))),
  )
}

// --- the journal

test('a journal is there until its other name is a receipt, also where a power cut has brought it back', async () => {
  assert.equal(await readJournal(await state({})), undefined)
  assert.deepEqual(await readJournal(await state({ journal: encoded(2) })), journal(2))
  // An earlier receipt, or a file of its own that says the same, is not that journal.
  assert.deepEqual(await readJournal(await state({ journal: encoded(2), 'receipt/1': encoded(1) })), journal(2))
  assert.deepEqual(await readJournal(await state({ journal: encoded(2), 'receipt/2': encoded(2) })), journal(2))
  const done = await state({ 'receipt/2': encoded(2), journal: hardlink('var/db/bindery/receipt/2') })
  assert.equal(await readJournal(done), undefined)
})

test('a journal that is damaged or of a newer bindery is told by its path, with a way out of damage alone', async () => {
  const damaged = await failure(readJournal(await state({ journal: `${latin1(encoded(2)).slice(0, -9)}\n` })))
  assert.deepEqual([damaged.code, damaged.subject], ['bad-format', '/var/db/bindery/journal'])
  assert.match(
    damaged.hint ?? '',
    /^damaged after it was written: put it back from a backup, or remove it and run 'bindery audit --repair'$/,
  )
  const newer = await failure(readJournal(await state({ journal: 'bindery-journal 2\n' })))
  assert.deepEqual([newer.code, newer.subject], ['not-supported', '/var/db/bindery/journal'])
  assert.doesNotMatch(newer.hint ?? '', /damaged/)
})

const program = '#!/bin/sh\necho\n'

for (const [what, before, isWritten] of [
  ['is laid where there is none', undefined, true],
  ['stays where it is the same', file(program, { mode: 0o700 }), false],
  ['is laid anew where it may not be run', file(program, { mode: 0o600 }), true],
  ['is laid anew where it says something else', file(program.replace('echo', 'exit'), { mode: 0o700 }), true],
  ['is laid anew where it is longer', file(`${program}#`, { mode: 0o700 }), true],
  ['is laid anew where it is larger than any', file(new Uint8Array((1 << 22) + 1), { mode: 0o700 }), true],
  ['is laid anew where a link is in its place', symlink('elsewhere', { mode: 0o700 }), true],
] as const)
  test(`before the journal, the program that goes on without bindery ${what}`, async () => {
    const disk = await state(before === undefined ? {} : { recover: before })
    const { disk: watched, calls } = faultyDisk(disk, { kind: 'none' })
    await writeJournal(watched, journal(3), async () => utf8(program))
    const [laid, stat] = [await text(disk, statePaths.recover), await disk.lstat(statePaths.recover)]
    assert.deepEqual([laid, stat?.kind, stat?.mode], [program, 'file', 0o700])
    const [laying, beginning] = ['recover', 'journal'].map((name) => calls.indexOf(`rename var/db/bindery/${name}.new`)) as [number, number]
    assert.equal(laying >= 0, isWritten)
    assert.ok(laying < beginning)
    assert.deepEqual(await readJournal(disk), journal(3))
  })

// --- receipts

test('receipts are the names that are numbers of transactions, in their order', async () => {
  assert.deepEqual(await listReceipts(memoryDisk()), [])
  const names = ['10', '9', '100', '2', '0', '07', '1x', 'x1', '3.new', '-1', '', '999999999999999', '1000000000000000']
  const disk = await state(Object.fromEntries(names.filter((name) => name !== '').map((name) => [`receipt/${name}`, 'x'])))
  assert.deepEqual(await listReceipts(disk), [2, 9, 10, 100, 999_999_999_999_999])
  assert.deepEqual(await listNumbers(disk, statePaths.store), [])
})

test('a folder with more names than bindery makes is refused', async () => {
  const withNames = async (count: number): Promise<Disk> => {
    const names = Array.from({ length: count }, (_, i) => String(i + 1))
    return { ...(await state({})), readdir: async () => await Promise.resolve(names) }
  }
  assert.equal((await listReceipts(await withNames(65_536))).length, 65_536)
  assert.deepEqual(await refused(listReceipts(await withNames(65_537))), ['over-limit', 'var/db/bindery/receipt'])
})

test('the next transaction is one more than the newest receipt', async () => {
  assert.equal(await nextTransaction(memoryDisk()), 1)
  assert.equal(await nextTransaction(await state({ 'receipt/9': 'damaged', 'receipt/10': 'damaged' })), 11)
})

test('a receipt that is asked for is there, and whole', async () => {
  const disk = await state({ 'receipt/1': encoded(1), 'receipt/2': 'damaged' })
  assert.deepEqual(await readReceipt(disk, 1), journal(1))
  const damaged = await failure(readReceipt(disk, 2))
  assert.deepEqual([damaged.code, damaged.subject], ['bad-format', '/var/db/bindery/receipt/2'])
  assert.match(damaged.hint ?? '', /without it this install cannot be rolled back, and only newer ones can$/)
  assert.deepEqual(await refused(readReceipt(disk, 3)), ['not-found', '/var/db/bindery/receipt/3'])
})

const heads = async (files: Readonly<Record<string, string | Uint8Array>>): Promise<readonly number[]> =>
  (await readReceiptHeads(await state(files))).map(({ transaction }) => transaction)

test('the heads are those of receipts that hold, oldest first', async () => {
  assert.deepEqual(await heads({}), [])
  assert.deepEqual(await heads({ 'receipt/10': encoded(10), 'receipt/9': encoded(9) }), [9, 10])
  // Damaged, of another transaction, empty.
  assert.deepEqual(await heads({ 'receipt/1': 'damaged', 'receipt/2': encoded(5), 'receipt/3': '', 'receipt/4': encoded(4) }), [4])
  const undoing = encoded(4, { purpose: 'rollback', undoes: [3, 2] })
  assert.deepEqual(await heads({ 'receipt/1': encoded(1), 'receipt/2': encoded(2), 'receipt/3': encoded(3), 'receipt/4': undoing }), [1, 4])
})

test('of a receipt with many actions the first lines are enough', async () => {
  const actions = Array.from({ length: 2000 }, (_, i): Journal['actions'][number] => {
    const meta = { mode: 0o755, uid: 0, gid: 0, mtime: { sec: 1_600_000_000, nsec: 0 } }
    return { kind: 'mkdir', path: relPath(`d${i}`), new: { kind: 'dir', path: relPath(`d${i}`), ...meta } }
  })
  const large = encoded(1, { actions, releases: [change('base', '1.0', '1.1')] })
  assert.ok(large.length > 1 << 16)
  const disk = await state({ 'receipt/1': large })
  const asked: (number | undefined)[] = []
  const watched: Disk = { ...disk, read: (path, options) => (asked.push(options?.end), disk.read(path, options)) }
  const [head] = await readReceiptHeads(watched)
  assert.deepEqual([head?.transaction, head?.releases, asked], [1, [change('base', '1.0', '1.1')], [1 << 16]])
})

// --- installs as people count them

const change = (role: string, old: string, next: string): ReleaseChange => ({ role, old, new: next })
type Counted = { readonly transaction: number; readonly purpose: Purpose; readonly releases: readonly ReleaseChange[] }
const install = (transaction: number, ...releases: readonly ReleaseChange[]): Counted => ({ transaction, purpose: 'install', releases })
const other = (transaction: number, purpose: Purpose): Counted => ({ transaction, purpose, releases: [] })

const [base, sources] = [change('base', '1.0', '1.1'), change('sources', '1.0', '1.1')]

for (const [what, newestFirst, expected] of [
  ['nothing has none', [], []],
  [
    'a release that came in phases is one',
    [install(4, change('base', '1.1', '1.2')), install(3, base), install(2, base), install(1, change('base', '0.9', '1.0'))],
    [[4], [3, 2], [1]],
  ],
  [
    'so it is where another channel came with one of its phases',
    [install(3, sources), install(2, sources, base), install(1, base)],
    [[3, 2, 1]],
  ],
  ['and where it came with the last of them', [install(2, sources, base), install(1, base)], [[2, 1]]],
  ['or with the first', [install(2, base), install(1, sources, base)], [[2, 1]]],
  ['one that came again after others is another one', [install(3, base), install(2, sources), install(1, base)], [[3], [2], [1]]],
  ['another role is another release', [install(2, sources), install(1, base)], [[2], [1]]],
  ['from another release it is another step', [install(2, base), install(1, change('base', '0.9', '1.1'))], [[2], [1]]],
  ['to another release, too', [install(2, base), install(1, change('base', '1.0', '1.2'))], [[2], [1]]],
  ['what is of no release stands alone', [install(2), install(1)], [[2], [1]]],
] as const satisfies readonly (readonly [string, readonly Counted[], readonly (readonly number[])[]])[])
  test(`of installs, ${what}`, () => {
    const found = stepsAmong<Counted>(newestFirst).map((step) => step.map(({ transaction }) => transaction))
    assert.deepEqual(found, expected)
  })

const steps = [1, 2, 3, 4].map((n) => install(2 * n, change('base', `1.${n - 1}`, `1.${n}`)))
const history = [...steps.slice(0, 2), other(5, 'repair'), ...steps.slice(2), other(9, 'repair')]

for (const [what, receipts, keep, expired] of [
  ['none is kept where none is to be', history, 0, [2, 4, 5, 6, 8, 9]],
  ['the newest install, with what came after it', history, 1, [2, 4, 5, 6]],
  ['repairs are not counted', history, 3, [2]],
  ['as many as there are', history, 4, []],
  ['fewer than may be kept', history, 9, []],
  ['what came before the first install goes', [other(1, 'repair'), ...history], 9, [1]],
  ['of a release that came in phases all is kept', [install(2, change('base', '0.9', '1.0')), install(4, base), install(5, base)], 1, [2]],
  ['without an install the newest are kept', [other(1, 'rollback'), other(2, 'repair'), other(3, 'rollback')], 2, [1]],
  ['without an install fewer than may be kept', [other(1, 'rollback')], 2, []],
  ['there is nothing', [], 2, []],
] as const)
  test(`receipts that expire: ${what}`, () => {
    assert.deepEqual(expiredReceipts(receipts as readonly Counted[], keep), expired)
  })
