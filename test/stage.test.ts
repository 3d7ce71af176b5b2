import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { fillStage, saveOld } from '../src/engine/client/apply/stage.ts'
import { stateFolder } from '../src/engine/client/state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { withoutLinks } from './helpers/limited-disk.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { dir, file, hardlink, plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { Timestamp } from '../src/base/entry.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Contents } from '../src/engine/client/apply/contents.ts'
import type { Plan, Source, StageItem } from '../src/engine/client/apply/plan.ts'
import type { StageOptions } from '../src/engine/client/apply/stage.ts'
import type { Action } from '../src/format/journal.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What lies in the slots before a journal is written, and by which calls it came there. */

const mtime: Timestamp = { sec: 1_700_000_000, nsec: 5 }
const [staged, stored] = [`${stateFolder}/stage/1`, `${stateFolder}/store/1`]

async function on(literal: Literal = {}): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, { [staged]: dir(), [stored]: dir(), ...literal })
  return disk
}

function leaf(path: string, more: Partial<Leaf> = {}): Leaf {
  const content = { kind: 'file', size: 1, sha256: sha256(utf8('x')) }
  return { path: relPath(path), mode: 0o644, uid: 0, gid: 0, mtime, ...content, ...more } as Leaf
}

const slot = (number: number): StageItem['slot'] => ({ area: 0, number })
const path = (number: number): RelPath => relPath(`${staged}/${number}`)

function planOf(stage: readonly StageItem[], actions: readonly Action[] = []): Plan {
  return { journal: plainJournal({ actions }), stage, seen: new Map() }
}

type Given = readonly [Source, Partial<Leaf>?]

/** One slot for each source, of paths `f0`, `f1` and so on. */
const items = (...given: readonly Given[]): readonly StageItem[] =>
  given.map(([source, more], number) => ({ slot: slot(number), node: leaf(`f${number}`, more), source }))

const content = (of: string): Source => ({ kind: 'content', path: relPath(of) })

/** A release that holds these, in their order. */
function holding(...all: readonly (readonly [string, string])[]): Contents {
  return async function* () {
    for (const [name, bytes] of all) yield { path: relPath(name), content: oneChunk(utf8(bytes)) }
  }
}

/** A release in which each file is an x. */
const release: Contents = (wanted) => holding(...[...wanted.keys()].map((name) => [name, 'x'] as const))(wanted)

async function filled(disk: Disk, stage: readonly StageItem[], more: Partial<StageOptions> = {}): Promise<readonly string[]> {
  const watched = faultyDisk(disk, { kind: 'none' })
  await fillStage(watched.disk, planOf(stage), { contents: release, ...more })
  return watched.calls
}

const of = (number: number, ...calls: readonly string[]): readonly string[] => calls.map((call) => `${call} ${path(number)}`)

// --- filled

