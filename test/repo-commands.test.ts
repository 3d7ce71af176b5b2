import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { fsck } from '../src/command/fsck.ts'
import { init } from '../src/command/init.ts'
import { keygen } from '../src/command/keygen.ts'
import { prune } from '../src/command/prune.ts'
import { publish } from '../src/command/publish.ts'
import { refresh } from '../src/command/refresh.ts'
import { serve } from '../src/command/serve.ts'
import { sign } from '../src/command/sign.ts'
import { utf8 } from '../src/base/bytes.ts'
import { decodeUpdate } from '../src/format/update.ts'
import { hostLocker } from '../src/host/lock.ts'
import { needs } from './helpers/programs.ts'
import { smallDist } from './helpers/repository.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import { onTerminal } from './helpers/terminal.ts'
import type { Outcome } from './helpers/run-command.ts'

type Place = {
  readonly folder: string
  readonly repo: string
  readonly keys: string
  path(name: string): string
  dist(revision: string): Promise<string>
  contents(): Promise<ReadonlyMap<string, string>>
}

/** A folder with a repository in it, its keys beside it. */
async function inPlace(use: (place: Place) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    const path = (name: string): string => join(folder, name)
    const place: Place = {
      folder,
      repo: path('repo'),
      keys: path('keys'),
      path,
      dist: async (revision) => {
        await writeFile(path(`${revision}.tar`), await smallDist(revision))
        return path(`${revision}.tar`)
      },
      contents: async () => await readTree(path('repo')),
    }
    await done(runCommand(init, ['-r', place.repo, '-k', place.keys, '--no-passphrase']))
    await use(place)
  })
}

async function readTree(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  return new Map(
    await Promise.all(
      names.map(
        async (entry) => [join(entry.parentPath, entry.name), await readFile(join(entry.parentPath, entry.name), 'latin1')] as const,
      ),
    ),
  )
}

/** Silent and successful. */
async function done(outcome: Promise<Outcome>): Promise<void> {
  const { status, stdout, stderr, error } = await outcome
  assert.deepEqual({ status, stdout, stderr, error }, { status: 0, stdout: '', stderr: [], error: undefined })
}

async function refused(outcome: Promise<Outcome>, code: string, status: number): Promise<void> {
  const seen = await outcome
  assert.deepEqual([seen.code, seen.status, seen.stdout], [code, status, ''])
}

test('init makes keys that only their owner can read, and writes over nothing', async () => {
  await inPlace(async ({ folder, repo, keys, path, contents }) => {
    assert.deepEqual(
      (await readdir(keys)).sort(),
      ['channels', 'root', 'snapshot', 'targets', 'timestamp'].flatMap((name) => [`${name}.pub`, `${name}.sec`]),
    )
    for (const name of await readdir(keys)) assert.equal((await stat(join(keys, name))).mode & 0o777, name.endsWith('.sec') ? 0o600 : 0o644)
    assert.equal((await stat(keys)).mode & 0o777, 0o700)
    const before = await contents()
    await refused(runCommand(init, ['-r', repo, '-k', path('others'), '--no-passphrase']), 'exists', 1)
    await refused(runCommand(init, ['-r', path('other'), '-k', keys, '--no-passphrase']), 'exists', 1)
    assert.deepEqual(await contents(), before)
    assert.deepEqual((await readdir(folder)).sort(), ['keys', 'repo'])
  })
})

test('init without a terminal and without --no-passphrase is a usage error before anything is written', async () => {
  await inTemporary(async (folder) => {
    await refused(runCommand(init, ['-r', join(folder, 'repo'), '-k', join(folder, 'keys')]), 'usage', 2)
    await refused(
      runCommand(init, ['-r', join(folder, 'repo'), '-k', join(folder, 'keys'), '--no-passphrase', '--expires', '0']),
      'usage',
      2,
    )
    assert.deepEqual(await readdir(folder), [])
  })
})

