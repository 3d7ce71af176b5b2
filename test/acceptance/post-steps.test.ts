import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { publish } from '../../src/engine/repo/publish.ts'
import { noNotes } from '../../src/engine/update/compose.ts'
import { usualTerms } from '../../src/format/post-step.ts'
import { folderStore } from '../../src/host/folder-store.ts'
import { baseTools } from '../helpers/base-tools.ts'
import { needs, needsRoot } from '../helpers/programs.ts'
import { file, symlink } from '../helpers/plant.ts'
import { makeDist, openWorkshop, releaseName } from '../helpers/repository.ts'
import { inTurn, isTurn } from '../helpers/whole-suite.ts'
import { assertSameTree } from './judge.ts'
import type { UpdateNotes } from '../../src/engine/update/compose.ts'
import type { Literal } from '../helpers/plant.ts'

/** Post-steps in a root with nothing but busybox: by `install`, and by a bundle under two shells; each can finish what the other began. */
const work = mkdtempSync(join(tmpdir(), 'bindery-steps-'))
after(() => rmSync(work, { recursive: true }))

type Did = { readonly status: number | null; readonly out: string; readonly talk: readonly string[] }

function run(...words: readonly string[]): Did {
  const { status, stdout, stderr } = spawnSync(words[0] as string, words.slice(1), { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] })
  const talk = stderr.toString().replaceAll(/^bindery: \w+: |-\d{8}-amd64/gm, '')
  return { status, out: stdout.toString(), talk: talk.split('\n').filter(Boolean) }
}

const bindery = (root: string, ...words: readonly string[]): Did => run(resolve('bin/bindery'), '-C', root, ...words)

const busybox: Literal = {
  ...Object.fromEntries(['sh', 'cat', 'echo', 'sleep'].map((name) => [`bin/${name}`, symlink('busybox')])),
  'etc/motd': 'welcome\n',
  'var/db/keep': '',
}

const notes: Readonly<Record<string, Partial<UpdateNotes>>> = {
  base: {
    postSteps: [
      { kind: 'run', name: 'index', command: 'echo index $BINDERY_OLD $BINDERY_NEW >>/ran', ...usualTerms, afterRollback: true },
      { kind: 'script', name: 'move', text: '# two lines\necho "it\'s moved" >>/ran\n', ...usualTerms },
    ],
    notices: ['read the news'],
    reboot: 'restart',
  },
  extra: {
    postSteps: [
      {
        kind: 'run',
        name: 'agree',
        command: 'if [ -e /refuse ]; then printf "\\033[2Jno\\n" >&2; exit 3; fi',
        ...usualTerms,
        failure: 'roll-back',
      },
    ],
    notices: ['read the news', 'mind the gap'],
    reboot: 'careful',
  },
  hangs: {
    postSteps: [{ kind: 'run', name: 'wait', command: 'echo wait >>/ran; exec sleep 60', ...usualTerms, seconds: 1 }],
  },
  slow: {
    postSteps: [
      { kind: 'run', name: 'first', command: 'echo first >>/ran', ...usualTerms },
      { kind: 'run', name: 'wait', command: 'echo wait >>/ran; if [ ! -e /go ]; then sleep 4; fi', ...usualTerms },
      { kind: 'run', name: 'last', command: '[ -e /go ] && echo last >>/ran', ...usualTerms },
    ],
    notices: ['slowly'],
  },
}

async function makeSite(): Promise<void> {
  mkdirSync(join(work, 'repo'))
  const shop = await openWorkshop(folderStore(join(work, 'repo')), Date.now())
  for (const [product, more] of Object.entries(notes)) {
    const tree = (revision: string): Literal => ({
      ...(product === 'base' ? busybox : {}),
      [`usr/${product}`]: file(`${product} ${revision}\n`),
    })
    for (const revision of ['1.0', '1.1']) {
      const dist = await makeDist(releaseName(revision, { product }), tree(revision))
      await publish({ ...shop.input([dist], revision === '1.1' ? { notes: { ...noNotes, ...more } } : {}), keyring: shop.keyring })
    }
    assert.equal(run(resolve('bin/bindery'), 'bundle', '-r', 'repo', '-o', `${product}.sh`, `${product}/amd64`).status, 0)
  }
}

