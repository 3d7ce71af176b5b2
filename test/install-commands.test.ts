import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { decodeJournal, encodeJournal } from '../src/format/journal.ts'
import { hostDisk } from '../src/host/disk.ts'
import { install } from './helpers/client-world.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { recovery } from './helpers/recovery.ts'
import { halfToday } from './helpers/whole-suite.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Release } from './helpers/client-world.ts'

/** install, rollback, recover and audit as a user types them, from a repository on the disk. */

const work = mkdtempSync(join(tmpdir(), 'bindery-install-'))
after(() => rmSync(work, { recursive: true }))

type Result = { readonly status: number | null; readonly out: string; readonly talk: string }

async function run(words: readonly string[], around: readonly string[] = [], uid?: number): Promise<Result> {
  const [program, ...args] = [...around, resolve('bin/bindery'), ...words] as [string, ...string[]]
  const user = uid === undefined ? {} : { uid, gid: uid }
  const child = spawn(program, args, { cwd: work, stdio: ['ignore', 'pipe', 'pipe'], ...user })
  const texts = { out: '', talk: '' }
  child.stdout.on('data', (chunk: Buffer) => (texts.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (texts.talk += chunk.toString()))
  const status = await new Promise<number | null>((done) => child.once('close', done))
  return { status, ...texts }
}

async function good(...words: readonly string[]): Promise<string> {
  const { status, out, talk } = await run(words)
  assert.equal(status, 0, `${words.join(' ')}\n${talk}`)
  return out
}

const at = (...names: readonly string[]): string => join(work, ...names)
const read = (...names: readonly string[]): string => readFileSync(at(...names), 'utf8')

function plantTree(name: string, files: Readonly<Record<string, string>>): void {
  for (const folder of ['bin', 'etc', 'var/db']) mkdirSync(at(name, folder), { recursive: true })
  for (const [path, content] of Object.entries(files)) writeFileSync(at(name, path), content)
}

let copies = 0
function copyOf(root: string): string {
  const copy = `client${++copies}`
  execFileSync('cp', ['-a', at(root), at(copy)])
  return copy
}

/** A fresh machine with release 1.0. */
const machine = (): string => copyOf('enrolled')

function plantReleases(): void {
  plantTree('r1.0', { 'bin/sh': 'shell 1', 'bin/ls': 'ls', 'etc/motd': 'welcome to 1.0', 'etc/gone': 'soon' })
  plantTree('r1.1', { 'bin/sh': 'shell 2', 'bin/ls': 'ls', 'etc/motd': 'welcome to 1.1', 'etc/fresh': 'new' })
}

async function publishReleases(): Promise<void> {
  await good('init', '-r', 'repo', '-k', 'keys', '--no-passphrase')
  for (const revision of ['1.0', '1.1']) {
    const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
    await good('cut', `r${revision}`, '-o', `${revision}.tar.zst`, ...name)
    const notes = revision === '1.1' ? ['--notice', 'read the news', '--reboot', 'reboot'] : []
    await good('publish', '-r', 'repo', '-k', 'keys', ...notes, `${revision}.tar.zst`)
  }
}

before(async () => {
  plantReleases()
  await publishReleases()
  execFileSync('cp', ['-a', at('r1.0'), at('enrolled')])
  await good('-q', '-C', 'enrolled', 'enroll', `file://${work}/repo/`, 'repo/metadata/1.root.json', 'base/amd64')
})

/** The status of a verb whose reader has gone before it prints anything. */
async function unread(...words: readonly string[]): Promise<number> {
  const { out } = await run([], ['bash', '-c', `"$0" ${words.join(' ')} | true; echo \${PIPESTATUS[0]}`])
  return Number(out)
}

test('a reader of their output that goes away changes nothing of what verbs do and judge', async () => {
  const root = machine()
  assert.equal(await unread('-C', root, '-q', 'install', '--json'), 0)
  assert.equal(read(root, 'etc/motd'), 'welcome to 1.1')
  writeFileSync(at(root, 'bin/ls'), 'mine')
  assert.equal(await unread('-C', root, '-q', 'audit'), 7)
  assert.equal(await unread('-C', root, '-q', 'audit', '--repair', '--json'), 0)
  assert.equal(read(root, 'bin/ls'), 'ls')
  assert.equal(await unread('-C', root, '-q', 'rollback', '--json'), 0)
  assert.equal(read(root, 'etc/motd'), 'welcome to 1.0')
  assert.equal(await unread('-C', root, '-q', 'list', '--json'), 0)
})

test('an install says only its notices, and once it is done nothing at all', async () => {
  const root = machine()
  assert.deepEqual(await run(['-C', root, 'install']), {
    status: 0,
    out: '',
    talk: 'bindery: install: base/amd64: read the news\nbindery: install: reboot to finish the update of base/amd64\n',
  })
  assert.deepEqual([read(root, 'bin/sh'), read(root, 'etc/fresh'), existsSync(at(root, 'etc/gone'))], ['shell 2', 'new', false])
  assert.deepEqual(await run(['-C', root, 'install']), { status: 0, out: '', talk: '' })
  assert.deepEqual(readdirSync(at(root, 'var/db/bindery/cache')), [])
  assert.deepEqual(await run(['-C', root, 'audit']), { status: 0, out: '', talk: '' })
})

test('a dry run prints the plan and changes nothing', async () => {
  const root = machine()
  const lines = (await good('-C', root, 'install', '-n')).trimEnd().split('\n')
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('attributes ')),
    [
      ...['add /etc/fresh', 'replace /bin/sh', 'replace /etc/motd', 'remove /etc/gone'].sort((a, b) => lines.indexOf(a) - lines.indexOf(b)),
      'needs reboot',
    ],
  )
  const objects = (await good('-C', root, 'install', '-n', '--json'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { action: string; path: string })
  assert.ok(objects.some(({ action, path }) => action === 'replace' && path === 'bin/sh'))
  assert.equal(read(root, 'bin/sh'), 'shell 1')
  assert.deepEqual(readdirSync(at(root, 'var/db/bindery/stage')), [])
})

