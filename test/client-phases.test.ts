import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { markVerified } from '../src/base/verified.ts'
import { nextParts, phasesOf } from '../src/engine/client/apply/phases.ts'
import { stateFolder } from '../src/engine/client/state.ts'
import { compress } from '../src/engine/dist/wire.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { decodePhaseState, encodePhaseState } from '../src/format/phase-state.ts'
import { usualTerms } from '../src/format/post-step.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { incoming, release } from './helpers/client-world.ts'
import { file, plant, relPath } from './helpers/plant.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { Incoming, StateFile } from '../src/engine/client/incoming.ts'
import type { Part } from '../src/engine/client/apply/parts.ts'
import type { Phase } from '../src/format/phase.ts'
import type { PhaseState } from '../src/format/phase-state.ts'
import type { PostStep } from '../src/format/post-step.ts'
import type { Update } from '../src/format/update.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

/** What of a release the next install brings: its next phase, or all that is left. */

const tree = (kernel: string, loader: string, world: string): Literal => ({ kernel, loader, world })
const [old, next] = await Promise.all([release('1', tree('1', '1', '1')), release('2', tree('2', '2', '2'))])
const [before, after] = await Promise.all([packed(old.manifest), packed(next.manifest)])

async function packed(manifest: Manifest): Promise<Uint8Array> {
  return (await collectBytes(compress(oneChunk(encodeManifest(manifest)), 'zstd'), Infinity)) as Uint8Array
}

const digestOf = (bytes: Uint8Array): PhaseState['manifest'] => ({ sha256: sha256(bytes), size: bytes.length })
const phase = (name: string, changes: Partial<Phase> = {}): Phase => ({ name, paths: [`/${name}`], steps: [], ...changes })
const [kernel, loader] = [phase('kernel'), phase('loader')]
const wholeManifest: StateFile = { path: relPath('manifest.mtree.zst'), content: () => oneChunk(after), mode: 0o640, size: after.length }

/** `passed`: records of releases between, oldest first. */
type Given = {
  readonly record?: Partial<Update>
  readonly passed?: readonly Partial<Update>[]
  readonly to?: Release
  readonly product?: string
  readonly changes?: Partial<Incoming>
}

function coming({ record = {}, passed = [], to = next, product = 'base', changes = {} }: Given): Incoming {
  const all = incoming(old, to)
  const recordOf = (more: Partial<Update>): Incoming['update'] => markVerified({ ...all.update.value, ...more })
  return {
    ...all,
    channel: { product, arch: 'amd64' },
    installed: { ...all.installed, manifest: digestOf(before) },
    update: recordOf(record),
    passed: passed.map(recordOf),
    stateFiles: [wholeManifest],
    ...changes,
  }
}

const state: PhaseState = {
  installed: old.name,
  release: next.name,
  manifest: digestOf(after),
  boot: 'a',
  done: ['kernel'],
  paths: ['/kernel'],
}

/** A machine with the old release, of which `phase` has come. */
async function follower(come?: PhaseState, products: readonly string[] = ['base']): Promise<Disk> {
  const disk = memoryDisk()
  for (const product of products) {
    const folder = `${stateFolder}/channel/${product}-amd64`
    const more = come === undefined ? {} : { [`${folder}/phase`]: file(encodePhaseState(come)), [`${folder}/next.mtree.zst`]: file(after) }
    await plant(disk, { [`${folder}/manifest.mtree.zst`]: file(before), ...more })
  }
  return disk
}

async function nextOf(given: Given, come?: PhaseState, boot?: string): Promise<Part> {
  const [part, ...others] = await nextParts(await follower(come), [coming(given)], boot)
  assert.deepEqual(others, [])
  return part as Part
}

/** Of which version each file of the tree is. */
function versions({ entries }: Manifest): string {
  const by = new Map(['1', '2', '3'].map((text) => [sha256(utf8(text)), text]))
  return entries.flatMap((entry) => (entry.kind === 'file' ? `${entry.path} ${by.get(entry.sha256)}` : [])).join(', ')
}

async function textOf({ content }: StateFile): Promise<Uint8Array> {
  return content === 'remove' ? assert.fail('is removed') : ((await collectBytes(content(), 1 << 20)) as Uint8Array)
}

