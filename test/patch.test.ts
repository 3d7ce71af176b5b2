import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'node:test'
import { concatBytes } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { exitStatusOf } from '../src/base/error.ts'
import { patch } from '../src/command/patch.ts'
import { makeBsdiff } from '../src/engine/delta/bsdiff.ts'
import { deltaOf } from './helpers/delta.ts'
import { noise } from './helpers/noise.ts'
import { runCommand } from './helpers/run-command.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Outcome } from './helpers/run-command.ts'
import type { Progress } from '../src/port/ambient.ts'

const silence = { status: 0, stdout: '', stderr: [] }
const old = noise(200_000, 1).content
const next = concatBytes([old.subarray(0, 90_000), noise(5000, 2).content, old.subarray(90_000)])
const delta = await deltaOf(old, next)
const bindery = join(import.meta.dirname, '..', 'bin', 'bindery')

type Files = Readonly<Record<'folder' | 'old' | 'gz' | 'delta' | 'bsdiff' | 'out', string>>

async function withFiles(use: (files: Files) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    const names = ['old', 'gz', 'delta', 'bsdiff', 'out'] as const
    const files = { folder, ...(Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Omit<Files, 'folder'>) }
    writeFileSync(files.old, old)
    writeFileSync(files.gz, gzipSync(old))
    writeFileSync(files.delta, delta)
    writeFileSync(files.bsdiff, makeBsdiff(old, next))
    await use(files)
  })
}

const run = (words: readonly string[], input?: Uint8Array): Promise<Outcome> =>
  runCommand(patch, words, input === undefined ? {} : { input })

function assertNext({ status, stdout, stderr }: Outcome): void {
  assert.deepEqual([status, stderr], [0, []])
  assert.equal(sha256(Buffer.from(stdout, 'latin1')), sha256(next))
}

test('old on stdin or from a file, compressed or not, new on stdout', async () => {
  await withFiles(async (files) => {
    for (const input of [old, gzipSync(old), zstdCompressSync(old)]) assertNext(await run([files.delta], input))
    assertNext(await run([files.delta, files.old]))
    assertNext(await run([files.delta, files.gz]))
    assertNext(await run([files.delta, '-'], old))
    assertNext(await run(['-', files.old], delta))
  })
})

test('-o writes a file as a whole, or leaves the older one', async () => {
  await withFiles(async (files) => {
    assert.deepEqual(await run([files.delta, files.old, '-o', files.out]), silence)
    assert.equal(sha256(readFileSync(files.out)), sha256(next))
    const wrong = old.slice()
    wrong[199_999] = 0
    const { status, code } = await run([files.delta, '-o', files.out], wrong)
    assert.deepEqual([status, code], [3, 'wrong-base'])
    assert.equal(sha256(readFileSync(files.out)), sha256(next))
    assert.deepEqual(
      readdirSync(files.folder).filter((name) => name.startsWith('.')),
      [],
    )
  })
})

test('BSDIFF40 is told by its magic', async () => {
  await withFiles(async (files) => {
    assertNext(await run([files.bsdiff, files.old]))
    assertNext(await run([files.bsdiff], old))
    assertNext(await run([files.bsdiff, files.gz]))
    assert.notEqual(sha256(Buffer.from((await run([files.bsdiff, files.gz, '--raw'])).stdout, 'latin1')), sha256(next))
  })
})

test('a wrong base in a file is refused before any output, whatever the place', async () => {
  await withFiles(async (files) => {
    for (const at of [0, 100_000, 199_999]) {
      const wrong = old.slice()
      wrong[at] = (wrong[at] as number) ^ 1
      writeFileSync(files.old, wrong)
      const { status, code, stdout } = await run([files.delta, files.old])
      assert.deepEqual([status, code, stdout], [3, 'wrong-base', ''])
    }
    writeFileSync(files.old, next)
    assert.equal((await run([files.delta, files.old])).error?.hint, 'it is the one that the delta leads to')
  })
})