/** What root itself would be refused, how it is made and taken away again, and what is said of it. */
const obstacles: Readonly<Record<string, { readonly make: string; readonly undo: string; readonly said: RegExp }>> = {
  'a folder that is mounted read-only, by a bind mount': {
    make: 'mount --bind etc etc && mount -o remount,ro,bind etc',
    undo: 'umount etc',
    said: /\/etc\/\w+: the file system on \/etc is mounted read-only\n/,
  },
  'a file on which another is mounted': { make: 'mount --bind bin/sh bin/sh', undo: 'umount bin/sh', said: /\/bin\/sh: is a mount point/ },
  'an immutable file': { make: 'chattr +i bin/sh', undo: 'chattr -i bin/sh', said: /\/bin\/sh: is immutable\n/ },
  'an immutable folder': { make: 'chattr +i etc', undo: 'chattr -i etc', said: /\/etc\/\w+: \/etc is immutable\n/ },
  'an append-only file': { make: 'chattr +a bin/sh', undo: 'chattr -a bin/sh', said: /\/bin\/sh: is append-only\n/ },
  'an append-only folder': { make: 'chattr +a etc', undo: 'chattr -a etc', said: /\/etc\/\w+: \/etc is append-only\n/ },
}

for (const [name, { make, undo, said }] of halfToday(Object.entries(obstacles))) {
  test(`${name} is found before anything is changed`, { ...needsRoot(), ...needs('chattr', 'lsattr', 'mount') }, async (t) => {
    const root = machine()
    const shell = (script: string): void => void execFileSync('sh', ['-c', script], { cwd: at(root), stdio: 'ignore' })
    try {
      shell(make)
    } catch {
      return t.skip('cannot be made here')
    }
    try {
      const { status, talk } = await run(['-C', root, 'install'])
      assert.match(talk, said)
      assert.match(talk, /nothing was changed\n$/)
      assert.equal(status, 1)
    } finally {
      shell(undo)
    }
    assert.deepEqual(
      [read(root, 'bin/sh'), read(root, 'etc/motd'), existsSync(at(root, 'etc/fresh'))],
      ['shell 1', 'welcome to 1.0', false],
    )
    assert.deepEqual([readdirSync(at(root, 'var/db/bindery/stage')), existsSync(at(root, 'var/db/bindery/journal'))], [[], false])
    await good('-q', '-C', root, 'install')
  })
}

test('a local change is kept, told, and shown by the status', async () => {
  const root = machine()
  writeFileSync(at(root, 'etc/motd'), 'keep out')
  const { status, talk } = await run(['-C', root, 'install'])
  assert.equal(status, 6)
  assert.match(talk, /^bindery: install: \/etc\/motd was modified here; the other version is \/etc\/motd\.new$/m)
  assert.deepEqual([read(root, 'etc/motd'), read(root, 'etc/motd.new')], ['keep out', 'welcome to 1.1'])
})

