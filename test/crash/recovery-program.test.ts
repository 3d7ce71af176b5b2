import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { assertSameTree } from '../acceptance/judge.ts'
import { baseTools, busyboxTools } from '../helpers/base-tools.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { folderInMemory } from '../helpers/temporary.ts'
import { isTurn, isWholeSuite } from '../helpers/whole-suite.ts'
import type { Stats } from 'node:fs'

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

function installUntil(call: number | string, kind = ''): Ended {
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

type Planted = { readonly path: string; readonly secret: string; readonly before: Stats }

let calls = 0

if (isTurn(1))
  describe(
    'the recovery program',
    { ...needs('mtree', 'diff', 'getfattr', 'setfattr', 'dash', 'mksh', 'busybox', 'ldd'), ...needsRoot() },
    () => {
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

      test('shellcheck has nothing to say', needs('shellcheck'), () => {
        const { status, out } = run('shellcheck', ['-s', 'sh', resolve('dist/bindery-recover')])
        assert.deepEqual([status, out], [0, ''])
      })

      const points = isWholeSuite ? 24 : 2
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

      test('keeps what somebody wrote into a file since, under a second name', () => {
        // Behind the first file that changes its place.
        const first = /^swap (\S+)/m.exec(readFileSync(at('interrupted/var/db/bindery/journal'), 'latin1'))?.[1] as string
        assert.equal(installUntil(first).status, null)
        // Of those that have not yet, the store has the same inode.
        const due = readFileSync(state('journal'), 'latin1').matchAll(/^(swap|drop) ([a-z/]+) 0:(\d+) file,/gm)
        const found = [...due].filter(([, , path = '', slot = '']) => {
          return existsSync(at(`root/${path}`)) && statSync(at(`root/${path}`)).ino === statSync(state(`store/1/${slot}`)).ino
        })
        const [swapped, dropped] = ['swap', 'drop'].map((kind) => found.find(([, one]) => one === kind)?.[2]) as [string, string]
        assert.ok(swapped !== undefined && dropped !== undefined, JSON.stringify(found))
        for (const path of [swapped, dropped]) appendFileSync(at(`root/${path}`), ' and mine')
        const done = recover()
        assert.equal(done.status, 6, done.talk)
        assert.match(done.talk, new RegExp(`/${swapped} was changed in the meantime; it is kept as /${swapped}\\.local\n`))
        assert.match(readFileSync(at(`root/${swapped}.local`), 'latin1'), / and mine$/)
        assert.deepEqual(readFileSync(at(`root/${swapped}`)), readFileSync(at(`NEW/${swapped}`)))
        assert.match(readFileSync(at(`root/${dropped}`), 'latin1'), / and mine$/)
      })

      test('gives no owner, mode or time to another file that whoever owns the folder has put there since', () => {
        const first = /^swap (\S+)/m.exec(readFileSync(at('interrupted/var/db/bindery/journal'), 'latin1'))?.[1] as string
        assert.equal(installUntil(first).status, null)
        // Files that neither come nor go: one gets another mode, the other a time alone, which are looked at many at once.
        const journal = readFileSync(state('journal'), 'latin1')
        const due = [...journal.matchAll(/^attr ([a-z/0-9-]+) file,(\d+,\d+,\d+),\S+ file,(\d+,\d+,\d+),/gm)].filter(
          ([, path = '']) => !new RegExp(`^(?:put|swap) ${path} `, 'm').test(journal),
        )
        const [mode, time] = [false, true].map((isSame) => due.find(([, , from, to]) => (from === to) === isSame)?.[1]) as [string, string]
        assert.ok(mode !== undefined && time !== undefined, journal)
        const [forMode, forTime] = [mode, time].map((path) => {
          const secret = at(`root/secret-${path.replaceAll('/', '-')}`)
          writeFileSync(secret, 'secret', { mode: 0o600 })
          rmSync(at(`root/${path}`))
          linkSync(secret, at(`root/${path}`))
          return { path, secret, before: statSync(secret) }
        }) as [Planted, Planted]
        const done = recover()
        assert.equal(done.status, 6, done.talk)
        for (const { path, secret, before } of [forMode, forTime]) {
          assert.match(done.talk, new RegExp(`/${path} was modified here`))
          const now = statSync(secret)
          assert.deepEqual([now.mode, now.uid, now.mtimeMs], [before.mode, before.uid, before.mtimeMs])
        }
      })

      test('goes by what has come where a power cut gave back names that renames took', async () => {
        for (const undo of [true, false]) {
          interrupt()
          const actions = readFileSync(state('journal'), 'latin1').matchAll(/^(?:put|swap) ([\w./+-]+) 0:(\d+) /gm)
          const come = [...actions].filter(
            ([, , slot = '']) => lstatSync(state(`stage/1/${slot}`), { throwIfNoEntry: false }) === undefined,
          )
          assert.ok(come.length > 5)
          for (const [, path = '', slot = ''] of come) linkSync(at(`root/${path}`), state(`stage/1/${slot}`))
          const done = recover(undo ? ['--undo'] : [])
          assert.equal(done.status, 0, done.talk)
          await assertSameTree(at('root'), at(undo ? 'OLD' : 'NEW'))
          assert.deepEqual(readdirSync(state('stage')), [])
        }
        linkSync(state('receipt/1'), state('journal'))
        assert.deepEqual(recover(['-n']), { status: 0, out: '', talk: '' })
        const talk = "bindery: recover: the install is done; 'bindery rollback' takes it back\n"
        assert.deepEqual(recover(['--undo']), { status: 0, out: '', talk })
        assert.ok(!existsSync(state('journal')) && existsSync(state('receipt/1')))
        await assertSameTree(at('root'), at('NEW'))
      })

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

      test('goes on when what is missing is there: a file system, the end of another run, the name of the machine; steps wait for the end of the boot', async () => {
        interrupt()
        rewriteJournal((lines) => {
          const behind = lines.findLastIndex((line) => line.startsWith('area ')) + 1
          return lines.toSpliced(behind, 0, 'post run hello 60 report no true')
        })
        renameSync(state('stage/1'), at('elsewhere'))
        const unmounted = recover()
        assert.equal(unmounted.status, 4, unmounted.talk)
        assert.match(unmounted.talk, /stage\/1: is not there; is its file system mounted\?/)
        renameSync(at('elsewhere'), state('stage/1'))

        writeFileSync(state('lock/4711.x'), 'bindery-lock 1\npid 4711\nhost somewhere\nstarted 1@another-start\nverb install\n')
        assert.equal(recover().status, 5)
        const early = baseTools(at('early'), 'mksh', xattrTools)
        rmSync(join(early, 'uname'))
        writeFileSync(join(early, 'uname'), '#!/bin/sh\n[ "$1" = -n ] && echo "(none)" || echo Linux\n', { mode: 0o755 })
        writeFileSync(join(early, 'logger'), `#!/bin/sh\necho "$*" >>${at('logged')}\n`, { mode: 0o755 })
        const done = recover(['--boot'], early)
        assert.equal(done.status, 0, done.talk)
        await assertSameTree(at('root'), at('NEW'))
        const said = ['an interrupted install is being finished', "steps of the update are left: 'bindery recover' runs them"]
        const lines = said.map((line) => `bindery: recover: ${line}\n`)
        assert.equal(done.talk, lines.join(''))
        assert.equal(readFileSync(state('log/boot'), 'utf8').replace(/^.*\n/, ''), lines.join(''))
        assert.equal(readFileSync(at('logged'), 'utf8'), lines.map((line) => `-t bindery -- ${line}`).join(''))

        assert.deepEqual(readdirSync(state('steps')), ['1'])
        assert.deepEqual(recover(['--boot']), { status: 0, out: '', talk: '' })
        assert.match(recover(['-n']).out, /has steps left to run: hello\n$/)
        assert.equal(recover(['--undo']).status, 6)
        assert.match(readFileSync(state('log/1'), 'utf8'), /^== hello\n/)
        await assertSameTree(at('root'), at('NEW'))
      })

      describe('on a root that is mounted read-only but for a commit', () => {
        const versionOf = (): string => readFileSync(at('root/version'), 'utf8')
        const mount = (...words: readonly string[]): void => void execFileSync('mount', [...words, at('root')])
        const isReadOnly = (): boolean =>
          run('findmnt', ['-no', 'OPTIONS', '-M', at('root')])
            .out.split(/[,\n]/)
            .includes('ro')
        const hooks = (before: string, later: string): void =>
          writeFileSync(state('commit-hooks'), `bindery-commit-hooks 1\nbefore ${before}\nafter ${later}\n`)
        const remount = (how: string): string => `mount -o remount,bind,${how} none /; echo 100% \\134 >/dev/null`

        before(() => {
          for (const [tree, version] of Object.entries({ 'OLD.flash': '1', 'NEW.flash': '2' })) {
            for (const folder of ['bin', 'dev', 'var/db']) mkdirSync(at(`${tree}/${folder}`), { recursive: true })
            copyFileSync('/bin/busybox', at(`${tree}/bin/sh`))
            copyFileSync('/bin/busybox', at(`${tree}/bin/mount`))
            execFileSync('mknod', [at(`${tree}/dev/null`), 'c', '1', '3'])
            writeFileSync(at(`${tree}/version`), version)
          }
        })

        /** Killed in the commit, and started again: what the killed run had made writable is not so any more. */
        function restart(before: string, later: string): boolean {
          assert.equal(installUntil('version', '.flash').status, null)
          hooks(before, later)
          try {
            mount('--bind', at('root'))
          } catch {
            return false
          }
          mount('-o', 'remount,bind,ro')
          return true
        }

        const closing = (words: () => void): void => {
          try {
            words()
          } finally {
            run('umount', ['-l', at('root')])
          }
        }

        test('it makes the root writable as the killed run had it written down, and puts it back', (t) => {
          if (!restart(remount('rw'), remount('ro'))) return t.skip('cannot mount here')
          closing(() => {
            assert.match(recover(['-n']).out, /^install .* was interrupted\nafter-commit of bindery\.conf is due\n$/)
            const done = recover(['--boot'])
            assert.equal(done.status, 0, done.talk)
            assert.deepEqual([versionOf(), existsSync(state('journal')), existsSync(state('commit-hooks'))], ['2', false, false])
            assert.ok(isReadOnly())
            assert.deepEqual(recover(['--boot']), { status: 0, out: '', talk: '' })
          })
        })

        test('what cannot be put back is told and tried again; what cannot be made writable changes nothing; a run in the middle is left alone', (t) => {
          if (!restart('echo no; exit 3', remount('ro'))) return t.skip('cannot mount here')
          closing(() => {
            const refused = recover()
            assert.equal(refused.status, 4, refused.talk)
            assert.match(refused.talk, /^no\nbindery: recover: before-commit of bindery\.conf failed with status 3\n.*cannot be written\n/)
            assert.ok(isReadOnly())
            mount('-o', 'remount,bind,rw')
            hooks(remount('rw'), 'echo busy; exit 32')
            writeFileSync(state('lock/4711.x'), 'bindery-lock 1\npid 4711\nhost somewhere\nstarted 1@another-start\nverb install\n')
            assert.equal(recover().status, 5)
            rmSync(state('lock/4711.x'))
            const told = recover()
            assert.equal(told.status, 6, told.talk)
            assert.match(
              told.talk,
              /busy\nbindery: recover: after-commit of bindery\.conf failed with status 32; the next run tries it again\n$/,
            )
            hooks('', remount('ro'))
            assert.equal(recover().status, 0)
            assert.deepEqual([versionOf(), existsSync(state('commit-hooks')), isReadOnly()], ['2', false, true])
          })
        })
      })

      describe('in a root where no program starts that needs a library', () => {
        before(() => {
          for (const tree of ['OLD', 'NEW']) execFileSync('cp', ['-a', '--no-preserve=xattr', at(tree), at(`${tree}.plain`)])
        })

        /** The programs there are dynamic ones without the linker that starts them. */
        function inRescue(words: readonly string[], extra: readonly string[], broken: readonly string[] = []): Ended {
          const tools = readdirSync(at('dash')).filter((name) => name !== 'sh' && (!xattrTools.includes(name) || broken.includes(name)))
          mkdirSync(at('root/rescue'))
          for (const tool of tools) copyFileSync('/bin/cat', at(`root/rescue/${tool}`))
          for (const tool of ['sh', ...extra]) copyFileSync('/bin/busybox', at(`root/rescue/${tool}`))
          const done = run(join(at('dash'), 'chroot'), ['root', '/rescue/sh', '/var/db/bindery/recover', ...words], '/rescue')
          rmSync(at('root/rescue'), { recursive: true })
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

        test('but extended attributes are beyond it, also where their tools are there and do not start: that is said, and nothing was changed', () => {
          interrupt()
          for (const tools of [[], xattrTools]) {
            const before = run('find', ['root', '-path', 'root/var/db', '-prune', '-o', '-type', 'f', '-printf', '%p %C@\n']).out
            const done = inRescue([], ['busybox'], tools)
            assert.equal(done.status, 4)
            assert.match(done.talk, /journal: has extended attributes, which cannot be set here: there is no getfattr and setfattr\n/)
            assert.equal(run('find', ['root', '-path', 'root/var/db', '-prune', '-o', '-type', 'f', '-printf', '%p %C@\n']).out, before)
          }
        })
      })

      describe('in a root of its own dynamic programs, all of which are replaced, with their linker and C library', () => {
        const plantLive = (): { readonly linker: string; readonly libc: string } => {
          const tools = readdirSync(at('dash')).filter((name) => !xattrTools.includes(name))
          const files = new Map(tools.map((name) => [`bin/${name}`, realpathSync(at(`dash/${name}`))]))
          const linked = execFileSync('ldd', [...files.values()], { encoding: 'utf8' })
          for (const [, library = ''] of linked.matchAll(/(\/\S+) \(0x/g)) files.set(library.slice(1), library)
          for (const [path, from] of files) {
            for (const tree of ['OLD.live', 'NEW.live']) mkdirSync(dirname(at(`${tree}/${path}`)), { recursive: true })
            copyFileSync(from, at(`OLD.live/${path}`))
            copyFileSync(from, at(`NEW.live/${path}`))
            appendFileSync(at(`NEW.live/${path}`), '\n')
          }
          for (const tree of ['OLD.live', 'NEW.live']) mkdirSync(at(`${tree}/var/db`), { recursive: true })
          const named = (pattern: RegExp): string => [...files.keys()].find((path) => pattern.test(path)) as string
          return { linker: named(/\/ld-[^/]+$/), libc: named(/\/libc\.so[^/]*$/) }
        }

        test('the new linker is there and the old C library: it goes on, and it goes back', async () => {
          const { linker, libc } = plantLive()
          for (const undo of [false, true]) {
            assert.equal(installUntil(linker, '.live').status, null)
            assert.deepEqual(readFileSync(at(`root/${linker}`)), readFileSync(at(`NEW.live/${linker}`)))
            assert.deepEqual(readFileSync(at(`root/${libc}`)), readFileSync(at(`OLD.live/${libc}`)))
            mkdirSync(at('root/dev'))
            execFileSync('mknod', ['-m', '666', at('root/dev/null'), 'c', '1', '3'])
            const done = run(
              join(at('dash'), 'chroot'),
              ['root', '/bin/sh', '/var/db/bindery/recover', ...(undo ? ['--undo'] : [])],
              '/bin',
            )
            assert.equal(done.status, 0, done.talk)
            rmSync(at('root/dev'), { recursive: true })
            await assertSameTree(at('root'), at(undo ? 'OLD.live' : 'NEW.live'), ['time'])
          }
        })
      })

      test('a run that was killed behind its journal leaves a store that belongs to nothing: it goes, and those of receipts stay', () => {
        installUntil(0)
        mkdirSync(state('store/2'))
        writeFileSync(state('store/2/0'), 'of an install that was taken back')
        for (const half of ['recover.new', 'steps/2.new']) writeFileSync(state(half), '')
        assert.deepEqual(recover(), { status: 0, out: '', talk: '' })
        assert.deepEqual(readdirSync(state('store')), ['1'])
        for (const half of ['recover.new', 'steps/2.new']) assert.ok(!existsSync(state(half)), half)
      })

      test('starts no program where nothing is left', () => {
        installUntil(0)
        mkdirSync(at('watched'))
        for (const tool of readdirSync(at('dash'))) writeFileSync(at(`watched/${tool}`), `#!/bin/sh\necho ${tool} >&2\n`, { mode: 0o755 })
        const done = run('/bin/sh', [state('recover'), '-R', 'root'], at('watched'))
        assert.deepEqual(done, { status: 0, out: '', talk: '' })
      })
    },
  )
