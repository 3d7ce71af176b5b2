import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planFinish } from '../src/engine/client/apply/finish.ts'
import { channelFile, channelFiles, makeStateFolders, readReleaseState } from '../src/engine/client/state.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { encodeObsolete, obsoleteContent } from '../src/format/obsolete.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { elfFile } from './helpers/elf-file.ts'
import { release, text } from './helpers/client-world.ts'
import { enrolledState } from './helpers/enrolled-state.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { FinishInput, Finishing } from '../src/engine/client/apply/finish.ts'
import type { ClientConfig } from '../src/format/conf.ts'
import type { ObsoleteItem } from '../src/format/obsolete.ts'
import type { Disk } from '../src/port/disk.ts'
import type { ReplacedFile, StaleReport } from '../src/port/processes.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal, Plant } from './helpers/plant.ts'

/** What goes of former releases without a new one, and what keeps the rest. */

type Channels = Readonly<Record<string, { readonly installed: Literal; readonly former?: Literal }>>

type World = {
  /** By product. */
  readonly channels: Channels
  /** On the machine beside what is installed, former things among it. */
  readonly here?: Literal
  readonly config?: Partial<ClientConfig>
  readonly running?: StaleReport
}

const named = async (product: string, literal: Literal): Promise<Release> => {
  const made = await release('1.1', literal)
  return { ...made, name: { ...made.name, product } }
}

async function itemsOf(literal: Literal): Promise<readonly ObsoleteItem[]> {
  const paths = new Set(Object.keys(literal))
  return (await release('1.0', literal)).manifest.entries.flatMap((entry) => {
    const content = entry.kind === 'hardlink' || !paths.has(entry.path) ? undefined : obsoleteContent(entry)
    return content === undefined ? [] : [{ path: entry.path, last: 1, ...content }]
  })
}

type Found = Finishing & { readonly disk: Disk; readonly asked: readonly (readonly ReplacedFile[])[] }

async function machineOf({ channels, here = {} }: World): Promise<Disk> {
  const releases = await Promise.all(Object.entries(channels).map(async ([product, { installed }]) => await named(product, installed)))
  const lists = Object.entries(channels).map(async ([product, { former }]) => {
    const list = former === undefined ? undefined : { through: 0, items: await itemsOf(former) }
    return list === undefined ? [] : [[channelFile({ product, arch: 'amd64' }, channelFiles.obsolete), file(encodeObsolete(list))] as const]
  })
  const disk = memoryDisk()
  await makeStateFolders(disk)
  const trees = Object.values(channels).map(({ installed }) => installed)
  const state = { ...(await enrolledState(...releases)), ...Object.fromEntries((await Promise.all(lists)).flat()) }
  await plant(disk, Object.assign({}, ...trees, here, state) as Literal)
  return disk
}

async function inputOf(disk: Disk, { channels, config }: World): Promise<Omit<FinishInput, 'processes'>> {
  const names = Object.keys(channels).map((product) => ({ product, arch: 'amd64' }))
  return {
    disk,
    channels: await Promise.all(names.map(async (channel) => ({ channel, installed: await readReleaseState(disk, channel) }))),
    config: { ...defaultConfig, ...config },
    clock: { now: () => 1_700_000_100_900 },
  }
}

async function finish(world: World): Promise<Found> {
  const disk = await machineOf(world)
  const asked: (readonly ReplacedFile[])[] = []
  const usersOf = async (files: readonly ReplacedFile[]): Promise<StaleReport> => {
    asked.push(files)
    return await Promise.resolve(world.running ?? { processes: [] })
  }
  return { ...(await planFinish({ ...(await inputOf(disk, world)), processes: { usersOf } })), disk, asked }
}

const actions = ({ plan }: Finishing): readonly string[] => plan.journal.actions.map(({ kind, path }) => `${kind} ${path}`)
const needs = ({ needed }: Finishing): readonly string[] =>
  needed.map(({ path, by, users }) => `${path} by ${by ?? 'nobody'}, of ${users.join(' ')}`)

