import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { latin1 } from '../src/base/bytes.ts'
import { scan } from '../src/command/scan.ts'
import { diff } from '../src/command/diff.ts'
import { decodeManifest } from '../src/format/manifest.ts'
import { hostDisk } from '../src/host/disk.ts'
import { block, char, dir, fifo, file, hardlink, plant, symlink } from './helpers/plant.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Literal } from './helpers/plant.ts'

/** Everything that a base system has, and names that it should not have. */
const everything: Literal = {
  'bin/su': file('setuid', { mode: 0o4555, mtime: { sec: 1_700_000_000, nsec: 123_456_789 } }),
  'bin/sudo': hardlink('bin/su'),
  'sbin/ping': file('ping', {
    mode: 0o555,
    xattrs: new Map([
      ['security.capability', '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0'],
      ['user.note', 'x y'],
    ]),
  }),
  'etc/passwd': 'root:*:0:0::/root:/bin/sh\nnosuchuserhere:*:12345:12345::/:\n',
  'etc/group': 'nosuchgrouphere:*:54321:\n',
  'etc/owned': file('owned', { uid: 12_345, gid: 54_321, mode: 0o640 }),
  'dev/null': char(1, 3, { mode: 0o666 }),
  'dev/far': char(300, 70_000),
  'dev/disk': block(8, 1, { mode: 0o640, gid: 6 }),
  'var/run/pipe': fifo({ mode: 0o620 }),
  tmp: dir({ mode: 0o1777 }),
  old: file('before 1970', { mtime: { sec: -315_619_200, nsec: 7 } }),
  lib: symlink('usr/lib', { mtime: { sec: 1_700_000_000, nsec: 1 } }),
  'usr/lib/libc.so.7': 'libc',
  'usr/lib/libc.so': symlink('libc.so.7'),
  dangling: symlink('/no where\xff#='),
  empty: '',
  sparse: file(new Uint8Array(1_000_000)),
  'a b': 'space',
  'x#y': 'hash',
  'e=q': 'equals',
  'back\\slash': 'backslash',
  'tab\tnew\nline': 'control',
  '-rf': 'dash',
  '~': 'tilde',
  'u\xc3\xa9': 'utf8',
  'latin\xe9\xff': 'latin1',
  "it's": 'quote',
  '!': 'before the root',
  '#': 'comment?',
  '..x': 'dots',
}

const all = { ...needs('mtree', 'bsdtar', 'setfattr', 'getfattr'), ...needsRoot() }

test('mtree(8) finds the tree as the manifest says, and every change in it', all, async () => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    execFileSync('mkdir', ['-m', '755', root])
    await plant(hostDisk(root), everything)
    const manifest = join(folder, 'm')
    assert.deepEqual(await runCommand(scan, [root, '-o', manifest]), { status: 0, stdout: '', stderr: [] })
    const verify = (): string => {
      const { status, stdout, stderr } = spawnSync('mtree', ['-f', manifest, '-p', root], { encoding: 'latin1' })
      return `${status} ${stdout}${stderr}`
    }
    assert.equal(verify(), '0 ')
    execFileSync('chmod', ['0444', join(root, 'bin/su')])
    assert.match(verify(), /^2 [^]*permissions \(04555, 0444\)/)
    execFileSync('chmod', ['4555', join(root, 'bin/su')])
    execFileSync('sh', ['-c', 'printf LIBC > usr/lib/libc.so.7; touch -d 2020-09-13T12:26:40Z usr/lib/libc.so.7'], { cwd: root })
    assert.match(verify(), /^2 [^]*sha256/)
  })
})

test('bsdtar reads the manifest as an archive with the same members', all, async () => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    execFileSync('mkdir', ['-m', '755', root])
    await plant(hostDisk(root), everything)
    const manifest = join(folder, 'm')
    await runCommand(scan, [root, '-o', manifest])
    execFileSync('bsdtar', ['--format=pax', '--options=hdrcharset=BINARY', '-cf', '../tar', `@${manifest}`], { cwd: root })
    execFileSync('mkdir', ['-m', '755', join(folder, 'copy')])
    execFileSync('bsdtar', ['-xpf', '../tar'], { cwd: join(folder, 'copy') })
    // bsdtar leaves the time of the folder that it unpacks into alone.
    execFileSync('touch', ['-r', root, join(folder, 'copy')])
    // What mtree(5) cannot say, bsdtar cannot pack.
    const { stdout, status } = await runCommand(diff, ['--ignore', 'xattrs', root, join(folder, 'copy')])
    assert.deepEqual([stdout, status], ['', 0])
  })
})