test('a rollback goes back, and the channel with it', async () => {
  const root = machine()
  await good('-q', '-C', root, 'install')
  assert.match(await good('-C', root, 'rollback', '-n'), /^replace \/bin\/sh$/m)
  assert.deepEqual(await run(['-C', root, 'rollback']), { status: 0, out: '', talk: '' })
  assert.deepEqual([read(root, 'bin/sh'), read(root, 'etc/gone'), existsSync(at(root, 'etc/fresh'))], ['shell 1', 'soon', false])
  await good('-C', root, 'audit')
  assert.match(await good('-C', root, 'check'), /base-1\.1/)
  await good('-q', '-C', root, 'install')
  await good('-C', root, 'rollback', '--to', 'base-1.0-20260101-amd64')
})

/** Releases 1.1 and 1.2 over 1.0, and a rollback of the second that stopped before its first live path. */
async function stoppedRollback(): Promise<string> {
  const root = machine()
  await good('-q', '-C', root, 'install')
  const disk = hostDisk(at(root))
  plantTree('r1.2', { 'bin/sh': 'shell 3', 'bin/ls': 'ls', 'etc/motd': 'welcome to 1.2', 'etc/fresh': 'new' })
  const releaseIn = async (folder: string, revision: string): Promise<Release> => {
    const tree = hostDisk(at(folder))
    return { disk: tree, manifest: await scanTree(tree), name: { product: 'base', revision, date: '20260101', arch: 'amd64' } }
  }
  await install(disk, await releaseIn('r1.1', '1.1'), await releaseIn('r1.2', '1.2'))
  const rename = async (from: RelPath, to: RelPath): Promise<void> => {
    if (!to.startsWith('var/')) throw new BinderyError('io', 'the disk failed', { subject: from })
    await disk.rename(from, to)
  }
  const back = rollback({
    disk: { ...disk, rename },
    goal: { kind: 'steps', count: 1 },
    config: defaultConfig,
    recovery,
    clock: { now: () => 1e12 },
  })
  await assert.rejects(back, (error) => isBinderyError(error, 'interrupted'))
  return root
}

test('a rollback that was stopped and is asked for again is the same one', async () => {
  const finished =
    'bindery: rollback: finished the rollback from base-1.2-20260101-amd64 to base-1.1-20260101-amd64, after an interruption\n'
  const stopped = await stoppedRollback()
  assert.equal((await run(['-C', stopped, 'rollback', '-n'])).status, 4)
  for (const [words, shell] of [
    [[], 'shell 2'],
    [['--steps', '1'], 'shell 2'],
    [['--to', 'base-1.1-20260101-amd64'], 'shell 2'],
    [['--to', 'base-1.0-20260101-amd64'], 'shell 1'],
  ] as const) {
    const root = copyOf(stopped)
    assert.deepEqual(await run(['-C', root, 'rollback', ...words]), { status: 0, out: '', talk: finished })
    assert.equal(read(root, 'bin/sh'), shell)
    await good('-C', root, 'audit')
  }
})

test('what cannot be rolled back is one line', async () => {
  const root = machine()
  for (const [words, status, message] of [
    [['rollback'], 1, /there is nothing to roll back/],
    [['rollback', '--steps', '2'], 1, /nothing to roll back/],
    [['rollback', '--steps', 'all'], 2, /no number of installs/],
    [['rollback', '--steps', '1', '--to', 'base-1.0-20260101-amd64'], 2, /exclude each other/],
    [['recover', 'now'], 2, /unexpected operand/],
  ] as const) {
    const result = await run(['-C', root, ...words])
    assert.equal(result.status, status, result.talk)
    assert.match(result.talk, message)
  }
})

test('an audit names what differs, and mends it from what is at hand', async () => {
  const root = machine()
  await good('-q', '-C', root, 'install')
  writeFileSync(at(root, 'bin/sh'), 'tr0jan!')
  rmSync(at(root, 'bin/ls'))
  writeFileSync(at(root, 'etc/own'), 'mine')
  const found = await run(['-C', root, 'audit'])
  assert.equal(found.status, 7)
  assert.match(found.out, /^missing \/bin\/ls\nchanged \/bin\/sh {2}content.*\n$/)
  assert.match((await run(['-C', root, 'audit', '--extra'])).out, /^extra \/etc\/own$/m)
  const json = (await run(['-C', root, 'audit', '--json'])).out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { finding: string; path: string })
  assert.deepEqual(
    json.map(({ finding, path }) => [finding, path]),
    [
      ['missing', 'bin/ls'],
      ['changed', 'bin/sh'],
    ],
  )
  assert.match((await run(['-C', root, 'audit', '--repair', '-n'])).out, /^add \/bin\/ls$/m)
  await good('-C', root, 'audit', '--repair')
  assert.deepEqual([read(root, 'bin/sh'), read(root, 'bin/ls'), read(root, 'etc/own')], ['shell 2', 'ls', 'mine'])
  await good('-C', root, 'audit')
})

