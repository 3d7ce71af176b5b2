import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import { concatBytes, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { delta } from '../src/command/delta.ts'
import { makeBsdiff } from '../src/engine/delta/bsdiff.ts'
import { patched } from './helpers/delta.ts'
import { noise } from './helpers/noise.ts'
import { dir, file } from './helpers/plant.ts'
import { makeDist, releaseName } from './helpers/repository.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Outcome } from './helpers/run-command.ts'

const silence = { status: 0, stdout: '', stderr: [] }
const program = noise(30_000, 1)
const old = await makeDist(releaseName('1.0'), { '.': dir(), 'bin/sh': program, 'etc/motd': file('old\n') })
const next = await makeDist(releaseName('1.1'), { '.': dir(), 'bin/sh': program, 'etc/motd': file('new\n') })
const usualName = 'base-1.0-20260101-amd64_to_base-1.1-20260101-amd64.delta'

type Files = Readonly<Record<'folder' | 'old' | 'new' | 'delta' | 'gz' | 'zst', string>>

/** OLD and NEW as they come, and OLD in two wrappings. */
async function withFiles(use: (files: Files) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    const files = {
      folder,
      old: join(folder, 'a.tar'),
      new: join(folder, 'b.tar'),
      delta: join(folder, 'd'),
      gz: join(folder, 'a.tgz'),
      zst: join(folder, 'a.tar.zst'),
    }
    writeFileSync(files.old, old)
    writeFileSync(files.new, next)
    writeFileSync(files.gz, gzipSync(old))
    writeFileSync(files.zst, zstdCompressSync(old))
    await use(files)
  })
}

const run = (...words: readonly string[]): Promise<Outcome> => runCommand(delta, words)

test('between two dists, in any wrapping, the same delta', async () => {
  await withFiles(async (files) => {
    const found = new Set<string>()
    for (const a of [files.old, files.gz, files.zst]) {
      assert.deepEqual(await run(a, files.new, '-o', files.delta), silence)
      found.add(sha256(readFileSync(files.delta)))
      assert.deepEqual(await patched(readFileSync(files.delta), old), next)
    }
    assert.deepEqual(await runCommand(delta, ['-', files.new, '-o', files.delta], { input: gzipSync(old) }), silence)
    found.add(sha256(readFileSync(files.delta)))
    assert.equal(found.size, 1)
    assert.ok(readFileSync(files.delta).length < 400)
  })
})

test('--raw is between compressed files as they are', async () => {
  await withFiles(async (files) => {
    assert.deepEqual(await run(files.gz, files.zst, '--raw', '-o', files.delta), silence)
    assert.deepEqual(await patched(readFileSync(files.delta), readFileSync(files.gz)), new Uint8Array(readFileSync(files.zst)))
  })
})

test('a delta between dists names itself, one between files must be named', async () => {
  await withFiles(async (files) => {
    assert.deepEqual(await run(files.zst, files.new, '-o', files.folder), silence)
    assert.ok(readdirSync(files.folder).includes(usualName))
    const plain = join(files.folder, 'plain')
    writeFileSync(plain, 'no dist')
    const { status, code } = await run(plain, files.new)
    assert.deepEqual([status, code], [2, 'usage'])
    assert.deepEqual(await run(plain, files.new, '-o', files.delta), silence)
  })
})

test('-o - is stdout, but no terminal', async () => {
  await withFiles(async (files) => {
    const { status, stdout } = await run(files.old, files.new, '-o', '-')
    assert.equal(status, 0)
    assert.deepEqual(await patched(Buffer.from(stdout, 'latin1'), old), next)
    const { code } = await runCommand(delta, [files.old, files.new, '-o', '-'], {
      isTerminal: { stdin: false, stdout: true, stderr: true },
    })
    assert.equal(code, 'usage')
  })
})

