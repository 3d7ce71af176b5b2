import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchSources } from '../src/command/farm-duties.ts'
import { readSources } from '../src/engine/farm/read-sources.ts'
import { wakened } from '../src/host/wakened.ts'
import type { Controller } from '../src/command/farm-controller.ts'
import type { BranchConfig } from '../src/format/farm-config.ts'

/** Sources that somebody commits to while a farm looks at them. */

test('a commit that comes in the middle of a look has its change and its commit, or neither of them counts', async () => {
  let isCommitted = false
  const source = {
    // As cvs does, it waits for the lock of who commits, and sees what that has done.
    changes: async () => {
      await new Promise(setImmediate)
      isCommitted = true
      return [{ kind: 'changed' as const, path: 'net/curl/Makefile' }]
    },
    commits: async () => {
      await Promise.resolve()
      return isCommitted ? [{ id: 'c1', seconds: 7, message: 'SECURITY update', paths: ['net/curl/Makefile'] }] : []
    },
  }
  const { changes, commits } = await readSources(source, 'BASE', 'STABLE')
  const known = commits.flatMap(({ paths }) => paths)
  assert.deepEqual(
    changes.filter(({ path }) => !known.includes(path)),
    [],
  )
  assert.equal(changes.length, 1)
})

test('a call while a look goes on makes another one right behind it', async () => {
  const stop = new AbortController()
  const wake = wakened()
  const controller = {
    context: { say: () => {}, random: { bytes: (size: number) => new Uint8Array(size) } },
    farm: { catalog: { noteLook: async () => await Promise.resolve(false) } },
    done: wakened(),
    away: { over: () => {}, isTold: () => false },
    signal: stop.signal,
  } as unknown as Controller
  const branch = { name: 'stable', everySeconds: 86_400 } as BranchConfig
  let looks = 0
  await watchSources(controller, branch, wake, async () => {
    looks++
    await new Promise(setImmediate)
    if (looks > 1) return stop.abort()
    wake.wake()
    // The other look begins before anything else does, or waits for a day.
    setImmediate(() => stop.abort())
  })
  assert.equal(looks, 2)
})
