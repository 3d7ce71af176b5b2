import assert from 'node:assert/strict'
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { diskPaths } from '../src/host/disk-path.ts'
import { parseStat, readFlags, writeFlags } from '../src/host/disk-flags.ts'
import { lockedFlags, parseMountInfo } from '../src/host/disk-refusal.ts'
import { deviceNumbers } from '../src/host/disk-stat.ts'
import { touchScript, writeTimes } from '../src/host/disk-times.ts'
import { parseDump, readXattrs } from '../src/host/disk-xattrs.ts'
import { hostExec } from '../src/host/exec.ts'
import { parseMounts } from '../src/host/mount-table.ts'
import { parseMountLines, remoteAmong, systemMounts } from '../src/host/remote-mounts.ts'
import { relPath } from './helpers/plant.ts'
import type { Exec } from '../src/port/exec.ts'

/** Writes down what it is asked to run, and answers with `stdout`, or fails with `stderr`. */
function recorder(answer: { readonly stdout?: string; readonly stderr?: string } = {}): { exec: Exec; runs: string[] } {
  const runs: string[] = []
  const exec: Exec = {
    has: async () => true,
    run: async (program, args, options = {}) => {
      runs.push(`${[program, ...args].join(' ')} < ${JSON.stringify(latin1(options.input ?? new Uint8Array(0)))}`)
      return { status: answer.stderr === undefined ? 0 : 1, stdout: utf8(answer.stdout ?? ''), stderr: utf8(answer.stderr ?? '') }
    },
  }
  return { exec, runs }
}

