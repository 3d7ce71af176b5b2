import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { delta } from '../src/command/delta.ts'
import { readDeltaInfo } from '../src/engine/delta/apply.ts'
import { makeBsdiff } from '../src/engine/delta/bsdiff.ts'
import { checkFollows, makeMerged, throughBoth } from '../src/engine/delta/merge.ts'
import { arbitraryTree } from './helpers/arbitrary-tree.ts'
import { arbitraryPair, chunked, deltaOf, patched, smallLimits, sourceOf, whole } from './helpers/delta.ts'
import { link, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import { file } from './helpers/plant.ts'
import { makeDist, releaseName } from './helpers/repository.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Link } from '../src/engine/delta/merge.ts'
import type { Outcome } from './helpers/run-command.ts'

const large = noise(60_000, 1).content

/** A program of which one more function grows in each release. */
function programOf(release: number): Uint8Array {
  const program = randomProgram({ machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false }, 60, 7)
  const functions = program.functions.map((one, i) => (i < 20 + release && i >= 20 ? { ...one, seed: 100 + i } : one))
  return link({ ...program, functions })
}

const page = Array.from({ length: 400 }, (_, i) => `line ${i * i} of the manual\n`)

/** The same file changes twice, so that a chain carries it twice; beside it a program and a gzip file. */
const dists = await Promise.all(
  ['1.0', '1.1', '1.2'].map((revision, i) =>
    makeDist(releaseName(revision), {
      'bin/large': file(concatBytes([large.subarray(0, 30_000), noise(9000, 5 + i).content, large.subarray(30_000)])),
      'bin/program': file(programOf(i)),
      'etc/motd': file(`${revision}\n`),
      'man/page.1.gz': file(gzipSync(utf8([...page.slice(0, 100 + i), revision, ...page.slice(100)].join('')))),
    }),
  ),
)
const [a, b, c] = dists as [Uint8Array, Uint8Array, Uint8Array]
const usualName = 'base-1.0-20260101-amd64_to_base-1.2-20260101-amd64.delta'

type Files = Readonly<Record<'folder' | 'a' | 'b' | 'gz' | 'ab' | 'bc' | 'ac', string>>

async function withFiles(use: (files: Files) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    const names = ['a', 'b', 'c', 'gz', 'ab', 'bc', 'ac'] as const
    const files = { folder, ...(Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Omit<Files, 'folder'>) }
    for (const [name, bytes] of [
      ['a', a],
      ['b', b],
      ['c', c],
      ['gz', gzipSync(a)],
    ] as const)
      writeFileSync(join(folder, name), bytes)
    assert.equal((await run(files.a, files.b, '-o', files.ab)).status, 0)
    assert.equal((await run(files.b, join(folder, 'c'), '-o', files.bc)).status, 0)
    await use(files)
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('.')),
      [],
      'a temporary file was left',
    )
  })
}

const run = (...words: readonly string[]): Promise<Outcome> => runCommand(delta, words)
const merge = (...words: readonly string[]): Promise<Outcome> => run('--merge', ...words)
const silence = { status: 0, stdout: '', stderr: [] }

test('two deltas become the one from the first to the last, whatever the old side is wrapped in', async () => {
  await withFiles(async (files) => {
    await run(files.a, join(files.folder, 'c'), '-o', files.ac)
    const direct = sha256(readFileSync(files.ac))
    for (const old of [files.a, files.gz]) {
      assert.deepEqual(await merge(files.ab, files.bc, old, '-o', files.ac), silence)
      assert.equal(sha256(readFileSync(files.ac)), direct)
    }
    for (const input of [a, gzipSync(a), zstdCompressSync(a)]) {
      assert.deepEqual(await runCommand(delta, ['--merge', files.ab, files.bc, '-', '-o', files.ac], { input }), silence)
      assert.equal(sha256(readFileSync(files.ac)), direct)
    }
    for (const [first, second, input] of [
      ['-', files.bc, files.ab],
      [files.ab, '-', files.bc],
    ] as const)
      assert.deepEqual(
        await runCommand(delta, ['--merge', first, second, files.a, '-o', files.ac], { input: readFileSync(input) }),
        silence,
      )
    assert.deepEqual(await patched(readFileSync(files.ac), a), c)
    assert.ok(readFileSync(files.ac).length < readFileSync(files.ab).length + readFileSync(files.bc).length)
  })
})

