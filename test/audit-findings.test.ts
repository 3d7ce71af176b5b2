import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { audit, explainMerged, findExtras, pathsOf, sharedInodes } from '../src/engine/client/apply/audit.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { encodeOldNames } from '../src/format/old-names.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { machine, release } from './helpers/client-world.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { block, char, dir, fifo, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Audit, Finding } from '../src/engine/client/apply/audit.ts'
import type { ClientConfig } from '../src/format/conf.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What differs here from the release: path by path, in each respect, and what is explained or left out of it. */

async function audited(released: Literal, here: Literal, config: Partial<ClientConfig> = {}, on: Disk = memoryDisk()): Promise<Audit> {
  const { manifest } = await release('1.0', released)
  return await audit({ disk: await machine(on, here), manifest, config: { ...defaultConfig, ...config } })
}

async function found(...[released, here, config, on]: Parameters<typeof audited>): Promise<readonly string[]> {
  const { findings } = await audited(released, here, config, on)
  return findings.map(({ kind, path, aspects }) => `${kind} ${path} ${aspects.join()}`.trimEnd())
}

const later = { sec: 1_650_000_000, nsec: 0 }

for (const [what, released, here, expected] of [
  ['content', 'a', 'b', 'content'],
  ['size', 'a', 'aa', 'content'],
  ['target', symlink('a'), symlink('b'), 'target'],
  ['device', char(1, 2), char(1, 3), 'device'],
  ['block device', block(1, 2), block(3, 2), 'device'],
  ['mode', 'a', file('a', { mode: 0o600 }), 'mode'],
  ['owner', 'a', file('a', { uid: 5 }), 'owner'],
  ['group', dir(), dir({ gid: 5 }), 'owner'],
  ['time of a file', 'a', file('a', { mtime: later }), 'mtime'],
  ['time of a link', symlink('a'), symlink('a', { mtime: later }), 'mtime'],
  ['time of a folder', dir(), dir({ mtime: later }), undefined],
  ['attributes', 'a', file('a', { xattrs: new Map([['user.note', 'x']]) }), 'xattrs'],
  ['file for a link', symlink('a'), 'a', 'kind'],
  ['folder for a file', file('a', { mode: 0o600 }), dir({ uid: 5 }), 'kind'],
  ['FIFO', fifo(), fifo({ mode: 0o600 }), 'mode'],
  [
    'all of a file',
    'a',
    file('b', { mode: 0o600, uid: 5, mtime: later, xattrs: new Map([['user.note', 'x']]) }),
    'content,mode,owner,mtime,xattrs',
  ],
] as const)
  test(`a finding of another ${what} is of: ${expected ?? 'nothing'}`, async () => {
    assert.deepEqual(await found({ 'etc/x': released }, { 'etc/x': here }), expected === undefined ? [] : [`changed etc/x ${expected}`])
  })

test('flags are a finding', async () => {
  const [{ manifest }, disk] = [await release('1.0', { f: 'a' }), await machine(memoryDisk(), { f: 'a' })]
  await disk.setFlags(relPath('f'), ['uchg'])
  const { findings } = await audit({ disk, manifest, config: defaultConfig })
  assert.deepEqual(
    findings.map(({ path, aspects }) => [path, aspects]),
    [['f', ['flags']]],
  )
})

test('a finding holds what the release has and what is here', async () => {
  const { findings, wanted, live } = await audited({ a: 'of the release', b: 'gone' }, { a: 'mine' })
  const [a, b] = [relPath('a'), relPath('b')]
  assert.deepEqual(findings, [
    { path: a, kind: 'changed', aspects: ['content'], wanted: wanted.nodes.get(a), live: live.nodes.get(a) },
    { path: b, kind: 'missing', aspects: [], wanted: wanted.nodes.get(b) },
  ])
  assert.deepEqual([wanted.nodes.get(a)?.kind, live.nodes.get(a)?.path], ['file', a])
})

