import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { hostExec } from '../src/host/exec.ts'
import { filesInMaps, hostProcesses, processesInFstat, systemProcesses } from '../src/host/processes.ts'
import { relPath } from './helpers/plant.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Exec } from '../src/port/exec.ts'
import type { ReplacedFile } from '../src/port/processes.ts'

const files: readonly ReplacedFile[] = [
  { path: relPath('usr/lib/libssl.so.55'), inode: 4711n },
  { path: relPath('usr/sbin/sshd'), inode: 815n },
  { path: relPath('usr/lib/odd\nname'), inode: undefined },
]

test('maps of Linux: what has lost its name, or is the very file that went', () => {
  const gone = new Map(files.map((file) => [`/${file.path}`, file]))
  const found = (lines: readonly string[]): readonly string[] => filesInMaps(lines.join('\n'), gone)
  const line = (inode: number, path: string): string => `7f00a000-7f00b000 r-xp 00000000 fd:01 ${inode}                    ${path}`
  assert.deepEqual(found([line(1, '/usr/lib/libssl.so.55 (deleted)'), line(2, '/usr/lib/libssl.so.55 (deleted)')]), [
    'usr/lib/libssl.so.55',
  ])
  assert.deepEqual(found([line(4711, '/usr/lib/libssl.so.55')]), ['usr/lib/libssl.so.55'])
  assert.deepEqual(found([line(4712, '/usr/lib/libssl.so.55')]), [])
  assert.deepEqual(found([line(1, '/usr/lib/odd\\012name (deleted)')]), ['usr/lib/odd\nname'])
  assert.deepEqual(
    found([line(1, '/memfd:x (deleted)'), line(0, '[heap]'), '7f00a000-7f00b000 rw-p 00000000 00:00 0 ', line(815, '/sbin/sshd')]),
    [],
  )
})

/** As fstat(1) of FreeBSD prints it, with -m; those of OpenBSD and NetBSD know no mapped files. */
const table = `USER     CMD          PID   FD MOUNT      INUM MODE         SZ|DV R/W
root     sshd         812 text /usr         815 -r-xr-xr-x  360000  r
root     sshd         812 mmap /usr        4711 -r--r--r--  600000  r
root     sshd         812   wd /              2 drwxr-xr-x     512  r
root     sshd         812    3* internet stream tcp fffff80003
www      my daemon    901 mmap /usr        4711 -r--r--r--  600000  r
root     cron         555 mmap /home       4711 -r--r--r--  600000  r
root     cron         555 text /           4711 -r-xr-xr-x  600000  r
`

test('fstat of the BSDs: programs and mapped files by mount point and inode', () => {
  const found = (root: string, text = table): unknown => processesInFstat(text, root, files).map((one) => [one.pid, one.program, one.files])
  assert.deepEqual(found('/'), [
    [812, 'sshd', ['usr/sbin/sshd', 'usr/lib/libssl.so.55']],
    [901, 'my daemon', ['usr/lib/libssl.so.55']],
  ])
  assert.deepEqual(found('/home/jail'), [[555, 'cron', ['usr/lib/libssl.so.55']]])
  assert.deepEqual(found('/', ''), [])
})

test('what cannot be seen is said', async () => {
  const exec = (status: number, text: string): Exec => ({
    run: async () => await Promise.resolve({ status, stdout: utf8(text), stderr: utf8('') }),
    has: async () => true,
  })
  const on = async (one: Exec): Promise<unknown> =>
    (await systemProcesses({ platform: 'openbsd', root: '/', proc: '', exec: one }).usersOf(files)).unseen
  assert.equal(await on(exec(0, table)), undefined)
  assert.match(String(await on(exec(0, table.replaceAll('mmap', 'text')))), /^only programs/)
  assert.match(String(await on(exec(1, ''))), /cannot be run/)
  const missing: Exec = { ...exec(0, ''), run: async () => await Promise.reject(new BinderyError('not-found', 'cannot be run')) }
  assert.match(String(await on(missing)), /cannot be run/)
  assert.deepEqual(await systemProcesses({ platform: 'openbsd', root: '/', proc: '', exec: missing }).usersOf([]), { processes: [] })
})

test(
  'a process that runs a program that was replaced is found, below another root too',
  { skip: process.platform !== 'linux' && 'needs Linux' },
  async () => {
    await inTemporary(async (folder) => {
      mkdirSync(join(folder, 'bin'))
      const program = join(folder, 'bin/sleep')
      copyFileSync('/bin/sleep', program)
      copyFileSync('/bin/sleep', join(folder, 'new'))
      const child = spawn(program, ['60'])
      try {
        await new Promise((done) => child.once('spawn', done))
        const report = async (inode?: bigint): Promise<readonly (readonly [number, string, readonly string[]])[]> => {
          const found = await hostProcesses(folder, hostExec).usersOf([{ path: relPath('bin/sleep'), inode }])
          return found.processes.map((one) => [one.pid, one.program, one.files] as const)
        }
        while ((await report(statSync(program, { bigint: true }).ino)).length === 0);
        assert.deepEqual(await report(), [])
        renameSync(join(folder, 'new'), program)
        assert.deepEqual(await report(), [[child.pid, program, ['bin/sleep']]])
        unlinkSync(program)
        assert.deepEqual(await report(), [[child.pid, program, ['bin/sleep']]])
      } finally {
        child.kill('SIGKILL')
      }
    })
  },
)
