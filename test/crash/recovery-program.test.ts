import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { assertSameTree } from '../acceptance/judge.ts'
import { baseTools, busyboxTools } from '../helpers/base-tools.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { isWholeSuite } from '../helpers/whole-suite.ts'

/** An install is killed, bindery and Node are out of reach: what the client has left beside its journal does the rest. */

const work = folderInMemory('bindery-recovery-')
after(() => rmSync(work, { recursive: true }))
const at = (name: string): string => join(work, name)

type Ended = { readonly status: number | null; readonly out: string; readonly talk: string }

function run(program: string, words: readonly string[], path?: string): Ended {
  const env = path === undefined ? process.env : { PATH: path }
  const { status, stdout, stderr } = spawnSync(program, words, { cwd: work, env, encoding: 'utf8' })
  return { status, out: stdout, talk: stderr }
}

function installUntil(call: number, kind = ''): Ended {
  rmSync(at('root'), { recursive: true, force: true })
  execFileSync('cp', ['-a', at(`OLD${kind}`), at('root')])
  return run(process.execPath, [resolve('test/helpers/dying-install.ts'), at(`OLD${kind}`), at(`NEW${kind}`), at('root'), String(call)])
}

/** In the middle of the commit. */
function interrupt(): void {
  rmSync(at('root'), { recursive: true, force: true })
  execFileSync('cp', ['-a', at('interrupted'), at('root')])
}

const state = (name: string): string => join(work, 'root/var/db/bindery', name)

/** By a shell and base tools alone. */
function recover(words: readonly string[] = [], path = join(work, 'dash')): Ended {
  return run(join(path, 'sh'), [state('recover'), '-R', 'root', ...words], path)
}

/** The journal with other lines, and the digest that they have. */
function rewriteJournal(change: (lines: readonly string[]) => readonly string[]): void {
  const body = `${change(readFileSync(state('journal'), 'latin1').split('\n').slice(0, -2)).join('\n')}\n`
  writeFileSync(state('journal'), `${body}end ${createHash('sha256').update(body, 'latin1').digest('hex')}\n`, 'latin1')
}

let calls = 0

