import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { sameThread } from '../src/host/same-thread.ts'
import { hostThreads } from '../src/host/thread.ts'
import { threadWorks } from '../src/thread-works.ts'
import { deltaOf, patched, sectionsIn } from './helpers/delta.ts'
import { link, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import { end, member } from './helpers/tar-builder.ts'
import type { DeltaLimits, Making } from '../src/engine/delta/make.ts'
import type { ThreadPool, Threads } from '../src/port/thread.ts'

const kind = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false } as const
const efforts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const

/** A tar with files of every kind: programs, gzip files, text that changed and text that did not. */
function treeOf(seed: number, release: 0 | 1): Uint8Array {
  const files: string[] = []
  for (let i = 0; i < 4; i++) {
    const program = randomProgram(kind, 45, seed + i)
    const added = { name: 'f new', seed: seed + 7, size: 200 + i, uses: ['f1', 'd0'] }
    files.push(latin1(link(release === 0 ? program : { ...program, functions: [added, ...program.functions] })))
    const text = utf8(Array.from(noise(600, seed + i).content, (byte) => `word${byte} `).join(''))
    if (release === 1) text.set([65, 66, 67], (text.length >> 3) * i)
    files.push(latin1(text), latin1(new Uint8Array(gzipSync(text, { level: 9 }))), latin1(noise(900, i).content))
  }
  return concatBytes([...files.map((content, i) => member({ name: `f${i}`, mode: 0o755 }, content)), end])
}

/** Tells of every task what it is, and of the end. */
function watched(threads: Threads, seen: string[]): Threads {
  return {
    start: (work, given, count) => {
      const pool = threads.start(work, given, count)
      const run: ThreadPool['run'] = async (task) => {
        seen.push((task as { readonly kind: string }).kind)
        return await pool.run(task)
      }
      const end = async (): Promise<void> => {
        seen.push(`end of ${count}`)
        await pool.end()
      }
      return { run, end }
    },
  }
}

const manyBatches: DeltaLimits = { window: 1 << 20, batchLimit: 64 << 10, blockSize: 4096 }

async function sameForAll(seed: number, making: Making, jobs: readonly number[], limits?: DeltaLimits): Promise<Uint8Array> {
  const [old, next] = [treeOf(seed, 0), treeOf(seed, 1)]
  const alone = await deltaOf(old, next, limits, making)
  for (const count of jobs) {
    const delta = await deltaOf(old, next, limits, { ...making, jobs: count })
    assert.equal(sha256(delta), sha256(alone), `${count} jobs`)
  }
  assert.equal(sha256(await patched(alone, old)), sha256(next))
  return alone
}

test('the delta is the same to the byte with any number of jobs, at every effort', async () => {
  const threads = sameThread(threadWorks)
  const kinds = new Set<string>()
  for (const effort of efforts) for (const one of await sectionsIn(await sameForAll(1, { effort, threads }, [2, 5]))) kinds.add(one)
  assert.deepEqual([...kinds].sort(), ['gzip', 'image', 'plain'])
})

test('all that is matched is matched on the threads, which are ended', async () => {
  const [old, next] = [treeOf(1, 0), treeOf(1, 1)]
  const seen: string[] = []
  await deltaOf(old, next, undefined, { jobs: 3, threads: watched(sameThread(threadWorks), seen) })
  assert.deepEqual(
    ['image', 'gzip', 'plain'].map((kind) => seen.includes(kind)),
    [true, true, true],
  )
  assert.equal(seen.indexOf('end of 3'), seen.length - 1)
})

test('so it is in small windows and batches, whatever is in the files', async () => {
  const threads = sameThread(threadWorks)
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 1 << 20 }), fc.integer({ min: 2, max: 64 }), async (seed, jobs) => {
      await sameForAll(seed, { effort: 4, threads }, [jobs], manyBatches)
    }),
    { numRuns: 8 },
  )
})

test('and on real threads', async () => {
  const threads = hostThreads(new URL('../src/bindery-thread.ts', import.meta.url))
  await sameForAll(2, { threads }, [2, 3])
  await sameForAll(3, { effort: 7, threads }, [2], manyBatches)
})
