import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { freePort } from './helpers/free-port.ts'
import { farmMirror } from '../src/command/farm-mirror.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { writeIndexTxt, writeMirror } from './helpers/openbsd-mirror/mirror.ts'
import { needs } from './helpers/programs.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'

const set = '7.6/packages-stable/amd64'
const curl = packageOf({ name: 'curl-8.5.0', pkgpath: 'net/curl' })

/** A published folder, its index from this date. */
async function publishAt(folder: string, date: string, names: readonly string[]): Promise<void> {
  rmSync(join(folder, set), { recursive: true, force: true })
  await writeMirror({ folder: join(folder, set), packages: names.map((name) => ({ ...curl, name })), date })
  utimesSync(join(folder, set, 'index.txt'), Date.parse(date) / 1000, Date.parse(date) / 1000)
  writeFileSync(join(folder, set, '.retired'), '')
}

const beside = '7.6/packages/amd64/zsh-5.9.tgz'

/** What a mirror has of others: the packages of the release itself. */
function plantBeside(folder: string): void {
  mkdirSync(dirname(join(folder, beside)), { recursive: true })
  writeFileSync(join(folder, beside), 'z')
}

function namesIn(folder: string): readonly string[] {
  return readdirSync(join(folder, set)).toSorted()
}

test('a folder is brought up to date; lag and torn states are told', async () => {
  await inTemporary(async (folder) => {
    const [pub, copy] = [join(folder, 'pub'), join(folder, 'copy')]
    await publishAt(pub, '2026-11-20T09:30:15Z', ['curl-8.5.0', 'vim-9.1'])
    plantBeside(copy)
    const mirror = async (...words: readonly string[]): Promise<string> => {
      const run = await runCommand(farmMirror, [...words, pub, copy])
      assert.equal(run.status, run.stdout.endsWith(': current\n') ? 0 : 6)
      return run.stdout.replace(`${copy}: ${set}: `, '')
    }
    assert.equal(await mirror('--check'), 'has no index.txt\n')
    assert.equal(await mirror(), 'current\n')
    assert.deepEqual(
      namesIn(copy),
      namesIn(pub).filter((name) => !name.startsWith('.')),
    )
    await publishAt(pub, '2026-11-20T14:30:15Z', ['curl-8.5.0p0', 'vim-9.1'])
    assert.equal(await mirror('--check'), 'behind by 5 hours\n')
    // Somebody copied the index before the packages.
    writeFileSync(join(copy, set, 'index.txt'), readFileSync(join(pub, set, 'index.txt')))
    assert.equal(await mirror('--check'), 'torn: curl-8.5.0p0.tgz, and 2 more\n')
    assert.equal(await mirror(), 'current\n')
    assert.equal(existsSync(join(copy, set, 'curl-8.5.0.tgz')), false)
    assert.equal(readFileSync(join(copy, beside), 'utf8'), 'z')
    writeFileSync(join(copy, set, 'vim-9.1.tgz'), 'cut')
    assert.equal(await mirror('--check'), 'torn: vim-9.1.tgz\n')
    const { stdout } = await runCommand(farmMirror, ['--check', '--json', pub, copy])
    assert.deepEqual(JSON.parse(stdout), { target: copy, folder: set, kind: 'torn', files: ['vim-9.1.tgz'], seconds: 0 })
    rmSync(join(copy, set, 'vim-9.1.tgz'))
    writeIndexTxt(join(copy, set), ['curl-8.5.0p0.tgz'])
    assert.equal(await mirror('--check'), 'another index of the same time\n')
  })
})

test('a real rsync daemon', needs('rsync'), async () => {
  await inTemporary(async (folder) => {
    const [pub, module] = [join(folder, 'pub'), join(folder, 'module')]
    plantBeside(module)
    await publishAt(pub, '2026-11-20T09:30:15Z', ['curl-8.5.0', 'vim-9.1'])
    const port = await freePort()
    const conf = join(folder, 'rsyncd.conf')
    const owner = process.getuid?.() === 0 ? 'uid = 0\ngid = 0\n' : ''
    writeFileSync(conf, `use chroot = no\nlog file = ${folder}/log\n[pub]\npath = ${module}\nread only = no\n${owner}`)
    const daemon = spawn('rsync', ['--daemon', '--no-detach', `--config=${conf}`, `--port=${port}`, '--address=127.0.0.1'], {
      stdio: 'ignore',
    })
    try {
      const target = `rsync://127.0.0.1:${port}/pub`
      await answers(target)
      const mirror = async (...words: readonly string[]): Promise<string> => (await runCommand(farmMirror, [...words, pub, target])).stdout
      assert.equal(await mirror('--check'), `${target}: ${set}: has no index.txt\n`)
      assert.equal(await mirror(), `${target}: ${set}: current\n`)
      assert.deepEqual(
        namesIn(module),
        namesIn(pub).filter((name) => !name.startsWith('.')),
      )
      await publishAt(pub, '2026-11-20T10:30:15Z', ['curl-8.5.0p0', 'vim-9.1'])
      assert.equal(await mirror('--check'), `${target}: ${set}: behind by 60 minutes\n`)
      assert.equal(await mirror(), `${target}: ${set}: current\n`)
      assert.deepEqual(
        namesIn(module),
        namesIn(pub).filter((name) => !name.startsWith('.')),
      )
      assert.equal(readFileSync(join(module, beside), 'utf8'), 'z')
      rmSync(join(module, set, 'curl-8.5.0p0.tgz'))
      assert.equal(await mirror('--check'), `${target}: ${set}: torn: curl-8.5.0p0.tgz\n`)
    } finally {
      daemon.kill()
      await once(daemon, 'exit')
    }
    // A mirror that is away hides no other.
    const away = await runCommand(farmMirror, [pub, `rsync://127.0.0.1:${port}/pub`, join(folder, 'copy')])
    assert.equal(away.status, 6)
    assert.match(away.stdout, /: failed: .*\n.*copy: .*: current\n$/)
  })
})

async function answers(target: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (spawnSync('rsync', ['--list-only', `${target}/`]).status === 0) return
    await setTimeout(50)
  }
  throw new Error('the rsync daemon does not answer')
}
