import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { oneChunk, utf8 } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { markVerified } from '../../src/base/verified.ts'
import { readLeft, removeSteps } from '../../src/engine/client/apply/steps.ts'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { rollback } from '../../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { incoming, install, leftovers, machine, release, text, whole } from '../helpers/client-world.ts'
import { arbitraryTree } from '../helpers/arbitrary-tree.ts'
import { assertOneOf, callsOf, crashes, moments, stopsIn } from '../helpers/crash.ts'
import { faultyDisk } from '../helpers/faulty-disk.ts'
import { withBindMount } from '../helpers/limited-disk.ts'
import { dir, file, hardlink, symlink } from '../helpers/plant.ts'
import { newTree, oldTree } from '../helpers/two-releases.ts'
import { cases } from '../helpers/whole-suite.ts'
import { recovery } from '../helpers/recovery.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Done } from '../../src/engine/client/apply/transaction.ts'
import type { PostStep } from '../../src/format/post-step.ts'
import type { Kept } from '../../src/format/journal.ts'
import type { Release } from '../helpers/client-world.ts'
import type { Literal } from '../helpers/plant.ts'
import type { Disk } from '../../src/port/disk.ts'

/** The machine stops at every changing call, and again while it recovers: the whole tree is old or new in the end. */

const clock = { now: () => 1_700_000_100_000 }
const finish = async (disk: Disk): Promise<unknown> => await recover(disk, { undo: false, keepReleases: 5, recovery })
const undo = async (disk: Disk): Promise<unknown> => await recover(disk, { undo: true, keepReleases: 5, recovery })
const back = async (disk: Disk): Promise<unknown> =>
  await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock })

type World = {
  readonly old: Release
  readonly next: Release
  /** Tree and channel state before and after. */
  readonly pictures: { readonly old: string; readonly new: string }
}

async function world(): Promise<World> {
  const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
  const before = await machine(memoryDisk(), oldTree)
  const oldPicture = await whole(before)
  await install(before, old, next)
  return { old, next, pictures: { old: oldPicture, new: await whole(before) } }
}

const everyWorld = world()

async function fresh(): Promise<Disk> {
  return await machine(memoryDisk(), oldTree)
}

async function installed(): Promise<Disk> {
  const { old, next } = await everyWorld
  const disk = await fresh()
  await install(disk, old, next)
  return disk
}

for (const [turn, moment] of moments.entries()) {
  test(`install, crashed ${moment} any call, is finished or undone by recover`, async () => {
    const { old, next, pictures } = await everyWorld
    const run = async (disk: Disk): Promise<unknown> => await install(disk, old, next)
    const calls = await callsOf(await fresh(), run)
    for (const at of stopsIn(calls, turn)) {
      for (const [name, repair] of [
        ['finish', finish],
        ['undo', undo],
      ] as const) {
        const disk = await fresh()
        assert.equal(await crashes(disk, { kind: 'crash', at, when: moment }, run), true)
        const wasCommitted = (await disk.lstat('var/db/bindery/journal' as never)) !== undefined
        await repair(disk)
        const state = assertOneOf(await whole(disk), pictures, `${name} after a crash ${moment} ${at} ${calls[at - 1] ?? ''}`)
        if (wasCommitted) assert.equal(state, name === 'finish' ? 'new' : 'old')
        assert.deepEqual(await leftovers(disk), state === 'new' ? ['store/1'] : [], `${name} ${moment} ${at} ${calls[at - 1] ?? ''}`)
        if (state === 'old') await install(disk, old, next)
        assert.equal(await whole(disk), pictures.new)
      }
    }
  })
}