const library = (soname: string): Plant => file(elfFile({ soname }))
const program = (...needed: readonly string[]): Plant => file(elfFile({ needed, interpreter: '/libexec/ld.so' }), { mode: 0o755 })

const foo = 'usr/lib/libfoo.so.1'
const installed: Literal = { 'bin/sh': 'sh', 'usr/lib/libfoo.so.2': library('libfoo.so.2') }
const former: Literal = { [foo]: library('libfoo.so.1') }
const base = { base: { installed, former } }
const list = 'var/db/bindery/channel/base-amd64/obsolete'

test('where nothing of a former release is left, nothing is to be done', async () => {
  for (const channels of [{}, { base: { installed } }, { base: { installed, former: {} } }] satisfies readonly Channels[]) {
    const found = await finish({ channels })
    assert.deepEqual([actions(found), found.needed, found.running, found.asked], [[], [], { processes: [] }, [[]]])
  }
})

test('what nothing needs goes, and the list with it, in a plan of no release', async () => {
  const found = await finish({ channels: base, here: former })
  assert.deepEqual(actions(found), [`drop ${foo}`, 'attr usr/lib', `swap ${list}`])
  const { actions: _, areas, ...head } = found.plan.journal
  assert.deepEqual(head, {
    transaction: 1,
    purpose: 'install',
    direction: 'forward',
    time: 1_700_000_100,
    releases: [],
    undoes: [],
    postSteps: [],
    reboot: [],
    kept: [],
  })
  assert.deepEqual(areas, ['var/db/bindery'])
  const [item, ...rest] = found.plan.stage
  assert.deepEqual([item?.node.path, rest], [list, []])
  const content = item?.source.kind === 'stream' ? item.source.content() : assert.fail('is no stream')
  const parts: string[] = []
  for await (const bytes of content) parts.push(Buffer.from(bytes).toString())
  assert.equal(parts.join(''), 'bindery-obsolete 1\nthrough 0\n')
})

test('what is to go is asked for among the processes, by its inode', async () => {
  const files = { ...former, 'usr/lib/libbar.so.1': library('libbar.so.1') }
  // Only the one that is there.
  const found = await finish({ channels: { base: { installed, former: files } }, here: former })
  assert.deepEqual(found.asked, [[{ path: foo, inode: (await found.disk.lstat(relPath(foo)))?.inode }]])
})

test('what somebody removes meanwhile has no inode any more, and needs nothing', async () => {
  const disk = await machineOf({ channels: base, here: former })
  let reads = 0
  const digest: Disk['digest'] = async (path) => {
    const answer = await disk.digest(path)
    // Once as what a former release left, and then as what the plan removes.
    if (++reads === 2) await disk.unlink(path)
    return answer
  }
  const asked: ReplacedFile[] = []
  const usersOf = async (files: readonly ReplacedFile[]): Promise<StaleReport> => {
    asked.push(...files)
    return await Promise.resolve({ processes: [] })
  }
  const found = await planFinish({ ...(await inputOf({ ...disk, digest }, { channels: base })), processes: { usersOf } })
  assert.deepEqual([asked, found.needed], [[{ path: foo, inode: undefined }], []])
})

test('a library that a program is linked against stays, and what it is the program is said', async () => {
  const found = await finish({
    channels: base,
    here: { ...former, 'opt/x': program('libfoo.so.1'), 'usr/local/bin/y': program('libfoo.so.1') },
  })
  assert.deepEqual(needs(found), [`${foo} by opt/x, of opt/x usr/local/bin/y`])
  assert.deepEqual(actions(found), [])
  assert.deepEqual(found.plan.journal.kept, [{ path: foo, reason: 'needed', by: 'opt/x' }])
})

test('programs are looked for where bindery.conf says, too', async () => {
  const world: World = { channels: base, here: { ...former, 'srv/app/x': program('libfoo.so.1') } }
  assert.deepEqual(needs(await finish(world)), [])
  assert.deepEqual(needs(await finish({ ...world, config: { programs: [relPath('srv')] } })), [`${foo} by srv/app/x, of srv/app/x`])
})