test('a manifest survives and is the same from a copy of the tree', all, async () => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    execFileSync('mkdir', ['-m', '755', root])
    await plant(hostDisk(root), everything)
    await runCommand(scan, [root, '-o', join(folder, 'm')])
    const { entries } = decodeManifest(readFileSync(join(folder, 'm')))
    const find = (path: string) => entries.find((entry) => entry.path === path)
    assert.deepEqual(find('etc/owned')?.uname, 'nosuchuserhere')
    assert.deepEqual(find('etc/owned')?.gname, 'nosuchgrouphere')
    assert.deepEqual([...(find('sbin/ping')?.xattrs?.keys() ?? [])].sort(), ['security.capability', 'user.note'])
    assert.equal(find('bin/sudo')?.kind, 'hardlink')
    execFileSync('cp', ['-a', root, join(folder, 'copy')])
    assert.deepEqual((await runCommand(scan, [join(folder, 'copy')])).stdout, latin1(readFileSync(join(folder, 'm'))))
  })
})

test('mtree files of mtree(8) and bsdtar compare equal to the tree', { ...needs('mtree', 'bsdtar'), ...needsRoot() }, async () => {
  await inTemporary(async (folder) => {
    const root = join(folder, 'root')
    execFileSync('mkdir', ['-m', '755', root])
    await plant(hostDisk(root), everything)
    const keywords = 'type,mode,uid,gid,size,time,link,flags,sha256,nlink'
    const commands: [string, readonly string[]][] = [
      ['mtree', ['-c', '-k', keywords, '-p', root]],
      ['bsdtar', ['--format=mtree', '--options=sha256', '-cf', '-', '-C', root, '.']],
      ['bsdtar', ['--format=mtree-classic', '--options=sha256', '-cf', '-', '-C', root, '.']],
    ]
    for (const [program, args] of commands) {
      const input = execFileSync(program, args)
      assert.deepEqual(await runCommand(diff, ['-', root], { input }), { status: 0, stdout: '', stderr: [] }, program)
    }
    const sizesOnly = await runCommand(diff, ['-', root], { input: execFileSync('mtree', ['-c', '-p', root]) })
    assert.deepEqual([sizesOnly.status, sizesOnly.stderr], [0, ['not in both, and not compared: digests (sizes are compared)']])
  })
})

test('names that mtree(8) takes for patterns are told', async () => {
  await inTemporary(async (folder) => {
    await plant(hostDisk(folder), { 'a*b': '', 'c[d': '', plain: '' })
    assert.deepEqual((await runCommand(scan, [folder])).stderr, [
      'a*b and 1 more: mtree(8) takes * ? [ ] in a name for a pattern; bindery does not',
    ])
    assert.deepEqual((await runCommand(scan, [folder, '--json'])).stderr, [])
  })
})

test('JSON lines: one object an entry, bytes that are no text under a name of their own', async () => {
  await inTemporary(async (folder) => {
    await plant(hostDisk(folder), { 'u\xc3\xa9': 'x', 'l\xff': symlink('t\xe9') })
    const lines = Buffer.from((await runCommand(scan, ['-j', folder])).stdout, 'latin1')
      .toString('utf8')
      .trim()
      .split('\n')
    const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      objects.map(({ path, pathLatin1, kind, targetLatin1 }) => ({ path, pathLatin1, kind, targetLatin1 })),
      [
        { path: '.', pathLatin1: undefined, kind: 'dir', targetLatin1: undefined },
        { path: undefined, pathLatin1: 'l\xff', kind: 'symlink', targetLatin1: 't\xe9' },
        { path: 'u\xe9', pathLatin1: undefined, kind: 'file', targetLatin1: undefined },
      ],
    )
    assert.match(lines[2] as string, /"mode":"0644".*"mtime":"1600000000\.000000000","size":1,"sha256":"2d71/)
  })
})

test('what cannot be scanned', async () => {
  await inTemporary(async (folder) => {
    await plant(hostDisk(folder), { f: 'x', 'd/e/f': 'x' })
    assert.equal((await runCommand(scan, [join(folder, 'missing')])).code, 'not-found')
    assert.equal((await runCommand(scan, [join(folder, 'f')])).code, 'wrong-type')
    assert.equal((await runCommand(scan, ['--exclude', '../x', folder])).code, 'usage')
    assert.equal((await runCommand(scan, ['-o', join(folder, 'no/such'), folder])).status, 1)
    const { stdout } = await runCommand(scan, ['--exclude', './d/e/', '--exclude', '/f', folder])
    assert.deepEqual(
      stdout
        .split('\n')
        .slice(2)
        .map((line) => line.split(' ')[0]),
      ['.', './d', ''],
    )
  })
})