test('a crash of the recovery is recovered from, in the same direction', async () => {
  const { old, next, pictures } = await everyWorld
  const run = async (disk: Disk): Promise<unknown> => await install(disk, old, next)
  const calls = await callsOf(await fresh(), run)
  const first = calls.indexOf('rename var/db/bindery/journal.new') + 2
  const last = calls.indexOf('rename var/db/bindery/journal') + 1
  for (let at = first; at <= last; at += 7) {
    for (const [repair, wanted] of [
      [finish, pictures.new],
      [undo, pictures.old],
    ] as const) {
      for (let second = 1; ; second += 5) {
        const disk = await fresh()
        await crashes(disk, { kind: 'crash', at, when: 'before' }, run)
        const again = await crashes(disk, { kind: 'crash', at: second, when: second % 2 === 0 ? 'before' : 'after' }, repair)
        if (!again) break
        // The journal is turned round by one rename: a recovery that was stopped before it goes on, not back.
        const isTurned = repair === finish || (await isGoingBack(disk))
        await finish(disk)
        assert.ok((await whole(disk)) === (isTurned ? wanted : pictures.new), `crashes at ${at} (${calls[at - 1] ?? ''}) and ${second}`)
      }
    }
  }
})

async function isGoingBack(disk: Disk): Promise<boolean> {
  const path = 'var/db/bindery/journal'
  return (await disk.lstat(path as never)) === undefined || (await text(disk, path)).includes('\ndirection backward\n')
}

for (const [turn, moment] of moments.entries()) {
  test(`rollback, crashed ${moment} any call, is finished or undone by recover`, async () => {
    const { pictures } = await everyWorld
    const calls = await callsOf(await installed(), back)
    for (const at of stopsIn(calls, turn)) {
      const repair = at % 2 === 0 ? finish : undo
      const disk = await installed()
      assert.equal(await crashes(disk, { kind: 'crash', at, when: moment }, back), true)
      await repair(disk)
      const state = assertOneOf(await whole(disk), pictures, `after a crash ${moment} ${at} ${calls[at - 1] ?? ''}`)
      assert.deepEqual(await leftovers(disk), state === 'new' ? ['store/1'] : [], `${moment} ${at} ${calls[at - 1] ?? ''}`)
      if (state === 'new') await back(disk)
      assert.equal(await whole(disk), pictures.old)
    }
  })
}

const long = (name: string): string => name.padEnd(255, '-')

/** Between them everything happens to names that have no room for anything more. */
const longTrees: readonly [Literal, Literal] = [
  {
    [`d/${long('swap')}`]: 'old',
    [`d/${long('drop')}`]: 'old',
    [long('link a')]: 'a pair',
    [long('link b')]: hardlink(long('link a')),
    [`${long('folder')}/${long('file')}`]: 'a file',
    [`${long('turn')}/${long('file')}`]: 'a file',
  },
  {
    [`d/${long('swap')}`]: 'new one',
    [`d/${long('put')}`]: 'new',
    [long('link a')]: 'a pair',
    [long('link b')]: 'two by now',
    [long('turn')]: symlink(long('swap')),
    [`${long('file')}/${long('folder')}`]: 'a file',
  },
]

const places = { 'one file system': (disk: Disk) => disk, 'a bind mount': (disk: Disk) => bound(disk, 'd') }
for (const [turn, [name, on]] of Object.entries(places).entries()) {
  test(`names of 255 bytes come and go on ${name}, whatever call is crashed before`, async () => {
    const [old, next] = [await release('1.0', longTrees[0]), await release('1.1', longTrees[1])]
    const run = async (disk: Disk): Promise<unknown> => await install(on(disk), old, next)
    const goBack = async (disk: Disk): Promise<unknown> => await back(on(disk))
    const older = async (): Promise<Disk> => await machine(memoryDisk(), longTrees[0])
    const newer = async (): Promise<Disk> => {
      const disk = await older()
      await run(disk)
      return disk
    }
    const pictures = { old: await whole(await older()), new: await whole(await newer()) }
    for (const [start, work] of [
      [older, run],
      [newer, goBack],
    ] as const) {
      const calls = await callsOf(await start(), work)
      for (const call of stopsIn(calls, turn)) {
        for (const repair of [finish, undo]) {
          const disk = await start()
          assert.equal(await crashes(disk, { kind: 'crash', at: call, when: 'before' }, work), true)
          await repair(on(disk))
          assertOneOf(await whole(disk), pictures, `after a crash before ${call} ${calls[call - 1] ?? ''}`)
        }
      }
    }
  })
}

