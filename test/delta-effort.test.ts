import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { usualEffort } from '../src/engine/delta/effort.ts'
import { sameThread } from '../src/host/same-thread.ts'
import { threadWorks } from '../src/thread-works.ts'
import { arbitraryPair, deltaOf, patched, sectionsIn, smallLimits } from './helpers/delta.ts'
import { link, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import { end, member } from './helpers/tar-builder.ts'
import { cases } from './helpers/whole-suite.ts'
import type { Effort } from '../src/engine/delta/effort.ts'

const threads = sameThread(threadWorks)

const efforts: readonly Effort[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

for (const effort of efforts) {
  test(`patch(delta(a, b), a) is b, whatever a and b, with effort ${effort}`, async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryPair, fc.constantFrom(undefined, smallLimits), async ({ old, next }, limits) => {
        assert.deepEqual(await patched(await deltaOf(old, next, limits, { effort }), old, { chunk: 333 }), next)
      }),
      { numRuns: cases(120) },
    )
  })

  test(`the same of trees of programs, gzip files and others, with effort ${effort}, and by any number of jobs`, async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryTree,
        arbitraryTree,
        fc.constantFrom(undefined, limits),
        fc.integer({ min: 1, max: 64 }),
        async (old, next, within, jobs) => {
          const made = await deltaOf(old, next, within, { effort })
          assert.equal(sha256(await patched(made, old)), sha256(next))
          assert.deepEqual(await deltaOf(old, next, within, { effort, jobs, threads }), made)
        },
      ),
      { numRuns: cases(12) },
    )
  })
}

const limits = { window: 1 << 20, batchLimit: 64 << 10, blockSize: 4096 }
const usual = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false } as const

/** One of a few programs, without some of its functions. */
function program(seed: number, without: number): Uint8Array {
  const made = randomProgram({ ...usual, isGo: seed % 2 === 1 }, 45, seed)
  return link({ ...made, functions: made.functions.slice(without) })
}

function text(seed: number, lines: number): Uint8Array {
  return utf8(Array.from({ length: lines }, (_, i) => `line ${(i * (seed + 7)) % 101}`).join('\n'))
}

/** Releases of the same five files, some of them left out. */
const arbitraryTree: fc.Arbitrary<Uint8Array> = fc
  .array(fc.record({ version: fc.nat({ max: 5 }), isThere: fc.boolean() }), { minLength: 5, maxLength: 5 })
  .map((files) => {
    const contents = [
      (version: number) => program(1, version),
      (version: number) => new Uint8Array(gzipSync(text(version, 400), { level: 9 })),
      (version: number) => program(2, version),
      (version: number) => text(version, 300),
      (version: number) => noise(5000, version).content,
    ]
    const present = files.flatMap(({ version, isThere }, i) => (isThere ? [{ i, bytes: contents[i]?.(version) as Uint8Array }] : []))
    return concatBytes([...present.map(({ i, bytes }) => member({ name: `f${i}`, mode: 0o755 }, latin1(bytes))), end])
  })

const release = (version: number): Uint8Array =>
  concatBytes([
    member({ name: 'bin/a', mode: 0o755 }, latin1(program(1, version))),
    member({ name: 'man/a.gz' }, latin1(new Uint8Array(gzipSync(concatBytes([text(version, 20), text(9, 2000)]), { level: 9 })))),
    member({ name: 'etc/a' }, latin1(concatBytes([text(9, 400), noise(100, version).content, text(8, 500)]))),
    end,
  ])

test('the usual effort is what is done where nothing is said', async () => {
  const [old, next] = [release(0), release(2)]
  assert.deepEqual(await deltaOf(old, next), await deltaOf(old, next, undefined, { effort: usualEffort }))
})

test('without effort nothing is opened, with some gzip files, with more executables', async () => {
  const kindsAt = async (effort: Effort): Promise<ReadonlySet<string>> =>
    new Set(await sectionsIn(await deltaOf(release(0), release(2), undefined, { effort })))
  assert.deepEqual(await kindsAt(0), new Set(['plain']))
  assert.deepEqual(await kindsAt(2), new Set(['plain', 'gzip']))
  for (const effort of [3, usualEffort, 9] as const) assert.deepEqual(await kindsAt(effort), new Set(['plain', 'gzip', 'image']))
})

test('more effort makes smaller deltas', async () => {
  const sizes = await Promise.all(
    ([0, 2, usualEffort, 9] as const).map(async (effort) => (await deltaOf(release(0), release(2), undefined, { effort })).length),
  )
  for (const [i, size] of sizes.entries()) assert.ok(i === 0 || size < (sizes[i - 1] as number), sizes.join(' '))
})
