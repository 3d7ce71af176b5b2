import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { conclude, removeDownloads } from '../src/command/outcome.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { testSession } from './helpers/client.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { plant } from './helpers/plant.ts'
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

test('downloads that cannot be removed behind what was done are told, and no failure', async () => {
  const { disk } = await testSession()
  const [kept, done] = [sha256(utf8('kept')), sha256(utf8('done'))]
  await plant(disk, { [cachePath(kept)]: 'kept', [cachePath(done)]: 'done' })
  const said: string[] = []
  const context = { say: (line: string) => void said.push(line) } as unknown as Context
  const faulty = faultyDisk(disk, { kind: 'fail', at: 1, code: 'io' }).disk
  assert.equal(await removeDownloads(context, faulty, new Set([kept])), 6)
  assert.match(said.join('\n'), new RegExp(`^what is needed no more was not removed: ${cachePath(done)}: `))
  assert.equal(await removeDownloads(context, disk, new Set([kept])), 0)
  assert.deepEqual(await disk.readdir(statePaths.cache), [kept])
  assert.equal(said.length, 1)
})