function inFolder(use: (folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bindery-tools-'))
    try {
      await use(folder)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

test(
  'flags of the BSDs are found by inode, whatever the names hold',
  inFolder(async (folder) => {
    for (const name of ['a', 'b\nc', 'plain']) writeFileSync(join(folder, name), '')
    const inode = (name: string): string => `${lstatSync(join(folder, name)).dev} ${lstatSync(join(folder, name)).ino}`
    const { exec, runs } = recorder({ stdout: `${inode('b\nc')} uchg,nodump\n${inode('a')} schg\n${inode('plain')} -\n` })
    const found = await readFlags({ exec, root: folder }, ['a', 'b\nc', 'plain', 'gone'].map(relPath))
    assert.deepEqual(
      found,
      new Map([
        [relPath('a'), ['schg']],
        [relPath('b\nc'), ['nodump', 'uchg']],
      ]),
    )
    assert.deepEqual(runs, ['xargs -0 stat -f %d %i %Sf -- < "./a\\u0000./b\\nc\\u0000./plain\\u0000./gone\\u0000"'])
  }),
)

test('no flags are written in three ways', () => {
  assert.deepEqual([...parseStat('1 2 \n1 3 -\n1 4 none\n1 5 arch\n').values()], [[], [], [], ['arch']])
})

test('chflags clears all flags before it sets some, and never follows a link', async () => {
  const { exec, runs } = recorder()
  await writeFlags({ exec, root: '/' }, relPath('usr/bin/su'), ['schg', 'nodump'])
  await writeFlags({ exec, root: '/' }, relPath('-rf'), [])
  assert.deepEqual(runs, [
    'xargs -0 chflags -h 0 < "./usr/bin/su\\u0000"',
    'xargs -0 chflags -h schg,nodump < "./usr/bin/su\\u0000"',
    'xargs -0 chflags -h 0 < "./-rf\\u0000"',
  ])
})

test('what a tool says decides the code', async () => {
  const refused = recorder({ stderr: 'chflags: ./f: Operation not permitted\n' })
  await assert.rejects(writeFlags({ exec: refused.exec, root: '/' }, relPath('f'), []), (error) => isBinderyError(error, 'permission'))
  const odd = recorder({ stderr: 'chflags: invalid flag: xyz\n' })
  await assert.rejects(writeFlags({ exec: odd.exec, root: '/' }, relPath('f'), ['xyz']), (error) => isBinderyError(error, 'io'))
})

test('every system packs device numbers in its own way', () => {
  const unpack = (platform: string, rdev: bigint): string => Object.values(deviceNumbers(rdev, platform)).join(',')
  assert.equal(unpack('linux', 0x1111_2c70n), '300,70000')
  assert.equal(unpack('freebsd', 0x111_0001_2c70n), '300,70000')
  assert.equal(unpack('netbsd', 0x0120_0534n), '5,4660')
  assert.equal(unpack('openbsd', 0x0012_0534n), '5,4660')
  assert.equal(unpack('dragonfly', 0x0012_0534n), '5,1179700')
})

test('one touch for all paths of a time, safely quoted', () => {
  const mtime = { sec: 1_767_225_600, nsec: 7 }
  const script = touchScript(
    [
      { path: relPath("it's"), mtime },
      { path: relPath('-x'), mtime },
      { path: relPath('old'), mtime: { sec: -1, nsec: 500_000_000 } },
    ],
    '-h ',
  )
  assert.equal(
    latin1(script),
    [
      'status=0',
      'failed() { [ $? -lt 128 ] || exit 128; status=1; }',
      "touch -h -c -m -d 2026-01-01T00:00:00.000000007Z -- './it'\\''s' './-x' </dev/null || failed",
      "touch -h -c -m -d 1969-12-31T23:59:59.500000000Z -- './old' </dev/null || failed",
      'exit $status',
      '',
    ].join('\n'),
  )
})

test(
  'a touch without -h gets the files a second time, and links keep what node could do',
  inFolder(async (folder) => {
    writeFileSync(join(folder, 'f'), '')
    const { exec, runs } = recorder({ stderr: 'touch: unknown option -- h\n' })
    const mtime = { sec: 1_767_225_600, nsec: 123_456_789 }
    await writeTimes({ exec, root: folder }, [{ path: relPath('f'), mtime }], diskPaths(folder, { anchored: false }))
    assert.deepEqual(
      runs.map((run) => /touch (-h )?-c/.exec(run)?.[0]),
      ['touch -h -c', 'touch -c'],
    )
    const difference = lstatSync(join(folder, 'f'), { bigint: true }).mtimeNs - 1_767_225_600_123_456_789n
    assert.ok(difference > -1000n && difference < 1000n, `${difference} ns off`)
  }),
)

test(
  'a touch that the disk fails is a failure',
  inFolder(async (folder) => {
    writeFileSync(join(folder, 'f'), '')
    const { exec } = recorder({ stderr: "touch: setting times of './f': Input/output error\n" })
    const times = [{ path: relPath('f'), mtime: { sec: 1_767_225_600, nsec: 123_456_789 } }]
    await assert.rejects(writeTimes({ exec, root: folder }, times, diskPaths(folder, { anchored: false })), { code: 'io', subject: 'f' })
  }),
)

test(
  'a touch that drops fractions does not make it worse',
  inFolder(async (folder) => {
    writeFileSync(join(folder, 'f'), '')
    const crude: Exec = {
      has: async () => true,
      run: async () => (lstatSync(join(folder, 'f')), { status: 1, stdout: new Uint8Array(0), stderr: new Uint8Array(0) }),
    }
    const mtime = { sec: 1_767_225_600, nsec: 999_999_999 }
    await writeTimes({ exec: crude, root: folder }, [{ path: relPath('f'), mtime }], diskPaths(folder, { anchored: false }))
    const difference = lstatSync(join(folder, 'f'), { bigint: true }).mtimeNs - 1_767_225_600_999_999_999n
    assert.ok(difference > -1000n && difference < 1000n, `${difference} ns off`)
  }),
)

test(
  'a tool that a signal ended has not done its work',
  inFolder(async (folder) => {
    writeFileSync(join(folder, 'f'), '')
    const f = relPath('f')
    const ended = (status: number): Exec => ({
      has: async () => true,
      run: async () => ({ status, stdout: new Uint8Array(0), stderr: new Uint8Array(0) }),
    })
    const isIo = (error: unknown): boolean => isBinderyError(error, 'io')
    const times = [{ path: f, mtime: { sec: 1_767_225_600, nsec: 123_456_789 } }]
    await assert.rejects(writeTimes({ exec: ended(128), root: folder }, times, diskPaths(folder, { anchored: false })), isIo)
    await assert.rejects(readXattrs({ exec: ended(125), root: folder }, [f]), isIo)
    await assert.rejects(readFlags({ exec: ended(125), root: folder }, [f]), isIo)
  }),
)

test(
  'a touch that a signal ended ends its script',
  inFolder(async (folder) => {
    for (const name of ['f', 'g']) writeFileSync(join(folder, name), '')
    writeFileSync(join(folder, 'touch'), '#!/bin/sh\nkill -INT $$\n', { mode: 0o755 })
    const script = touchScript([{ path: relPath('f'), mtime: { sec: 1, nsec: 1 } }], '-h ')
    const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}` }
    assert.equal((await hostExec.run('sh', ['-s'], { cwd: folder, input: script, env })).status, 128)
  }),
)

test('the dump of getfattr is read with its escapes, and nothing else', () => {
  const dump = '# file: w\\012\\134"\xff=\nuser.a b\\075c=0x00ff\nuser.empty=0x\nuser.bare\n\n# file: ./d\nsecurity.capability=0x01\n\n'
  assert.deepEqual(
    parseDump(dump),
    new Map([
      [
        relPath('w\n\\"\xff='),
        new Map([
          ['user.a b=c', '\0\xff'],
          ['user.empty', ''],
          ['user.bare', ''],
        ]),
      ],
      [relPath('d'), new Map([['security.capability', '\x01']])],
    ]),
  )
  assert.deepEqual(parseDump(''), new Map())
  for (const bad of ['user.a=0x00\n', '# file: ../x\nuser.a=0x00\n', '# file: f\nuser.a=0x0\n', '# file: f\nuser.a="text"\n']) {
    assert.throws(
      () => parseDump(bad),
      (error) => isBinderyError(error, 'io'),
    )
  }
})

test('flags that the security level keeps, or a jail, are no flags that can be taken away', async () => {
  const answers = (values: Readonly<Record<string, string>>): Exec => ({
    has: async () => true,
    run: async (program, args) => {
      const [own, other] = [lstatSync('.'), lstatSync('src')]
      const flags = `${own.dev} ${own.ino} schg,uarch\n${other.dev} ${other.ino} uchg\n`
      const text = program === 'xargs' ? flags : values[args[1] ?? '']
      return { status: text === undefined ? 1 : 0, stdout: utf8(`${text}\n`), stderr: new Uint8Array(0) }
    },
  })
  const locked = async (platform: string, values: Readonly<Record<string, string>>): Promise<readonly string[]> =>
    await lockedFlags({ exec: answers(values), root: process.cwd() }, platform, ['.', 'src'].map(relPath))
  const jailed = (isJailed: string, mayChange: string): Record<string, string> => ({
    'kern.securelevel': '-1',
    'security.jail.jailed': isJailed,
    'security.jail.chflags_allowed': mayChange,
  })
  assert.deepEqual(await locked('openbsd', { 'kern.securelevel': '1' }), ['.'])
  assert.deepEqual(await locked('openbsd', { 'kern.securelevel': '0' }), [])
  assert.deepEqual(await locked('freebsd', jailed('0', '0')), [])
  assert.deepEqual(await locked('freebsd', jailed('1', '0')), ['.'])
  assert.deepEqual(await locked('freebsd', jailed('1', '1')), [])
  assert.deepEqual(await locked('linux', { 'kern.securelevel': '1' }), [])
})

test('file systems of other machines are known on every system, those on top of them are not', async () => {
  const mountinfo = [
    '26 1 254:0 / / rw - ext4 /dev/vda rw',
    '40 26 0:50 / /mnt/root/usr rw shared:1 - nfs4 host:/usr rw',
    '41 40 0:51 / /mnt/root/usr/local rw - ext4 /dev/vdb rw',
    '42 26 0:52 / /mnt/root/srv rw - fuse.sshfs host:/srv rw',
  ].join('\n')
  const paths = ['.', 'usr', 'usr/lib/libc.so.7', 'usr/local/bin', 'usr.old', 'srv/a'].map(relPath)
  const remote = ['usr', 'usr/lib/libc.so.7', 'srv/a']
  assert.deepEqual(remoteAmong(parseMounts(mountinfo), '/mnt/root', paths), remote)
  const local = ['/dev/sd0a on / type ffs (local)', '/dev/sd0d on /usr/local type ffs (local, nodev)']
  const openbsd = [local[0], 'host:/usr on /usr type nfs (v3, udp)', local[1], 'host:/s on /srv type nfs (v3)', ''].join('\n')
  const freebsd = [
    'zroot/ROOT on / (zfs, local)',
    'host:/usr on /usr (nfs, read-only)',
    'p3 on /usr/local (ufs)',
    'h:/on (x on /srv (nfs)',
  ].join('\n')
  for (const text of [openbsd, freebsd]) assert.deepEqual(remoteAmong(parseMountLines(text), '/', paths), remote)
  const { exec, runs } = recorder({ stdout: openbsd })
  assert.equal((await systemMounts('openbsd', exec, async () => '')).length, 4)
  assert.deepEqual(runs, ['/sbin/mount < ""'])
})

test('mount points below a root are read from Linux, whatever their names hold', () => {
  const text = [
    '26 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
    '40 26 254:0 /a /mnt/root/usr/a\\040name\\134 ro,relatime shared:1 - ext4 /dev/vda rw',
    '41 26 254:0 /b /mnt/rooted rw - ext4 /dev/vda rw',
    '',
  ].join('\n')
  assert.deepEqual([...parseMountInfo(text, '/mnt/root')], ['usr/a name\\'])
  assert.deepEqual([...parseMountInfo(text, '/')], ['mnt/root/usr/a name\\', 'mnt/rooted'])
})
