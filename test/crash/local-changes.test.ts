import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isBinderyError } from '../../src/base/error.ts'
import { joinPath, rootPath } from '../../src/base/path.ts'
import { changedPaths, nodeTree } from '../../src/engine/client/apply/nodes.ts'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { rollback } from '../../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { applyEdit, arbitraryEdits, arbitraryTree, lengthen, lengthened } from '../helpers/arbitrary-tree.ts'
import { install, leftovers, machine, release, text, whole } from '../helpers/client-world.ts'
import { assertOneOf, callsOf, crashes, moments } from '../helpers/crash.ts'
import { withBindMount } from '../helpers/limited-disk.ts'
import { cases } from '../helpers/whole-suite.ts'
import { recovery } from '../helpers/recovery.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Done } from '../../src/engine/client/apply/transaction.ts'
import type { Kept } from '../../src/format/journal.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { Edit } from '../helpers/arbitrary-tree.ts'
import type { Release } from '../helpers/client-world.ts'
import type { Literal } from '../helpers/plant.ts'

/**
 * Any two releases, a machine that somebody has worked on, and a stop at any moment of an install and of its rollback:
 * each path is its old or its new version, or the local one and told, and nothing of bindery's own is left behind.
 */

type Where = {
  readonly trees: fc.Arbitrary<Literal>
  readonly edits: readonly Edit['what'][]
  readonly path: (path: string) => string
  readonly on: (disk: Disk) => Disk
}

const anyEdit = ['write', 'append', 'chmod', 'remove', 'link', 'touch'] as const
const worlds: Readonly<Record<string, Where>> = {
  'short names': { trees: arbitraryTree({ hardlinks: true }), edits: anyEdit, path: (path) => path, on: (disk) => disk },
  'the longest names': { trees: arbitraryTree({ hardlinks: true }).map(lengthened), edits: anyEdit, path: lengthen, on: (disk) => disk },
  // Nothing can be linked into or out of one.
  'a bind mount': {
    trees: arbitraryTree({ hardlinks: false }).map(lengthened),
    edits: anyEdit.filter((what) => what !== 'link'),
    path: lengthen,
    on: (disk) => withBindMount(disk, lengthen('a') as RelPath),
  },
}

type Stop = { readonly at: number; readonly when: (typeof moments)[number]; readonly undo: boolean }
const anyStop: fc.Arbitrary<Stop> = fc.record({ at: fc.nat(), when: fc.constantFrom(...moments), undo: fc.boolean() })

for (const [name, where] of Object.entries(worlds)) {
  const edits = arbitraryEdits.map((list) =>
    list.filter(({ what }) => where.edits.includes(what)).map((edit) => ({ ...edit, path: where.path(edit.path) })),
  )
  test(`local changes are kept and told, whenever a run is stopped (${name})`, async () => {
    await fc.assert(
      fc.asyncProperty(where.trees, where.trees, edits, edits, anyStop, anyStop, async (oldTree, newTree, before, after, first, second) => {
        const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
        const worked = async (): Promise<Disk> => await edited(await machine(memoryDisk(), oldTree), before)
        const newer = async (): Promise<Disk> => {
          const disk = await worked()
          await install(where.on(disk), old, next)
          return await edited(disk, after)
        }
        const forward = async (disk: Disk): Promise<Done> => await install(where.on(disk), old, next)
        if (!(await isJudged(worked, forward, first, await stepOf(old, next)))) return
        const history = await historyOf(await worked(), where.on, old, next)
        await isJudged(newer, async (disk) => await back(where.on(disk)), second, history)
      }),
      { numRuns: cases(150) },
    )
  })

  /** Twice: to its end, and stopped and recovered. False where the run refuses to begin. */
  async function isJudged(start: () => Promise<Disk>, work: (disk: Disk) => Promise<Done>, stop: Stop, step: Step): Promise<boolean> {
    const disk = await start()
    const [local, before] = [await contents(disk), await whole(disk)]
    let kept: readonly Kept[] = []
    let calls: readonly string[]
    try {
      calls = await callsOf(disk, async (faulty) => ({ kept } = await work(faulty)))
    } catch (error) {
      assert.ok(isBinderyError(error, 'conflict'), String(error))
      assert.equal(await whole(disk), before)
      return false
    }
    judge(step, local, await contents(disk), kept)
    const rests = await leftovers(disk)
    await checkStopped(await start(), work, { ...stop, at: 1 + (stop.at % calls.length) }, { old: before, new: await whole(disk) }, rests)
    return true
  }

  async function checkStopped(
    disk: Disk,
    work: (disk: Disk) => Promise<Done>,
    { at, when, undo }: Stop,
    pictures: { readonly old: string; readonly new: string },
    rests: readonly string[],
  ): Promise<void> {
    const earlier = await leftovers(disk)
    await crashes(disk, { kind: 'crash', at, when }, work)
    await recover(where.on(disk), { undo, keepReleases: 5, recovery })
    const state = assertOneOf(await whole(disk), pictures, `stopped ${when} ${at}`)
    if (pictures.old !== pictures.new) assert.deepEqual(await leftovers(disk), state === 'new' ? rests : earlier)
    assert.deepEqual(await ownNames(disk), [])
  }
}