test('what somebody put at a name of 255 bytes meanwhile is kept beside, forward and backward', async () => {
  const [path, beside] = [long('f'), long('f').replace(/-{6}$/, '.local')]
  const [old, next] = [await release('1.0', { [path]: 'old' }), await release('1.1', { [path]: 'new' })]
  const run = async (disk: Disk): Promise<unknown> => await install(disk, old, next)
  const calls = await callsOf(await machine(memoryDisk(), { [path]: 'old' }), run)
  for (const [after, repair, wanted] of [
    ['rename var/db/bindery/journal.new', finish, 'new'],
    ['rename var/db/bindery/stage/1/0', undo, 'old'],
  ] as const) {
    const disk = await machine(memoryDisk(), { [path]: 'old' })
    await crashes(disk, { kind: 'crash', at: calls.indexOf(after) + 1, when: 'after' }, run)
    await disk.unlink(path as RelPath)
    await disk.create(path as RelPath, oneChunk(utf8('mine')))
    await repair(disk)
    assert.deepEqual([await text(disk, path), await text(disk, beside)], [wanted, 'mine'])
  }
})

type Past = { readonly releases: readonly Literal[]; readonly locally?: (disk: Disk) => Promise<void> }

const at = (sec: number): { sec: number; nsec: number } => ({ sec, nsec: 0 })

/** What comes back is a kept file, and gets its attributes where it comes to lie: both happen to one path. */
const pasts: Readonly<Record<string, Past>> = {
  'over a local chmod': {
    releases: [{ f: file('one', { mode: 0o755, mtime: at(1000) }) }, { f: file('two!', { mode: 0o755, mtime: at(2000) }) }],
    locally: async (disk) => await disk.chmod('f' as RelPath, 0o700),
  },
  'over a release that changed attributes alone': {
    releases: [
      { f: file('one', { mode: 0o755, mtime: at(1000) }) },
      { f: file('one', { mode: 0o700, mtime: at(2000) }) },
      { f: file('three', { mode: 0o711, mtime: at(3000) }) },
    ],
  },
  'to a name that was removed': {
    releases: [
      { f: file('one', { mode: 0o755, mtime: at(1000) }), g: hardlink('f') },
      { f: file('one', { mode: 0o700, mtime: at(2000) }) },
    ],
  },
  'to a name that was a file of its own': {
    releases: [
      { f: file('one', { mode: 0o755, mtime: at(1000) }), g: hardlink('f') },
      { f: file('one', { mode: 0o700, mtime: at(2000) }), g: file('new', { mtime: at(2500) }) },
    ],
  },
  'to a file that had flags': {
    releases: [{ f: file('one', { mtime: at(1000) }) }, { f: file('two!', { mtime: at(2000) }) }],
    locally: async (disk) => {
      await disk.setFlags('f' as RelPath, ['nodump'])
      await disk.chmod('f' as RelPath, 0o700)
    },
  },
}

for (const [turn, [name, { releases: trees, locally = async () => {} }]] of Object.entries(pasts).entries()) {
  test(`a rollback ${name}, crashed at any call, is finished or undone by recover`, async () => {
    const releases = await Promise.all(trees.map(async (tree, i) => await release(`1.${i}`, tree)))
    const updated = async (): Promise<Disk> => {
      const disk = await machine(memoryDisk(), trees[0] as Literal)
      for (const [i, next] of releases.slice(1).entries()) await install(disk, releases[i] as Release, next)
      await locally(disk)
      return disk
    }
    const goBack = async (disk: Disk): Promise<unknown> =>
      await rollback({ disk, goal: { kind: 'steps', count: trees.length - 1 }, config: defaultConfig, recovery, clock })
    const clean = await updated()
    const before = await whole(clean)
    const calls = await callsOf(clean, goBack)
    const pictures = { new: before, old: await whole(clean) }
    for (const call of stopsIn(calls, turn)) {
      for (const repair of [finish, undo]) {
        const disk = await updated()
        assert.equal(await crashes(disk, { kind: 'crash', at: call, when: 'before' }, goBack), true)
        await repair(disk)
        if (assertOneOf(await whole(disk), pictures, `after a crash before ${call} ${calls[call - 1] ?? ''}`) === 'old') continue
        // The kept files, too, are what they were.
        await goBack(disk)
        assert.equal(await whole(disk), pictures.old)
      }
    }
  })
}