/** What is noted when the phase is in place. */
async function noted(part: Part): Promise<PhaseState> {
  assert.ok(part.phase !== undefined)
  const { stateFiles } = part.phase
  const [manifest, noting] = stateFiles as readonly [StateFile, StateFile]
  assert.deepEqual([manifest.path, manifest.mode, manifest.size], ['next.mtree.zst', 0o640, after.length])
  assert.deepEqual(await textOf(manifest), after)
  const bytes = await textOf(noting)
  assert.deepEqual([noting.path, noting.mode, noting.size, stateFiles.length], ['phase', 0o644, bytes.length, 2])
  return decodePhaseState(bytes)
}

const removals = ['phase', 'next.mtree.zst'].map((path) => ({ path, content: 'remove', mode: 0o644, size: 0 }))

test('a release without phases comes at once, and nothing of a phase is left behind it', async () => {
  const part = await nextOf({})
  assert.equal(part.phase, undefined)
  assert.equal(versions(part.installed), 'kernel 1, loader 1, world 1')
  assert.deepEqual(part.incoming.stateFiles, [wholeManifest, ...removals])
})

test('of one with phases the first comes, and what came is noted', async () => {
  const given = { record: { phases: [kernel, loader] } }
  const part = await nextOf(given, undefined, 'a')
  assert.equal(versions(part.installed), 'kernel 1, loader 1, world 1')
  assert.equal(part.phase?.name, 'kernel')
  assert.equal(versions(part.phase.wanted), 'kernel 2, loader 1, world 1')
  assert.deepEqual(await noted(part), state)
  assert.deepEqual(part.incoming.stateFiles, [wholeManifest])
  assert.equal((await noted(await nextOf(given))).boot, undefined)
})

test('behind a phase the next one comes, and behind the last the rest', async () => {
  const given = { record: { phases: [kernel, loader] } }
  const second = await nextOf(given, state, 'b')
  assert.equal(versions(second.installed), 'kernel 2, loader 1, world 1')
  assert.equal(second.phase?.name, 'loader')
  assert.equal(versions(second.phase.wanted), 'kernel 2, loader 2, world 1')
  const both = { ...state, boot: 'b', done: ['kernel', 'loader'], paths: ['/kernel', '/loader'] }
  assert.deepEqual(await noted(second), both)
  const rest = await nextOf(given, both, 'c')
  assert.deepEqual([rest.phase, versions(rest.installed)], [undefined, 'kernel 2, loader 2, world 1'])
  assert.deepEqual(rest.incoming.stateFiles, [wholeManifest, ...removals])
})

test('a phase that is in place does not come again, whatever the release says of its paths by now', async () => {
  const part = await nextOf({ record: { phases: [{ ...kernel, paths: ['/kernel', '/loader'] }] } }, state)
  assert.deepEqual([part.phase, versions(part.installed)], [undefined, 'kernel 2, loader 1, world 1'])
})

test('a phase in which nothing happens here is passed over, and counts as done', async () => {
  const part = await nextOf({ record: { phases: [phase('none'), kernel] } })
  assert.equal(part.phase?.name, 'kernel')
  const { done, paths } = await noted(part)
  assert.deepEqual(
    [done, paths],
    [
      ['none', 'kernel'],
      ['/none', '/kernel'],
    ],
  )
  const third = await nextOf({ record: { phases: [kernel, phase('none'), loader] } }, state)
  const behind = await noted(third)
  assert.deepEqual([third.phase?.name, behind.done], ['loader', ['kernel', 'none', 'loader']])
  assert.equal((await nextOf({ record: { phases: [phase('none')] } })).phase, undefined)
})

test('files that were built anew, and are the same, are nothing to start again for', async () => {
  const rebuilt = (mode: number): Literal => ({
    ...tree('1', '1', '2'),
    kernel: file('1', { mode, mtime: { sec: 1_650_000_000, nsec: 1 } }),
  })
  for (const [mode, name] of [
    [0o644, undefined],
    [0o600, 'kernel'],
  ] as const) {
    const part = await nextOf({ record: { phases: [kernel] }, to: await release('2', rebuilt(mode)) })
    assert.equal(part.phase?.name, name)
  }
})

test('where another release has come since, its phases begin anew, on what is there', async () => {
  const third = await release('3', tree('3', '3', '3'))
  const part = await nextOf({ record: { phases: [kernel, loader] }, to: third }, state, 'b')
  assert.equal(versions(part.installed), 'kernel 2, loader 1, world 1')
  assert.equal(part.phase?.name, 'kernel')
  assert.equal(versions(part.phase.wanted), 'kernel 3, loader 1, world 1')
  assert.deepEqual(await noted(part), { ...state, release: third.name, boot: 'b' })
})