test('between dists the joined delta names itself; -o - is stdout', async () => {
  await withFiles(async (files) => {
    const folder = join(files.folder, 'out')
    mkdirSync(folder)
    assert.deepEqual(await merge(files.ab, files.bc, files.a, '-o', folder), silence)
    assert.deepEqual(readdirSync(folder), [usualName])
    const { status, stdout } = await merge(files.ab, files.bc, files.a, '-o', '-')
    assert.equal(status, 0)
    assert.equal(sha256(Buffer.from(stdout, 'latin1')), sha256(readFileSync(join(folder, usualName))))
  })
})

test('--json tells both sizes', async () => {
  await withFiles(async (files) => {
    const { stdout } = await merge(files.ab, files.bc, files.a, '-o', files.ac, '--json')
    const chain = readFileSync(files.ab).length + readFileSync(files.bc).length
    assert.deepEqual(JSON.parse(stdout), { merged: true, size: readFileSync(files.ac).length, chain })
  })
})

test('where the chain is no larger, nothing is written, and both sizes are told', async () => {
  await withFiles(async (files) => {
    // New bytes of the first step come in two versions in the second: by plain differences, which nothing but a chain can say.
    const [x, y] = [noise(20_000, 3).content, noise(20_000, 4).content]
    const shifted = (by: number): Uint8Array => y.map((byte, i) => (i % 32 === by ? byte + by : byte))
    const [before, between, after] = [x, concatBytes([x, y]), concatBytes([x, shifted(1), shifted(7), shifted(13)])]
    const [first, second, old] = ['first', 'second', 'old'].map((name) => join(files.folder, name)) as [string, string, string]
    writeFileSync(first, await deltaOf(before, between))
    writeFileSync(second, await deltaOf(between, after))
    writeFileSync(old, before)
    writeFileSync(files.ac, 'older')
    const { status, stdout, stderr } = await merge(first, second, old, '-o', files.ac, '--json')
    const { merged, size, chain } = JSON.parse(stdout) as { merged: boolean; size: number; chain: number }
    assert.deepEqual([status, merged, chain], [1, false, readFileSync(first).length + readFileSync(second).length])
    assert.ok(size >= chain)
    assert.deepEqual(stderr, [`the chain is no larger: ${chain} bytes in two deltas, ${size} in one; nothing is written`])
    assert.equal(readFileSync(files.ac, 'utf8'), 'older')
  })
})

test('without the old side it is said what is missing', async () => {
  await withFiles(async (files) => {
    const { code, error } = await merge(files.ab, files.bc, '-o', files.ac)
    assert.deepEqual([code, error?.hint], ['usage', `bindery delta --merge ${files.ab} ${files.bc} OLD`])
    assert.match(error?.message ?? '', /^OLD is missing: /)
  })
})

test('deltas that do not follow on each other are refused; swapped ones get a hint', async () => {
  await withFiles(async (files) => {
    const swapped = await merge(files.bc, files.ab, files.a, '-o', files.ac)
    assert.deepEqual([swapped.status, swapped.code, swapped.error?.subject], [3, 'wrong-base', files.ab])
    assert.match(swapped.error?.hint ?? '', /the other way round/)
    const twice = await merge(files.ab, files.ab, files.a, '-o', files.ac)
    assert.equal(twice.code, 'wrong-base')
    assert.equal(twice.error?.hint, 'the first one makes base-1.1-20260101-amd64, the second one was made from base-1.0-20260101-amd64')
    const other = await merge(files.ab, files.bc, files.b, '-o', files.ac)
    assert.deepEqual(
      [other.code, other.error?.subject, other.error?.hint],
      ['wrong-base', files.b, 'it is the one that the delta leads to'],
    )
    const streamed = await runCommand(delta, ['--merge', files.ab, files.bc, '-', '-o', files.ac], { input: b })
    assert.deepEqual([streamed.code, streamed.error?.subject], ['wrong-base', 'stdin'])
    assert.ok(!existsSync(files.ac))
  })
})