const steps: readonly PostStep[] = [
  { kind: 'run', name: 'ldconfig', command: 'ldconfig -R', seconds: 900, failure: 'report', afterRollback: false },
  { kind: 'notice', text: 'restart what you use' },
]

async function installWithSteps(disk: Disk): Promise<Done> {
  const { old, next } = await everyWorld
  const plain = incoming(old, next)
  return await install(disk, old, next, { incoming: { ...plain, update: markVerified({ ...plain.update.value, postSteps: steps }) } })
}

test('steps of an install are never forgotten, and never run for one that was undone', async () => {
  const { pictures } = await everyWorld
  const calls = await callsOf(await fresh(), installWithSteps)
  for (let call = calls.indexOf('rename var/db/bindery/journal.new'); call <= calls.length; call++) {
    for (const goBack of [false, true]) {
      const what = `after a crash before ${call} ${calls[call - 1] ?? ''}`
      const disk = await fresh()
      assert.equal(await crashes(disk, { kind: 'crash', at: call, when: 'before' }, installWithSteps), true)
      await recover(disk, { undo: goBack, keepReleases: 5, recovery })
      if ((await whole(disk)) === pictures.new) {
        const left = await readLeft(disk)
        assert.deepEqual(
          left.map(({ postSteps }) => postSteps),
          [steps],
          what,
        )
        await removeSteps(disk, 1)
      }
      assert.equal((await recover(disk, { undo: false, keepReleases: 5, recovery })).kind, 'nothing', what)
      assert.deepEqual(await readLeft(disk), [], what)
    }
  }
})

test('an install is done when it has its receipt, whatever cannot be removed after that', async () => {
  const calls = await callsOf(await fresh(), installWithSteps)
  const receipt = calls.indexOf('rename var/db/bindery/journal')
  for (let call = receipt + 4; call <= calls.length; call++) {
    const disk = await fresh()
    const { unswept, receipt: done } = await installWithSteps(faultyDisk(disk, { kind: 'fail', at: call, code: 'io' }).disk)
    assert.ok(isBinderyError(unswept, 'io'), calls[call - 1])
    assert.deepEqual(done.postSteps, steps)
  }
})

test('what a bind mount makes a copy of is finished or undone, and nobody’s change is seen in it', async () => {
  const [from, to] = [
    { 'bin/a': file('a1', { mode: 0o755 }), 'bin/gone': file('gone'), 'lib/b': file('b1') },
    { 'bin/a': file('a22', { mode: 0o711 }), 'bin/come': file('come'), 'lib/b': file('b22') },
  ]
  const [old, next] = [await release('1.0', from), await release('1.1', to)]
  const run = async (disk: Disk): Promise<unknown> => await install(bound(disk), old, next)
  const mend = async (disk: Disk, goBack: boolean): Promise<readonly Kept[]> => {
    const recovered = await recover(bound(disk), { undo: goBack, keepReleases: 5, recovery })
    return recovered.kind === 'nothing' ? [] : recovered.kept
  }
  const clean = await machine(memoryDisk(), from)
  const before = await whole(clean)
  const calls = await callsOf(clean, run)
  const pictures = { old: before, new: await whole(clean) }
  for (let call = 1; call <= calls.length; call++) {
    for (const goBack of [false, true]) {
      const disk = await machine(memoryDisk(), from)
      await crashes(disk, { kind: 'crash', at: call, when: 'before' }, run)
      assert.deepEqual(await mend(disk, goBack), [], calls[call - 1])
      assertOneOf(await whole(disk), pictures, `after a crash before ${call} ${calls[call - 1] ?? ''}`)
    }
  }
  const done = calls.indexOf('rename var/db/bindery/journal') + 1
  for (let second = 1, stopped = true; stopped; second++) {
    const disk = await machine(memoryDisk(), from)
    await crashes(disk, { kind: 'crash', at: done, when: 'before' }, run)
    stopped = await crashes(disk, { kind: 'crash', at: second, when: 'before' }, async (broken) => await mend(broken, true))
    if (stopped) assert.deepEqual(await mend(disk, true), [], `the way back, stopped before ${second}`)
    assert.equal(await whole(disk), before, `the way back, stopped before ${second}`)
  }
})