test('each slot is filled from its source, and a file of its own gets its attributes, its time, and is synced', async () => {
  const stream = (from?: string): Source => ({
    kind: 'stream',
    content: () => oneChunk(utf8('state')),
    ...(from !== undefined && { from: relPath(from) }),
  })
  const link: Source = { kind: 'link', from: relPath('live') }
  const ready = ['setTimes', ...of(0, 'sync')]
  const both = [...of(0, 'create', 'chmod'), ...of(1, 'create', 'chmod'), 'setTimes', ...of(0, 'sync'), ...of(1, 'sync')]
  const ways: readonly (readonly [string, readonly Given[], readonly string[]])[] = [
    ['content', [[content('r')]], [...of(0, 'create', 'chmod'), ...ready]],
    ['content of somebody else', [[content('r'), { uid: 7 }]], [...of(0, 'create', 'chown', 'chmod'), ...ready]],
    ['content that only others read', [[content('r'), { mode: 0o244 }]], [...of(0, 'create', 'sync', 'chmod'), ...ready]],
    ['content that its owner reads', [[content('r'), { mode: 0o400 }]], [...of(0, 'create', 'chmod'), ...ready]],
    [
      'another name of a slot',
      [[content('r')], [{ kind: 'share', slot: slot(0) }]],
      [...of(0, 'create', 'chmod'), ...of(1, 'link'), ...ready],
    ],
    ['a copy of a slot', [[content('r')], [{ kind: 'copy', slot: slot(0) }]], both],
    ['a link', [[{ kind: 'make' }, { kind: 'symlink', target: 'x' }]], [...of(0, 'symlink'), 'setTimes']],
    ['a pipe', [[{ kind: 'make' }, { kind: 'fifo', mode: 0o200 }]], [...of(0, 'mknod', 'chmod'), 'setTimes']],
    ['another name of a live file', [[link]], of(0, 'link')],
    ['a live file whose flags say nothing', [[link, { flags: [] }]], of(0, 'link')],
    ['a live file that must not be changed', [[link, { flags: ['schg'] }]], [...of(0, 'create', 'chmod', 'chmod'), ...ready]],
    ['a state file', [[stream()]], [...of(0, 'create', 'chmod'), ...ready]],
    ['a state file that lies ready', [[stream('live')]], [...of(0, 'link', 'chmod'), ...ready]],
    ['a state file with another name', [[stream('twice')]], [...of(0, 'create', 'chmod'), ...ready]],
  ]
  for (const [what, given, calls] of ways) {
    const disk = await on({ live: 'x', twice: 'state', again: hardlink('twice') })
    assert.deepEqual(await filled(disk, items(...given)), calls, what)
    const stat = await disk.lstat(path(given.length - 1))
    const { mode = 0o644, kind = 'file' } = given.at(-1)?.[1] ?? {}
    if (calls.includes('setTimes')) assert.deepEqual([stat?.kind, stat?.mtime], [kind, mtime], what)
    if (calls.includes('setTimes') && kind !== 'symlink') assert.equal(stat?.mode, mode, what)
  }
})

test('where there are no links a slot gets a copy, which is finished as any other file', async () => {
  const ways: readonly (readonly [string, Source])[] = [
    ['of a slot', { kind: 'share', slot: slot(0) }],
    ['of a live file', { kind: 'link', from: relPath('live') }],
  ]
  for (const [what, source] of ways) {
    const disk = await on({ live: 'x' })
    const calls = await filled(withoutLinks(disk), items([content('r')], [source, { mode: 0o4755 }]))
    assert.deepEqual(calls.slice(2), [...of(1, 'link', 'create', 'chmod', 'chmod'), 'setTimes', ...of(0, 'sync'), ...of(1, 'sync')], what)
    const stat = await disk.lstat(path(1))
    assert.deepEqual([await text(disk, path(1)), stat?.mode, stat?.mtime, stat?.nlink], ['x', 0o4755, mtime, 1], what)
  }
})

test('a copy of a slot is refused where the slot does not hold what the release says', async () => {
  const stage = items([content('r')], [{ kind: 'copy', slot: slot(0) }, { sha256: sha256(utf8('y')) }])
  assert.deepEqual(await refused(filled(await on(), stage)), ['bad-digest', 'f1'])
})

test('a state file that is to lie ready, and is gone, is told as that', async () => {
  const source: Source = { kind: 'stream', content: () => oneChunk(utf8('')), from: relPath('gone') }
  assert.deepEqual(await refused(filled(await on(), items([source]))), ['not-found', 'gone'])
})

test('a release gives each content once that was asked for, and no other', async () => {
  const given: readonly (readonly [string, Contents, readonly string[]])[] = [
    ['all', holding(['h\u00c3\u00a9', 'x'], ['r', 'x']), ['not refused']],
    ['another one', holding(['r', 'x'], ['\u00c3\u00a9', 'x']), ['hostile', '\u00e9']],
    ['one twice', holding(['r', 'x'], ['r', 'x']), ['hostile', 'r']],
    ['one missing', holding(['r', 'x']), ['bad-digest', 'h\u00e9']],
    ['one too long', holding(['r', 'xx']), ['bad-digest', 'r']],
    ['one changed', holding(['r', 'y']), ['bad-digest', 'r']],
  ]
  for (const [what, contents, refusal] of given) {
    const stage = items([content('r')], [content('h\u00c3\u00a9')])
    assert.deepEqual(await refused(filled(await on(), stage, { contents })), refusal, what)
  }
})