test('a damaged delta is named, and an older result stays', async () => {
  await withFiles(async (files) => {
    writeFileSync(files.ac, 'older')
    for (const damaged of [files.ab, files.bc]) {
      const good = readFileSync(damaged)
      writeFileSync(damaged, good.subarray(0, -9))
      const { status, error } = await merge(files.ab, files.bc, files.a, '-o', files.ac)
      assert.deepEqual([status, error?.subject], [3, damaged])
      writeFileSync(damaged, good)
    }
    writeFileSync(files.bc, makeBsdiff(b, c))
    assert.equal((await merge(files.ab, files.bc, files.a, '-o', files.ac)).code, 'not-supported')
    assert.equal(readFileSync(files.ac, 'utf8'), 'older')
  })
})

test('usage', async () => {
  await withFiles(async (files) => {
    for (const words of [
      [files.ab],
      [files.ab, files.bc, files.a, '-o', files.ac, '--info'],
      [files.ab, files.bc, files.a, '-o', files.ac, '--format', 'bsdiff'],
      [files.ab, files.bc, files.a, '-o', files.ac, '--effort', '9'],
      [files.ab, files.bc, files.a, '-o', files.ac, '--jobs', '2'],
      [files.ab, files.bc, files.a, '-o', files.ac, '--explain'],
      [files.ab, files.bc, files.a, '-o', '-', '--json'],
      ['-', files.bc, '-', '-o', files.ac],
    ])
      assert.equal((await merge(...words)).code, 'usage', words.join(' '))
    assert.equal((await run(files.a, files.b, files.gz, '-o', files.ac)).code, 'usage')
    assert.equal((await merge(files.ab, files.bc, files.a, '-o', join(files.folder, 'nowhere/ac'))).code, 'not-found')
  })
})

test('a kill leaves no temporary file', async () => {
  await withFiles(async (files) => {
    const bindery = join(import.meta.dirname, '..', 'bin', 'bindery')
    const words = ['delta', '--merge', files.ab, files.bc, '-', '-o', files.ac]
    const child = spawn(bindery, words, { stdio: ['pipe', 'ignore', 'ignore'], env: { ...process.env, TMPDIR: files.folder } })
    // More than a pipe holds: when it is gone, the old side is being kept aside.
    await new Promise((done) => child.stdin.write(noise(1 << 20, 9).content, done))
    child.kill('SIGKILL')
    await new Promise((done) => child.once('close', done))
    assert.ok(!existsSync(files.ac))
  })
})

async function linkOf(bytes: Uint8Array, label: string): Promise<Link> {
  return { label, info: await readDeltaInfo(bytes), open: () => chunked(bytes, 1000) }
}

/** Joins the deltas of both steps, and applies what comes out to the first of the three. */
async function assertJoined(states: readonly [Uint8Array, Uint8Array, Uint8Array], limits?: typeof smallLimits): Promise<void> {
  const [old, middle, next] = states
  const first = await linkOf(await deltaOf(old, middle, limits), 'first')
  const second = await linkOf(await deltaOf(middle, next, limits), 'second')
  checkFollows(first.info, second.info)
  const made = await whole(throughBoth(first, second, { label: 'old', bytes: chunked(old, 777) }))
  assert.equal(Buffer.compare(made, next), 0)
  const joined = await whole(makeMerged({ first, second, old: sourceOf(old), new: sourceOf(made) }))
  assert.equal(Buffer.compare(await patched(joined, old), next), 0)
  const { old: from, new: to } = await readDeltaInfo(joined)
  assert.deepEqual([from, to], [first.info.old, second.info.new])
}

test('what is joined makes the last from the first, whatever the files are', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPair, arbitraryPair, fc.boolean(), async (one, other, isSmall) => {
      const last = concatBytes([one.next.subarray(one.next.length >> 1), other.next])
      await assertJoined([one.old, concatBytes([one.next, other.old]), last], isSmall ? smallLimits : undefined)
    }),
    { numRuns: 60 },
  )
})

test('so it is for dists of any trees', async () => {
  const tree = arbitraryTree({ hardlinks: true })
  await fc.assert(
    fc.asyncProperty(tree, tree, tree, async (...trees) => {
      const made = await Promise.all(trees.map((literal, i) => makeDist(releaseName(`1.${i}`), literal)))
      await assertJoined(made as [Uint8Array, Uint8Array, Uint8Array])
    }),
    { numRuns: 20 },
  )
})