/** 1.0 of all products. */
function machine(root: string): string {
  const folder = join(work, root)
  for (const name of ['bin', 'etc', 'usr', 'var/db']) mkdirSync(join(folder, name), { recursive: true })
  for (const product of Object.keys(notes)) {
    const dist = readdirSync(join(work, 'repo'), { recursive: true })
      .map(String)
      .find((name) => name.includes(`${product}-1.0`) && name.endsWith('.tar.zst')) as string
    assert.equal(spawnSync('sh', ['-c', `zstd -dc < "$1" | tar -xpf - -C "$2"`, 'sh', join(work, 'repo', dist), folder]).status, 0)
  }
  copyFileSync('/bin/busybox', join(folder, 'bin/busybox'))
  return root
}

function enrolled(root: string, ...products: readonly string[]): string {
  machine(root)
  const channels = products.map((product) => `${product}/amd64`)
  const { status, talk } = bindery(root, '-q', 'enroll', `file://${work}/repo/`, join(work, 'repo/metadata/1.root.json'), ...channels)
  assert.equal(status, 0, talk.join('\n'))
  return root
}

const ran = (root: string): readonly string[] =>
  existsSync(join(work, root, 'ran'))
    ? read(root, 'ran')
        .split('\n')
        .map((line) => line.trimEnd())
        .filter(Boolean)
    : []
const read = (root: string, path: string): string => readFileSync(join(work, root, path), 'utf8')