function bound(disk: Disk, top = 'bin'): Disk {
  return withBindMount(disk, top as RelPath)
}

for (const [turn, code] of (['no-space', 'io', 'read-only', 'permission'] as const).entries()) {
  test(`install, failing with ${code} at any call, changes nothing or can be recovered`, async () => {
    const { old, next, pictures } = await everyWorld
    const run = async (disk: Disk): Promise<unknown> => await install(disk, old, next)
    const calls = await callsOf(await fresh(), run)
    for (const at of stopsIn(calls, turn)) {
      // Where a link is not allowed, a copy is made: there is nothing to fail.
      if (code === 'permission' && calls[at - 1]?.startsWith('link') === true) continue
      const disk = await fresh()
      const what = `${code} at ${at} ${calls[at - 1] ?? ''}`
      const error = await run(faultyDisk(disk, { kind: 'fail', at, code }).disk).then(
        () => undefined,
        (cause: unknown) => cause,
      )
      // Nobody knows slots. Times are set many at once.
      if (isBinderyError(error) && calls[at - 1] !== 'setTimes') assert.doesNotMatch(error.subject ?? '', /(?:stage|store)\/\d+\/\d/, what)
      if (error === undefined) assert.equal(await whole(disk), pictures.new, what)
      else if (isBinderyError(error, 'interrupted')) {
        await (at % 2 === 0 ? finish : undo)(disk)
        assertOneOf(await whole(disk), pictures, what)
      } else {
        assert.ok(isBinderyError(error), what)
        assert.equal(await whole(disk), pictures.old, what)
        assert.deepEqual(await leftovers(disk), [], what)
      }
    }
  })
}

/** On one file system, or spread over four. */
const layouts = {
  one: { tree: arbitraryTree({ hardlinks: true }), disk: () => memoryDisk() },
  spread: {
    tree: arbitraryTree({ hardlinks: false, fixed: { a: dir(), b: dir() } }),
    disk: () => memoryDisk({ mounts: { a: {}, b: {}, var: {} } }),
  },
}

for (const [name, layout] of Object.entries(layouts)) {
  test(`a crash between any two trees leaves one of them (${name})`, async () => {
    const moment = fc.constantFrom(...moments)
    await fc.assert(
      fc.asyncProperty(layout.tree, layout.tree, fc.nat(), moment, fc.boolean(), async (oldTree, newTree, at, when, goBack) => {
        const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
        const run = async (disk: Disk): Promise<unknown> => await install(disk, old, next)
        const clean = await machine(layout.disk(), oldTree)
        const before = await whole(clean)
        const calls = await callsOf(clean, run)
        const disk = await machine(layout.disk(), oldTree)
        await crashes(disk, { kind: 'crash', at: 1 + (at % calls.length), when }, run)
        await (goBack ? undo : finish)(disk)
        const state = assertOneOf(await whole(disk), { old: before, new: await whole(clean) }, 'after the recovery')
        if (state === 'old') assert.deepEqual(await leftovers(disk, ['var/db/bindery', '.bindery', 'a/.bindery', 'b/.bindery']), [])
      }),
      { numRuns: cases(200) },
    )
  })
}
