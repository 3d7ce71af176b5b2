import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { check } from '../src/command/check.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { fetch } from '../src/command/fetch.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { hostStepRunner } from '../src/host/step-runner.ts'
import { runCommand } from './helpers/run-command.ts'
import type { Command } from '../src/command/command.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Channels that need each other, from publish to rollback. */

const work = mkdtempSync(join(tmpdir(), 'bindery-needs-'))
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)

async function good(command: Command, ...words: readonly string[]): Promise<Outcome> {
  const seen = await runCommand(command, words)
  assert.equal(seen.status, 0, `${command.name} ${words.join(' ')}: ${seen.error?.message ?? seen.stderr.join('\n')}`)
  return seen
}

async function on(root: string, command: Command, ...words: readonly string[]): Promise<Outcome> {
  return await runCommand(command, words, { root: at(root), steps: hostStepRunner(at(root)) })
}

function plant(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(at(folder, path), '..'), { recursive: true })
    writeFileSync(at(folder, path), text)
  }
}

const filesOf = (product: string, revision: string): Readonly<Record<string, string>> => ({
  [`${product}/version`]: revision,
  [`${product}/only-${revision}`]: revision,
  'shared/readme': 'of all',
})

async function release(
  product: string,
  revision: string,
  needs: readonly string[] = [],
  files = filesOf(product, revision),
): Promise<Outcome> {
  const dist = at(`${product}-${revision}.tar.zst`)
  plant(`${product}-${revision}`, files)
  await good(
    cut,
    at(`${product}-${revision}`),
    '-o',
    dist,
    '--product',
    product,
    '--revision',
    revision,
    '--date',
    '20260101',
    '--arch',
    'amd64',
  )
  return await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), ...needs.flatMap((need) => ['--needs', need]), dist])
}

let machines = 0

/** A machine with the first release of all products, that follows these. */
async function machine(...channels: readonly string[]): Promise<string> {
  const root = `machine${++machines}`
  for (const product of ['base', 'kernel-A', 'comp']) plant(root, filesOf(product, '1'))
  await enrollAt(root, '1', ...channels)
  return root
}

async function enrollAt(root: string, revision: string, ...channels: readonly string[]): Promise<void> {
  for (const channel of channels) {
    const name = `${channel}-${revision}-20260101-amd64`
    const words = [`file://${at('repo')}/`, at('repo/metadata/1.root.json'), `${channel}/amd64`, '--release', name]
    const { status, error } = await on(root, enroll, ...words)
    assert.equal(status, 0, error?.message)
  }
}

const version = (root: string, product: string): string => readFileSync(at(root, product, 'version'), 'utf8')
const versions = (root: string): string => ['base', 'kernel-A', 'comp'].map((product) => version(root, product)).join(' ')

before(async () => {
  await good(init, '-r', at('repo'), '-k', at('keys'), '--no-passphrase')
  for (const product of ['base', 'kernel-A', 'comp']) assert.equal((await release(product, '1')).status, 0)
  assert.equal((await release('kernel-A', '2')).status, 0)
  assert.equal((await release('comp', '2')).status, 0)
  assert.equal((await release('base', '2', ['kernel-A>=2'])).status, 0)
})

test('a revision that no release has ends publish before anything is written', async () => {
  const seen = await release('comp', '9', ['kernel-A>=9'])
  assert.equal(seen.code, 'not-found')
  assert.match(seen.error?.message ?? '', /no release of this channel has the revision 9/)
})

test('what needs each other comes as one plan, and goes back as one', async () => {
  const root = await machine('base', 'kernel-A', 'comp')
  assert.equal((await on(root, install)).status, 0)
  assert.equal(versions(root), '2 2 2')
  const receipts = (await on(root, list)).stdout.split('\n').filter((line) => /^[0-9]+: install/.test(line))
  assert.equal(receipts.length, 2)
  assert.match(receipts[0] ?? '', /base-1-\S+ -> base-2-\S+, kernel-A-1-\S+ -> kernel-A-2-/)
  assert.equal((await on(root, rollback)).status, 0)
  assert.equal(versions(root), '2 2 1')
  assert.equal((await on(root, rollback)).status, 0)
  assert.equal(versions(root), '1 1 1')
  assert.equal(existsSync(at(root, 'base/only-2')), false)
})