test('a release is asked for the contents that no slot has otherwise; what has come is told as it comes', async () => {
  const asked: string[] = []
  const contents: Contents = (wanted) => {
    for (const [name, { size }] of wanted) asked.push(`${name} ${size}`)
    return holding(['b', 'xyz'], ['a', 'x'])(wanted)
  }
  const stage = items([content('a')], [content('b'), { size: 3, sha256: sha256(utf8('xyz')) }], [{ kind: 'share', slot: slot(0) }])
  const advances: number[] = []
  const meter = { advance: (size: number) => void advances.push(size) } as unknown as NonNullable<StageOptions['meter']>
  await filled(await on(), stage, { contents, meter })
  assert.deepEqual(
    [asked, advances],
    [
      ['a 1', 'b 3'],
      [3, 1],
    ],
  )
})

test('whoever stops it is heard before each content and before each slot', async () => {
  const reason = new Error('stopped by the test')
  const stopping = new AbortController()
  const stage = items([content('a')], [content('b')])
  const contents: Contents = async function* () {
    yield { path: relPath('a'), content: oneChunk(utf8('x')) }
    stopping.abort(reason)
    yield { path: relPath('b'), content: oneChunk(utf8('x')) }
  }
  const disk = await on()
  await assert.rejects(filled(disk, stage, { contents, signal: stopping.signal }), reason)
  assert.deepEqual(await disk.readdir(relPath(staged)), ['0'])
  const other = await on()
  await assert.rejects(filled(other, items([{ kind: 'make' }, { kind: 'fifo' }]), { contents: holding(), signal: stopping.signal }), reason)
  assert.deepEqual(await other.readdir(relPath(staged)), [])
})

// --- told

test('what fails at a slot is told of the path that it is for, whichever call it is', async () => {
  const stage = items([content('r'), { path: relPath('h\u00c3\u00a9'), mode: 0o200 }])
  const length = (await filled(await on(), stage)).length
  for (let at = 1; at <= length; at++) {
    const { disk, calls } = faultyDisk(await on(), { kind: 'fail', at, code: 'io' })
    const refusal = await refused(fillStage(disk, planOf(stage), { contents: release }))
    // Times are set of all slots at once.
    assert.deepEqual(refusal, ['io', calls.at(-1) === 'setTimes' ? path(0) : '/h\u00e9'], calls.at(-1))
  }
})

test('the failure of a slot keeps its hint and its cause; what fails elsewhere, and a bug, is told as it is', async () => {
  const failing = (error: unknown): Contents =>
    async function* () {
      yield { path: relPath('r'), content: broken(error) }
    }
  const stage = items([content('r')])
  const own = new BinderyError('no-space', 'is full', { subject: path(0), hint: 'make room' })
  await assert.rejects(filled(await on(), stage, { contents: failing(own) }), (error: BinderyError) => {
    assert.deepEqual([error.code, error.message, error.subject, error.hint, error.cause], ['no-space', 'is full', '/f0', 'make room', own])
    return true
  })
  for (const other of [new BinderyError('network', 'is gone', { subject: 'http://updates.test/' }), new TypeError('a bug')]) {
    await assert.rejects(filled(await on(), stage, { contents: failing(other) }), (error) => error === other)
  }
})

async function* broken(error: unknown): ByteStream {
  yield utf8('')
  throw error
}

// --- saved

const swap = (name: string, more: Partial<Leaf> = {}, number = 0): Action => ({
  kind: 'swap',
  path: relPath(name),
  slot: slot(number),
  old: leaf(name, more),
  new: leaf(name),
})

async function saved(disk: Disk, ...actions: readonly Action[]): Promise<readonly string[]> {
  const watched = faultyDisk(disk, { kind: 'none' })
  await saveOld(watched.disk, planOf([], actions).journal)
  return watched.calls
}

