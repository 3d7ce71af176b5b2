import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { conclude } from '../src/command/outcome.ts'
import { testSession } from './helpers/client.ts'
import type { Context } from '../src/command/command.ts'
import type { Done } from '../src/engine/client/apply/transaction.ts'

const error = new BinderyError('io', 'the disk failed', { subject: 'var/db/bindery' })

for (const [what, failure, status, text] of [
  ['nothing fails', {}, 0, /^$/],
  ['old things cannot be removed', { unswept: error }, 6, /^what is needed no more was not removed: var\/db\/bindery: the disk failed$/],
  ['the last sync fails', { unsynced: error }, 6, /^all is in place, but a power cut might undo it: var\/db\/bindery: the disk failed$/],
] as const)
  test(`when all is in place and ${what}, the status is ${status}`, async () => {
    const said: string[] = []
    const context = { say: (line: string) => void said.push(line) } as unknown as Context
    const done = { receipt: { transaction: 1 }, kept: [], ...failure } as unknown as Done
    assert.equal(await conclude(context, await testSession(), done), status)
    assert.match(said.join('\n'), text)
  })
