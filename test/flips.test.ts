import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { audit } from '../src/command/audit.ts'
import { bundle } from '../src/command/bundle.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { keygen } from '../src/command/keygen.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { runCommand } from './helpers/run-command.ts'
import { folderInMemory } from './helpers/temporary.ts'
import { flip, flipAll, flipPlaces, sizedFile } from './torture/flips.ts'
import { copyFolder } from './torture/site.ts'
import type { Command } from '../src/command/command.ts'
import type { Outcome } from './helpers/run-command.ts'
import type { Place, Verdict } from './torture/flips.ts'

/** One bit of any file is another: `audit` and `fsck` find it, and mend it or say that they cannot. A slice of `make torture-flips`. */

const today = Math.floor(Date.now() / 86_400_000)
const work = folderInMemory('bindery-flips-')
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)
let places: readonly Place[]

async function good(command: Command, words: readonly string[], root = '/'): Promise<void> {
  const { status, error, stderr } = await runCommand(command, words, { root })
  assert.equal(status, 0, `${stderr.join('\n')}\n${error?.message}`)
}

function plant(folder: string, revision: string): void {
  const files = { 'bin/sh': `sh of ${revision}\n`, 'bin/same': 'same\n', [`lib/${revision}`]: 'only here\n' }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(at(folder, path)), { recursive: true })
    writeFileSync(at(folder, path), text)
  }
}

before(async () => {
  await good(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])
  await good(keygen, ['--no-passphrase', '-p', at('bundles.pub'), '-s', at('bundles.sec')])
  for (const revision of ['1.0', '1.1']) {
    plant(revision, revision)
    const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
    await good(cut, [at(revision), '-o', at('dist.tar.zst'), ...name])
    await good(publish, ['-r', at('repo'), '-k', at('keys'), at('dist.tar.zst')])
  }
  await good(bundle, ['-r', at('repo'), '-s', at('bundles.sec'), 'base/amd64'])
  copyFolder(work, '1.0', 'installed')
  await good(enroll, [`file://${at('repo')}/`, at('repo/metadata/1.root.json'), 'base/amd64'], at('installed'))
  await good(install, [], at('installed'))
  places = await flipPlaces(work)
})

const placeOf = (what: string): Place => places.find((place) => place.what === what) as Place

for (const [what, count] of [
  ['tree', 3],
  ['state', 4],
  ['repository', 5],
] as const)
  test(`${what}: whatever bit is flipped, it is found, and mended or said not to be`, async () => {
    const faults: string[] = []
    const row = await flipAll({ seed: today, tell: (line) => void faults.push(line) }, placeOf(what), count)
    assert.deepEqual([row.tried, row.bad], [count, 0], faults.join('\n'))
  })

async function verdictOf(file: string): Promise<Verdict | undefined> {
  const sized = sizedFile(file)
  const [judged] = await placeOf('state').judge([{ ...sized, byte: sized.size >> 1, bit: 1 }])
  return judged?.verdict
}

test('what is small, or is in the network, is mended; what is kept for a rollback is said to be lost', async () => {
  const state = at('flipped-state/var/db/bindery')
  const wanted: Readonly<Record<string, Verdict>> = {
    enrolled: 'repaired',
    checksums: 'repaired',
    'receipt/1': 'repaired',
    'channel/base-amd64/release': 'repaired',
    'channel/base-amd64/base.tar.zst': 'repaired',
    'store/1/0': 'said',
  }
  for (const [name, verdict] of Object.entries(wanted)) assert.equal(await verdictOf(join(state, name)), verdict, name)
})

async function machine(
  name: string,
): Promise<{ readonly root: string; readonly run: (command: Command, ...words: readonly string[]) => Promise<Outcome> }> {
  const root = at(name)
  copyFolder(work, 'sound', name)
  return { root, run: async (command, ...words) => await runCommand(command, words, { root }) }
}

test('a rollback does not bring back what the disk has lost, nor passes over a receipt that it cannot read', async () => {
  const { root, run } = await machine('kept')
  const slot = join(root, 'var/db/bindery/store/1/0')
  flip({ file: slot, byte: 3, bit: 0 })
  assert.equal((await run(rollback)).code, 'bad-digest')
  const other = await machine('unread')
  const receipt = join(other.root, 'var/db/bindery/receipt/1')
  flip({ file: receipt, byte: 40, bit: 0 })
  assert.equal((await other.run(rollback)).code, 'bad-format')
})

test('what another program has written since is no damage, and is noted by the next verb', async () => {
  const { root, run } = await machine('written')
  assert.deepEqual((await run(audit)).stdout, '')
  const file = join(root, 'var/db/bindery/told')
  writeFileSync(file, 'bindery-told 1\n')
  assert.deepEqual((await run(audit)).stdout, '')
  flip({ file, byte: 0, bit: 0 })
  const { status, stdout } = await run(audit, '--json')
  assert.deepEqual([status, (JSON.parse(stdout) as { path: string }).path], [3, 'var/db/bindery/told'])
})
