import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { markVerified } from '../src/base/verified.ts'
import { installIncoming, installPlan, planInstall, summarize, unsettable } from '../src/engine/client/apply/install.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { usualTerms } from '../src/format/post-step.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { channelState, incoming, installInput, machine, release, text } from './helpers/client-world.ts'
import { dir, file, relPath } from './helpers/plant.ts'
import type { InstallInput, Summary } from '../src/engine/client/apply/install.ts'
import type { Part } from '../src/engine/client/apply/parts.ts'
import type { Plan, StageItem, StateChange } from '../src/engine/client/apply/plan.ts'
import type { PostStep } from '../src/format/post-step.ts'
import type { Update } from '../src/format/update.ts'
import type { Progress } from '../src/port/ambient.ts'
import type { Action } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What people are told of an install: what it amounts to, what cannot be set here, how far it is, what is left to do. */

const [old, next] = await Promise.all([release('1.0', { a: 'old', gone: 'gone' }), release('1.1', { a: 'newer', b: 'b' })])
const fresh = async (): Promise<Disk> => await machine(memoryDisk(), { a: 'old', gone: 'gone' })

// --- what it amounts to

const mtime = { sec: 0, nsec: 0 }
const meta = (path: string): object => ({ path: relPath(path), mode: 0o644, uid: 0, gid: 0, mtime })
const nodeOf = (path: string, size: number): StageItem['node'] =>
  ({ ...meta(path), kind: 'file', size, sha256: sha256(utf8('')) }) as StageItem['node']
const slot = { area: 0, number: 0 }
const staged = (path: string, size: number, source: StageItem['source']): StageItem => ({ slot, node: nodeOf(path, size), source })
const content = (path: string): StageItem['source'] => ({ kind: 'content', path: relPath(path) })
const stream: StageItem['source'] = { kind: 'stream', content: () => oneChunk(utf8('')) }
const action = (kind: Action['kind'], path: string): Action => ({ kind, path: relPath(path) }) as Action

function amount(stage: readonly StageItem[], actions: readonly Action[] = []): Summary {
  return summarize({ stage, journal: { actions } as unknown as Plan['journal'], seen: new Map() })
}

test('written is what comes out of the release or was merged: no other names, no links, nothing of our own', () => {
  assert.deepEqual(amount([]), { files: 0, bytes: 0, removals: 0 })
  assert.deepEqual(amount([staged('a', 5, content('a')), staged('b', 7, stream)]), { files: 2, bytes: 12, removals: 0 })
  const link: StageItem = {
    slot,
    node: { ...meta('l'), kind: 'symlink', target: 'a' } as StageItem['node'],
    source: content('l'),
  }
  const others = [
    staged('a', 5, { kind: 'share', slot }),
    staged('a', 5, { kind: 'copy', slot }),
    staged('a', 5, { kind: 'link', from: relPath('b') }),
    staged('a', 5, { kind: 'make' }),
    staged('var/db/bindery/channel/base-amd64/release', 5, stream),
    link,
  ]
  for (const other of others) assert.deepEqual(amount([other]), { files: 0, bytes: 0, removals: 0 })
})

test('removed is what goes without anything in its place, folders too, and nothing of our own', () => {
  const actions = [
    action('drop', 'a'),
    action('rmdir', 'd'),
    action('drop', 'var/db/bindery/told'),
    ...(['mkdir', 'put', 'swap', 'attr'] as const).map((kind) => action(kind, 'b')),
  ]
  assert.deepEqual(amount([], actions), { files: 0, bytes: 0, removals: 2 })
})

test('what a step amounts to', async () => {
  assert.deepEqual(summarize(await planInstall(installInput(await fresh(), old, next))), { files: 2, bytes: 6, removals: 1 })
})

// --- what cannot be set

