import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { sameThread } from '../src/host/same-thread.ts'
import { hostThreads } from '../src/host/thread.ts'
import { threadWorks } from '../src/thread-works.ts'
import { threadConformance } from './conformance/thread.ts'

const entry = new URL('../src/bindery.ts', import.meta.url).href

threadConformance('in the same thread', sameThread(threadWorks))
if (availableParallelism() > 1) threadConformance('on a thread of the runtime', hostThreads(entry))
else test('on a thread of the runtime', { skip: 'there is one core alone' }, () => {})

test(
  'a thread that cannot begin fails what it was asked for',
  { skip: availableParallelism() < 2 && 'there is one core alone' },
  async () => {
    const thread = hostThreads(new URL('helpers/no-such-entry.ts', import.meta.url).href).start('sections', 0) ?? assert.fail()
    await assert.rejects(thread.run({ kind: 'batchEnd' }), /no-such-entry/)
    await assert.rejects(thread.run({ kind: 'batchEnd' }), /no-such-entry/)
    await thread.end()
  },
)