test('a library that only a process has mapped stays, once each; one that a program asks for is told by that', async () => {
  const bar = 'usr/lib/libbar.so.1'
  const files = { ...former, [bar]: library('libbar.so.1') }
  const running: StaleReport = {
    processes: [
      { pid: 7, program: '/opt/gone', files: [bar, foo] as RelPath[] },
      { pid: 8, program: '/opt/gone', files: [bar] as RelPath[] },
    ],
    unseen: 'others need root',
  }
  const found = await finish({
    channels: { base: { installed, former: files } },
    here: { ...files, 'opt/x': program('libfoo.so.1') },
    running,
  })
  assert.deepEqual(needs(found), [`${foo} by opt/x, of opt/x`, `${bar} by nobody, of `])
  assert.deepEqual([found.running, actions(found)], [running, []])
})

for (const [what, here, config, expected] of [
  ['a content that no release had', { [foo]: 'mine' }, {}, []],
  ['a link in its place', { [foo]: symlink('libfoo.so.2') }, {}, []],
  ['what is ignored', former, { ignore: [pathPattern('/usr/lib')] }, []],
  ['what is protected', former, { protect: [pathPattern(`/${foo}`)] }, []],
  [
    'not what is ignored elsewhere',
    former,
    { ignore: [pathPattern('/opt')], protect: [pathPattern('/opt')] },
    [`drop ${foo}`, 'attr usr/lib'],
  ],
] as const satisfies readonly (readonly [string, Literal, Partial<ClientConfig>, readonly string[]])[])
  test(`of what is listed stays: ${what}`, async () => {
    const found = actions(await finish({ channels: base, here, config }))
    assert.deepEqual(
      found.filter((action) => !action.endsWith(list)),
      expected,
    )
  })

test('folders of former releases go with what is in them', async () => {
  const files: Literal = { 'usr/old': dir(), 'usr/old/a': 'a', 'usr/old/b': symlink('a') }
  const found = await finish({ channels: { base: { installed, former: files } }, here: files })
  assert.deepEqual(actions(found), ['drop usr/old/b', 'drop usr/old/a', 'rmdir usr/old', 'attr usr', `swap ${list}`])
})

// --- several channels

const ports: Literal = { 'usr/lib/libport.so.1': library('libport.so.1') }

test('what several channels have left goes in one plan, and stays what another one of them has', async () => {
  const portsFormer: Literal = { 'usr/lib/libold.so.3': library('libold.so.3') }
  const baseFormer = { ...former, ...ports }
  const channels = { base: { installed, former: baseFormer }, ports: { installed: ports, former: portsFormer } }
  const found = await finish({ channels, here: { ...former, ...portsFormer } })
  assert.deepEqual(actions(found), [
    'drop usr/lib/libold.so.3',
    `drop ${foo}`,
    'attr usr/lib',
    `swap ${list}`,
    'swap var/db/bindery/channel/ports-amd64/obsolete',
  ])
})

test('a path that another channel has with another content is not touched: there is nothing to put there', async () => {
  const channels = { base: { installed, former }, ports: { installed: { [foo]: library('libfoo.so.1.1') } } }
  const found = await finish({ channels, here: former })
  assert.deepEqual(actions(found), [`swap ${list}`])
})

test('a channel that is not among those of the plan keeps what it has', async () => {
  const world: World = { channels: { base: { installed, former }, ports: { installed: former } } }
  const disk = await machineOf(world)
  const input = await inputOf(disk, world)
  const alone = {
    ...input,
    channels: input.channels.slice(0, 1),
    processes: { usersOf: async () => await Promise.resolve({ processes: [] }) },
  }
  assert.deepEqual(actions(await planFinish(alone)), [`swap ${list}`])
})

// --- refusals

test('a plan that is stopped ends before a file is read', async () => {
  const world: World = { channels: base, here: former }
  const disk = await machineOf(world)
  const input = await inputOf({ ...disk, digest: () => assert.fail('was read') }, world)
  const usersOf = (): never => assert.fail('was asked')
  await assert.rejects(planFinish({ ...input, signal: AbortSignal.abort(), processes: { usersOf } }), { name: 'AbortError' })
  assert.match(await text(disk, list), /libfoo/)
})