test('of what comes, the paths are counted whose attributes or flags cannot be set here', async () => {
  const xattrs = new Map([['user.a', 'x']])
  const tree = (version: string): Literal => ({
    x: file(version, { xattrs }),
    both: file(version, { xattrs }),
    flagged: version,
    plain: version,
    // It stays as it is, and nothing of it is lost.
    same: file('same', { xattrs }),
  })
  const lock = async (disk: Disk): Promise<void> => {
    for (const path of ['both', 'flagged']) await disk.setFlags(relPath(path), ['schg'])
  }
  const [a, b] = [await release('1.0', tree('1'), lock), await release('1.1', tree('2'), lock)]
  // A manifest that was not made by scan may say that there are none.
  const entries = b.manifest.entries.map((entry) => (entry.path === 'plain' ? { ...entry, flags: [], xattrs: new Map() } : entry))
  const lost = async (can: { readonly xattrs: boolean; readonly flags: boolean }): Promise<object> => {
    const inner = await machine(memoryDisk(), tree('1'))
    const disk: Disk = { ...inner, capabilities: async () => ({ ...(await inner.capabilities()), ...can }) }
    const input = installInput(disk, a, { ...b, manifest: { entries } })
    return await unsettable(input, await planInstall(input))
  }
  assert.deepEqual(await lost({ xattrs: true, flags: true }), { xattrs: 0, flags: 0 })
  assert.deepEqual(await lost({ xattrs: false, flags: true }), { xattrs: 2, flags: 0 })
  assert.deepEqual(await lost({ xattrs: true, flags: false }), { xattrs: 0, flags: 2 })
  assert.deepEqual(await lost({ xattrs: false, flags: false }), { xattrs: 2, flags: 2 })
})

// --- how far it is

type Told = { readonly progress: Progress; readonly told: string[] }

function telling(): Told {
  const told: string[] = []
  const start: Progress['start'] = (label, total) => {
    let sum = 0
    told.push(`${label}, of ${total}`)
    return { advance: (by) => void (sum += by), end: () => void told.push(`${sum}`) }
  }
  return { progress: { start }, told }
}

const name = (revision: string, product = 'base'): string => `${product}-${revision}-20260101-amd64`

test('the files that are read are counted, and then the bytes that are written, up to their end', async () => {
  const { progress, told } = telling()
  await installIncoming(installInput(await fresh(), old, next, { progress }))
  // `a` and `gone` are read.
  assert.deepEqual(told, ['reading the files that change, of undefined', '7', `installing ${name('1.1')}, of 6`, '6'])
})

test('what fails is at its end as well', async () => {
  const { progress, told } = telling()
  const input = installInput(await fresh(), old, next, { progress })
  const plan = await planInstall(input)
  const tar = (): never => {
    throw new Error('no tar')
  }
  await assert.rejects(installPlan({ ...input, incoming: { ...input.incoming, tar } }, plan), { message: 'no tar' })
  assert.deepEqual(told.slice(2), [`installing ${name('1.1')}, of 6`, '0'])
})

// --- several releases at once

const run = (title: string): PostStep => ({ kind: 'run', name: title, command: title, ...usualTerms })

async function another(product: string, record: Partial<Update> = {}): Promise<Part> {
  const [before, after] = [await release('3.0', { [product]: 'old' }), await release('3.1', { [product]: 'new', [`${product}.d/f`]: 'f' })]
  const named = incoming({ ...before, name: { ...before.name, product } }, { ...after, name: { ...after.name, product } })
  const channel = { product, arch: 'amd64' }
  return { incoming: { ...named, channel, update: markVerified({ ...named.update.value, ...record }) }, installed: before.manifest }
}

async function several(changes: Partial<InstallInput> = {}, ...together: readonly Part[]): Promise<InstallInput> {
  const disk = await machine(memoryDisk(), { a: 'old', gone: 'gone', kernel: 'old', comp: 'old' })
  return installInput(disk, old, next, { together, ...changes })
}

