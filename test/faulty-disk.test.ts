import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { Crash, faultyDisk } from './helpers/faulty-disk.ts'
import { relPath } from './helpers/plant.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Fault } from './helpers/faulty-disk.ts'

const f = relPath('f')
const g = relPath('g')

async function work(disk: Disk): Promise<void> {
  await disk.create(f, oneChunk(utf8('content')))
  await disk.rename(f, g)
  await disk.sync(g)
}

async function outcome(fault: Fault): Promise<{ calls: readonly string[]; error: unknown; left: string[] }> {
  const inner = memoryDisk()
  const { disk, calls } = faultyDisk(inner, fault)
  const error = await work(disk).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const left = await Promise.all(
    (await inner.readdir(relPath('.'))).map(async (name) => `${name} ${(await inner.digest(relPath(name))).size}`),
  )
  return { calls, error, left }
}

test('without a fault it only counts', async () => {
  assert.deepEqual(await outcome({ kind: 'none' }), { calls: ['create f', 'rename f', 'sync g'], error: undefined, left: ['g 7'] })
})

test('a failure changes nothing, and the disk goes on', async () => {
  const { error, left } = await outcome({ kind: 'fail', at: 2, code: 'no-space' })
  assert.ok(isBinderyError(error, 'no-space'))
  assert.deepEqual(left, ['f 7'])
})

test('a crash leaves what was there, and stops everything after it', async () => {
  assert.deepEqual((await outcome({ kind: 'crash', at: 1, when: 'before' })).left, [])
  assert.deepEqual((await outcome({ kind: 'crash', at: 1, when: 'midway' })).left, ['f 3'])
  assert.deepEqual((await outcome({ kind: 'crash', at: 1, when: 'after' })).left, ['f 7'])
  assert.deepEqual((await outcome({ kind: 'crash', at: 2, when: 'midway' })).left, ['f 7'])
  assert.deepEqual((await outcome({ kind: 'crash', at: 2, when: 'after' })).left, ['g 7'])
  const { disk } = faultyDisk(memoryDisk(), { kind: 'crash', at: 1, when: 'before' })
  await assert.rejects(disk.mkdir(f, 0o755), Crash)
  await assert.rejects(async () => await disk.lstat(f), Crash)
  await assert.rejects(disk.mkdir(f, 0o755), Crash)
})
