import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { readDeltaInfo } from '../src/engine/delta/apply.ts'
import { makeDelta } from '../src/engine/delta/make.ts'
import { arbitraryPair, deltaOf, patched, refusedWith, smallLimits, sourceOf, whole } from './helpers/delta.ts'
import { noise } from './helpers/noise.ts'
import { dir, file, symlink } from './helpers/plant.ts'
import { makeDist, releaseName } from './helpers/repository.ts'
import * as tar from './helpers/tar-builder.ts'
import { cases } from './helpers/whole-suite.ts'
import type { DeltaLimits } from '../src/engine/delta/make.ts'
import type { Literal } from './helpers/plant.ts'

const mib = 1 << 20

/** The size of a delta that gives `next` back. */
async function size(old: Uint8Array, next: Uint8Array, limits?: DeltaLimits): Promise<number> {
  const delta = await deltaOf(old, next, limits)
  assert.equal(sha256(await patched(delta, old)), sha256(next))
  return delta.length
}

/** Bytes as of a program: noise with structure, so that parts of it are alike. */
function program(size: number, seed: number): Uint8Array {
  const words = noise(4096, 1).content
  const choice = noise(size / 8, seed).content
  const made = new Uint8Array(size)
  for (let i = 0; i < size / 8; i++) made.set(words.subarray((choice[i] as number) * 8, (choice[i] as number) * 8 + 8), i * 8)
  return made
}

test('patch(delta(a, b), a) is b, whatever a and b and however the bytes come', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPair, fc.integer({ min: 1, max: 5000 }), fc.boolean(), async ({ old, next }, chunk, reuse) => {
      const delta = await deltaOf(old, next)
      assert.deepEqual(await patched(delta, old, { chunk, reuse }), next)
    }),
    { numRuns: cases(300) },
  )
})

test('the same with a window, batches and blocks of a few kilobytes', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPair, fc.constantFrom(64, 500, 4096), fc.boolean(), async ({ old, next }, window, reuse) => {
      const delta = await deltaOf(old, next, { ...smallLimits, window })
      assert.deepEqual(await patched(delta, old, { chunk: 333, reuse }), next)
    }),
    { numRuns: cases(300) },
  )
})

test('unrelated files, empty files, equal files', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.uint8Array({ maxLength: 3000 }), async (a, b) => void (await size(a, b))),
    { numRuns: 50 },
  )
  const [a, empty] = [noise(50_000, 1).content, new Uint8Array(0)]
  assert.ok((await size(a, a)) < 130)
  assert.ok((await size(a, empty)) < 130)
  assert.ok((await size(empty, empty)) < 130)
  assert.ok((await size(empty, a)) < a.length + 200)
})

test('the same input gives the same bytes', async () => {
  const [old, next] = [program(mib / 4, 2), concatBytes([program(mib / 8, 3), program(mib / 4, 2)])]
  assert.equal(sha256(await deltaOf(old, next)), sha256(await deltaOf(old, next)))
})

test('three bytes changed in eleven megabytes: a delta under 250 bytes, both digests in it', async () => {
  const old = noise(11_067_550, 4).content
  const next = old.slice()
  for (const at of [3, 5_000_000, 11_000_000]) next[at] = (next[at] as number) ^ 0x55
  const delta = await deltaOf(old, next)
  assert.ok(delta.length <= 160, `${delta.length} bytes`)
  const info = await readDeltaInfo(delta)
  assert.deepEqual([info.old.sha256, info.new.sha256], [sha256(old), sha256(next)])
  assert.equal(sha256(await patched(delta, old)), sha256(next))
})

test('a shifted address costs the same wherever it stands, and little', async () => {
  const old = noise(400_000, 5).content
  const view = new DataView(old.buffer)
  for (let at = 0; at < old.length; at += 40) view.setInt32(at, 0x0040_0000 + at * 3, true)
  const next = old.slice()
  const shifted = new DataView(next.buffer)
  for (let at = 0; at < next.length; at += 40) shifted.setInt32(at, view.getInt32(at, true) + 0x1234, true)
  assert.ok((await size(old, next)) < 300)
})