test('--format bsdiff writes BSDIFF40 between the uncompressed files', async () => {
  await withFiles(async (files) => {
    assert.deepEqual(await run(files.gz, files.new, '--format', 'bsdiff', '-o', files.delta), silence)
    assert.deepEqual(new Uint8Array(readFileSync(files.delta)), makeBsdiff(old, next))
  })
})

test('--explain tells what costs how much, beside the same delta', async () => {
  await withFiles(async (files) => {
    await run(files.old, files.new, '-o', files.delta)
    const plain = readFileSync(files.delta)
    const { status, stdout, stderr } = await run(files.old, files.new, '-o', files.delta, '--explain')
    assert.deepEqual([status, stderr], [0, []])
    assert.deepEqual(readFileSync(files.delta), plain)
    assert.match(stdout, new RegExp(`^${plain.length} bytes: [0-9]+ of header and digests, [0-9]+ of frame, the rest in streams\n`))
    assert.match(stdout, /^ *[0-9]+ +4 +plain +etc\/motd$/m)
    assert.match(stdout, /^ *[0-9]+ +30000 +equal +bin\/sh$/m)
    const aside = await run(files.old, files.new, '-o', '-', '--explain')
    assert.deepEqual(Buffer.from(aside.stdout, 'latin1'), plain)
    assert.equal(aside.stderr.map((line) => `${line}\n`).join(''), stdout)
  })
})

test('--explain --json: the whole, then each file, the dearest first', async () => {
  await withFiles(async (files) => {
    const { stdout } = await run(files.old, files.new, '-o', files.delta, '--explain', '--json')
    const [all, ...members] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.equal(all?.['size'], readFileSync(files.delta).length)
    const costs = members.map(({ cost }) => cost as number)
    assert.deepEqual(
      costs,
      costs.toSorted((a, b) => b - a),
    )
    const motd = members.find(({ path }) => path === 'etc/motd')
    assert.deepEqual([motd?.['coding'], motd?.['from']], ['plain', { path: 'etc/motd', size: 4, by: 'path' }])
  })
})

test('--explain lists twenty files, and says what stands out', async () => {
  await withFiles(async (files) => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`doc/${i}`, noise(500, i)]))
    writeFileSync(files.new, await makeDist(releaseName('1.1'), { '.': dir(), 'bin/sh': program, 'etc/motd': file('old\n'), ...many }))
    const { stdout } = await run(files.old, files.new, '-o', files.delta, '--explain')
    assert.equal(stdout.match(/^ *[0-9]+ +500 +new +doc\//gm)?.length, 20)
    assert.match(stdout, /^and [0-9]+ more, [0-9]+ bytes together/m)
    assert.match(stdout, /^[0-9]+ % of the delta, 40 files: new: /m)
  })
})

test('--effort: from quick to thorough, and all of them lead there', async () => {
  await withFiles(async (files) => {
    for (const effort of ['0', '9']) {
      assert.deepEqual(await run(files.old, files.new, '-o', files.delta, '--effort', effort), silence)
      assert.deepEqual(await patched(readFileSync(files.delta), old), next)
    }
  })
})

test('--jobs: the delta is the same', async () => {
  await withFiles(async (files) => {
    await run(files.old, files.new, '-o', files.delta)
    const alone = readFileSync(files.delta)
    assert.deepEqual(await run(files.old, files.new, '-o', files.delta, '--jobs', '3'), silence)
    assert.deepEqual(readFileSync(files.delta), alone)
  })
})

