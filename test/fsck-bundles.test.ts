import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { bundle } from '../src/command/bundle.ts'
import { cut } from '../src/command/cut.ts'
import { fsck } from '../src/command/fsck.ts'
import { init } from '../src/command/init.ts'
import { keygen } from '../src/command/keygen.ts'
import { publish } from '../src/command/publish.ts'
import { runCommand } from './helpers/run-command.ts'
import type { Command } from '../src/command/command.ts'

/** The bundles of a repository and the signed list of them, as `fsck` sees them. */

const work = mkdtempSync(join(tmpdir(), 'bindery-fsck-bundles-'))
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)

async function good(command: Command, ...words: readonly string[]): Promise<void> {
  const { status, error } = await runCommand(command, words)
  assert.equal(status, 0, error?.message)
}

const check = async (...words: readonly string[]): Promise<{ readonly status: number; readonly stdout: string }> =>
  await runCommand(fsck, ['-r', at('repo'), ...words])

before(async () => {
  await good(init, '-r', at('repo'), '-k', at('keys'), '--no-passphrase')
  for (const name of ['bundles', 'other']) await good(keygen, '--no-passphrase', '-p', at(`${name}.pub`), '-s', at(`${name}.sec`))
  for (const revision of ['1.0', '1.1']) {
    mkdirSync(at(revision, 'bin'), { recursive: true })
    writeFileSync(at(revision, 'bin/sh'), `sh of ${revision}\n`)
    const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
    await good(cut, at(revision), '-o', at('dist.tar.zst'), ...name)
    await good(publish, '-r', at('repo'), '-k', at('keys'), at('dist.tar.zst'))
  }
  await good(bundle, '-r', at('repo'), '-s', at('bundles.sec'), 'base/amd64')
})

test('sound ones are not mentioned, and another key is found', async () => {
  assert.deepEqual(await check('-p', at('bundles.pub')), { status: 0, stdout: '', stderr: [] })
  const { status, stdout } = await check('-p', at('other.pub'))
  assert.deepEqual([status, stdout.startsWith('error: SHA256.sig: was signed with key ')], [3, true])
})

test('a flipped bit is found in each file, and so are one that is missing and one too many', async () => {
  const names = ['SHA256.sig', ...readdirSync(at('repo/bundles')).map((name) => `bundles/${name}`)]
  assert.equal(names.length, 3)
  for (const name of names) {
    const whole = readFileSync(at('repo', name))
    // The first line of a signature is a comment that nobody has signed.
    const first = name === 'SHA256.sig' ? whole.indexOf('\n') + 1 : 0
    for (const part of [0, 0.2, 0.5, 0.8, 0.999]) {
      const broken = Buffer.from(whole)
      const byte = first + Math.floor(part * (whole.length - first))
      broken[byte] = (broken[byte] as number) ^ 4
      writeFileSync(at('repo', name), broken)
      const { status, stdout } = await check('-p', at('bundles.pub'))
      assert.deepEqual([status, stdout.includes(`error: ${name}: `)], [3, true], `${name} at ${byte}: ${stdout}`)
    }
    writeFileSync(at('repo', name), whole)
  }
  const bundleName = names.find((name) => name.endsWith('.sh')) as string
  const whole = readFileSync(at('repo', bundleName))
  rmSync(at('repo', bundleName))
  writeFileSync(at('repo/bundles/left'), 'left')
  assert.equal((await check()).stdout, `error: ${bundleName}: is missing\nnote: bundles/left: is not in the list of bundles\n`)
  writeFileSync(at('repo', bundleName), whole)
  rmSync(at('repo/bundles/left'))
})

test('of several signatures, one that does not fit is a warning: readers pass over it', async () => {
  const file = at('repo/metadata/1.root.json')
  const whole = readFileSync(file, 'utf8')
  const signatures = [...whole.matchAll(/"sig":"([0-9a-f]+)"/g)]
  const sig = signatures[0]?.[1] as string
  // The same bytes in another spelling, and a second signature that fits nothing.
  const letter = sig.search(/[a-f]/)
  const spelled = sig.slice(0, letter) + (sig[letter] as string).toUpperCase() + sig.slice(letter + 1)
  writeFileSync(file, whole.replace(sig, spelled))
  assert.match((await check()).stdout, /^warning: metadata\/1\.root\.json: has a signature that does not fit: /)
  writeFileSync(file, whole.replace('"signatures":[', `"signatures":[{"keyid":"${'0'.repeat(64)}","sig":"${sig}"},`))
  assert.match((await check()).stdout, /^warning: metadata\/1\.root\.json: has a signature of a key that nothing names: /)
  writeFileSync(file, whole)
})