// --- names of one file

const pair: Literal = { 'bin/a': 'x', 'bin/b': hardlink('bin/a') }

for (const [what, released, here, expected] of [
  ['are names of one file', pair, pair, []],
  ['are two files', pair, { 'bin/a': 'x', 'bin/b': 'x' }, ['changed bin/b links']],
  ['were two files, and are one', { 'bin/a': 'x', 'bin/b': 'x' }, pair, ['changed bin/a links', 'changed bin/b links']],
  [
    'share with another name of the release',
    { ...pair, 'bin/c': 'x' },
    { ...pair, 'bin/c': hardlink('bin/a') },
    ['changed bin/a links', 'changed bin/b links', 'changed bin/c links'],
  ],
  ['share with a name of somebody here', pair, { ...pair, 'usr/own': hardlink('bin/a') }, []],
  ['lack the first', { ...pair, 'bin/c': hardlink('bin/a') }, { 'bin/b': 'x', 'bin/c': hardlink('bin/b') }, ['missing bin/a']],
  [
    'are another file each, the first is missing',
    { ...pair, 'bin/c': hardlink('bin/a') },
    { 'bin/b': 'x', 'bin/c': 'x' },
    ['missing bin/a', 'changed bin/c links'],
  ],
] as const)
  test(`names that are one file in the release, or not, ${what}`, async () => {
    assert.deepEqual(await found(released, here), expected)
  })

test('names that the tree spreads over file systems cannot be one file', async () => {
  const released: Literal = { 'bin/a': 'x', 'usr/b': hardlink('bin/a') }
  assert.deepEqual(await found(released, { 'bin/a': 'x', 'usr/b': 'x' }, {}, memoryDisk({ mounts: { usr: {} } })), [])
  assert.deepEqual(await found(released, { 'bin/a': 'x', 'usr/b': 'x' }), ['changed usr/b links'])
})

test('inodes are known by the names that were looked at, where there is more than one name of them', () => {
  const stat = (kind: Stat['kind'], inode: bigint, nlink: number, device = 1n): Stat =>
    ({ kind, inode, nlink, device, mode: 0o644, uid: 0, gid: 0, size: 1, mtime: later }) as Stat
  const stats = new Map(
    Object.entries({
      alone: stat('file', 1n, 1),
      first: stat('file', 2n, 2),
      second: stat('file', 2n, 2),
      elsewhere: stat('file', 2n, 2, 2n),
      folder: stat('dir', 3n, 3),
      one: stat('symlink', 4n, 3),
      unasked: stat('symlink', 4n, 3),
    }) as [RelPath, Stat][],
  )
  const nodes = new Map([...stats.keys()].filter((path) => path !== 'unasked').map((path) => [path, { path } as Node]))
  assert.deepEqual([...sharedInodes({ stats, nodes }).values()], [['first', 'second'], ['elsewhere'], ['one']])
})

// --- what the system makes anew

const made: Partial<ClientConfig> = { generated: [pathPattern('/lib')] }

for (const [what, released, here, expected] of [
  [
    'content, time and links are its own',
    { 'lib/a': 'x', 'lib/b': hardlink('lib/a') },
    { 'lib/a': file('y', { mtime: later }), 'lib/b': 'x' },
    [],
  ],
  ['so is a target', { 'lib/a': symlink('b') }, { 'lib/a': symlink('c') }, []],
  ['mode and owner are not', { 'lib/a': 'x' }, { 'lib/a': file('y', { mode: 0o666, uid: 5 }) }, ['changed lib/a mode,owner']],
  ['attributes are not', { 'lib/a': 'x' }, { 'lib/a': file('y', { xattrs: new Map([['user.note', 'x']]) }) }, ['changed lib/a xattrs']],
  ['another kind is a finding', { 'lib/a': 'x' }, { 'lib/a': symlink('x') }, ['changed lib/a kind']],
  ['what is missing is, too', { 'lib/a': 'x' }, { lib: dir() }, ['missing lib/a']],
  ['other paths are compared', { 'lib/a': 'x', 'bin/a': 'x' }, { 'lib/a': 'y', 'bin/a': 'y' }, ['changed bin/a content']],
] as const)
  test(`of a path that the system makes anew, ${what}`, async () => {
    assert.deepEqual(await found(released, here, made), expected)
  })