test('--info tells what a delta leads from and to', async () => {
  await withFiles(async (files) => {
    await run(files.old, files.new, '-o', files.delta)
    const { stdout } = await run('--info', files.delta)
    assert.equal(
      stdout.replace(/^memory [0-9]+$/m, 'memory N'),
      [
        'format bindery 1',
        'old base-1.0-20260101-amd64',
        `old-size ${old.length}`,
        `old-sha256 ${sha256(old)}`,
        'new base-1.1-20260101-amd64',
        `new-size ${next.length}`,
        `new-sha256 ${sha256(next)}`,
        'memory N',
        '',
      ].join('\n'),
    )
    const json: unknown = JSON.parse((await run('--info', '--json', files.delta)).stdout)
    const memory = Number(/^memory ([0-9]+)$/m.exec(stdout)?.[1])
    assert.deepEqual(json, {
      format: 'bindery',
      version: 1,
      old: { name: 'base-1.0-20260101-amd64', size: old.length, sha256: sha256(old) },
      new: { name: 'base-1.1-20260101-amd64', size: next.length, sha256: sha256(next) },
      memory,
    })
  })
})

test('--info with a base tells by its status whether the delta applies', async () => {
  await withFiles(async (files) => {
    await run(files.old, files.new, '-o', files.delta)
    for (const base of [files.old, files.gz, files.zst]) assert.deepEqual(await run('--info', files.delta, base), silence)
    assert.deepEqual(await runCommand(delta, ['--info', files.delta, '-'], { input: old }), silence)
    const { status, code, error } = await run('--info', files.delta, files.new)
    assert.deepEqual([status, code, error?.hint], [3, 'wrong-base', 'it is the one that the delta leads to'])
    assert.equal((await run('--info', '--raw', files.delta, files.gz)).code, 'wrong-base')
    assert.equal((await run('--info', files.delta, files.delta)).error?.hint, 'the delta was made from base-1.0-20260101-amd64')
  })
})

test('--info of what is no delta, or does not say', async () => {
  await withFiles(async (files) => {
    assert.equal((await run('--info', files.old)).code, 'bad-format')
    assert.equal((await run('--info', join(files.folder, 'nothing'))).code, 'not-found')
    await run(files.old, files.new, '--format', 'bsdiff', '-o', files.delta)
    assert.equal((await run('--info', files.delta)).code, 'not-supported')
  })
})

test('usage', async () => {
  await withFiles(async (files) => {
    for (const words of [
      [files.old],
      ['-', '-', '-o', files.delta],
      [files.old, files.new, '-o', files.delta, '--format', 'xdelta'],
      [files.old, files.new, '-o', files.delta, '--json'],
      [files.old, files.new, '-o', files.delta, '--effort', '10'],
      [files.old, files.new, '-o', files.delta, '--format', 'bsdiff', '--effort', '1'],
      [files.old, files.new, '-o', files.delta, '--jobs', '0'],
      [files.old, files.new, '-o', files.delta, '--format', 'bsdiff', '--jobs', '2'],
      [files.old, files.new, '-o', files.delta, '--format', 'bsdiff', '--explain'],
      [files.old, files.new, '-o', '-', '--explain', '--json'],
      ['--info', files.delta, '--explain'],
      ['--info', files.delta, '--effort', '1'],
      ['--info', files.delta, '--jobs', '2'],
      ['--info', files.delta, '-o', files.old],
      ['--info', '-', '-'],
    ])
      assert.equal((await run(...words)).code, 'usage', words.join(' '))
  })
})

test('a missing or damaged side is told, and an older delta stays', async () => {
  await withFiles(async (files) => {
    writeFileSync(files.delta, 'older')
    assert.equal((await run(join(files.folder, 'nothing'), files.new, '-o', files.delta)).code, 'not-found')
    assert.equal((await run(files.folder, files.new, '-o', files.delta)).code, 'wrong-type')
    writeFileSync(files.gz, gzipSync(old).subarray(0, -20))
    assert.equal((await run(files.gz, files.new, '-o', files.delta)).code, 'bad-format')
    writeFileSync(files.gz, concatBytes([utf8('BZh91AY&SY'), old]))
    assert.equal((await run(files.gz, files.new, '-o', files.delta)).code, 'not-supported')
    assert.equal(readFileSync(files.delta, 'utf8'), 'older')
    assert.deepEqual(
      readdirSync(files.folder).filter((name) => name.startsWith('.')),
      [],
    )
  })
})