describe('the recovery program', { ...needs('mtree', 'diff', 'getfattr', 'setfattr', 'dash', 'mksh', 'busybox'), ...needsRoot() }, () => {
  const xattrTools = ['getfattr', 'setfattr']
  before(() => {
    execFileSync(resolve('test/acceptance/trees.sh'), [at('OLD'), at('NEW')])
    for (const shell of ['dash', 'mksh']) baseTools(at(shell), shell, xattrTools)
    busyboxTools(at('busybox'), xattrTools)
    const whole = installUntil(0)
    assert.equal(whole.status, 0, whole.talk)
    calls = Number(whole.out)
    assert.equal(installUntil(Math.floor(calls * 0.8)).status, null)
    renameSync(at('root'), at('interrupted'))
  })

  test('lies beside every journal, for root alone, and is the one of this build', () => {
    interrupt()
    assert.deepEqual(readFileSync(state('recover')), readFileSync('dist/bindery-recover'))
    assert.equal(statSync(state('recover')).mode & 0o7777, 0o700)
  })

  const points = isWholeSuite ? 24 : 3
  for (let point = 0; point < points; point++) {
    const shell = ['dash', 'busybox', 'mksh'][point % 3] as string
    const undo = (point + Math.floor(point / 3)) % 2 === 1
    test(`under ${shell}, ${undo ? 'takes back' : 'finishes'} what was killed at ${point + 1} of ${points} points`, async () => {
      assert.equal(installUntil(Math.floor(calls * (0.3 + (0.7 * (point + 0.5)) / points))).status, null)
      const wasCommitted = existsSync(state('journal'))
      if (!existsSync(state('recover'))) copyFileSync('dist/bindery-recover', state('recover'))
      const done = recover(undo ? ['--undo'] : [], at(shell))
      assert.equal(done.status, 0, done.talk)
      // The touch of busybox knows seconds alone, and none of a link.
      await assertSameTree(at('root'), at(wasCommitted && !undo ? 'NEW' : 'OLD'), shell === 'busybox' ? ['time'] : [])
      for (const gone of ['journal', 'journal.new']) assert.ok(!existsSync(state(gone)))
      assert.deepEqual(readdirSync(state('stage')), [])
      assert.deepEqual(
        readdirSync(state('.')).filter((name) => name.startsWith('recovering')),
        [],
      )
    })
  }

  test('says with -n what was interrupted, and changes nothing', () => {
    interrupt()
    const before = run('find', ['root', '-printf', '%p %C@\n']).out
    const { status, out, talk } = recover(['-n'])
    assert.deepEqual([status, out, talk], [0, 'install base-1.0-20260101-amd64 -> base-1.1-20260101-amd64 was interrupted\n', ''])
    assert.equal(run('find', ['root', '-printf', '%p %C@\n']).out, before)
  })

  test('leaves a journal of a newer form, or a torn one, alone', () => {
    interrupt()
    const whole = readFileSync(state('journal'), 'latin1')
    for (const [first, status, text] of [
      ['bindery-journal 2', 1, /newer bindery/],
      ['bindery-journal 1 ', 1, /newer bindery/],
      ['nonsense', 3, /torn or changed/],
    ] as const) {
      writeFileSync(state('journal'), whole, 'latin1')
      rewriteJournal(([, ...lines]) => [first, ...lines])
      const before = run('find', ['root', '-printf', '%p %C@\n']).out
      const done = recover()
      assert.equal(done.status, status, done.talk)
      assert.match(done.talk, text)
      assert.equal(run('find', ['root', '-printf', '%p %C@\n']).out, before)
    }
    writeFileSync(state('journal'), whole.replace('purpose install', 'purpose repairs'), 'latin1')
    assert.equal(recover().status, 3)
  })

  test('ends with 4 while an area is not mounted, and goes on later', async () => {
    interrupt()
    renameSync(state('stage/1'), at('elsewhere'))
    const done = recover()
    assert.equal(done.status, 4, done.talk)
    assert.match(done.talk, /stage\/1: is not there; is its file system mounted\?/)
    renameSync(at('elsewhere'), state('stage/1'))
    assert.equal(recover().status, 0)
    await assertSameTree(at('root'), at('NEW'))
  })

  test('the lock of a killed process does not stop a machine that does not know its name yet', async () => {
    interrupt()
    writeFileSync(state('lock/4711.x'), 'bindery-lock 1\npid 4711\nhost somewhere\nstarted 1@another-start\nverb install\n')
    assert.equal(recover().status, 5)
    const nameless = baseTools(at('nameless'), 'dash', xattrTools)
    rmSync(join(nameless, 'uname'))
    writeFileSync(join(nameless, 'uname'), '#!/bin/sh\n[ "$1" = -n ] && echo "(none)" || echo Linux\n', { mode: 0o755 })
    const done = recover([], nameless)
    assert.equal(done.status, 0, done.talk)
    await assertSameTree(at('root'), at('NEW'))
  })

  test('with --boot the tree is mended, and the steps wait', async () => {
    interrupt()
    rewriteJournal((lines) => {
      const behind = lines.findLastIndex((line) => line.startsWith('area ')) + 1
      return lines.toSpliced(behind, 0, 'post run hello 60 report no true')
    })
    assert.equal(recover(['--boot']).status, 0)
    assert.deepEqual(readdirSync(state('steps')), ['1'])
    assert.equal(recover(['--boot']).talk, '')
    assert.match(recover(['-n']).out, /has steps left to run: hello\n$/)
    assert.equal(recover(['--undo']).status, 6)
    assert.match(readFileSync(state('log/1'), 'utf8'), /^== hello\n/)
    await assertSameTree(at('root'), at('NEW'))
  })

  describe('in a root where no program starts that needs a library', () => {
    before(() => {
      for (const tree of ['OLD', 'NEW']) execFileSync('cp', ['-a', '--no-preserve=xattr', at(tree), at(`${tree}.plain`)])
    })

    /** The programs there are dynamic ones without the linker that starts them. */
    function inRescue(words: readonly string[], extra: readonly string[]): Ended {
      const tools = readdirSync(at('dash')).filter((name) => name !== 'sh' && !xattrTools.includes(name))
      mkdirSync(at('root/rescue'))
      execFileSync('mknod', [at('root/dev/zero'), 'c', '1', '5'])
      for (const tool of tools) copyFileSync('/bin/cat', at(`root/rescue/${tool}`))
      for (const tool of ['sh', ...extra]) copyFileSync('/bin/busybox', at(`root/rescue/${tool}`))
      const done = run(join(at('dash'), 'chroot'), ['root', '/rescue/sh', '/var/db/bindery/recover', ...words], '/rescue')
      for (const mine of ['root/rescue', 'root/dev/zero']) rmSync(at(mine), { recursive: true })
      return done
    }

    test('busybox takes their place', async () => {
      const total = Number(installUntil(0, '.plain').out)
      assert.equal(installUntil(Math.floor(total * 0.8), '.plain').status, null)
      const broken = inRescue([], [])
      assert.equal(broken.status, 4)
      assert.match(broken.talk, /^bindery: recover: \S+ does not start, and there is no busybox that takes its place\n$/)
      const done = inRescue(['-v'], ['busybox'])
      assert.equal(done.status, 0, done.talk)
      assert.match(done.talk, /busybox takes the place of programs that do not start/)
      await assertSameTree(at('root'), at('NEW.plain'), ['time'])
    })

    test('but extended attributes are beyond it: that is said, and nothing was changed', async () => {
      interrupt()
      const done = inRescue([], ['busybox'])
      assert.equal(done.status, 4)
      assert.match(done.talk, /journal: has extended attributes, which cannot be set here: there is no getfattr and setfattr\n/)
      assert.equal(recover(['--undo']).status, 0)
      await assertSameTree(at('root'), at('OLD'))
    })
  })

  test('starts no program where nothing is left', () => {
    installUntil(0)
    mkdirSync(at('watched'))
    for (const tool of readdirSync(at('dash'))) writeFileSync(at(`watched/${tool}`), `#!/bin/sh\necho ${tool} >&2\n`, { mode: 0o755 })
    const done = run('/bin/sh', [state('recover'), '-R', 'root'], at('watched'))
    assert.deepEqual(done, { status: 0, out: '', talk: '' })
  })
})
