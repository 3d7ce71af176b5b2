import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { collectBytes, latin1, oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { openInput, openSource, spoolToSource, writeFileAtomically } from '../src/host/source.ts'
import { noise } from './helpers/noise.ts'
import { needsRoot } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { ErrorCode } from '../src/base/error.ts'

const data = noise(3_000_000, 7).content
const none = oneChunk(new Uint8Array(0))

function refused(work: Promise<unknown>, code: ErrorCode, subject?: string): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(isBinderyError(error), String(error))
    assert.equal(error.code, code, error.message)
    if (subject !== undefined) assert.equal(error.subject, subject)
    return true
  })
}

async function* failing(): ByteStream {
  yield data
  throw new Error('the line was cut')
}

async function textOf(stream: ByteStream): Promise<string> {
  return latin1((await collectBytes(stream, 8 << 20)) as Uint8Array)
}

test('a source answers any range of a file', async () => {
  await inTemporary(async (folder) => {
    const file = join(folder, 'f')
    writeFileSync(file, data)
    const source = await openSource(file)
    assert.equal(source.size, data.length)
    for (const [start, end] of [
      [0, 0],
      [0, 1],
      [17, 2_000_017],
      [data.length - 1, data.length],
      [0, data.length],
    ] as const) {
      assert.deepEqual(await source.read(start, end), data.slice(start, end))
      for (const room of [new Uint8Array(end - start), new Uint8Array(end - start + 100)]) {
        const bytes = await source.read(start, end, room)
        assert.deepEqual(bytes, data.slice(start, end))
        assert.equal(bytes.buffer, room.buffer)
      }
      assert.deepEqual(await source.read(start, end, new Uint8Array(Math.max(0, end - start - 1))), data.slice(start, end))
    }
    truncateSync(file, 10)
    await refused(source.read(0, 11), 'io', file)
    await source.close()
  })
})

test('an input is a file, stdin or a pipe; what cannot be opened is told at once', async () => {
  await inTemporary(async (folder) => {
    const file = join(folder, 'f')
    writeFileSync(file, data)
    assert.equal(await textOf(await openInput(file, none)), latin1(data))
    assert.equal(await textOf(await openInput('-', oneChunk(utf8('stdin')))), 'stdin')
    execFileSync('mkfifo', [join(folder, 'p')])
    execFileSync('sh', ['-c', `(printf piped > '${join(folder, 'p')}') > /dev/null 2>&1 &`])
    assert.equal(await textOf(await openInput(join(folder, 'p'), none)), 'piped')
    await refused(openInput(join(folder, 'missing'), none), 'not-found', join(folder, 'missing'))
    await refused(openInput(folder, none), 'wrong-type', folder)
    await refused(openInput(join(file, 'below'), none), 'not-found')
    await refused(openSource(folder), 'wrong-type')
    await refused(openSource(join(folder, 'missing')), 'not-found')
    for await (const _ of await openInput(file, none)) break
  })
})

test('a file is written as a whole, or the old one stays and nothing else', async () => {
  await inTemporary(async (folder) => {
    const file = join(folder, 'f')
    assert.equal(await writeFileAtomically(file, oneChunk(data)), data.length)
    assert.deepEqual(new Uint8Array(readFileSync(file)), data)
    await assert.rejects(writeFileAtomically(file, failing()), /the line was cut/)
    await assert.rejects(writeFileAtomically(join(folder, 'new'), failing()), /the line was cut/)
    assert.deepEqual(readdirSync(folder), ['f'])
    assert.equal(readFileSync(file).length, data.length)
    assert.equal(await writeFileAtomically(file, none), 0)
    assert.equal(readFileSync(file).length, 0)
    await refused(writeFileAtomically(join(folder, 'no', 'such'), none), 'not-found', join(folder, 'no', 'such'))
    await refused(writeFileAtomically(folder, none), 'wrong-type', folder)
  })
})

test('a link is followed, so that it stays one', async () => {
  await inTemporary(async (folder) => {
    mkdirSync(join(folder, 'd'))
    writeFileSync(join(folder, 'd/real'), 'old')
    symlinkSync('d/real', join(folder, 'link'))
    await writeFileAtomically(join(folder, 'link'), oneChunk(utf8('new')))
    assert.equal(readFileSync(join(folder, 'd/real'), 'utf8'), 'new')
    assert.deepEqual(readdirSync(folder), ['d', 'link'])
    assert.deepEqual(readdirSync(join(folder, 'd')), ['real'])
  })
})

test('devices and pipes are written into, never replaced', async () => {
  await inTemporary(async (folder) => {
    assert.equal(await writeFileAtomically('/dev/null', oneChunk(data)), data.length)
    assert.ok(!readdirSync('/dev').some((name) => name.startsWith('.null')))
    await refused(writeFileAtomically('/dev/full', oneChunk(data)), 'no-space', '/dev/full')
    const pipe = join(folder, 'p')
    execFileSync('mkfifo', [pipe])
    execFileSync('sh', ['-c', `(cat '${pipe}' > '${join(folder, 'copy')}') > /dev/null 2>&1 &`])
    await writeFileAtomically(pipe, oneChunk(utf8('through')))
    for (let i = 0; i < 100 && !readdirSync(folder).includes('copy'); i++) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.ok(readdirSync(folder).includes('p'))
  })
})

test('a full disk is told, and leaves nothing', needsRoot(), async () => {
  await inTemporary(async (folder) => {
    const small = join(folder, 'small')
    mkdirSync(small)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small])
    try {
      await refused(writeFileAtomically(join(small, 'f'), oneChunk(data)), 'no-space', join(small, 'f'))
      assert.deepEqual(readdirSync(small), [])
      execFileSync('mount', ['-o', 'remount,ro', small])
      await refused(writeFileAtomically(join(small, 'f'), oneChunk(data)), 'read-only')
    } finally {
      execFileSync('umount', [small])
    }
  })
})

test('a spool has no name and answers any range', async () => {
  await inTemporary(async (folder) => {
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = folder
    try {
      const source = await spoolToSource(oneChunk(data))
      assert.deepEqual(readdirSync(folder), [])
      assert.equal(source.size, data.length)
      assert.deepEqual(await source.read(5, 2_500_000), data.slice(5, 2_500_000))
      await source.close()
      await assert.rejects(spoolToSource(failing()), /the line was cut/)
      process.env['TMPDIR'] = join(folder, 'missing')
      await refused(spoolToSource(oneChunk(data)), 'not-found')
    } finally {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    }
    assert.deepEqual(readdirSync(folder), [])
  })
})
