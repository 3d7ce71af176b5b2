import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { collectBytes } from '../src/base/bytes.ts'
import { diff } from '../src/command/diff.ts'
import { writeDist } from '../src/engine/dist/write.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { hostDisk } from '../src/host/disk.ts'
import { dir, fifo, file, hardlink, plant, symlink } from './helpers/plant.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Literal } from './helpers/plant.ts'
import type { Outcome } from './helpers/run-command.ts'

const before: Literal = {
  'bin/a': file('same', { mode: 0o755 }),
  'bin/b': file('old content', { mode: 0o755 }),
  'bin/gone': 'x',
  lib: symlink('usr/lib'),
  'etc/conf': file('conf', { mode: 0o600 }),
  one: '1',
  two: hardlink('one'),
  kind: 'was a file',
  touched: 'same',
  'odd\nname': 'x',
}

const after: Literal = {
  'bin/a': file('same', { mode: 0o755 }),
  'bin/b': file('new content!', { mode: 0o4755 }),
  'bin/new': 'x',
  'bin/@at': 'x',
  lib: symlink('usr/lib64'),
  'etc/conf': file('conf', { mode: 0o644 }),
  one: '1',
  two: '1',
  kind: dir(),
  'kind/x': fifo(),
  touched: file('same', { mtime: { sec: 1_600_000_000, nsec: 1 } }),
  'u\xc3\xa9': 'x',
}

async function withTrees(use: (folder: string, run: (...words: readonly string[]) => Promise<Outcome>) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    for (const [name, literal] of [
      ['old', before],
      ['new', after],
    ] as const) {
      execFileSync('mkdir', ['-m', '755', join(folder, name)])
      await plant(hostDisk(join(folder, name)), literal)
    }
    const place = (word: string): string => (word.startsWith('@') ? join(folder, word.slice(1)) : word)
    await use(folder, async (...words) => await runCommand(diff, words.map(place)))
  })
}

const readable = `- bin/gone
+ bin/@at
M bin/b  content 11 bytes -> 12 bytes, mode 0755 -> 04755
+ bin/new
M etc/conf  mode 0600 -> 0644
M kind  kind file -> dir, mode 0644 -> 0755
+ kind/x
M lib  target usr/lib -> usr/lib64
- odd\\012name
M touched  mtime
M two  links one -> none
+ ué
`
  .split('\n')
  .sort()

test('two trees, line by line', async () => {
  await withTrees(async (_, run) => {
    const { status, stdout, stderr } = await run('@old', '@new')
    const lines = Buffer.from(stdout, 'latin1').toString('utf8').split('\n')
    assert.deepEqual([status, lines.toSorted(), stderr], [7, readable, []])
    const paths = lines.map((line) => line.split(' ')[1])
    assert.deepEqual(paths, [
      'bin/@at',
      'bin/b',
      'bin/gone',
      'bin/new',
      'etc/conf',
      'kind',
      'kind/x',
      'lib',
      'odd\\012name',
      'touched',
      'two',
      'ué',
      undefined,
    ])
    assert.deepEqual(await run('@new', '@new'), { status: 0, stdout: '', stderr: [] })
  })
})

test('a packing list: what to ship, what to remove, no mere time stamps', async () => {
  await withTrees(async (folder, run) => {
    const { status, stdout } = await run('--plist', '@old', '@new')
    assert.deepEqual(
      [status, stdout],
      [7, 'bin/@at\nbin/b\n@remove bin/gone\nbin/new\netc/conf\nkind/\nkind/x\nlib\n@remove odd\\012name\ntwo\nu\xc3\xa9\n'],
    )
    await plant(hostDisk(join(folder, 'new')), { '@top': 'x', 'back\\slash': 'x' })
    const list = (await run('--plist', '@old', '@new')).stdout
      .split('\n')
      .filter((line) => !line.startsWith('@remove'))
      .join('\n')
    assert.match(list, /^\\100top\nback\\134slash\n/)
    writeFileSync(join(folder, 'plist'), Buffer.from(list, 'latin1'))
    execFileSync('tar', ['-C', join(folder, 'new'), '--no-recursion', '-cf', join(folder, 'patch.tar'), '-T', join(folder, 'plist')])
  })
})

test('aspects are ignored at will', async () => {
  await withTrees(async (_, run) => {
    const { stdout } = await run('--ignore', 'mtime,mode', '--ignore', 'links', '@old', '@new')
    assert.ok(!/touched|two|conf|mode/.test(stdout) && stdout.includes('M bin/b  content'))
    const bad = await run('--ignore', 'colour', '@old', '@new')
    assert.deepEqual(
      [bad.code, bad.error?.hint],
      ['usage', 'the aspects are kind, content, target, device, links, mode, owner, mtime, flags, xattrs'],
    )
  })
})

