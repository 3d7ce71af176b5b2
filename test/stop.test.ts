import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { inTemporary } from './helpers/temporary.ts'

const bindery = resolve('bin/bindery')

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends a filter that waits for its input: one line, status 1`, async () => {
    await inTemporary(async (folder) => {
      const filter = spawn(bindery, ['patch', makeDeltaFile(folder)], { stdio: ['pipe', 'pipe', 'pipe'] })
      let said = ''
      filter.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
      filter.stdin.write(begun, () => filter.kill(signal))
      const [status] = (await once(filter, 'close')) as [number | null]
      assert.equal(said, `bindery: patch: stopped by ${signal}\n`)
      assert.equal(status, 1)
    })
  })
}

/** More than a pipe holds: once it is written, somebody has begun to read. */
const begun = Buffer.alloc(1 << 18, 'one thing ')

function makeDeltaFile(folder: string): string {
  const [old, next, delta] = ['old', 'new', 'delta'].map((name) => join(folder, name)) as [string, string, string]
  writeFileSync(old, Buffer.concat([begun, begun]))
  writeFileSync(next, 'another thing')
  execFileSync(bindery, ['delta', '--raw', old, next, '-o', delta])
  return delta
}
