import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { gzip as zlibGzip } from 'pako'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { openGzip } from '../src/engine/delta/gzip/open-gzip.ts'
import { closeGzip } from './second-decoder/gzip.ts'
import { decodeDelta } from './second-decoder/delta.ts'
import { deltaSamples, imageDelta, proseOf } from './helpers/delta-samples.ts'
import { arbitraryPair, deltaOf, patched, smallLimits } from './helpers/delta.ts'
import { layouts, link, machines, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import { numbers } from './helpers/numbers.ts'
import * as tar from './helpers/tar-builder.ts'
import type { Level } from 'pako'

/** test/second-decoder is written from doc/spec alone: where it agrees with the engine, the pages say what a reader must do. */

/** Both decoders make `next`. */
async function agree(old: Uint8Array, next: Uint8Array, delta: Uint8Array): Promise<void> {
  assert.equal(sha256(decodeDelta(delta, old)), sha256(next))
  assert.equal(sha256(await patched(delta, old)), sha256(next))
}

test('samples of every coding', async () => {
  for (const { old, next, delta } of await deltaSamples()) await agree(old, next, delta)
})

test('any two files, with usual and with very small limits', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPair, async ({ old, next }) => {
      await agree(old, next, await deltaOf(old, next))
      await agree(old, next, await deltaOf(old, next, smallLimits))
    }),
    { numRuns: 100 },
  )
})

for (const machine of machines) {
  test(`images of generated programs: ${machine}`, async () => {
    let seed = 100
    for (const layout of layouts) {
      for (const isGo of [false, true]) {
        for (const [isFixed, isBare] of [
          [false, false],
          [true, false],
          [true, true],
        ] as const) {
          const program = randomProgram({ machine, layout, isFixed, isBare, isGo: isGo && !isBare }, 80, ++seed)
          const { of, below } = numbers(seed)
          const gone = of(program.functions)
          const functions = program.functions
            .filter((one) => one !== gone)
            .map((one) => (below(9) > 0 ? one : { ...one, size: one.size + 40 }))
          const [old, next] = [link(program), link({ ...program, functions })]
          await agree(old, next, await deltaOf(old, next))
          await agree(old, next, await imageDelta(old, next, 'plain'))
          await agree(next, old, await imageDelta(next, old, 'modelled'))
        }
      }
    }
  })
}

test('programs with other bytes in them: what their tables say is not so', async () => {
  for (let seed = 1; seed < 40; seed++) {
    const { of, below } = numbers(seed)
    const kind = { machine: of(machines), layout: of(layouts), isFixed: below(2) === 0, isBare: false, isGo: below(2) === 0 }
    const [old, next] = [seed, seed + 1].map((one) => link(randomProgram(kind, 40, one))) as [Uint8Array, Uint8Array]
    for (let i = 0; i < 30; i++) old.set(noise(1 + below(16), i + 1).content, 300 + below(old.length - 400))
    await agree(old, old.toReversed().with(0, 1), await deltaOf(old, old.toReversed().with(0, 1)))
    const delta = await imageDelta(old, next, of(['plain', 'modelled'])).catch(() => undefined)
    if (delta) await agree(old, next, delta)
  }
})

test("this system's programs, one made from the other", async () => {
  const folder = '/usr/bin'
  const names = ['cat', 'tac', 'head', 'tail', 'chmod', 'chown', 'id', 'env', 'nice', 'nohup', 'sha1sum', 'sha256sum']
  const found = new Set(namesIn(folder))
  for (let i = 0; i + 1 < names.length; i += 2) {
    const [a, b] = [names[i], names[i + 1]] as [string, string]
    if (!found.has(a) || !found.has(b)) continue
    const [old, next] = [new Uint8Array(readFileSync(join(folder, a))), new Uint8Array(readFileSync(join(folder, b)))]
    await agree(old, next, await deltaOf(old, next))
  }
})

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

/** The second decoder closes what the engine opens; false where that leaves it closed. */
function closesAgain(file: Uint8Array): boolean {
  const opened = openGzip(file, 1 << 26)
  if (opened === undefined) return false
  assert.equal(sha256(closeGzip(opened.content, opened.recipe, file.length)), sha256(file))
  return true
}

const contents = [0, 1, 3, 258, 32_767, 65_273, 65_536, 98_304, 200_000].flatMap((size) => [
  utf8(proseOf(4200, size).slice(0, size)),
  noise(size, size + 1).content,
  new Uint8Array(size),
  concatBytes([noise(size >> 2, 3).content, utf8(proseOf(2000, 9).slice(0, size >> 1)), noise(size >> 2, 3).content]),
])

test('gzip files of zlib, of every level: recipes', () => {
  let opened = 0
  for (const [i, content] of contents.entries()) {
    for (const memLevel of [8, 9] as const) {
      const file = zlibGzip(content, { level: (1 + ((i + memLevel) % 9)) as Level, memLevel })
      if (closesAgain(file)) opened++
    }
  }
  assert.equal(opened, 2 * contents.length)
})

test('gzip files with stored blocks, of several members, of another compressor', () => {
  for (const [i, content] of contents.entries()) {
    closesAgain(zlibGzip(content, { level: 0, memLevel: 8 }))
    closesAgain(new Uint8Array(gzipSync(content, { level: 1 + (i % 9) })))
    const part = content.subarray(0, 20_000)
    closesAgain(concatBytes([zlibGzip(part, { level: 0, memLevel: 8 }), zlibGzip(part, { level: 1, memLevel: 9 }), utf8('tail')]))
  }
})

test('gzip files of this system', async () => {
  const folders = ['/usr/share/man/man1', '/usr/share/man/man8', '/usr/share/doc/bash', '/usr/share/doc/gzip', '/usr/share/doc/tar']
  const files = folders.flatMap((folder) => namesIn(folder).map((name) => join(folder, name))).filter((name) => name.endsWith('.gz'))
  for (const file of files.slice(0, 60)) {
    const bytes = new Uint8Array(readFileSync(file))
    closesAgain(bytes)
    const [old, next] = [bytes, zlibGzip(gunzipSync(bytes), { level: 6, memLevel: 8 })].map((content) =>
      concatBytes([tar.file('page.gz', latin1(content)), tar.end]),
    ) as [Uint8Array, Uint8Array]
    await agree(old, next, await deltaOf(old, next))
  }
})