test('init does not begin a repository for which not enough have signed, or others than were asked', async () => {
  await inTemporary(async (folder) => {
    const path = (name: string): string => join(folder, name)
    for (const name of ['alice', 'mallory'])
      assert.equal((await runCommand(keygen, ['-p', path(`${name}.pub`), '-s', path(`${name}.sec`), '--no-passphrase'])).status, 0)
    const words = (name: string): readonly string[] => ['-k', path('keys'), '--root-key', path(`${name}.pub`)]
    const request = path('request')
    await done(runCommand(init, [...words('alice'), '--no-passphrase', '--unsigned', request]))
    const before = (await readdir(folder)).sort()
    await refused(runCommand(init, ['-r', path('repo'), ...words('alice'), '--signed', request]), 'bad-signature', 3)
    assert.equal((await runCommand(sign, [request, '-s', path('alice.sec')])).status, 0)
    await refused(runCommand(init, ['-r', path('repo'), ...words('mallory'), '--signed', request]), 'conflict', 1)
    assert.deepEqual((await readdir(folder)).sort(), before)
    await done(runCommand(init, ['-r', path('repo'), ...words('alice'), '--signed', request]))
    assert.ok((await stat(path('repo/metadata/1.root.json'))).isFile())
  })
})

test('init that fails half-way takes its keys back', async () => {
  await inTemporary(async (folder) => {
    await mkdir(join(folder, 'repo'))
    await writeFile(join(folder, 'repo', 'metadata'), 'in the way')
    const { code } = await runCommand(init, ['-r', join(folder, 'repo'), '-k', join(folder, 'keys'), '--no-passphrase'])
    assert.ok(code !== undefined)
    assert.deepEqual(await readdir(join(folder, 'keys')).catch(() => []), [])
  })
})

test('publish, fsck, refresh and prune are silent when all is well', async () => {
  await inPlace(async ({ repo, keys, dist }) => {
    await done(runCommand(publish, ['-r', repo, '-k', keys, await dist('1.0'), await dist('1.1')]))
    await done(
      runCommand(publish, [
        '-r',
        repo,
        '-k',
        keys,
        await dist('1.2'),
        '--notice',
        'a',
        '--notice',
        'b',
        '--reboot',
        'careful',
        '--name',
        'Repairs NFS',
        '--url',
        'https://example.org/nfs',
        '--security',
      ]),
    )
    await done(runCommand(fsck, ['-r', repo, '--deep', join(repo, 'metadata/1.root.json')]))
    await done(runCommand(refresh, ['-r', repo, '-k', keys]))
    const planned = await runCommand(prune, ['-r', repo, '--keep', '1', '-n', '--json'])
    assert.deepEqual(
      planned.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { kind: string }).kind)
        .slice(0, 3),
      ['release', 'release', 'file'],
    )
    await done(runCommand(prune, ['-r', repo, '-k', keys, '--keep', '1']))
    await done(runCommand(fsck, ['-r', repo, '--deep']))
    await done(runCommand(prune, ['-r', repo, '--keep', '1']))
  })
})

test('post-steps come into the update record in their order, one line each', async () => {
  await inPlace(async ({ repo, keys, dist, contents }) => {
    const steps = ['--post-step', '/usr/libexec/reorder_kernel', '--post-step', 'kldxref -R /boot']
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--post-step', 'a\nb', await dist('1')]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--post-step', ' ', await dist('1')]), 'usage', 2)
    await done(runCommand(publish, ['-r', repo, '-k', keys, ...steps, await dist('1')]))
    const records = [...(await contents()).values()].filter((text) => text.startsWith('{') && text.includes('"bindery":"update"'))
    const found = records.map((text) => decodeUpdate(utf8(text)).postSteps)
    const terms = { kind: 'run', seconds: 900, failure: 'report', afterRollback: false }
    assert.deepEqual(found, [
      [
        { ...terms, name: 'step-1', command: '/usr/libexec/reorder_kernel' },
        { ...terms, name: 'step-2', command: 'kldxref -R /boot' },
      ],
    ])
  })
})

test('publishing again changes no file, not even its time', async () => {
  await inPlace(async ({ repo, keys, dist, contents }) => {
    await done(runCommand(publish, ['-r', repo, '-k', keys, await dist('1.0')]))
    const before = await contents()
    const times = await Promise.all([...before.keys()].map(async (file) => (await stat(file)).mtimeMs))
    await done(runCommand(publish, ['-r', repo, '-k', keys, await dist('1.0')]))
    assert.deepEqual(await contents(), before)
    assert.deepEqual(await Promise.all([...before.keys()].map(async (file) => (await stat(file)).mtimeMs)), times)
  })
})

