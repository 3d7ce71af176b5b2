import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { utf8 } from '../../src/base/bytes.ts'
import { openGzip } from '../../src/engine/delta/gzip/open-gzip.ts'
import { refusedWith } from '../helpers/delta.ts'
import type { SectionTask } from '../../src/engine/delta/section-work.ts'
import type { Thread, Threads } from '../../src/port/thread.ts'

/** What every Threads promises (src/port/thread.ts), shown on the work of sections. */
export function threadConformance(name: string, threads: Threads): void {
  const withThread = async (use: (thread: Thread) => Promise<void>): Promise<void> => {
    const thread = threads.start('sections', 1 << 20)
    assert.ok(thread)
    try {
      await use(thread)
    } finally {
      await thread.end()
    }
  }
  const run = async (thread: Thread, task: SectionTask, takes?: readonly ArrayBuffer[]): Promise<void> => await thread.run(task, takes)

  test(`${name}: tasks are done in order, and answers come in shared memory`, async () => {
    await withThread(async (thread) => {
      const target = new Uint8Array(new SharedArrayBuffer(4096))
      let at = 0
      const files: Uint8Array[] = []
      const done: Promise<void>[] = []
      for (let i = 0; i < 20; i++) {
        const text = utf8(`file ${i} `.repeat(i + 3))
        const file = new Uint8Array(gzipSync(text))
        const { content, recipe } = openGzip(file, text.length) ?? assert.fail()
        const given = content.slice()
        done.push(run(thread, { kind: 'gzip', content: given, recipe, size: file.length }, [given.buffer]))
        done.push(run(thread, { kind: 'take', target: target.subarray(at, at + 9) }))
        done.push(run(thread, { kind: 'take', target: target.subarray(at + 9, at + file.length) }))
        assert.equal(given.length, 0, 'memory that a task takes with it is gone here')
        at += file.length
        files.push(file)
      }
      await Promise.all(done)
      assert.deepEqual(Buffer.from(target.subarray(0, at)), Buffer.concat(files))
    })
  })

  test(`${name}: a task that fails says why, and none is done after it`, async () => {
    await withThread(async (thread) => {
      const target = new Uint8Array(new SharedArrayBuffer(9))
      const failed = run(thread, { kind: 'gzip', content: utf8('x'), recipe: new Uint8Array(0), size: 30 })
      const later = run(thread, { kind: 'take', target })
      await Promise.all([refusedWith(failed, 'bad-format'), refusedWith(later, 'bad-format')])
      await refusedWith(run(thread, { kind: 'batchEnd' }), 'bad-format')
    })
  })
}
