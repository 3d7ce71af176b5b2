import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { utf8 } from '../../src/base/bytes.ts'
import { usualSearch } from '../../src/engine/delta/match.ts'
import { matchWork } from '../../src/engine/delta/match-work.ts'
import { refusedWith } from '../helpers/delta.ts'
import { noise } from '../helpers/noise.ts'
import type { MatchTask } from '../../src/engine/delta/match-work.ts'
import type { ThreadPool, Threads } from '../../src/port/thread.ts'

/** What every Threads promises (src/port/thread.ts), shown on the work of matching. */
export function threadConformance(name: string, threads: Threads): void {
  const withPool = async (count: number, use: (pool: ThreadPool) => Promise<void>): Promise<void> => {
    const pool = threads.start('match', [usualSearch], count)
    try {
      await use(pool)
    } finally {
      await pool.end()
    }
  }

  for (const count of [1, 3]) {
    test(`${name}, ${count}: each task has its own answer, the one that it has here`, async () => {
      const here = matchWork([usualSearch])
      const tasks: readonly MatchTask[] = Array.from({ length: 24 }, (_, i) => {
        const [old, next] = [noise(3000 + i, i).content, noise(3000, i).content.fill(i, 500, 500 + i)]
        if (i % 3 === 0) return { kind: 'gzip', old: gzipped(old), next: gzipped(next) }
        return i % 3 === 1 ? { kind: 'plain', old, next, start: i } : { kind: 'gain', old, next }
      })
      await withPool(count, async (pool) => {
        const answers = await Promise.all(tasks.map(async (task) => await pool.run(task)))
        assert.deepEqual(answers, structuredClone(tasks.map(here)))
      })
    })
  }

  test(`${name}: a task is what it was when it was given`, async () => {
    const task = { kind: 'plain', old: utf8('the old text, word for word'), next: utf8('the old text, word for word'), start: 0 } as const
    await withPool(1, async (pool) => {
      const answer = pool.run(task)
      task.next.fill(0)
      assert.deepEqual(await answer, Int32Array.from([0, 0, task.old.length]))
    })
  })

  test(`${name}: a task that fails says why, and the next one is done`, async () => {
    await withPool(1, async (pool) => {
      await assert.rejects(pool.run({ kind: 'plain', old: undefined, next: utf8('x'), start: 0 }), /undefined/)
      assert.equal(await pool.run({ kind: 'gain', old: utf8('a'), next: utf8('a') }), 0)
    })
  })

  test(`${name}: what is not done when it ends is given up`, async () => {
    const pool = threads.start('match', [usualSearch], 2)
    const [old, next] = [noise(100_000, 1).content, noise(100_000, 2).content]
    const answers = [1, 2, 3, 4, 5].map(async () => await pool.run({ kind: 'plain', old, next, start: 0 }))
    const refused = Promise.all(answers.map(async (answer) => await refusedWith(answer, 'stopped')))
    await pool.end()
    await refused
    await refusedWith(pool.run({ kind: 'gain', old, next }), 'stopped')
  })
}

function gzipped(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(gzipSync(bytes))
}
