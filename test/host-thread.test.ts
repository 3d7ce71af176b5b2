import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sameThread } from '../src/host/same-thread.ts'
import { hostThreads } from '../src/host/thread.ts'
import { threadWorks } from '../src/thread-works.ts'
import { threadConformance } from './conformance/thread.ts'

const entry = new URL('../src/bindery-thread.ts', import.meta.url)

threadConformance('in the same thread', sameThread(threadWorks))
threadConformance('on threads of the runtime', hostThreads(entry))

test('a thread that cannot begin fails what it was asked for, and all that comes after', async () => {
  const pool = hostThreads(new URL('helpers/no-such-entry.ts', import.meta.url)).start('match', [], 2)
  const tasks = [1, 2, 3].map(async () => await pool.run({ kind: 'gain' }))
  for (const task of tasks) await assert.rejects(task, /no-such-entry/)
  await assert.rejects(pool.run({ kind: 'gain' }), /no-such-entry/)
  await pool.end()
})