test('a need that is not met is told with what to do, and nothing changes', async () => {
  const root = await machine('base')
  const found = await on(root, check)
  assert.match(found.stdout, /\n {2}waits: base-2-\S+ needs kernel-A\/amd64 from 2 on, which is not followed here\n/)
  assert.equal((await on(root, fetch)).stderr.length, 1)
  const seen = await on(root, install)
  assert.deepEqual([seen.status, seen.code, versions(root)], [1, 'unmet-need', '1 1 1'])
  assert.match(seen.error?.hint ?? '', /bindery enroll URL ROOT\.json kernel-A\/amd64/)
  await enrollAt(root, '1', 'kernel-A')
  assert.equal((await on(root, install)).status, 0)
  assert.equal(versions(root), '2 2 1')
})

test('a channel that is held, or not named, is not moved for another one', async () => {
  const root = await machine('base', 'kernel-A', 'comp')
  plant(root, { 'etc/bindery.conf': 'hold kernel-A/amd64\n' })
  const seen = await on(root, install)
  assert.deepEqual([seen.status, versions(root)], [6, '1 1 2'])
  assert.match(
    seen.stderr.join('\n'),
    /^base\/amd64: base-2-\S+ is not installed: base-2-\S+ needs kernel-A\/amd64 from 2 on, and kernel-A-1-\S+ stays$/m,
  )
  const named = await on(root, install, 'base/amd64')
  assert.deepEqual([named.status, named.code, versions(root)], [1, 'unmet-need', '1 1 2'])
  assert.equal((await on(root, install, 'base/amd64', 'kernel-A/amd64')).status, 0)
  assert.equal(versions(root), '2 2 2')
})

test('install --to stops at a release, and never goes back behind the installed one', async () => {
  const root = await machine('kernel-A', 'comp')
  assert.equal((await release('kernel-A', '3')).status, 0)
  assert.equal((await on(root, install, '--to', '2')).status, 0)
  assert.equal(versions(root), '1 2 2')
  assert.equal((await on(root, install, '--to', 'kernel-A-2-20260101-amd64')).status, 0)
  const back = await on(root, install, '--to', '1', 'kernel-A/amd64')
  assert.deepEqual([back.status, back.code, versions(root)], [3, 'downgrade', '1 2 2'])
  assert.equal((await on(root, install, '--to', '9')).code, 'not-found')
  assert.equal((await on(root, install)).status, 0)
  assert.equal(versions(root), '1 3 2')
})

test('the release that is installed goes on needing what it needs', async () => {
  assert.equal((await release('tool', '1')).status, 0)
  assert.equal((await release('addon', '1', ['tool<=1'])).status, 0)
  assert.equal((await release('tool', '2')).status, 0)
  const root = await machine()
  for (const product of ['tool', 'addon']) plant(root, filesOf(product, '1'))
  await enrollAt(root, '1', 'tool', 'addon')
  const seen = await on(root, install)
  assert.deepEqual([seen.code, version(root, 'tool')], ['unmet-need', '1'])
  assert.match(seen.error?.message ?? '', /addon-1-\S+ needs tool\/amd64 up to 1, and tool-2-\S+ would come/)
})

test('two releases that bring one file with different contents are refused together, and nothing changes', async () => {
  for (const product of ['left', 'right']) assert.equal((await release(product, '1')).status, 0)
  assert.equal((await release('left', '2', [], { ...filesOf('left', '2'), 'bin/x': 'left' })).status, 0)
  assert.equal((await release('right', '2', ['left>=2'], { ...filesOf('right', '2'), 'bin/x': 'right' })).status, 0)
  const root = await machine()
  for (const product of ['left', 'right']) plant(root, filesOf(product, '1'))
  await enrollAt(root, '1', 'left', 'right')
  const seen = await on(root, install)
  assert.deepEqual([seen.code, seen.error?.subject, version(root, 'left')], ['conflict', '/bin/x', '1'])
  assert.match(seen.error?.message ?? '', /^is of left-2-\S+ and of right-2-\S+, with different contents$/)
})