async function edited(disk: Disk, edits: readonly Edit[]): Promise<Disk> {
  for (const edit of edits) await applyEdit(disk, edit)
  return disk
}

async function back(disk: Disk): Promise<Done> {
  return await rollback({
    disk,
    goal: { kind: 'steps', count: 1 },
    config: defaultConfig,
    recovery,
    clock: { now: () => 1_700_000_100_000 },
  })
}

type Contents = ReadonlyMap<string, string>
type Step = { readonly base: Contents; readonly next: Contents; readonly touched: ReadonlySet<string> }

/** From one release to another; a path is touched also by another time or another set of names. */
async function stepOf(old: Release, next: Release): Promise<Step> {
  const scope = { xattrs: true, flags: true, excluded: () => false }
  const touched = changedPaths(nodeTree(old.manifest, scope), nodeTree(next.manifest, scope))
  return { base: await contents(old.disk), next: await contents(next.disk), touched: new Set(touched) }
}

/** What an install left, and what it found: the step of its rollback. */
async function historyOf(disk: Disk, on: (disk: Disk) => Disk, old: Release, next: Release): Promise<Step> {
  const found = await contents(disk)
  await install(on(disk), old, next)
  const left = await contents(disk)
  const touched = new Set([...found.keys(), ...left.keys()].filter((path) => found.get(path) !== left.get(path)))
  return { base: left, next: found, touched }
}

function judge({ base, next, touched }: Step, local: Contents, final: Contents, kept: readonly Kept[]): void {
  const isTold = (path: string): boolean =>
    kept.some((one) => one.path === path || one.beside === path || one.path.startsWith(`${path}/`) || path.startsWith(`${one.path}/`))
  for (const path of new Set([...base.keys(), ...next.keys()])) {
    if (final.get(path) === next.get(path)) continue
    // What comes back as another name of a file is what has become of that file.
    const isLocal = final.get(path) === local.get(path) || (isTold(path) && [...local.values()].includes(final.get(path) ?? ''))
    assert.ok(isLocal, `${path} is neither its new version nor what was here`)
    assert.ok(isTold(path) || !touched.has(path), `${path} stayed as it was here, and is not told`)
  }
}

/** Kind and content of everything but bindery's state. */
async function contents(disk: Disk): Promise<Contents> {
  const found = new Map<string, string>()
  await walk(disk, rootPath, async (path) => void found.set(path, await contentAt(disk, path)))
  return found
}

async function contentAt(disk: Disk, path: RelPath): Promise<string> {
  const kind = (await disk.lstat(path))?.kind ?? 'nothing'
  return `${kind} ${kind === 'file' ? await text(disk, path) : kind === 'symlink' ? await disk.readlink(path) : ''}`
}

async function ownNames(disk: Disk): Promise<readonly string[]> {
  const found: string[] = []
  await walk(disk, rootPath, async (path) => void (path.includes('.bindery') ? found.push(path) : 0))
  return found
}

async function walk(disk: Disk, folder: RelPath, visit: (path: RelPath) => Promise<void>): Promise<void> {
  for (const name of await disk.readdir(folder)) {
    const path = joinPath(folder, name)
    if (path === 'var/db/bindery') continue
    await visit(path)
    if ((await disk.lstat(path))?.kind === 'dir') await walk(disk, path, visit)
  }
}
