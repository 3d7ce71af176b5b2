import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { check } from '../src/command/check.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { openKeyring } from '../src/engine/repo/keyring.ts'
import { decodeRest, encodeRest } from '../src/format/rest.ts'
import { encodeUpdate } from '../src/format/update.ts'
import { folderStore } from '../src/host/folder-store.ts'
import { readKeyFolder } from '../src/host/key-folder.ts'
import { relPath } from './helpers/plant.ts'
import { resign } from './helpers/resign.ts'
import { runCommand } from './helpers/run-command.ts'
import { folderInMemory } from './helpers/temporary.ts'
import type { Command } from '../src/command/command.ts'
import type { OwnProgram } from '../src/port/own-program.ts'
import type { Update } from '../src/format/update.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Installs that bring another bindery, decided in this process; test/acceptance/self-update.test.ts has real ones. */

const work = folderInMemory('bindery-own-')
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)
const entry = 'usr/lib/bindery/dist/bindery.js'
const fileOf: Readonly<Record<string, string>> = { base: 'etc/base', bindery: entry, comp: 'etc/comp' }

/** The bindery of a machine: a file that says its version, or why it does not start. */
function programOf(root: string, change: Partial<OwnProgram> = {}): OwnProgram {
  const read = (): string => readFileSync(at(root, entry), 'utf8')
  const started = read()
  return {
    version: '0.1.0',
    paths: [relPath('usr/lib/bindery/dist')],
    isOther: () => read() !== started,
    there: async () =>
      await Promise.resolve(read() === 'broken' ? { kind: 'broken', why: 'ends with status 1' } : { kind: 'starts', version: read() }),
    become: undefined,
    begunWith: undefined,
    ...change,
  }
}

async function on(root: string, command: Command, words: readonly string[] = [], change: Partial<OwnProgram> = {}): Promise<Outcome> {
  return await runCommand(command, words, { root: at(root), program: programOf(root, change) })
}

async function good(root: string, command: Command, ...words: readonly string[]): Promise<Outcome> {
  const seen = await on(root, command, words)
  assert.equal(seen.status, 0, seen.error?.message ?? seen.stderr.join('\n'))
  return seen
}

async function release(product: string, revision: string, ...words: readonly string[]): Promise<void> {
  const [folder, dist] = [at(`${product}-${revision}`), at(`${product}-${revision}.tar`)]
  mkdirSync(dirname(join(folder, fileOf[product] as string)), { recursive: true })
  writeFileSync(join(folder, fileOf[product] as string), revision)
  const name = ['--product', product, '--revision', revision, '--date', '20260101', '--arch', 'any']
  assert.equal((await runCommand(cut, [folder, '-o', dist, ...name])).status, 0)
  const seen = await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), '--system', 'none', ...words, dist])
  assert.equal(seen.status, 0, seen.error?.message)
}

/** Enrolled at the first releases. */
function machine(root: string): string {
  execFileSync('cp', ['-a', at('machine'), at(root)])
  return root
}

const has = (root: string): string =>
  Object.values(fileOf)
    .map((file) => readFileSync(at(root, file), 'utf8'))
    .join(' ')

before(async () => {
  assert.equal((await runCommand(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])).status, 0)
  const products = Object.keys(fileOf)
  for (const product of products) await release(product, '1')
  for (const product of products) execFileSync('cp', ['-a', '-T', at(`${product}-1`), at('machine')])
  const channels = products.map((product) => `${product}/any`)
  await good('machine', enroll, `file://${at('repo')}/`, at('repo/metadata/1.root.json'), '--no-boot-hook', ...channels)
  await release('bindery', '2')
  await release('comp', '2')
  await release('base', '2', '--needs', 'bindery>=2')
})