test('what is told of a path that the system makes anew is what the release says of it', async () => {
  const { findings, wanted, live } = await audited({ 'lib/a': 'x' }, { 'lib/a': file('y', { mode: 0o666 }) }, made)
  const a = relPath('lib/a')
  assert.deepEqual(findings, [{ path: a, kind: 'changed', aspects: ['mode'], wanted: wanted.nodes.get(a), live: live.nodes.get(a) }])
})

test('findings are in the order of the release, whichever of them comes to be known first', async () => {
  const here = { 'b/x': 'mine', 'a/z': symlink('elsewhere'), c: 'mine' }
  assert.deepEqual(await found({ 'a/z': 'x', 'b/x': 'x', 'b/a': 'x', c: 'x', '!d': 'x' }, here), [
    'missing !d',
    'changed a/z kind',
    'missing b/a',
    'changed b/x content',
    'changed c content',
  ])
})

// --- what an install has merged

const fileNode = (path: string, content: string): Extract<Node, { kind: 'file' }> => {
  const meta = { mode: 0o644, uid: 0, gid: 0, mtime: later }
  return { kind: 'file', path: relPath(path), ...meta, size: content.length, sha256: sha256(utf8(content)) }
}

/** A machine on which `etc/conf` was merged. */
async function merged(): Promise<Disk> {
  const path = relPath('etc/conf')
  const receipt = plainJournal({
    kept: [{ path, reason: 'merged' }],
    actions: [{ kind: 'swap', path, slot: { area: 0, number: 0 }, old: fileNode(path, 'mine'), new: fileNode(path, 'both') }],
  })
  const disk = memoryDisk()
  await plant(disk, { 'var/db/bindery/receipt/1': file(encodeJournal(receipt)) })
  return disk
}

const changed = (path: string, live: Node): Finding => ({ path: relPath(path), kind: 'changed', aspects: ['mode', 'content'], live })

test('a content that an install has merged is told so, and no other', async () => {
  const others: readonly Finding[] = [
    changed('etc/conf', fileNode('etc/conf', 'mine')),
    changed('etc/other', fileNode('etc/other', 'both')),
    changed('etc/conf', { ...fileNode('etc/conf', 'both'), kind: 'symlink', target: 'both' }),
    { path: relPath('etc/conf'), kind: 'missing', aspects: [] },
  ]
  const own = changed('etc/conf', fileNode('etc/conf', 'both'))
  assert.deepEqual(await explainMerged(await merged(), [...others, own]), [...others, { ...own, isMerged: true }])
})

test('no receipt is read where no content has changed', async () => {
  const disk: Disk = { ...(await merged()), read: () => assert.fail('was read') }
  const findings: readonly Finding[] = [{ ...changed('etc/conf', fileNode('etc/conf', 'both')), aspects: ['mode'] }]
  assert.equal(await explainMerged(disk, findings), findings)
  assert.deepEqual(await explainMerged(disk, []), [])
})

// --- what no release has

async function extras(released: readonly Literal[], here: Literal, config: Partial<ClientConfig> = {}): Promise<readonly string[]> {
  const manifests = await Promise.all(released.map(async (one, i) => (await release(`1.${i}`, one)).manifest))
  const found = await findExtras(await machine(memoryDisk(), here), manifests, { ...defaultConfig, ...config })
  for (const finding of found) assert.deepEqual(finding, { path: finding.path, kind: 'extra', aspects: [] })
  return found.map(({ path }) => path)
}