test('bytes put in, left out and moved cost about themselves', async () => {
  const old = program(4 * mib, 6)
  const part = (from: number, to: number): Uint8Array => old.subarray(from * mib, to * mib)
  assert.ok((await size(old, concatBytes([part(0, 1), noise(1000, 7).content, part(1, 4)]))) < 1300)
  assert.ok((await size(old, concatBytes([part(0, 1), part(2, 4)]))) < 300)
  assert.ok((await size(old, concatBytes([part(2, 4), part(0, 2)]))) < 300)
  assert.ok((await size(old, concatBytes([part(0, 4), part(0, 4)]))) < 300)
})

test('a file far larger than the window: bytes left out, put in and moved are found again', async () => {
  const limits = { window: mib, batchLimit: mib / 2, blockSize: mib / 4 }
  const old = noise(12 * mib, 8).content
  const part = (from: number, to: number): Uint8Array => old.subarray(from * mib, to * mib)
  assert.ok((await size(old, concatBytes([part(0, 3), part(9, 12)]), limits)) < 4000)
  assert.ok((await size(old, concatBytes([part(0, 5), noise(2 * mib, 9).content, part(5, 12)]), limits)) < 2 * mib + 4000)
  // What moved beyond the window costs its bytes, and nothing else does.
  assert.ok((await size(old, concatBytes([part(0, 2), part(10, 11), part(2, 10), part(11, 12)]), limits)) < mib + 4000)
})

test('bytes that make searching hard take no time', async () => {
  const zeros = new Uint8Array(4 * mib)
  const pattern = Uint8Array.from({ length: 4 * mib }, (_, i) => i % 7)
  const started = process.cpuUsage().user
  assert.ok((await size(zeros, pattern)) < 1000)
  assert.ok((await size(pattern, concatBytes([utf8('x'), pattern]))) < 1000)
  assert.ok(
    (await size(
      pattern,
      pattern.map((byte, i) => (i % 50 === 0 ? byte ^ 1 : byte)),
    )) <
      4 * mib,
  )
  assert.ok((process.cpuUsage().user - started) / 1e6 < 40)
})

const release = async (revision: string, literal: Literal): Promise<Uint8Array> => await makeDist(releaseName(revision), literal)

/** A small system; `changes` go over it. */
const system = (changes: Literal = {}): Literal => ({
  '.': dir(),
  ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`usr/share/doc/file${i}`, file(`text number ${i}\n`.repeat(40 + i))])),
  'bin/sh': { kind: 'file', content: program(60_000, 10) },
  'usr/lib/libc.so.96.1': { kind: 'file', content: program(80_000, 11) },
  'etc/motd': symlink('/var/motd'),
  ...changes,
})

test('members are found by their paths: unchanged ones are free, headers cost a few bytes', async () => {
  const old = await release('1.0', system())
  const next = await release('1.1', system({ 'usr/share/doc/file30': file('quite another text\n') }))
  assert.ok((await size(old, next)) < 320)
  const touched = Object.fromEntries(
    Array.from({ length: 60 }, (_, i) => [
      `usr/share/doc/file${i}`,
      file(`text number ${i}\n`.repeat(40 + i), { mtime: { sec: 1_790_000_000, nsec: 0 } }),
    ]),
  )
  assert.ok((await size(old, await release('1.1', system(touched)))) < 900)
})