test('its own channel comes first, and alone where it needs no other; the rest is said until it has come', async () => {
  const root = machine('asked')
  const seen = await on(root, install)
  assert.deepEqual([seen.status, has(root)], [6, '1 2 1'])
  assert.deepEqual(seen.stderr, ['bindery is now 2: run the same command again'])
  assert.match((await good(root, list)).stdout, /^base\/any: base-1-.*\nbase\/any: an install ended here when it brought another bindery; /)
  assert.match((await good(root, check)).stdout, /^base\/any: an install ended here .*\nbase\/any: .*base-2/)
  assert.match((await good(root, check, '--json')).stdout, /"left":true/)

  await good(root, install, 'comp/any')
  assert.match((await good(root, list)).stdout, /^base\/any: an install ended here/m)
  assert.doesNotMatch((await good(root, list)).stdout, /^comp\/any: an install/m)
  await good(root, install)
  assert.equal(has(root), '2 2 2')
  assert.equal(existsSync(at(root, 'var/db/bindery/rest')), false)
})

test('where it can become the other one, that one brings the rest, and answers the status of the whole', async () => {
  const root = machine('becoming')
  const became: number[] = []
  const become = async (status: number): Promise<never> => await Promise.reject(new Error(`became ${became.push(status)}`))
  await assert.rejects(on(root, install, [], { become }), /became 1/)
  assert.deepEqual([became, has(root)], [[0], '1 2 1'])
  assert.deepEqual([(await on(root, install, [], { begunWith: 6 })).status, has(root)], [6, '2 2 2'])
})

test('nothing is said where nothing is left, and taking it back takes back what was said', async () => {
  const root = machine('alone')
  assert.deepEqual((await good(root, install, 'bindery/any')).stderr, [])
  await good(root, rollback)
  assert.equal((await on(root, install)).status, 6)
  await good(root, rollback)
  assert.deepEqual([has(root), existsSync(at(root, 'var/db/bindery/rest'))], ['1 1 1', false])
})

test('what was begun with a channel by name goes on although it is held', async () => {
  const root = machine('held')
  writeFileSync(at(root, 'etc/bindery.conf'), 'hold base/any\n')
  assert.equal((await on(root, install, ['base/any', 'bindery/any'])).status, 6)
  await good(root, install)
  assert.equal(has(root), '2 2 2')
})

test('a channel that speaks of what this bindery does not know waits for the next one', async () => {
  const root = machine('future')
  const keyring = openKeyring(await readKeyFolder(at('keys')), async () => await Promise.resolve(''))
  const workshop = { store: folderStore(at('repo')), clock: { now: () => Date.now() }, keyring }
  await resign(
    workshop,
    ({ updates }) => {
      const text = Buffer.from(encodeUpdate(updates.at(-1) as Update)).toString()
      const bytes = utf8(text.replace(/"must":\[/, '"must":["wings",').replace('"needs",]', '"needs"]'))
      return [{ target: 'base/any/base-2-20260101-any.update', bytes, custom: { sequence: 2 } }]
    },
    { product: 'base', arch: 'any' },
  )
  const seen = await on(root, install)
  assert.deepEqual([seen.status, has(root)], [6, '1 2 1'])
  assert.match(
    seen.stderr.join('\n'),
    /'wings', which this bindery does not know; bindery itself is updated first\nbindery is now 2: run the same/,
  )
  assert.equal((await on(root, install)).code, 'not-supported')
})

test('one that does not start is taken back', async () => {
  const root = machine('broken')
  await release('bindery', 'broken')
  const seen = await on(root, install)
  assert.deepEqual([seen.code, has(root)], ['command-failed', '1 1 1'])
  assert.match(
    seen.error?.message ?? '',
    /^the bindery that has come does not start: it ends with status 1; bindery-broken-\S+ was taken back$/,
  )
})

test('the record of what is left is read as it was written', () => {
  const rest = [{ channel: { product: 'base', arch: 'any' }, installed: { product: 'base', revision: '1', date: '20260101', arch: 'any' } }]
  assert.deepEqual(decodeRest(encodeRest(rest)), rest)
  for (const text of [
    'bindery-rest 1\nchannel base/any\n',
    'bindery-rest 1\nrole base/any base-1-20260101-any\n',
    'bindery-rest 1\nchannel base/any base\n',
  ])
    assert.throws(() => decodeRest(utf8(text)), { code: 'bad-format' })
  assert.throws(() => decodeRest(utf8('bindery-rest 2\n')), { code: 'not-supported' })
})