test('the road over an offline machine', async () => {
  await inPlace(async ({ repo, keys, path, dist, contents }) => {
    const stage = path('stage')
    const before = await contents()
    await done(runCommand(publish, ['-r', repo, '--unsigned', stage, await dist('1.0')]))
    assert.deepEqual(await contents(), before)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--signed', stage]), 'bad-signature', 3)
    const signed = await runCommand(sign, ['-k', keys, stage])
    assert.equal(signed.status, 0)
    assert.match(signed.stdout, /^release base-1\.0-20260101-amd64: number 1 of channel base\/amd64$/m)
    assert.match(signed.stdout, /^role targets: version 2/m)
    assert.match(signed.stdout, /^ {2}begins to trust role base-amd64: 1 of the keys [0-9a-f]{64}$/m)
    assert.match(signed.stdout, /^role base-amd64, version 1: signed by channels; complete$/m)
    await done(runCommand(publish, ['-r', repo, '--signed', stage]))
    await done(runCommand(fsck, ['-r', repo, '--deep']))
    await done(runCommand(publish, ['-r', repo, '--signed', stage]))
  })
})

test('fsck names what is missing once, by its key', async () => {
  await inPlace(async ({ repo, keys, dist }) => {
    await done(runCommand(publish, ['-r', repo, '-k', keys, await dist('1.0')]))
    const blobs = (await readdir(join(repo, 'blobs/base/amd64'))).map((name) => `blobs/base/amd64/${name}`)
    for (const key of blobs) await unlink(join(repo, key))
    const { status, stdout } = await runCommand(fsck, ['-r', repo, '--deep'])
    assert.deepEqual(stdout.trim().split('\n').sort(), blobs.map((key) => `error: ${key}: is missing`).sort())
    assert.equal(status, 3)
  })
})

test('fsck says what is wrong, one line each, and answers 3', async () => {
  await inPlace(async ({ repo, keys, dist }) => {
    await done(runCommand(publish, ['-r', repo, '-k', keys, await dist('1.0')]))
    const name = (await readdir(join(repo, 'blobs/base/amd64'))).find((file) => file.endsWith('.tar.zst')) as string
    await writeFile(join(repo, 'blobs/base/amd64', name), 'damage')
    await writeFile(join(repo, 'blobs/base/amd64', `${'0'.repeat(64)}.left`), 'left')
    const { status, stdout } = await runCommand(fsck, ['-r', repo])
    assert.equal(status, 3)
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(': ')[0]),
      ['error', 'note'],
    )
    const lines = (await runCommand(fsck, ['-r', repo, '--json'])).stdout.trim().split('\n')
    assert.deepEqual(
      lines.map((line) => Object.keys(JSON.parse(line) as object)),
      [
        ['severity', 'code', 'key', 'message'],
        ['severity', 'code', 'key', 'message'],
      ],
    )
  })
})

test('what is missing or senseless is told in one line', async () => {
  await inPlace(async ({ repo, keys, path, dist }) => {
    const file = await dist('1.0')
    await refused(runCommand(publish, ['-r', path('nothing'), '-k', keys, file]), 'not-found', 1)
    await refused(runCommand(publish, ['-r', path('keys'), '-k', keys, file]), 'not-found', 1)
    await refused(runCommand(publish, ['-r', repo, '-k', path('nothing'), file]), 'not-found', 1)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, path('nothing')]), 'not-found', 1)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, path('keys')]), 'wrong-type', 1)
    await refused(runCommand(publish, ['-r', repo, '-k', repo, file]), 'wrong-key', 3)
    await refused(runCommand(publish, ['-r', repo, file]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '-k', keys]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--reboot', 'now', file]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--name', 'two\nlines', file]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--url', 'file:///etc', file]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--deltas', '-1', file]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '-k', keys, '--effort', '10', file]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '--unsigned', path('a'), '--signed', path('b')]), 'usage', 2)
    await refused(runCommand(publish, ['-r', repo, '--signed', path('b'), file]), 'usage', 2)
    await refused(runCommand(fsck, ['-r', keys]), 'not-found', 1)
    await refused(runCommand(serve, ['-r', path('nothing')]), 'not-found', 1)
    await refused(runCommand(serve, ['-r', keys]), 'not-found', 1)
    await refused(runCommand(serve, ['-r', repo, '--listen', '8080']), 'usage', 2)
  })
})

