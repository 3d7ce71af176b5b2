import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { unenroll } from '../src/command/unenroll.ts'
import { runCommand } from './helpers/run-command.ts'
import type { Command, Context } from '../src/command/command.ts'
import type { Outcome } from './helpers/run-command.ts'

/** A root comes to channels with a boot hook, and leaves them without a trace of it. */

const work = mkdtempSync(join(tmpdir(), 'bindery-unenroll-'))
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)
const state = (root: string, name: string): string => at(root, 'var/db/bindery', name)

async function good(command: Command, words: readonly string[], overrides: Partial<Context> = {}): Promise<Outcome> {
  const seen = await runCommand(command, words, overrides)
  assert.equal(seen.status, 0, `${command.name} ${words.join(' ')}: ${seen.error?.message ?? seen.stderr.join('\n')}`)
  return seen
}

function put(...[path, text]: readonly [string, string]): void {
  mkdirSync(join(at(path), '..'), { recursive: true })
  writeFileSync(at(path), text)
}

async function publishBoth(revision: string): Promise<void> {
  for (const product of ['base', 'comp']) {
    put(`r${revision}/${product}/usr/${product}`, `${product} ${revision}`)
    const name = ['--product', product, '--revision', revision, '--date', '20260101', '--arch', 'amd64']
    await good(cut, [at(`r${revision}`, product), '-o', at('dist.tar.zst'), ...name])
    await good(publish, ['-r', at('repo'), '-k', at('keys'), at('dist.tar.zst')])
  }
}

/** A machine that systemd starts, with release 1.0. */
function machine(root: string): void {
  for (const product of ['base', 'comp']) put(`${root}/usr/${product}`, `${product} 1.0`)
  mkdirSync(at(root, 'usr/sbin'))
  mkdirSync(at(root, 'etc/systemd/system'), { recursive: true })
  symlinkSync('../lib/systemd/systemd', at(root, 'usr/sbin/init'))
}

const channels = ['base/amd64', 'comp/amd64']
const unit = 'etc/systemd/system/bindery-recover.service'
const wanted = 'etc/systemd/system/sysinit.target.wants'

async function enrolling(root: string, flags: readonly string[], overrides: Partial<Context> = {}): Promise<Outcome> {
  const words = [`file://${at('repo')}/`, at('repo/metadata/1.root.json'), ...channels, ...flags]
  return await runCommand(enroll, words, { root: at(root), ...overrides })
}

before(async () => {
  await good(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])
  await publishBoth('1.0')
})

test('without a terminal and without a word, enroll installs no boot hook, and says so', async () => {
  machine('silent')
  const seen = await enrolling('silent', [])
  assert.equal(seen.status, 0)
  assert.match(seen.stderr.join('\n'), /no boot hook: .*--boot-hook installs one/)
  assert.ok(!existsSync(at('silent', unit)))
  assert.deepEqual((await enrolling('silent', ['--force', '--no-boot-hook'])).stderr.length, 2)
  assert.equal((await enrolling('silent', ['--boot-hook', '--no-boot-hook'])).status, 2)
})

test('on a terminal it shows what it would write, and asks', async () => {
  machine('asked')
  const asked: string[] = []
  const terminal = (answer: string | undefined): Partial<Context> => ({
    isTerminal: { stdin: true, stdout: true, stderr: true },
    ask: async (question) => (asked.push(question), answer),
  })
  const seen = await enrolling('asked', [], terminal('n'))
  assert.ok(seen.stderr.includes(`  /${unit}`), seen.stderr.join('\n'))
  assert.deepEqual([asked, existsSync(at('asked', unit))], [['Install this boot hook? [Y/n] '], false])
  await enrolling('asked', ['--force'], terminal(undefined))
  assert.ok(!existsSync(at('asked', unit)))
  await enrolling('asked', ['--force'], terminal(''))
  assert.ok(existsSync(at('asked', unit)))
  await enrolling('asked', ['--force'], terminal('n'))
  assert.equal(asked.length, 3)
})

test('where nothing tells what starts the system, --boot-hook is refused, and nothing is enrolled', async () => {
  put('bare/usr/base', 'base 1.0')
  const seen = await enrolling('bare', ['--boot-hook'])
  assert.equal(seen.code, 'not-supported')
  assert.ok(!existsSync(at('bare/var')))
})

test('channels are left one by one; the boot hook goes with the last, and the tree stays', async () => {
  machine('leaving')
  assert.equal((await enrolling('leaving', ['--boot-hook'])).status, 0)
  await publishBoth('1.1')
  const root = { root: at('leaving') }
  await good(install, [], root)
  assert.equal((await runCommand(unenroll, [], root)).code, 'usage')
  assert.equal((await runCommand(unenroll, ['games/amd64'], root)).code, 'not-enrolled')
  const dry = await good(unenroll, ['-n', 'comp/amd64'], root)
  assert.equal(dry.stdout, 'comp/amd64: no longer enrolled\n2 installs can no longer be taken back\n')
  await good(unenroll, ['comp/amd64'], root)
  assert.deepEqual(readdirSync(state('leaving', 'channel')), ['base-amd64'])
  assert.deepEqual(readdirSync(state('leaving', 'receipt')), [])
  assert.ok(existsSync(at('leaving', unit)))
  assert.match((await good(list, [], root)).stdout, /^base\/amd64: /)
  assert.equal((await runCommand(rollback, [], root)).status, 1)
  const last = await good(unenroll, ['--all'], root)
  assert.deepEqual(last.stderr, ['base/amd64: no longer enrolled'])
  for (const gone of [at('leaving', unit), at('leaving', wanted), state('leaving', 'enrolled'), state('leaving', 'recover')])
    assert.ok(!existsSync(gone), gone)
  for (const folder of ['channel', 'trust', 'store', 'stage']) assert.deepEqual(readdirSync(state('leaving', folder)), [])
  assert.deepEqual(readdirSync(at('leaving/usr')), ['base', 'comp', 'sbin'])
  assert.equal((await runCommand(unenroll, ['--all'], root)).code, 'not-enrolled')
  assert.equal((await enrolling('leaving', ['--boot-hook'])).status, 0)
})

test('nobody leaves while something is half done', async () => {
  machine('half')
  assert.equal((await enrolling('half', ['--no-boot-hook'])).status, 0)
  writeFileSync(state('half', 'journal'), 'bindery-journal 1\n')
  assert.equal((await runCommand(unenroll, ['--all'], { root: at('half') })).status, 4)
  assert.ok(existsSync(state('half', 'enrolled')))
})