if (isTurn(1))
  describe('steps in a root', { ...needs('busybox', 'zstd', 'tar'), ...needsRoot() }, () => {
    before(makeSite)

    test('two channels: each its steps, one notice, and what waits for a reboot', () => {
      const root = enrolled('both', 'base', 'extra')
      assert.match(
        bindery(root, 'install', '-n').out,
        /^run index: echo index .*\nrun move:\n {4}# two lines\n {4}echo "it's moved" >>\/ran\nneeds restart$/m,
      )
      const did = bindery(root, 'install', '--reboot=now')
      const [status, talk] = [did.status, did.talk.filter((line) => !line.startsWith('  ('))]
      assert.equal(status, 0, talk.join('\n'))
      assert.deepEqual(talk.slice(0, 4), [
        'base/amd64, extra/amd64: read the news',
        'extra/amd64: mind the gap',
        'restart services that use what was updated of base/amd64',
        'reboot to finish the update of extra/amd64; somebody should be near the machine',
      ])
      assert.match(talk[4] ?? '', /^not rebooted: both is not the system that runs here$/)
      assert.deepEqual(ran(root), ['index base-1.0-20260101-amd64 base-1.1-20260101-amd64', "it's moved"])
      assert.match(
        bindery(root, 'list').out,
        /^extra\/amd64: extra-1\.1-\S+ is installed, and waits for a reboot with somebody near the machine$/m,
      )
      assert.match(bindery(root, 'check', '--json').out, /"channel":"extra\/amd64".*"pendingReboot":"careful"/)
      assert.equal(bindery(root, 'rollback', '--steps', '2').status, 0)
      assert.equal(ran(root).at(-1), 'index', 'several channels have no one pair of releases')
      assert.doesNotMatch(bindery(root, 'list').out, /waits/)
    })

    test('a step that refuses: the old tree is there again, and check shows the update', async () => {
      const root = enrolled('refusing', 'extra')
      writeFileSync(join(work, root, 'refuse'), '')
      spawnSync('cp', ['-a', root, 'before'], { cwd: work })
      rmSync(join(work, 'before/var/db/bindery'), { recursive: true })
      const { status, talk } = bindery(root, 'install')
      assert.deepEqual(
        [status, talk],
        [1, ['the step agree failed with status 3: ?[2Jno (its output is in /var/db/bindery/log/1); extra-1.1 was taken back']],
      )
      assert.equal(bindery(root, 'check', '-e').status, 10)
      assert.equal(read(root, 'var/db/bindery/log/1'), '== agree\n\u001b[2Jno\n')
      await assertSameTree(join(work, root), join(work, 'before'))
      rmSync(join(work, root, 'refuse'))
      assert.equal(bindery(root, 'install').status, 0)
    })

    const shells = [['dash'], ['busybox', 'ash']] as const
    type Shell = (typeof shells)[number]
    const bundle = (shell: Shell, root: string, product: string, ...words: readonly string[]): Did =>
      run(...shell, `${product}.sh`, '-R', root, ...words)

    for (const shell of inTurn(shells, 1))
      test(`${shell.join(' ')}: a bundle runs and says the same`, async () => {
        const root = machine(`bundle-${shell[0]}`)
        const { status, talk } = bundle(shell, root, 'base')
        assert.deepEqual([status, talk], [0, ['base/amd64: read the news', 'restart services that use what was updated of base/amd64']])
        assert.deepEqual(ran(root), ['index base-1.0-20260101-amd64 base-1.1-20260101-amd64', "it's moved"])
        assert.equal(
          bundle(shell, root, 'extra').talk.at(-1),
          'reboot to finish the update of extra/amd64; somebody should be near the machine',
        )
        assert.match(read(root, 'var/db/bindery/reboot'), /^need extra-amd64 extra-1\.0-\S+ extra-1\.1-\S+ careful \S+$/m)
        assert.equal(bindery(root, 'rollback').status, 0)
        assert.equal(bundle(shell, root, 'base', 'rollback').status, 0)
        assert.equal(ran(root).at(-1), 'index base-1.1-20260101-amd64 base-1.0-20260101-amd64')
        assert.deepEqual(readdirSync(join(work, root, 'var/db/bindery/steps')), [])
      })

    for (const shell of inTurn(shells, 0))
      test(`${shell.join(' ')}: a step that refuses takes back what a bundle did`, async () => {
        const root = machine(`refusing-${shell[0]}`)
        writeFileSync(join(work, root, 'refuse'), '')
        const { status, talk } = bundle(shell, root, 'extra')
        assert.deepEqual(
          [status, talk],
          [1, ['the step agree failed with status 3: ?[2Jno (its output is in /var/db/bindery/log/1); extra-1.1 was taken back']],
        )
        assert.equal(read(root, 'usr/extra'), 'extra 1.0\n')
        assert.deepEqual(readdirSync(join(work, root, 'var/db/bindery/steps')), [])
        assert.match(bindery(root, 'list').out, /^2: rollback/m)
      })

    for (const shell of shells)
      test(`${shell.join(' ')}: a step that hangs is ended, with timeout(1) and without`, () => {
        for (const [root, path] of [
          [machine(`hangs-${shell[0]}`), process.env['PATH'] as string],
          [machine(`hangs-bare-${shell[0]}`), baseTools(join(work, `tools-${shell[0]}`), 'dash', shell.slice(0, 1))],
        ] as const) {
          const { status, talk } = run('env', `PATH=${path}`, ...shell, 'hangs.sh', '-R', root)
          assert.equal(status, 6, talk.join('\n'))
          assert.match(talk.join('\n'), /^the step wait failed with status (?:124|137|143|271)\b/)
          assert.equal(bindery(root, 'list').out.trim().split(', ').at(-1), 'failed: wait')
          const wrong = bindery(root, 'recover', '--skip-step', 'wiat')
          assert.deepEqual([wrong.status, wrong.talk], [2, ["no step 'wiat' is left to run", 'these are: wait']])
          const given = bindery(root, 'recover', '--skip-step', 'wait')
          assert.deepEqual([given.status, given.talk], [0, ['the step wait of hangs-1.1 is given up']])
          assert.deepEqual(readdirSync(join(work, root, 'var/db/bindery/steps')), [])
        }
      })

    for (const shell of inTurn(shells, 1))
      test(`${shell.join(' ')}: what a killed bundle left is run by bindery, and the other way round`, async () => {
        for (const [root, begin, finish] of [
          [
            machine(`killed-${shell[0]}`),
            [...shell, 'slow.sh', '-R', `killed-${shell[0]}`],
            () => bindery(`killed-${shell[0]}`, 'recover'),
          ],
          [
            enrolled(`left-${shell[0]}`, 'slow'),
            [resolve('bin/bindery'), '-C', `left-${shell[0]}`, 'install'],
            () => bundle(shell, `left-${shell[0]}`, 'slow', 'recover'),
          ],
        ] as const) {
          const child = spawn(begin[0], begin.slice(1), { cwd: work, stdio: 'ignore', detached: true })
          while (!ran(root).includes('wait')) await setTimeout(20)
          process.kill(-(child.pid as number), 'SIGKILL')
          await new Promise((done) => child.once('close', done))
          writeFileSync(join(work, root, 'go'), '')
          rmSync(join(work, root, 'var/db/bindery/lock'), { recursive: true })
          mkdirSync(join(work, root, 'var/db/bindery/lock'))
          const { status, talk } = finish()
          assert.deepEqual([status, talk], [0, ['slow/amd64: slowly']], root)
          assert.deepEqual(ran(root), ['first', 'wait', 'wait', 'last'])
          assert.deepEqual(readdirSync(join(work, root, 'var/db/bindery/steps')), [])
        }
      })
  })