test('one writer at a time; readers do not wait', async () => {
  await inPlace(async ({ repo, keys, dist }) => {
    const lock = await hostLocker(join(repo, '.lock')).take('publish')
    await refused(runCommand(publish, ['-r', repo, '-k', keys, await dist('1.0')]), 'locked', 5)
    await refused(runCommand(refresh, ['-r', repo, '-k', keys]), 'locked', 5)
    await done(runCommand(fsck, ['-r', repo]))
    await lock.release()
    await done(runCommand(refresh, ['-r', repo, '-k', keys]))
  })
})

test('a killed publish leaves the repository sound, and the next one sweeps up', async () => {
  await inPlace(async ({ repo, keys, dist }) => {
    await done(runCommand(publish, ['-r', repo, '-k', keys, await dist('1.0')]))
    for (const [i, delay] of [60, 120, 200, 260, 320, 400].entries()) {
      const file = await dist(`2.${i}`)
      const child = spawn(process.execPath, ['src/bindery.ts', 'publish', '-r', repo, '-k', keys, file], { stdio: 'ignore' })
      setTimeout(() => child.kill('SIGKILL'), delay)
      await new Promise((ended) => child.once('close', ended))
      const { stdout } = await runCommand(fsck, ['-r', repo, '--deep'])
      assert.deepEqual(
        stdout.split('\n').filter((line) => !line.startsWith('note: ')),
        [''],
        `after ${delay} ms`,
      )
      await done(runCommand(publish, ['-r', repo, '-k', keys, file]))
      assert.equal((await runCommand(fsck, ['-r', repo, '--deep'])).status, 0)
    }
    const left = [...(await readdir(repo, { recursive: true }))].filter((name) => name.endsWith('.part') || /\.lock\/./.test(name))
    assert.deepEqual(left, [])
  })
})

test('a new repository with a passphrase, used on a terminal', needs('script'), async () => {
  await inTemporary(async (folder) => {
    const bindery = (...words: readonly string[]): readonly string[] => [process.execPath, resolve('src/bindery.ts'), ...words]
    const made = await onTerminal(
      bindery('init', '-r', 'repo', '-k', 'keys'),
      [
        ['new keys: ', 'secret\r'],
        ['once more: ', 'secret\r'],
      ],
      { cwd: folder },
    )
    assert.equal(made.status, 0, made.shown)
    assert.ok(!made.shown.includes('secret'))
    assert.match(await readFile(join(folder, 'keys/root.sec'), 'latin1'), /^untrusted comment: bindery root secret key\n/)
    const renewed = await onTerminal(bindery('refresh', '-r', 'repo', '-k', 'keys'), [['timestamp.sec: ', 'secret\r']], { cwd: folder })
    assert.equal(renewed.status, 0, renewed.shown)
    const wrong = await onTerminal(bindery('refresh', '-r', 'repo', '-k', 'keys'), [['.sec: ', 'wrong\r']], { cwd: folder })
    assert.equal(wrong.status, 3, wrong.shown)
    const differ = await onTerminal(
      bindery('init', '-r', 'r2', '-k', 'k2'),
      [
        ['new keys: ', 'one\r'],
        ['once more: ', 'two\r'],
      ],
      { cwd: folder },
    )
    assert.equal(differ.status, 2, differ.shown)
    assert.deepEqual((await readdir(folder)).sort(), ['keys', 'repo'])
  })
})

test('serve says where it listens, serves, and ends at SIGTERM', async () => {
  await inPlace(async ({ repo }) => {
    const child = spawn(process.execPath, ['src/bindery.ts', '-v', 'serve', '-r', repo, '--listen', '127.0.0.1:0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let talk = ''
    child.stderr.on('data', (chunk: Buffer) => (talk += chunk.toString()))
    const url = (await new Promise<string>((line) => child.stdout.once('data', (chunk: Buffer) => line(chunk.toString())))).trim()
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/$/)
    const status = await new Promise((answered) =>
      request(`${url}metadata/timestamp.json`, (message) => (message.resume(), answered(message.statusCode))).end(),
    )
    assert.equal(status, 200)
    child.kill('SIGTERM')
    assert.equal(await new Promise((ended) => child.once('close', ended)), 0)
    assert.match(talk, /^bindery: serve: GET \/metadata\/timestamp\.json 200 \d+ \d+ ms$/m)
  })
})
