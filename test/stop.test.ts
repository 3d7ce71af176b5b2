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
      setTimeout(() => filter.kill(signal), 1000)
      let said = ''
      filter.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
      const [status] = (await once(filter, 'close')) as [number | null]
      assert.equal(said, `bindery: patch: stopped by ${signal}\n`)
      assert.equal(status, 1)
    })
  })
}

function makeDeltaFile(folder: string): string {
  const [old, next, delta] = ['old', 'new', 'delta'].map((name) => join(folder, name)) as [string, string, string]
  writeFileSync(old, 'one thing')
  writeFileSync(next, 'another thing')
  execFileSync(bindery, ['delta', '--raw', old, next, '-o', delta])
  return delta
}