test('a base that changes after it was checked is told as such, and nothing wrong is passed on', async () => {
  await withFiles(async (files) => {
    for (const changed of [old.with(150_000, (old[150_000] as number) ^ 1), old.subarray(1), concatBytes([old, next])]) {
      writeFileSync(files.old, old)
      let checks = 0
      const afterCheck = (): void => {
        if (++checks === 1) writeFileSync(files.old, changed)
      }
      const progress: Progress = { start: (what) => ({ advance: () => {}, end: what === 'checking the base' ? afterCheck : () => {} }) }
      const { code, error, stdout } = await runCommand(patch, [files.delta, files.old], { progress })
      assert.deepEqual([code, error?.message, error?.subject, stdout], ['wrong-base', 'changed while it was read', files.old, ''])
    }
    writeFileSync(files.old, old)
    const damaged = delta.slice()
    damaged[damaged.length - 100] = (damaged.at(-100) as number) ^ 1
    writeFileSync(files.delta, damaged)
    const { error } = await run([files.delta, files.old])
    assert.deepEqual([error?.subject, error?.code === 'wrong-base'], [files.delta, false])
  })
})

test('a delta that is none, is damaged, or takes too much memory', async () => {
  await withFiles(async (files) => {
    assert.equal((await run([files.old, files.old])).code, 'bad-format')
    assert.equal((await run([join(files.folder, 'nothing'), files.old])).code, 'not-found')
    assert.equal((await run([files.delta, join(files.folder, 'nothing')])).code, 'not-found')
    assert.equal((await run([files.delta, files.old, '--memory', '1'])).code, 'over-limit')
    assertNext(await run([files.delta, files.old, '--memory', '64']))
    writeFileSync(files.delta, delta.subarray(0, -1))
    assert.equal((await run([files.delta, files.old])).code, 'bad-format')
    writeFileSync(files.delta, `BSDF2${'\0'.repeat(40)}`)
    assert.equal((await run([files.delta, files.old])).code, 'not-supported')
  })
})

test('usage: numbers, terminals, one stdin for two', async () => {
  await withFiles(async (files) => {
    for (const memory of ['0', '-1', 'x', '1e3', '1.5'])
      assert.equal((await run([files.delta, files.old, `--memory=${memory}`])).code, 'usage')
    assert.equal((await run(['-'])).code, 'usage')
    const terminal = { stdin: true, stdout: false, stderr: true }
    assert.equal((await runCommand(patch, [files.delta], { isTerminal: terminal })).code, 'usage')
    assert.equal((await runCommand(patch, [files.delta, files.old], { isTerminal: { ...terminal, stdout: true } })).code, 'usage')
  })
})

test('in a real pipe: gunzip before it, and whoever reads may go away', async () => {
  await withFiles(async (files) => {
    const pipe = (command: string): { status: number | null; stdout: Buffer; stderr: string } => {
      const done = spawnSync('sh', ['-c', command], {
        env: { ...process.env, B: bindery, D: files.delta, F: files.folder },
        maxBuffer: 1 << 24,
      })
      return { status: done.status, stdout: done.stdout, stderr: done.stderr.toString() }
    }
    const whole = pipe('gunzip -c "$F/gz" | "$B" patch "$D"')
    assert.deepEqual([whole.status, whole.stderr, sha256(whole.stdout)], [0, '', sha256(next)])
    const early = pipe('{ gunzip -c "$F/gz" | "$B" patch "$D"; echo "status $?" >&2; } | head -c 5 >/dev/null')
    assert.equal(early.stderr, 'status 0\n')
    const wrong = pipe('{ cat "$F/gz"; echo x; } | "$B" patch --raw "$D"')
    assert.equal(wrong.status, 3)
    assert.match(wrong.stderr, /^bindery: patch: stdin: the old side .*\n$/)
    const missing = pipe('"$B" patch "$F/none" "$F/old"')
    assert.deepEqual([missing.status, missing.stdout.length], [1, 0])
  })
})

test('interrupted, -o leaves nothing', async () => {
  await withFiles(async (files) => {
    const child = spawn(bindery, ['patch', files.delta, '-o', files.out], { stdio: ['pipe', 'ignore', 'ignore'] })
    child.stdin.on('error', () => {})
    child.stdin.write(old.subarray(0, 100_000))
    const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)))
    while (readdirSync(files.folder).every((name) => !name.startsWith('.'))) await new Promise((resolve) => setTimeout(resolve, 20))
    child.kill('SIGTERM')
    assert.equal(await ended, exitStatusOf.stopped)
    assert.equal(existsSync(files.out), false)
    assert.deepEqual(
      readdirSync(files.folder).filter((name) => name.startsWith('.')),
      [],
    )
  })
})