test('JSON lines hold both entries', async () => {
  await withTrees(async (_, run) => {
    const lines = (await run('-j', '@old', '@new')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>)
    const changed = lines.find(({ path }) => (path as unknown) === 'bin/b')
    assert.deepEqual(
      [changed?.['change'], changed?.['aspects'], changed?.['old']?.['size'], changed?.['new']?.['mode']],
      ['changed', ['content', 'mode'], 11, '04755'],
    )
    const removed = lines.find(({ path }) => (path as unknown) === 'bin/gone')
    assert.deepEqual([removed?.['change'], removed?.['aspects'], removed?.['new']], ['removed', [], undefined])
  })
})

test('tree, manifest and dist say the same, in any compression', async () => {
  await withTrees(async (folder, run) => {
    const disk = hostDisk(join(folder, 'new'))
    const manifest = await scanTree(disk)
    const tar = (await collectBytes(
      writeDist({ product: 'base', revision: '1.0', date: '20260101', arch: 'amd64' }, manifest, (entry) => disk.read(entry.path)),
      1 << 30,
    )) as Uint8Array
    const files = {
      m: encodeManifest(manifest),
      'm.zst': zstdCompressSync(encodeManifest(manifest)),
      tar,
      'tar.gz': gzipSync(tar),
      'tar.zst': zstdCompressSync(tar),
    }
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
    for (const name of ['new', ...Object.keys(files)]) {
      for (const other of ['new', 'm', 'tar.zst'])
        assert.deepEqual(await run(`@${name}`, `@${other}`), { status: 0, stdout: '', stderr: [] }, `${name} ${other}`)
      assert.equal((await run('@old', `@${name}`)).stdout, (await run('@old', '@new')).stdout)
    }
    assert.deepEqual(await runCommand(diff, ['-', join(folder, 'new')], { input: files['m.zst'] }), { status: 0, stdout: '', stderr: [] })
  })
})

test('a foreign mtree file without digests still tells sizes', needs('mtree'), async () => {
  await withTrees(async (folder) => {
    const input = execFileSync('mtree', ['-c', '-p', join(folder, 'old')])
    const { stdout, stderr } = await runCommand(diff, ['--ignore', 'mtime', '-', join(folder, 'new')], { input })
    assert.match(stdout, /^M bin\/b {2}content 11 bytes -> 12 bytes, mode 0755 -> 04755$/m)
    assert.ok(!/^M two/m.test(stdout))
    assert.deepEqual(stderr, ['not in both, and not compared: digests (sizes are compared)'])
  })
})

test('a socket is no difference to a dist, which cannot hold one', needs('python3'), async () => {
  await withTrees(async (folder, run) => {
    const disk = hostDisk(join(folder, 'new'))
    const manifest = await scanTree(disk)
    const tar = (await collectBytes(
      writeDist({ product: 'base', revision: '1.0', date: '20260101', arch: 'amd64' }, manifest, (entry) => disk.read(entry.path)),
      1 << 30,
    )) as Uint8Array
    writeFileSync(join(folder, 'tar'), tar)
    execFileSync('python3', ['-c', 'import socket; socket.socket(socket.AF_UNIX).bind("s")'], { cwd: join(folder, 'new') })
    assert.equal((await run('--ignore', 'mtime', '@tar', '@new')).status, 0)
    assert.equal((await run('--ignore', 'mtime', '@old', '@new')).stdout.includes('+ s\n'), true)
  })
})

test('what is none of these is refused', async () => {
  await withTrees(async (folder, run) => {
    writeFileSync(join(folder, 'text'), 'just some text\n')
    writeFileSync(join(folder, 'empty'), '')
    writeFileSync(join(folder, 'cut'), encodeManifest(await scanTree(hostDisk(join(folder, 'new')))).subarray(0, 300))
    writeFileSync(join(folder, 'evil'), '#mtree\n. type=dir\n./../x type=fifo\n')
    assert.equal((await run('@old', '@missing')).code, 'not-found')
    for (const name of ['text', 'empty', 'cut'])
      assert.deepEqual([(await run('@old', `@${name}`)).status, (await run(`@${name}`, '@old')).code], [3, 'bad-format'], name)
    const evil = await run('@old', '@evil')
    assert.deepEqual([evil.code, evil.error?.subject, evil.error?.message], ['hostile', join(folder, 'evil'), 'mtree line 3: unsafe path'])
    assert.equal((await run('-', '-')).code, 'usage')
    assert.equal((await run('--json', '--plist', '@old', '@new')).code, 'usage')
    assert.equal((await run('@old')).code, 'usage')
  })
})
