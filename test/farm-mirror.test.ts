import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { farmMirror } from '../src/command/farm-mirror.ts'
import { targetAt } from '../src/command/farm-mirror-target.ts'
import { visitMirror } from '../src/command/farm-mirror-visit.ts'
import { hostExec } from '../src/host/exec.ts'
import { memoryHttp } from '../src/host/memory-http.ts'
import { packageOf } from './helpers/openbsd-mirror/package-facts.ts'
import { writeIndexTxt, writeMirror } from './helpers/openbsd-mirror/mirror.ts'
import { needs } from './helpers/programs.ts'
import { withRsyncDaemon } from './helpers/rsync-daemon.ts'
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
    const url = await withRsyncDaemon({ folder, module }, async (target) => {
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
      return target
    })
    // A mirror that is away hides no other.
    const away = await runCommand(farmMirror, [pub, url, join(folder, 'copy')])
    assert.equal(away.status, 6)
    assert.match(away.stdout, /: failed: .*\n.*copy: .*: current\n$/)
  })
})

test('of a mirror behind HTTP, what was seen is not asked for at each visit', async () => {
  await inTemporary(async (folder) => {
    const url = 'http://mirror.example.org/'
    const http = memoryHttp()
    const upload = (name: string): void => void http.pages.set(`${url}${set}/${name}`, { bytes: readFileSync(join(folder, set, name)) })
    let hours = 0
    const clock = { now: () => Date.parse('2026-11-20T10:00:00Z') + hours * 3_600_000 }
    const world = { http, clock, exec: hostExec, environment: {}, signal: new AbortController().signal, explain: () => {} }
    const target = targetAt(world, url)
    const visit = async (): Promise<{ readonly kind: string; readonly asked: readonly string[] }> => {
      http.requests.length = 0
      let kind = ''
      await visitMirror(world, { target, ours: folder, sets: [set], bring: false }, async (_, state) => void (kind = state.kind))
      return { kind, asked: http.requests.map((request) => request.url.split('/').at(-1) as string).filter((name) => name !== 'index.txt') }
    }
    await publishAt(folder, '2026-11-20T09:30:15Z', ['curl-8.5.0', 'vim-9.1'])
    const listed = namesIn(folder).filter((name) => !name.startsWith('.') && name !== 'index.txt')
    for (const name of [...listed, 'index.txt']) upload(name)
    assert.deepEqual(await visit(), { kind: 'current', asked: listed })
    assert.deepEqual(await visit(), { kind: 'current', asked: [] })
    // Whatever is not as it should be is asked for each time, until it is.
    writeFileSync(join(folder, set, 'new-1.tgz'), 'new')
    writeIndexTxt(join(folder, set), [...listed, 'new-1.tgz'])
    upload('index.txt')
    assert.deepEqual(await visit(), { kind: 'torn', asked: ['new-1.tgz'] })
    assert.deepEqual(await visit(), { kind: 'torn', asked: ['new-1.tgz'] })
    upload('new-1.tgz')
    assert.deepEqual(await visit(), { kind: 'current', asked: ['new-1.tgz'] })
    // What went away is found within a day and a half, and not all is asked for at once.
    http.pages.delete(`${url}${set}/curl-8.5.0.tgz`)
    const rounds: Awaited<ReturnType<typeof visit>>[] = []
    for (hours = 1; hours <= 36; hours++) rounds.push(await visit())
    assert.ok(rounds.every(({ asked }) => asked.length < listed.length))
    assert.equal(rounds.at(-1)?.kind, 'torn')
    assert.deepEqual(new Set(rounds.flatMap(({ asked }) => asked)), new Set([...listed, 'new-1.tgz']))
  })
})
