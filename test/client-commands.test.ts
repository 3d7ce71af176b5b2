import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { answers, hangs, hostileServer } from './helpers/hostile-server.ts'
import { noise } from './helpers/noise.ts'
import { needsRoot } from './helpers/programs.ts'
import { relayTo } from './helpers/relay.ts'
import type { ChildProcess } from 'node:child_process'
import type { Relay } from './helpers/relay.ts'

/** enroll, check, fetch and list as a user types them, against `bindery serve`. */

const work = mkdtempSync(join(tmpdir(), 'bindery-client-'))
const payload = 3_000_000
let server: ChildProcess
let relay: Relay

type Result = { readonly status: number | null; readonly out: string; readonly talk: string }

async function run(
  words: readonly string[],
  options: { readonly uid?: number; readonly env?: Record<string, string> } = {},
): Promise<Result> {
  return await finished(start(words, options))
}

function start(
  words: readonly string[],
  { uid, env }: { readonly uid?: number; readonly env?: Record<string, string> } = {},
): ChildProcess {
  const user = uid === undefined ? {} : { uid, gid: uid }
  return spawn(resolve('bin/bindery'), words, { cwd: work, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, ...user })
}

async function finished(child: ChildProcess): Promise<Result> {
  const texts = { out: '', talk: '' }
  child.stdout?.on('data', (chunk: Buffer) => (texts.out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (texts.talk += chunk.toString()))
  const status = await new Promise<number | null>((done) => child.once('close', done))
  return { status, ...texts }
}

async function good(...words: readonly string[]): Promise<string> {
  const { status, out, talk } = await run(words)
  assert.equal(status, 0, `${words.join(' ')}\n${talk}`)
  return out
}

/** The release 1.0 is small, 1.1 brings a large file, 1.2 another one. */
function plantTree(name: string, revision: string, large: boolean): void {
  for (const folder of ['bin', 'etc', 'var/db']) mkdirSync(join(work, name, folder), { recursive: true })
  writeFileSync(join(work, name, 'bin/sh'), noise(200_000, 1).content)
  writeFileSync(join(work, name, 'etc/release'), `${revision}\n`)
  if (large) writeFileSync(join(work, name, 'bin/large'), noise(payload, 2).content)
}

let copies = 0
/** A fresh machine with 1.0, enrolled unless told otherwise. */
async function machine(enrolled = true): Promise<string> {
  const root = `client${++copies}`
  cpSync(join(work, 'r1.0'), join(work, root), { recursive: true })
  chmodSync(work, 0o755)
  if (enrolled) await good('-q', '-C', root, 'enroll', relay.url, 'repo/metadata/1.root.json', 'base/amd64')
  return root
}

async function publish(revision: string, ...more: readonly string[]): Promise<void> {
  const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
  await good('cut', `r${revision}`, '-o', `${revision}.tar.zst`, ...name)
  await good('publish', '-r', 'repo', '-k', 'keys', ...more, `${revision}.tar.zst`)
}

before(async () => {
  plantTree('r1.0', '1.0', false)
  plantTree('r1.1', '1.1', true)
  await good('init', '-r', 'repo', '-k', 'keys', '--no-passphrase')
  await publish('1.0')
  server = start(['serve', '-r', 'repo', '--listen', '127.0.0.1:0'])
  const url = await new Promise<string>((done) => createInterface({ input: server.stdout as NodeJS.ReadableStream }).once('line', done))
  relay = await relayTo(url)
})

after(async () => {
  server.kill()
  await relay.close()
  rmSync(work, { recursive: true })
})

test('enroll says what it found; list shows it; check is silent and small when current', async () => {
  const root = await machine(false)
  const { status, out, talk } = await run(['-C', root, 'enroll', relay.url, 'repo/metadata/1.root.json', 'base/amd64'])
  assert.deepEqual([status, out, talk], [0, '', 'bindery: enroll: base/amd64: base-1.0-20260101-amd64 is installed, as it was released\n'])
  assert.match(await good('-C', root, 'list'), /^base\/amd64: base-1\.0-20260101-amd64, basis tar \(2\d\d kB\)\n$/)
  relay.reset()
  const check = await run(['-C', root, 'check', '-e'])
  assert.deepEqual(check, { status: 0, out: '', talk: '' })
  const { connections, sent, received } = relay.passed
  assert.deepEqual([connections, sent + received <= 1024], [1, true], `${sent} bytes asked, ${received} answered`)
  const { current } = { current: JSON.parse(await good('-C', root, 'check', '--json')) as Record<string, unknown> }
  assert.deepEqual([current['route'], current['newest']], ['current', 'base-1.0-20260101-amd64'])
})

test('what cannot be enrolled changes nothing', async () => {
  const root = await machine(false)
  const timeBefore = statSync(join(work, root, 'var/db'), { bigint: true }).mtimeNs
  const cases: readonly (readonly [number, RegExp, readonly string[]])[] = [
    [2, /is no channel/, [relay.url, 'repo/metadata/1.root.json', 'base']],
    [2, /is no repository URL/, ['repo', 'repo/metadata/1.root.json', 'base/amd64']],
    [2, /the basis is/, [relay.url, 'repo/metadata/1.root.json', 'base/amd64', '--basis', 'tape']],
    [1, /not found/, [relay.url, 'missing.json', 'base/amd64']],
    [3, /enroll: r1\.0\/etc\/release: /, [relay.url, 'r1.0/etc/release', 'base/amd64']],
    [1, /none\/amd64|none-amd64/, [relay.url, 'repo/metadata/1.root.json', 'none/amd64']],
    [1, /127\.0\.0\.1:1\//, ['http://127.0.0.1:1/', 'repo/metadata/1.root.json', 'base/amd64']],
  ]
  for (const [wanted, message, words] of cases) {
    const { status, talk } = await run(['-C', root, 'enroll', ...words])
    assert.equal(status, wanted, `${words.join(' ')}: ${talk}`)
    assert.match(talk, message)
    assert.deepEqual(readdirSync(join(work, root, 'var/db')), [])
    assert.equal(statSync(join(work, root, 'var/db'), { bigint: true }).mtimeNs, timeBefore)
  }
})

test('each refusal is one line with its status', async () => {
  const [root, bare] = [await machine(), await machine(false)]
  const refused = async (wanted: number, message: RegExp, ...words: readonly string[]): Promise<void> => {
    const { status, talk } = await run(words)
    assert.equal(status, wanted, `${words.join(' ')}: ${talk}`)
    assert.match(talk, message)
    assert.ok(talk.split('\n').length <= 3, talk)
  }
  writeFileSync(join(work, 'bad.conf'), '# fine\nmirorr http://x/\n')
  for (const verb of ['check', 'fetch', 'list']) await refused(1, /nothing is enrolled/, '-C', bare, verb)
  for (const verb of ['check', 'list', 'install', 'rollback', 'recover', 'audit']) {
    await refused(1, new RegExp(`^bindery: ${verb}: nodir: not found\\n$`), '-C', 'nodir', verb)
    await refused(1, new RegExp(`^bindery: ${verb}: bad.conf: is no directory\\n$`), '-C', 'bad.conf', verb)
  }
  await refused(1, /enroll: nodir: not found\n$/, '-C', 'nodir', 'enroll', relay.url, 'repo/metadata/1.root.json', 'base/amd64')
  await refused(1, /none\/amd64: is not enrolled/, '-C', root, 'check', 'none/amd64')
  await refused(1, /base\/amd64: is enrolled already/, '-C', root, 'enroll', relay.url, 'repo/metadata/1.root.json', 'base/amd64')
  await refused(2, /bad\.conf: line 2: no key 'mirorr'\n.*did you mean 'mirror'/, '-C', root, '-f', 'bad.conf', 'check')
  await refused(1, /missing\.conf: is not there/, '-C', root, '-f', 'missing.conf', 'check')
  writeFileSync(join(work, root, 'var/db/bindery/channel/base-amd64/release'), 'garbage\n')
  await refused(3, /release: .*\n.*--force/, '-C', root, 'check')
  await good('-q', '-C', root, 'enroll', relay.url, 'repo/metadata/1.root.json', 'base/amd64', '--force')
  writeFileSync(join(work, root, 'var/db/bindery/lock/1.other'), 'bindery-lock 1\npid 1\nhost elsewhere\nstarted x\nverb install\n')
  await refused(5, /'install' is running as process 1 on elsewhere/, '-C', root, 'check')
})

test('an update is told, fetched whole or as a delta, and then nothing is left to fetch', async () => {
  const root = await machine()
  await publish('1.1', '--security', '--reboot', 'reboot', '--notice', 'Restart the\nspooler.')
  const check = await run(['-C', root, 'check', '-e'])
  assert.equal(check.status, 10)
  assert.match(
    check.out,
    /^base\/amd64: base-1\.0-20260101-amd64 -> base-1\.1-20260101-amd64, 3\.\d MB (as a whole|in 1 delta), security, reboot\n  Restart the\n  spooler\.\n$/,
  )
  const json = JSON.parse(await good('-C', root, 'fetch', '--json')) as Record<string, unknown>
  assert.deepEqual([json['release'], json['broken']], ['base-1.1-20260101-amd64', []])
  relay.reset()
  await good('-C', root, 'fetch')
  assert.ok(relay.passed.received < 2000, `${relay.passed.received} bytes`)
})

/** Fetches behind a slow line, and is killed each time when a sixth of the large file has come. */
async function killedOften(root: string, times: number): Promise<void> {
  relay.reset()
  relay.throttle(10_000)
  for (let i = 0; i < times; i++) {
    const child = start(['-C', root, 'fetch'])
    const done = finished(child)
    const target = relay.passed.received + payload / 6
    while (relay.passed.received < target) await new Promise((wait) => setTimeout(wait, 5))
    child.kill('SIGKILL')
    assert.equal((await done).status, null)
  }
  relay.throttle(Infinity)
}

test('killed again and again, a fetch goes on where it was', async () => {
  const root = await machine()
  await killedOften(root, 4)
  await good('-C', root, 'fetch')
  // What was on its way was sent in vain, in sockets and between two processes that have just started: some tenths of a second of the line each time on a busy machine. From the beginning it would be more.
  assert.ok(relay.passed.received >= payload && relay.passed.received < payload * 1.45, `${relay.passed.received} bytes for ${payload}`)
})

test('of three mirrors, one hangs and one answers with a portal', async () => {
  const [silent, portal] = [
    await hostileServer(hangs),
    await hostileServer(answers(200, { 'Content-Type': 'text/html' }, Buffer.from('<html>'))),
  ]
  const root = await machine(false)
  mkdirSync(join(work, root, 'etc'), { recursive: true })
  writeFileSync(join(work, root, 'etc/bindery.conf'), `answer-timeout 1\nmirror ${silent.base}\nmirror ${portal.base}\n`)
  await good('-q', '-C', root, 'enroll', relay.url, 'repo/metadata/1.root.json', 'base/amd64')
  assert.match(await good('-C', root, 'check'), /base-1\.1/)
  await silent.close()
  await portal.close()
})

test('without root, check works and keeps nothing; fetch says that it needs root', needsRoot(), async () => {
  const root = await machine()
  const nobody = { uid: 65_534, env: { HOME: '/nonexistent' } }
  const enrolled = readFileSync(join(work, root, 'var/db/bindery/enrolled'))
  assert.match((await run(['-C', root, 'check'], nobody)).out, /base-1\.1/)
  const refused = await run(['-C', root, 'fetch'], nobody)
  assert.deepEqual([refused.status, /needs root/.test(refused.talk)], [1, true], refused.talk)
  assert.equal((await run(['-C', root, 'list'], nobody)).status, 0)
  assert.deepEqual(readFileSync(join(work, root, 'var/db/bindery/enrolled')), enrolled)
  assert.deepEqual(readdirSync(join(work, root, 'var/db/bindery/cache')), [])
})

test('a repository on a disk is one, too', async () => {
  const root = await machine(false)
  await good('-q', '-C', root, 'enroll', `file://${work}/repo/`, 'repo/metadata/1.root.json', 'base/amd64', '--basis', 'installed')
  assert.match(await good('-C', root, 'check'), /base-1\.1/)
  await good('-C', root, 'fetch')
  assert.ok(!existsSync(join(work, root, 'var/db/bindery/channel/base-amd64/base.tar.zst')))
})

test('killed again and again, a chain of deltas goes on where it was', async () => {
  const root = await machine()
  cpSync(join(work, 'r1.1'), join(work, 'r1.2'), { recursive: true })
  writeFileSync(join(work, 'r1.2/bin/larger'), noise(payload, 3).content)
  await publish('1.2')
  await killedOften(root, 8)
  const { route, steps } = JSON.parse(await good('-C', root, 'fetch', '--json')) as Record<string, unknown>
  assert.deepEqual([route, steps], ['deltas', 2])
  // What is on its way, in the buffers of sockets, goes with each kill.
  assert.ok(relay.passed.received >= 2 * payload && relay.passed.received < 2 * payload * 1.5, `${relay.passed.received} bytes`)
})