test('releases that come together are one plan, with what each asks for, and all are named', async () => {
  const parts = [await another('kernel', { postSteps: [run('menu')], reboot: 'reboot' }), await another('comp', { notices: ['read this'] })]
  const { progress, told } = telling()
  const input = await several({ progress }, ...parts)
  const plan = await planInstall(input)
  const { transaction, purpose, direction, time, releases, undoes, postSteps, reboot } = plan.journal
  assert.deepEqual([transaction, purpose, direction, time, undoes], [1, 'install', 'forward', 1_700_000_000, []])
  assert.deepEqual(releases, [
    { role: 'base-amd64', old: name('1.0'), new: name('1.1') },
    { role: 'kernel-amd64', old: name('3.0', 'kernel'), new: name('3.1', 'kernel') },
    { role: 'comp-amd64', old: name('3.0', 'comp'), new: name('3.1', 'comp') },
  ])
  assert.deepEqual(postSteps, [run('menu'), { kind: 'notice', text: 'read this' }])
  assert.deepEqual(reboot, [{ role: 'kernel-amd64', class: 'reboot' }])
  await installPlan(input, plan)
  const names = [name('1.1'), name('3.1', 'kernel'), name('3.1', 'comp')].join(', ')
  assert.deepEqual(told.slice(2), [`installing ${names}, of 14`, '14'])
  for (const [path, wanted] of [
    ['a', 'newer'],
    ['kernel', 'new'],
    ['comp.d/f', 'f'],
  ] as const)
    assert.equal(await text(input.disk, path), wanted)
})

test('the state of each channel comes with the plan, and what else is noted of what it changes', async () => {
  const noted: StateChange = { path: relPath('var/db/bindery/rest'), content: () => oneChunk(utf8('rest')), mode: 0o644, size: 4 }
  let told: readonly string[] = []
  const beside: InstallInput['beside'] = ({ changes }) => ((told = changes.map(({ kind, path }) => `${kind} ${path}`)), [noted])
  const input = await several({ beside }, await another('kernel'))
  await installIncoming(input)
  assert.deepEqual(told, ['replace a', 'add b', 'remove gone', 'replace kernel', 'add kernel.d', 'add kernel.d/f'])
  assert.equal(await text(input.disk, 'var/db/bindery/rest'), 'rest')
  assert.equal(await text(input.disk, 'var/db/bindery/channel/kernel-amd64/release'), '3.1\n')
  assert.deepEqual(await channelState(input.disk), { release: '1.1\n', '1.delta': 'delta\n' })
})

test('a phase brings its own state and what is left to do behind it, and not that of the whole release', async () => {
  const phase = {
    name: 'kernel',
    wanted: next.manifest,
    after: { postSteps: [run('depmod')], reboot: 'careful' as const },
    stateFiles: [{ path: relPath('phase'), content: () => oneChunk(utf8('phase')), mode: 0o644, size: 5 }],
  }
  const input = installInput(await fresh(), old, next, { phase })
  const plan = await planInstall(input)
  assert.deepEqual([plan.journal.postSteps, plan.journal.reboot], [[run('depmod')], [{ role: 'base-amd64', class: 'careful' }]])
  await installPlan(input, plan)
  assert.deepEqual(await channelState(input.disk), { '2.delta': 'obsolete\n', phase: 'phase', release: 'old\n' })
})

test('what a record calls configuration is merged, and what it says is generated is no work of anybody’s', async () => {
  const lines = (...words: readonly string[]): string => words.map((word) => `${word}\n`).join('')
  const tree = (content: string): Literal => ({ 'opt/conf': content, opt: dir() })
  const base = lines('1', '2', '3', '4', '5', '6', '7', '8', '9')
  const [a, b] = [await release('1.0', tree(base)), await release('1.1', tree(base.replace('9', 'nine')))]
  const installed = async (record: Partial<Update>): Promise<unknown> => {
    const disk = await machine(memoryDisk(), tree(base.replace('1', 'one')))
    const plain = incoming(a, b)
    const update = markVerified({ ...plain.update.value, ...record })
    const done = await installIncoming(installInput(disk, a, b, { incoming: { ...plain, update }, config: defaultConfig }))
    return [await text(disk, 'opt/conf'), done.kept.map(({ reason }) => reason)]
  }
  assert.deepEqual(await installed({}), [base.replace('1', 'one'), ['modified']])
  assert.deepEqual(await installed({ configuration: ['/opt/conf'] }), [base.replace('1', 'one').replace('9', 'nine'), ['merged']])
  assert.deepEqual(await installed({ generated: ['/opt/conf'] }), [base.replace('9', 'nine'), []])
})