test('a note of a phase behind another installed release says nothing', async () => {
  const part = await nextOf({ record: { phases: [kernel, loader] } }, { ...state, installed: { ...old.name, revision: '0' } }, 'a')
  assert.deepEqual([part.phase?.name, versions(part.installed)], ['kernel', 'kernel 1, loader 1, world 1'])
  assert.deepEqual(await noted(part), state)
})

test('of several releases those with a phase come first, and the rest together at the end', async () => {
  const products = ['base', 'ports', 'comp']
  const come = async (phased: readonly string[]): Promise<readonly string[]> => {
    const all = products.map((product) => coming({ product, record: phased.includes(product) ? { phases: [kernel] } : {} }))
    return (await nextParts(await follower(undefined, products), all, 'a')).map(
      ({ incoming: { channel }, phase: one }) => `${channel.product} ${one?.name ?? 'whole'}`,
    )
  }
  assert.deepEqual(await come([]), ['base whole', 'ports whole', 'comp whole'])
  assert.deepEqual(await come(['ports']), ['ports kernel'])
  assert.deepEqual(await come(['base', 'comp']), ['base kernel', 'comp kernel'])
})

test('a release that has no manifest for the state cannot come in part', async () => {
  for (const stateFiles of [[], [{ ...wholeManifest, content: 'remove' as const }], [{ ...wholeManifest, path: relPath('release') }]])
    await assert.rejects(nextOf({ record: { phases: [kernel] }, changes: { stateFiles } }), { message: 'a release without a manifest' })
})

// --- what is left to do behind a phase

const run = (name: string): PostStep => ({ kind: 'run', name, command: `/sbin/${name}`, ...usualTerms })

test('behind a phase its own steps are run, and the machine starts again; notices and the other steps are for the end', async () => {
  const postSteps: readonly PostStep[] = [run('menu'), { kind: 'notice', text: 'menu' }, run('mail'), run('depmod')]
  const phases = [{ ...kernel, steps: ['depmod', 'menu', 'absent'] }]
  for (const [asked, reboot] of [
    ['none', 'reboot'],
    ['restart', 'reboot'],
    ['reboot', 'reboot'],
    ['careful', 'careful'],
  ] as const) {
    const part = await nextOf({ record: { phases, postSteps, notices: ['read this'], reboot: asked } })
    assert.deepEqual(part.phase?.after, { postSteps: [run('menu'), run('depmod')], reboot })
  }
  assert.deepEqual((await nextOf({ record: { phases: [kernel], postSteps } })).phase?.after.postSteps, [])
})

test('a phase of a release that is passed over comes before the rest as well, and what was asked for there is asked for', async () => {
  const part = await nextOf({ passed: [{ phases: [{ ...loader, steps: ['menu'] }], postSteps: [run('menu')], reboot: 'careful' }] })
  assert.deepEqual([part.phase?.name, part.phase?.after], ['loader', { postSteps: [run('menu')], reboot: 'careful' }])
  assert.equal(versions((part.phase as NonNullable<Part['phase']>).wanted), 'kernel 1, loader 2, world 1')
})

test('the phases of several records are one of each name, with all their paths and steps, and the newest check', () => {
  const { value } = incoming(old, next).update
  const of = (...records: readonly (readonly Phase[] | undefined)[]): readonly Phase[] =>
    phasesOf(records.map((phases) => ({ ...value, ...(phases === undefined ? {} : { phases }) })))
  const [first, second] = [phase('k', { paths: ['/a', '/b'], steps: ['s', 't'] }), phase('k', { paths: ['/b', '/c'], steps: ['u', 's'] })]
  assert.deepEqual(of(undefined, undefined), [])
  assert.deepEqual(of([kernel, loader]), [kernel, loader])
  assert.deepEqual(of([loader], undefined, [kernel, loader]), [loader, kernel])
  const both = { name: 'k', paths: ['/a', '/b', '/c'], steps: ['s', 't', 'u'] }
  assert.deepEqual(of([first], [second]), [both])
  assert.deepEqual(of([{ ...first, check: 'old' }], [second]), [{ ...both, check: 'old' }])
  assert.deepEqual(of([first], [{ ...second, check: 'new' }]), [{ ...both, check: 'new' }])
  assert.deepEqual(of([{ ...first, check: 'old' }], [{ ...second, check: 'new' }]), [{ ...both, check: 'new' }])
})