test('a killed install is finished by the next one, or taken back', needs('strace'), async () => {
  const kill = (when: number): readonly string[] => [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    'trace=rename',
    '-e',
    `inject=rename:signal=SIGKILL:when=${when}`,
  ]
  const killed = machine()
  await good('-C', killed, 'fetch')
  assert.ok(await killWithJournal(killed, kill), 'no kill left a journal')
  const { status, talk } = await run(['-C', killed, 'audit'])
  assert.equal(status, 4, talk)
  assert.match(talk, /was interrupted\nbindery: hint: 'bindery recover' finishes it\n$/)
  assert.match(await good('-C', killed, 'recover', '-n'), /^install base-1\.0-20260101-amd64 -> base-1\.1-20260101-amd64 was interrupted$/m)
  for (const verb of [['install'], ['recover'], ['recover', '--undo'], ['rollback']]) {
    const root = copyOf(killed)
    await good('-C', root, ...verb)
    assert.equal(read(root, 'bin/sh'), verb[0] === 'rollback' || verb[1] === '--undo' ? 'shell 1' : 'shell 2')
    await good('-C', root, 'audit')
  }
})

/** An install that dies at a rename(2) where some live paths are new and the journal is there. */
async function killWithJournal(root: string, kill: (when: number) => readonly string[]): Promise<boolean> {
  for (let when = 2; when < 40; when++) {
    await run(['-C', root, 'install'], kill(when))
    if (existsSync(at(root, 'var/db/bindery/journal'))) return true
    assert.equal(read(root, 'bin/sh'), 'shell 1')
  }
  return false
}

test('steps that a kill kept from running are caught up on, by recover and by the next install', async () => {
  for (const verb of ['recover', 'install']) {
    const root = machine()
    await good('-q', '-C', root, 'install')
    const [receipt, steps] = [at(root, 'var/db/bindery/receipt/1'), at(root, 'var/db/bindery/steps/1')]
    writeFileSync(steps, encodeJournal({ ...decodeJournal(readFileSync(receipt)), actions: [] }))
    assert.match(await good('-C', root, 'recover', '-n'), /^install base-1\.0-\S+ -> base-1\.1-\S+ has notices left to show\n$/)
    assert.match((await run(['-C', root, verb])).talk, new RegExp(`^bindery: ${verb}: base/amd64: read the news$`, 'm'))
    assert.equal(existsSync(steps), false)
    assert.deepEqual(await run(['-C', root, verb]), { status: 0, out: '', talk: '' })
  }
})

test('without root, a tree of one’s own is updated, and nobody else’s', needsRoot(), async () => {
  const [foreign, own] = [machine(), 'own']
  const user = 1234
  chmodSync(work, 0o777)
  execFileSync('chown', ['-R', `${user}:${user}`, at(foreign, 'var/db/bindery')])
  const refused = await run(['-C', foreign, 'install'], [], user)
  assert.equal(refused.status, 1, refused.talk)
  assert.match(refused.talk, /^bindery: install: \/\S+: .*\nbindery: hint: run as root; nothing was changed$/m)
  assert.equal(read(foreign, 'bin/sh'), 'shell 1')

  execFileSync('sh', ['-c', `rm -rf repo keys && chown -R ${user}:${user} r1.0 r1.1 && cp -a r1.0 own`], { cwd: work })
  await publishReleases()
  const as = async (...words: readonly string[]): Promise<void> => {
    const { status, talk } = await run(['-q', '-C', own, ...words], [], user)
    assert.equal(status, 0, `${words.join(' ')}\n${talk}`)
  }
  await as('enroll', `file://${work}/repo/`, 'repo/metadata/1.root.json', 'base/amd64')
  await as('install')
  assert.equal(read(own, 'bin/sh'), 'shell 2')
  await as('audit')
  await as('rollback')
  await as('audit')
  assert.equal(read(own, 'bin/sh'), 'shell 1')
})