test('what is replaced and what goes gets a second name; what must not be changed does when it may be', async () => {
  const ways: readonly (readonly [string, Action, readonly string[]])[] = [
    ['replaced', swap('f'), ['link']],
    ['gone', { kind: 'drop', path: relPath('f'), slot: slot(0), old: leaf('f') }, ['link']],
    ['replaced, with flags that say nothing', swap('f', { flags: [] }), ['link']],
    ['replaced, with a flag', swap('f', { flags: ['schg'] }), []],
    ['new', { kind: 'put', path: relPath('f'), slot: slot(0), new: leaf('f') }, []],
    ['attributes', { kind: 'attr', path: relPath('f'), old: leaf('f'), new: leaf('f') }, []],
  ]
  for (const [what, action, calls] of ways) {
    const made = await saved(await on({ f: 'x' }), action)
    assert.deepEqual(
      made,
      calls.map((call) => `${call} ${stored}/0`),
      what,
    )
  }
})

test('where there are no links copies are saved, and get their times together', async () => {
  const disk = await on({ f: file('x'), g: file('y') })
  const copied = (number: number): readonly string[] => [
    ...['link', 'create', 'chmod'].map((call) => `${call} ${stored}/${number}`),
    `link ${stored}/${number}.link`,
  ]
  assert.deepEqual(await saved(withoutLinks(disk), swap('f'), swap('g', {}, 1)), [
    ...copied(0),
    ...copied(1),
    'setTimes',
    `sync ${stored}/0`,
    `sync ${stored}/1`,
  ])
  assert.deepEqual([await text(disk, `${stored}/1`), (await disk.lstat(relPath(`${stored}/1`)))?.mtime], ['y', mtime])
})

/** A disk that refuses to link some files, each with its error. */
function linking(inner: Disk, refusal: (existing: RelPath, nth: number) => BinderyError | undefined): Disk {
  let links = 0
  return {
    ...inner,
    link: async (to, existing) => {
      const error = refusal(existing, ++links)
      if (error !== undefined) throw error
      await inner.link(to, existing)
    },
  }
}

const denied = new BinderyError('permission', 'may not be linked')

test('to root, a file that may not be linked while its copy may is one that cannot be replaced, and nothing is left of the trial', async () => {
  const inner = await on({ 'h\u00c3\u00a9': 'x' })
  const disk = linking(inner, (existing) => (existing === 'h\u00c3\u00a9' ? denied : undefined))
  assert.deepEqual(await refused(saved(disk, swap('h\u00c3\u00a9'))), ['permission', '/h\u00e9'])
  assert.deepEqual(await inner.readdir(relPath(stored)), ['0'])
})

test('a file whose copy may not be linked either, or that may be linked by now, is saved as a copy', async () => {
  for (const refusal of [() => denied, (_: RelPath, nth: number) => (nth === 1 ? denied : undefined)]) {
    const disk = await on({ f: 'x' })
    await saved(linking(disk, refusal), swap('f'))
    assert.deepEqual([await disk.readdir(relPath(stored)), await text(disk, `${stored}/0`)], [['0'], 'x'])
    assert.deepEqual((await disk.lstat(relPath(`${stored}/0`)))?.mtime, mtime)
  }
})

test('somebody who is not root may not link what belongs to others, and tries no other link', async () => {
  const inner = await on({ f: 'x' })
  const capabilities: Disk['capabilities'] = async () => ({ ...(await inner.capabilities()), privileged: false })
  const disk = { ...linking(inner, (existing) => (existing === 'f' ? denied : undefined)), capabilities }
  const calls = ['link', 'create', 'chmod'].map((call) => `${call} ${stored}/0`)
  assert.deepEqual(await saved(disk, swap('f')), [...calls, 'setTimes', `sync ${stored}/0`])
})

test('a disk that fails at the trial is told as that', async () => {
  const broken = new BinderyError('io', 'is damaged', { subject: 'f' })
  const disk = linking(await on({ f: 'x' }), (_, nth) => (nth === 1 ? denied : broken))
  assert.deepEqual(await refused(saved(disk, swap('f'))), ['io', 'f'])
})