test('a renamed library, a renamed file and a moved one are found again', async () => {
  const { 'usr/lib/libc.so.96.1': libc, 'usr/share/doc/file7': doc, ...rest } = system() as Record<string, Literal[string]>
  const old = await release('1.0', system())
  const next = await release('1.1', { ...rest, 'usr/lib/libc.so.97.0': libc, 'usr/share/doc/other': doc } as Literal)
  assert.ok((await size(old, next)) < 600)
  assert.ok((await size(old, await release('1.1', { ...rest, 'a/libc.so.96.1': libc, 'zz/file7': doc } as Literal))) < 700)
})

test('moved files beyond the window are retained as far as the budget goes, and cost their bytes otherwise', async () => {
  const limits = { window: 64 << 10, batchLimit: 32 << 10, blockSize: 64 << 10 }
  const body = (seed: number, length: number): string => Buffer.from(noise(length, seed).content).toString('latin1')
  const middle = Array.from({ length: 10 }, (_, i) => tar.file(`m${i}`, body(20 + i, 30_000)))
  const [small, large] = [body(40, 20_000), body(41, 40_000)]
  const of = (...members: readonly Uint8Array[]): Uint8Array => concatBytes([...members, tar.end])
  const old = of(tar.file('a', small), tar.file('b', large), ...middle)
  // Behind: the reader has passed it. 20 kB fit into half a window, 40 kB do not.
  const retained = await deltaOf(old, of(...middle, tar.file('z', small)), limits)
  assert.ok(retained.length < 1000, `${retained.length} bytes`)
  assert.equal((await readDeltaInfo(retained)).memory - (await readDeltaInfo(await deltaOf(old, old, limits))).memory, 20_480 + 512)
  assert.ok((await size(old, of(...middle, tar.file('z', small)), limits)) < 1000)
  assert.ok((await size(old, of(...middle, tar.file('z', large)), limits)) > 40_000)
  // Ahead: reading there would lose what is between.
  assert.ok((await size(of(...middle, tar.file('z', small)), of(tar.file('a', small), ...middle), limits)) < 22_000)
})

test('anything may follow or precede: damaged tars, tars against files', async () => {
  const dist = await release('1.0', system())
  const cut = dist.subarray(0, 60_001)
  await size(dist, cut)
  await size(cut, dist)
  await size(dist, utf8('no tar'))
  await size(utf8('no tar'), cut)
  await size(concatBytes([dist, dist]), dist)
  await size(dist, concatBytes([dist.subarray(0, 51_200), noise(1000, 3).content, dist.subarray(51_200)]))
})

test('more new bytes than a batch or a block holds', async () => {
  const old = noise(mib, 30).content
  const next = concatBytes([noise(18 * mib, 31).content, old, noise(4 * mib, 32).content])
  const made = await size(old, next)
  assert.ok(made < next.length - old.length + 2000, `${made}`)
})

test('names are in the header, and wrong ones are refused', async () => {
  const make = (oldName: string): Promise<Uint8Array> =>
    whole(makeDelta({ old: sourceOf(utf8('a')), new: sourceOf(utf8('b')), oldName, newName: 'base-1.1-20260201-amd64' }))
  const info = await readDeltaInfo(await make('base-1.0-20260101-amd64'))
  assert.deepEqual(
    [info.oldName, info.newName, info.format, info.version],
    ['base-1.0-20260101-amd64', 'base-1.1-20260201-amd64', 'bindery', 1],
  )
  await refusedWith(make('../../etc/passwd'), 'bad-format')
})

test('progress adds up to the new size, and a stop is obeyed', async () => {
  const [old, next] = [program(mib / 4, 50), program(mib / 2, 51)]
  let done = 0
  const meter = { advance: (by: number) => void (done += by), end: () => {} }
  await whole(makeDelta({ old: sourceOf(old), new: sourceOf(next), oldName: '', newName: '', meter }))
  assert.equal(done, next.length)
  const stopped = makeDelta({
    old: sourceOf(old),
    new: sourceOf(next),
    oldName: '',
    newName: '',
    signal: AbortSignal.abort(new Error('enough')),
  })
  await assert.rejects(whole(stopped), /enough/)
})
