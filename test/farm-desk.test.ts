import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDesk } from '../src/engine/farm/remote/desk.ts'
import type { DeskWorld } from '../src/engine/farm/remote/desk.ts'

test('a builder that goes away while the queue is looked at is not waited for', async () => {
  const caller = new AbortController()
  const queue = {
    claim: async () => void caller.abort(),
    // Nothing comes into it.
    changed: async () => await new Promise<void>(() => {}),
  }
  const desk = openDesk({ queue, catalog: { noteBuilder: async () => {} } } as unknown as DeskWorld)
  const call = { held: [], waitSeconds: 60, load: 0 }
  assert.deepEqual(await desk.claim('one', call, caller.signal), { kind: 'nothing' })
})
