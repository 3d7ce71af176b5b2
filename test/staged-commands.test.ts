import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { appendFileSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { audit } from '../src/command/audit.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { recover } from '../src/command/recover.ts'
import { rollback } from '../src/command/rollback.ts'
import { scan } from '../src/command/scan.ts'
import { unenroll } from '../src/command/unenroll.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { isWholeSuite, testsByDay } from './helpers/whole-suite.ts'
import type { TestContext } from 'node:test'
import type { ChildProcess } from 'node:child_process'
import type { Outcome } from './helpers/run-command.ts'

/** Staged mode as a user types it: jails that are switched as a whole, with readers in them, kills, and what others may have put in the way. */

const work = mkdtempSync(join(tmpdir(), 'bindery-staged-'))
after(() => rmSync(work, { recursive: true }))

const at = (...names: readonly string[]): string => join(work, ...names)
const read = (...names: readonly string[]): string => readFileSync(at(...names), 'utf8')

type Running = { readonly child: ChildProcess; readonly ended: Promise<number | null> }

/** As a process of its own, with a group of its own: a kill is to end all of it. */
function start(...words: readonly string[]): Running {
  const child = spawn(resolve('bin/bindery'), ['-q', ...words], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'], detached: true })
  return { child, ended: new Promise((done) => child.once('close', done)) }
}

const commands = { audit, cut, enroll, init, install, list, publish, recover, rollback, scan, unenroll }

/** `-C ROOT` first, where there is one. */
async function run(...words: readonly string[]): Promise<Outcome> {
  const [root, [verb = '', ...rest]] = words[0] === '-C' ? [words[1] as string, words.slice(2)] : [work, words]
  return await runCommand(commands[verb as keyof typeof commands], rest, { root: resolve(work, root) })
}

async function good(...words: readonly string[]): Promise<string> {
  const { status, stdout, error } = await run(...words)
  assert.equal(status, 0, `${words.join(' ')}: ${error?.message ?? ''}`)
  return stdout
}

/** All that was said. */
function talkOf({ stderr, error }: Outcome): string {
  return [...stderr, error?.message ?? '', error?.subject ?? ''].join('\n').trim()
}

/** Does nothing to speak of. */
async function silent(...words: readonly string[]): Promise<void> {
  const outcome = await run(...words)
  assert.deepEqual([outcome.status, outcome.stdout, talkOf(outcome)], [0, '', ''])
}

async function reallyGood(...words: readonly string[]): Promise<void> {
  assert.equal(await start(...words).ended, 0, words.join(' '))
}

const repository = [`file://${work}/repo/`, join(work, 'repo/metadata/1.root.json'), 'base/amd64', '--release', 'base-1-20260101-amd64']

const pairs = 20

function plantRelease(revision: string): void {
  const root = at(`r${revision}`)
  for (const folder of ['bin', 'etc', 'usr/lib', 'var/db']) mkdirSync(join(root, folder), { recursive: true })
  for (let i = 0; i < pairs; i++)
    for (const side of ['a', 'b']) writeFileSync(join(root, 'usr/lib', `${side}${i}`), `${revision}\n`.repeat(i + 1))
  writeFileSync(join(root, 'bin/tool'), 'the same in all')
  writeFileSync(join(root, 'etc/conf'), 'the same in all')
  if (revision === '1') writeFileSync(join(root, 'etc/gone'), 'soon')
  execFileSync('find', [root, '-exec', 'touch', '-h', '-d', `2026-01-0${revision}`, '{}', '+'])
  execFileSync('touch', ['-d', '2026-01-01', join(root, 'bin/tool'), join(root, 'etc/conf')])
}

before(async () => {
  await good('init', '-r', at('repo'), '-k', at('keys'), '--no-passphrase')
  for (const revision of ['1', '2']) {
    plantRelease(revision)
    const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
    await good('cut', at(`r${revision}`), '-o', at(`${revision}.tar`), ...name)
    await good('publish', '-r', at('repo'), '-k', at('keys'), at(`${revision}.tar`))
  }
})

let jails = 0

/** With release 1, a log and a file of its own. */
async function jail(conf = '', mode: 'staged' | 'live' = 'staged'): Promise<string> {
  const name = `jail${++jails}`
  execFileSync('cp', ['-a', at('r1'), at(name)])
  mkdirSync(at(name, 'var/log'))
  writeFileSync(at(name, 'var/log/messages'), 'a line\n')
  writeFileSync(at(name, 'etc/mine'), 'mine')
  if (conf !== '') writeFileSync(at(name, 'etc/bindery.conf'), conf)
  await good('-C', name, 'enroll', ...repository, '--mode', mode)
  return name
}

/** The tree as mtree(5), without bindery's state, and without the times of what is the jail's own. */
async function picture(name: string): Promise<string> {
  return (await good('scan', resolve(work, name)))
    .split('\n')
    .filter((line) => !/^\.\/(?:var|etc)(?:\/mine|\/log\S*)? /.test(line))
    .join('\n')
}

/** Everything beside the jail that is not one of its trees. */
function leftovers(name: string): readonly string[] {
  const trees = readdirSync(at(`${name}.trees`)).filter((one) => !/^(?:[0-9]+|closed|lock)$/.test(one))
  const inside = readdirSync(at(`${name}.trees`, 'closed'))
  return [...trees, ...inside, ...readdirSync(work).filter((one) => one.startsWith(`${name}.`) && one !== `${name}.trees`)]
}

test('a jail is enrolled in staged mode, installed, listed, audited and taken back', async () => {
  const name = await jail()
  assert.equal(readlinkSync(at(name)), `${name}.trees/1`)
  const first = await picture(name)
  assert.match(await good('-C', name, 'install', '-n'), /^replace \/usr\/lib\/a0$/m)
  assert.equal(readlinkSync(at(name)), `${name}.trees/1`)
  await silent('-C', name, 'install')
  assert.deepEqual([readlinkSync(at(name)), read(name, 'usr/lib/a0'), existsSync(at(name, 'etc/gone'))], [`${name}.trees/2`, '2\n', false])
  await silent('-C', name, 'install')
  assert.deepEqual(readdirSync(at(`${name}.trees`)).sort(), ['1', '2', 'closed', 'lock'])
  assert.match(await good('-C', name, 'list'), /^tree 1 \S+ base-1-20260101-amd64\ntree 2 \S+ base-2-20260101-amd64 \(current\)$/m)
  const objects = (await good('-C', name, 'list', '--json'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    objects.flatMap((one) => ('tree' in one ? [[one['tree'], one['current'], one['releases'], one['path']]] : [])),
    [
      [1, false, ['base-1-20260101-amd64'], at(`${name}.trees`, '1')],
      [2, true, ['base-2-20260101-amd64'], at(`${name}.trees`, '2')],
    ],
  )
  await good('-C', name, 'audit')
  await good('-C', name, 'rollback')
  assert.equal(await picture(name), first)
  assert.equal(readlinkSync(at(name)), `${name}.trees/3`)
  assert.equal((await run('-C', name, 'rollback')).status, 1)
  assert.deepEqual(leftovers(name), [])
})

const byDay = testsByDay()

/** What `needs` and `needsRoot` are to `test`. */
function isSkipped(t: TestContext, ...programs: readonly string[]): boolean {
  const { skip } = { ...needs(...programs), ...needsRoot() }
  if (skip !== undefined) t.skip(skip)
  return skip !== undefined
}

byDay('what is written through the new tree is not seen in the old one, and a rollback keeps it', async () => {
  const name = await jail()
  await good('-C', name, 'install')
  const old = at(`${name}.trees`, '1')
  assert.equal(statSync(join(old, 'bin/tool')).ino, statSync(at(name, 'bin/tool')).ino)
  appendFileSync(at(name, 'var/log/messages'), 'since\n')
  appendFileSync(at(name, 'etc/conf'), 'since')
  writeFileSync(at(name, 'etc/saved'), 'since')
  assert.deepEqual(
    [readFileSync(join(old, 'var/log/messages'), 'utf8'), readFileSync(join(old, 'etc/conf'), 'utf8')],
    ['a line\n', 'the same in all'],
  )
  await good('-C', name, 'rollback')
  assert.equal(read(name, 'usr/lib/a0'), '1\n')
  assert.deepEqual([read(name, 'var/log/messages'), read(name, 'etc/saved')], ['a line\nsince\n', 'since'])
  assert.equal(read(name, 'etc/conf'), 'the same in allsince')
})

/** Enters the root once a round, as a service does that starts, and compares the pairs there. */
const reader = `
  import { chdir } from 'node:process'
  import { setTimeout } from 'node:timers/promises'
  import { existsSync, readFileSync, writeFileSync } from 'node:fs'
  const [root, pairs, stop, seen] = process.argv.slice(1)
  const rounds = new Set()
  for (let round = 0; ; round++) {
    const asked = existsSync(stop)
    chdir(root)
    const found = new Set()
    for (let i = 0; i < pairs; i++) for (const side of ['a', 'b']) found.add(readFileSync('usr/lib/' + side + i, 'utf8').split('\\n')[0])
    if (found.size !== 1) { console.log('a mixture in round ' + round + ': ' + [...found].join(' ')); process.exit(1) }
    rounds.add([...found][0])
    writeFileSync(seen, [...rounds].sort().join(' '))
    if (asked) break
    await setTimeout(2)
  }
`

byDay('two readers never see a mixture while installs and rollbacks switch back and forth', async () => {
  // Whoever has entered a tree long ago finds it still there.
  const name = await jail('keep-trees 100\n')
  const readers = [1, 2].map((i) => {
    const files = [at(`stop-${name}`), at(`seen-${name}-${i}`)]
    const child = spawn(process.execPath, ['--input-type=module', '-e', reader, at(name), String(pairs), ...files], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    return new Promise<readonly [number | null, string]>((done) => child.once('close', (status) => done([status, out])))
  })
  for (let i = 0; i < (isWholeSuite ? 10 : 1); i++) {
    await reallyGood('-C', name, 'install')
    await reallyGood('-C', name, 'rollback')
  }
  writeFileSync(at(`stop-${name}`), '')
  for (const [i, done] of (await Promise.all(readers)).entries()) {
    assert.deepEqual(done, [0, ''])
    assert.equal(read(`seen-${name}-${i + 1}`), '1 2')
  }
})

byDay('killed at any moment an install leaves the old tree or the new one, and recover nothing beside it', async () => {
  const name = await jail()
  const first = await picture(name)
  const begun = performance.now()
  await reallyGood('-C', name, 'install')
  const lasts = performance.now() - begun
  const second = await picture(name)
  const seen: string[] = []
  const kills = isWholeSuite ? 60 : 3
  for (let i = 0; i < kills; i++) {
    if (readFileSync(at(name, 'usr/lib/a0'), 'utf8') === '2\n') await good('-C', name, 'rollback')
    const { child, ended } = start('-C', name, 'install')
    await sleep((lasts * (i + Math.random())) / kills)
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // It has come to its end.
    }
    await ended
    await good('-C', name, 'recover')
    const now = await picture(name)
    assert.ok(now === first || now === second, `kill ${i}: neither the old nor the new tree\n${now}`)
    seen.push(now === first ? 'old' : 'new')
    assert.deepEqual(leftovers(name), [], `kill ${i}`)
    await good('-C', name, 'audit')
  }
  assert.equal(seen.length, kills)
})

byDay('whoever runs beside an install is told to wait; cron waits for the next time', async () => {
  const name = await jail()
  mkdirSync(at(`${name}.trees`, 'lock'), { recursive: true })
  const holder = spawn('sleep', ['60'])
  const started = execFileSync('sh', ['-c', `cut -d' ' -f22 /proc/${String(holder.pid)}/stat`], { encoding: 'utf8' }).trim()
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const host = execFileSync('uname', ['-n'], { encoding: 'utf8' }).trim()
  writeFileSync(
    at(`${name}.trees`, 'lock', `${String(holder.pid)}.x`),
    `bindery-lock 1\npid ${String(holder.pid)}\nhost ${host}\nstarted ${started}@${boot}\nverb install\n`,
  )
  try {
    const refused = await run('-C', name, 'install')
    assert.equal(refused.status, 5)
    assert.match(talkOf(refused), /'install' is running as process/)
    writeFileSync(at(name, 'etc/bindery.conf'), 'jitter 0\n')
    await silent('-C', name, 'install', '--cron')
  } finally {
    holder.kill()
  }
  assert.equal(readlinkSync(at(name)), `${name}.trees/1`)
})

byDay('a link that was replaced by a folder is not taken for the root, nor is a tree by its own name', async () => {
  const name = await jail()
  await good('-C', name, 'install')
  const tree = await run('-C', `${name}.trees/2`, 'rollback')
  assert.deepEqual([tree.status, /no link leads here/.test(talkOf(tree))], [1, true])
  unlinkSync(at(name))
  execFileSync('cp', ['-a', at(`${name}.trees`, '2'), at(name)])
  const copy = await run('-C', name, 'rollback')
  assert.deepEqual([copy.status, /no link leads here/.test(talkOf(copy))], [1, true])
  rmSync(at(name), { recursive: true })
  symlinkSync('/', at(name))
  assert.notEqual((await run('-C', name, 'rollback')).status, 0)
  unlinkSync(at(name))
  await good('-C', name, 'recover')
  assert.equal(readlinkSync(at(name)), `${name}.trees/2`)
  await good('-C', name, 'rollback')
})

byDay('a leftover that belongs to somebody else ends it', async (t) => {
  if (isSkipped(t)) return
  const name = await jail()
  mkdirSync(at(`${name}.trees`, '2'))
  chownSync(at(`${name}.trees`, '2'), 12_345, 12_345)
  const refused = await run('-C', name, 'install')
  assert.equal(refused.status, 3)
  assert.match(talkOf(refused), /belongs to user 12345/)
  assert.deepEqual([readlinkSync(at(name)), lstatSync(at(`${name}.trees`, '2')).uid], [`${name}.trees/1`, 12_345])
})

/** A file system of its own for `use`; answers false where none can be mounted. */
async function onSmallDisk(options: string, use: (folder: string) => Promise<void>): Promise<boolean> {
  const folder = mkdtempSync(join(work, 'disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return false
  }
  try {
    await use(folder)
  } finally {
    execFileSync('umount', [folder])
  }
  return true
}

byDay('a full disk leaves the old tree as it was, and nothing beside it', async (t) => {
  if (isSkipped(t, 'mount')) return
  const name = await jail('', 'live')
  const isDone = await onSmallDisk('size=3m', async (folder) => {
    execFileSync('cp', ['-a', at(name), join(folder, 'jail')])
    await good('-C', join(folder, 'jail'), 'enroll', '--mode', 'staged')
    const first = await picture(join(folder, 'jail'))
    writeFileSync(join(folder, 'jail/var/big'), Buffer.alloc(1_600_000, 1))
    const refused = await run('-C', join(folder, 'jail'), 'install')
    assert.equal(refused.status, 1)
    assert.match(talkOf(refused), /no space left/)
    assert.deepEqual([readlinkSync(join(folder, 'jail')), readdirSync(join(folder, 'jail.trees/closed'))], ['jail.trees/1', []])
    unlinkSync(join(folder, 'jail/var/big'))
    assert.equal(await picture(join(folder, 'jail')), first)
    await good('-C', join(folder, 'jail'), 'install')
    assert.equal(readFileSync(join(folder, 'jail/usr/lib/a0'), 'utf8'), '2\n')
  })
  if (!isDone) t.skip('cannot be mounted here')
})

test(
  'what is mounted in a jail stays where it is mounted, unless a release has files there',
  { ...needsRoot(), ...needs('mount') },
  async (t) => {
    const name = await jail()
    const mount = (folder: string): boolean => {
      mkdirSync(at(name, folder), { recursive: true })
      try {
        execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at(name, folder)], { stdio: 'ignore' })
      } catch {
        return false
      }
      return true
    }
    if (!mount('usr')) return t.skip('cannot be mounted here')
    const refused = await run('-C', name, 'install')
    execFileSync('umount', [at(`${name}.trees`, '1/usr')])
    assert.deepEqual([refused.status, /is another file system.*\n.*\/usr$/.test(talkOf(refused))], [1, true])
    mount('proc')
    try {
      const outcome = await run('-C', name, 'install')
      assert.deepEqual([outcome.status, talkOf(outcome)], [0, '/proc is still mounted in tree 1 alone'])
      assert.match(talkOf(await run('-C', name, 'rollback')), /tree 1 stays: \/proc is mounted in it/)
    } finally {
      execFileSync('umount', [at(`${name}.trees`, '1/proc')])
    }
    await good('-C', name, 'install')
    assert.deepEqual(readdirSync(at(`${name}.trees`)).sort(), ['3', '4', 'closed', 'lock'])
  },
)

byDay('the mode is changed there and back, and the tree is the same', async () => {
  const name = await jail('', 'live')
  const first = await picture(name)
  await silent('-C', name, 'enroll', '--mode', 'live')
  await good('-C', name, 'enroll', '--mode', 'staged')
  await good('-C', name, 'install')
  await good('-C', name, 'enroll', '--mode', 'live')
  assert.deepEqual([lstatSync(at(name)).isDirectory(), existsSync(at(`${name}.trees`))], [true, false])
  await good('-C', name, 'audit')
  await good('-C', name, 'rollback')
  assert.equal(await picture(name), first)
  assert.equal((await run('-C', name, 'enroll', '--mode', 'other')).code, 'usage')
  assert.equal((await run('-C', name, 'enroll')).code, 'usage')
})

byDay('a repair, and the end of a channel, come by a switch, too', async () => {
  const name = await jail()
  writeFileSync(at(name, 'bin/tool'), 'broken')
  await good('-C', name, 'audit', '--repair')
  assert.deepEqual([read(name, 'bin/tool'), readlinkSync(at(name))], ['the same in all', `${name}.trees/2`])
  await good('-C', name, 'unenroll', '--all')
  assert.deepEqual([readlinkSync(at(name)), existsSync(at(name, 'var/db/bindery/enrolled'))], [`${name}.trees/3`, false])
  assert.deepEqual(leftovers(name), [])
})
