import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { audit } from '../src/command/audit.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { needsRoot } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import type { Command } from '../src/command/command.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Conflicts and merges as a user sees them, on real files: two releases, and a machine that somebody has worked on. */

const work = mkdtempSync(join(tmpdir(), 'bindery-merge-'))
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)
const read = (...names: readonly string[]): string => readFileSync(at(...names), 'utf8')

const text = (first: string, last: string): string => `${first}\ntwo\nthree\n${last}\n`
const mine = text('mine', 'four')

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(at(root, path)), { recursive: true })
    writeFileSync(at(root, path), content)
  }
}

async function good(command: Command, words: readonly string[], root = '/'): Promise<string> {
  const { status, stdout, stderr, error } = await runCommand(command, words, { root })
  assert.equal(status, 0, `${words.join(' ')}\n${stderr.join('\n')}\n${error?.message ?? ''}`)
  return stdout
}

const inRoot = async (root: string, command: Command, ...words: readonly string[]): Promise<Outcome> =>
  await runCommand(command, words, { root: at(root) })

before(async () => {
  for (const [version, last, app] of [
    ['1.0', 'four', 'old'],
    ['1.1', '4', 'new'],
  ] as const) {
    const lined = text('one', last)
    write(version, { 'etc/merged.conf': lined, 'srv/named': lined, 'etc/app.conf': app, 'bin/sh': app, 'var/db/x': '' })
    if (version === '1.1') write(version, { 'etc/own.conf': 'brought' })
    const name = ['--product', 'base', '--revision', version, '--date', '20260101', '--arch', 'amd64']
    await good(cut, [at(version), '-o', at(`${version}.tar.zst`), ...name])
  }
  const repository = ['-r', at('repo'), '-k', at('keys')]
  await good(init, [...repository, '--no-passphrase'])
  for (const version of ['1.0', '1.1']) await good(publish, [...repository, at(`${version}.tar.zst`)])
})

async function machine(name: string, basis = 'tar'): Promise<string> {
  execFileSync('cp', ['-a', at('1.0'), at(name)])
  const words = ['--basis', basis, `file://${at('repo')}/`, at('repo/metadata/1.root.json'), 'base/amd64']
  await good(enroll, words, at(name))
  return name
}

for (const basis of ['tar', 'installed']) {
  test(
    `conflicts are told before anything is touched and listed at the end; what can be is merged (basis ${basis})`,
    needsRoot(),
    async () => {
      const root = await machine(`busy-${basis}`, basis)
      write(root, { 'etc/app.conf': 'mine', 'etc/own.conf': 'own', 'etc/merged.conf': mine, 'srv/named': mine })
      execFileSync('cp', ['-a', at(root), at(`${root}-before`)])
      const named = ['--config-protect', '/srv/named']
      const { stdout } = await inRoot(root, install, '-n', ...named)
      assert.deepEqual(
        stdout
          .split('\n')
          .filter((line) => /^(?:merge|keep|replace)/.test(line))
          .toSorted(),
        [
          'keep /etc/app.conf was modified here; the other version is /etc/app.conf.new',
          'keep /etc/own.conf is not of a release; the other version is /etc/own.conf.new',
          'merge /etc/merged.conf',
          'merge /srv/named',
          'replace /bin/sh',
        ],
      )
      assert.equal(read(root, 'etc/merged.conf'), mine)
      const { status, stderr } = await inRoot(root, install, ...named)
      assert.deepEqual(stderr, [
        'conflict: /etc/app.conf was modified here',
        'conflict: /etc/own.conf is not of a release',
        '/etc/app.conf was modified here; the other version is /etc/app.conf.new',
        '/etc/own.conf is not of a release; the other version is /etc/own.conf.new',
        '/etc/merged.conf was merged: it holds what was changed here and what the release changes',
        '/srv/named was merged: it holds what was changed here and what the release changes',
      ])
      assert.equal(status, 6)
      for (const path of ['etc/merged.conf', 'srv/named']) assert.equal(read(root, path), text('mine', '4'))
      assert.deepEqual([read(root, 'etc/app.conf'), read(root, 'etc/app.conf.new')], ['mine', 'new'])
      await checkAudit(root)
      assert.equal((await inRoot(root, rollback)).status, 0)
      execFileSync('diff', ['-r', '-x', 'bindery', at(`${root}-before`), at(root)])
    },
  )
}

async function checkAudit(root: string): Promise<void> {
  const { status, stdout } = await inRoot(root, audit)
  assert.equal(status, 7)
  assert.match(stdout, /^changed \/etc\/merged\.conf {2}content 16 bytes -> 17 bytes.*, merged by an install$/m)
  assert.match(stdout, /^changed \/etc\/app\.conf {2}content .*(?<!install)$/m)
  const objects = (await inRoot(root, audit, '--json')).stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly path: string; readonly merged?: boolean })
  assert.deepEqual(
    objects.filter(({ merged }) => merged === true).map(({ path }) => path),
    ['etc/merged.conf', 'srv/named'],
  )
}

test('where all could be merged nothing is left to do, and bindery.conf can forbid it', needsRoot(), async () => {
  const root = await machine('quiet')
  write(root, { 'etc/merged.conf': mine })
  assert.deepEqual(await inRoot(root, install), {
    status: 0,
    stdout: '',
    stderr: ['/etc/merged.conf was merged: it holds what was changed here and what the release changes'],
  })
  assert.equal((await inRoot(root, rollback)).status, 0)
  write(root, { 'etc/bindery.conf': 'merge no\n' })
  assert.equal((await inRoot(root, install)).status, 6)
  assert.equal(read(root, 'etc/merged.conf'), mine)
  assert.equal((await inRoot(root, install, '--config-protect', 'etc')).status, 2)
})

test('a base that is damaged is said, and the file is merged from what the repository has of the old release', needsRoot(), async () => {
  const root = await machine('damaged')
  write(root, { 'etc/merged.conf': mine, 'var/db/bindery/channel/base-amd64/base.tar.zst': 'damaged' })
  const { stderr } = await inRoot(root, install)
  assert.match(stderr.join('\n'), /base\.tar\.zst: is damaged; fetching instead/)
  assert.equal(read(root, 'etc/merged.conf'), text('mine', '4'))
})
