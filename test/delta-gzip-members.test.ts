import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { deltaOf, patched, refusedWith } from './helpers/delta.ts'
import { noise } from './helpers/noise.ts'
import * as tar from './helpers/tar-builder.ts'

/** GNU gzip's own bytes. */
function gzip(content: Uint8Array, level = 9): Uint8Array {
  return new Uint8Array(execFileSync('gzip', [`-${level}n`], { input: content }))
}

function tarOf(members: Readonly<Record<string, Uint8Array>>): Uint8Array {
  return concatBytes([...Object.entries(members).map(([name, content]) => tar.file(name, latin1(content))), tar.end])
}

/** The size of a delta that gives `next` back. */
async function size(old: Uint8Array, next: Uint8Array): Promise<number> {
  const delta = await deltaOf(old, next)
  assert.equal(sha256(await patched(delta, old, { chunk: 777 })), sha256(next))
  return delta.length
}

const words = 'the kernel reads each block before it writes a file and no process waits for the disk that was not asked'.split(' ')

/** A text as of a manual page, and the same with a line changed in the middle. */
function page(seed: number, lines: number): { readonly old: Uint8Array; readonly next: Uint8Array } {
  const choice = noise(lines * 9, seed).content
  const text = Array.from({ length: lines }, (_, i) =>
    [...choice.subarray(i * 9, i * 9 + 9)].map((byte) => words[byte % words.length]).join(' '),
  )
  const changed = text.with(lines >> 1, 'This line is new in this release.')
  return { old: utf8(text.join('\n')), next: utf8(changed.join('\n')) }
}

test('a changed manual page costs its change, at every level of gzip', async () => {
  const { old, next } = page(1, 800)
  for (const level of [1, 5, 6, 9]) {
    const closed = [tarOf({ 'man/a.1.gz': gzip(old, level) }), tarOf({ 'man/a.1.gz': gzip(next, level) })] as const
    const spent = await size(...closed)
    assert.ok(spent < 400, `level ${level}: ${spent} bytes`)
  }
})

test('a hundred pages of which most changed cost little each', async () => {
  const pages = Array.from({ length: 100 }, (_, i) => page(i, 60 + i))
  const side = (which: 'old' | 'next'): Uint8Array =>
    tarOf(Object.fromEntries(pages.map((texts, i) => [`man/p${i}.1.gz`, gzip(i % 10 === 0 ? texts.old : texts[which])])))
  const spent = await size(side('old'), side('next'))
  assert.ok(spent < 100 * 60, `${spent} bytes`)
})

test('files of other compressors, other times, more members, garbage behind them: exact all the same', async () => {
  const { old, next } = page(7, 300)
  const dated = (bytes: Uint8Array, time: number): Uint8Array => Uint8Array.from(bytes).fill(time, 4, 8)
  const pairs: readonly (readonly [Uint8Array, Uint8Array])[] = [
    [gzipSync(old), gzipSync(next)],
    [gzip(old), gzipSync(next)],
    [dated(gzip(old), 1), dated(gzip(old), 2)],
    [concatBytes([gzip(old), gzip(next)]), concatBytes([gzip(next), gzip(old)])],
    [concatBytes([gzip(old), utf8('garbage')]), concatBytes([gzip(next), utf8('more garbage')])],
    [gzip(old).subarray(0, 500), gzip(next)],
    [gzip(old), gzip(next).subarray(0, 500)],
    [gzip(new Uint8Array(0)), gzip(next)],
    [gzip(old), gzip(new Uint8Array(0))],
    [gzip(noise(70_000, 1).content), gzip(noise(70_000, 2).content)],
  ]
  for (const [a, b] of pairs) {
    await size(tarOf({ f: a }), tarOf({ f: b }))
    await size(a, b)
  }
})

test('arbitrary contents, closed by gzip and opened again', async () => {
  const content = fc.uint8Array({ maxLength: 3000 })
  await fc.assert(
    fc.asyncProperty(content, content, fc.constantFrom(1, 4, 9), async (a, b, level) => {
      const shared = concatBytes([a, b, a])
      await size(tarOf({ f: gzip(shared, level) }), tarOf({ f: gzip(concatBytes([b, shared]), level), g: b }))
    }),
    { numRuns: 25 },
  )
})

test('damaged deltas of gzip files: refused, or exact', async () => {
  const { old, next } = page(3, 120)
  const [a, b] = [tarOf({ f: gzip(old), g: old }), tarOf({ f: gzip(next), g: next })]
  const delta = await deltaOf(a, b)
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: delta.length - 1 }), fc.integer({ min: 1, max: 255 }), async (place, change) => {
      const damaged = delta.slice()
      damaged[place] = (damaged[place] as number) ^ change
      const made = patched(damaged, a).then((bytes) => assert.equal(sha256(bytes), sha256(b)))
      await made.catch(async () => await refusedWith(made, 'bad-format', 'bad-digest', 'over-limit', 'wrong-base'))
    }),
    { numRuns: 400 },
  )
})