for (const [what, released, here, expected, config] of [
  ['what the release has', [{ 'bin/a': 'x' }], { 'bin/a': 'y' }, []],
  ['a file and a folder, once each', [{ 'bin/a': 'x' }], { 'bin/a': 'x', 'bin/b': 'x', 'opt/c/d': 'x' }, ['bin/b', 'opt']],
  [
    'in byte order, whichever release has the folder',
    [{ 'usr/a': 'x' }, { 'bin/a': 'x', 'usr/b': 'x' }],
    { 'bin/z': 'x', 'bin/a': 'x', 'bin/c': 'x', 'usr/c': 'x', 'usr/b': 'x', '!': 'x' },
    ['!', 'bin/c', 'bin/z', 'usr/c'],
  ],
  ['a folder of the release that is not here', [{ 'bin/a': 'x', 'usr/b': 'x' }], { 'usr/b': 'x' }, []],
  ['a folder of the release that is a file here', [{ 'bin/a': 'x' }], { bin: 'x' }, []],
  ['in a folder where the release has a file', [{ 'bin/a': 'x' }], { 'bin/a/b': 'x' }, []],
  ['what is ignored', [{ 'etc/a': 'x', 'bin/a': 'x' }], { 'etc/b': 'x', 'bin/b': 'x' }, ['bin/b'], { ignore: [pathPattern('/etc')] }],
  ['single names that are ignored', [{ 'etc/a': 'x' }], { 'etc/b': 'x', 'etc/c': 'x' }, ['etc/c'], { ignore: [pathPattern('/etc/b')] }],
  ['what the system makes', [{ 'lib/a': 'x' }], { 'lib/b': 'x', 'lib/c': 'x' }, ['lib/c'], { generated: [pathPattern('/lib/b')] }],
] as const satisfies readonly (readonly [string, readonly Literal[], Literal, readonly string[], Partial<ClientConfig>?])[])
  test(`names that no release has: ${what}`, async () => {
    assert.deepEqual(await extras(released, here, config), expected)
  })

test('the state of bindery and the folders above it are no extras, whether a release has them or not', async () => {
  assert.deepEqual(await findExtras(await machine(memoryDisk(), {}), [{ entries: [rootEntry] }], defaultConfig), [])
})

const rootEntry = { kind: 'dir', path: relPath('.'), mode: 0o755, uid: 0, gid: 0, mtime: later } as const

test('a kernel that was kept under a second name is no extra', async () => {
  const { manifest } = await release('1.0', { 'boot/kernel': 'x' })
  const disk = await machine(memoryDisk(), { 'boot/kernel': 'x', 'boot/kernel.old': 'w', 'boot/kernel.mine': 'w' })
  await plant(disk, { [statePaths.oldNames]: file(encodeOldNames([fileNode('boot/kernel.old', 'w')])) })
  const paths = (await findExtras(disk, [manifest], defaultConfig)).map(({ path }) => path)
  assert.deepEqual(paths, ['boot/kernel.mine'])
})

test('a look for names asks for no attributes', async () => {
  const { manifest } = await release('1.0', { 'bin/a': 'x' })
  const none = (): never => assert.fail('asked for attributes')
  const disk: Disk = { ...(await machine(memoryDisk(), { 'bin/a': 'x', 'bin/b': 'x' })), xattrsOf: none, flagsOf: none }
  assert.deepEqual(
    (await findExtras(disk, [manifest], defaultConfig)).map(({ path }) => path),
    ['bin/b'],
  )
})

test('paths of findings come with the folders that they are in', () => {
  const findings = ['a', 'bin/b', 'bin/c', 'usr/lib/d'].map((path): Finding => ({ path: relPath(path), kind: 'extra', aspects: [] }))
  assert.deepEqual(pathsOf(findings), new Set(['a', '.', 'bin/b', 'bin', 'bin/c', 'usr/lib/d', 'usr/lib']))
})
