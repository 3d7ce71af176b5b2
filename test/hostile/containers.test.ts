import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { concatBytes, equalBytes, utf8 } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { byteReader } from '../../src/base/byte-reader.ts'
import { sha256 } from '../../src/base/digest.ts'
import { readContainerFront } from '../../src/engine/delta/container/apply.ts'
import { openContainer } from '../../src/engine/delta/container/open.ts'
import { containerInfo, decodePlan, encodeContainerFront, encodePlan } from '../../src/format/container-delta.ts'
import { bunzip2 } from '../../src/format/bzip2-decode.ts'
import { bzip2 } from '../../src/format/bzip2-encode.ts'
import { loadLiblzma } from '../../src/host/liblzma.ts'
import { brotliDecompressSync, zstdDecompressSync } from 'node:zlib'
import { decodeContainer } from '../second-decoder/container.ts'
import { Refused } from '../second-decoder/bytes.ts'
import { containerDelta, containerSamples, patchedContainer } from '../helpers/containers.ts'
import { needs } from '../helpers/programs.ts'
import { numbers } from '../helpers/numbers.ts'
import { header } from '../helpers/tar-builder.ts'
import type { ContainerFront } from '../../src/engine/delta/container/apply.ts'
import type { Packed } from '../../src/format/container-delta.ts'

const tools = needs('zip', 'npm:node-liblzma', 'xz', 'bzip2', 'gzip', 'ar', 'tar')
const samples = tools.skip === undefined ? await containerSamples() : []

async function deltaOf(old: Uint8Array, next: Uint8Array): Promise<Uint8Array> {
  return (await containerDelta(old, next)) ?? assert.fail('nothing was opened')
}

/** A delta in its parts, with the plan uncompressed. */
type Parts = ContainerFront & { readonly plan: Uint8Array; readonly inner: Uint8Array }

async function partsOf(delta: Uint8Array): Promise<Parts> {
  const reader = byteReader(
    (async function* () {
      yield delta
    })(),
    'the delta',
  )
  const front = await readContainerFront(reader)
  const { codec, codedSize } = front.header.plan
  const coded = await reader.exactly(codedSize)
  const plan = codec === 'raw' ? coded : codec === 'zstd' ? zstdDecompressSync(coded) : brotliDecompressSync(coded)
  return { ...front, plan, inner: delta.subarray(reader.position()) }
}

function joined({ header, digests, plan, inner }: Parts): Uint8Array {
  const raw = { codec: 'raw', size: plan.length, codedSize: plan.length } as const
  return concatBytes([encodeContainerFront({ ...header, plan: raw }, digests), plan, inner])
}

/** Refused by both decoders, or right by both. */
async function judge(delta: Uint8Array, old: Uint8Array, next: Uint8Array): Promise<'refused' | 'right'> {
  const made = await patchedContainer(delta, old).catch((error: unknown) => {
    if (isBinderyError(error)) return undefined
    throw error
  })
  if (made === undefined) return 'refused'
  assert.equal(sha256(made), sha256(next))
  return 'right'
}

test('both decoders make the same of each kind of container', tools, async () => {
  for (const { name, old, next } of samples) {
    const delta = await deltaOf(old, next)
    assert.ok(equalBytes(await patchedContainer(delta, old), next), name)
    assert.ok(equalBytes(decodeContainer(delta, old), next), name)
  }
})

test('a delta with damaged bytes is refused, or makes the right file', tools, async () => {
  const seen = new Set<string>()
  for (const [i, { old, next }] of samples.entries()) {
    const delta = await deltaOf(old, next)
    const random = numbers(i + 1)
    for (let round = 0; round < 40; round++) {
      const damaged = delta.slice()
      const at = random.below(3) === 0 ? random.below(damaged.length) : random.below(Math.min(damaged.length, 140))
      damaged[at] = random.below(256)
      seen.add(await judge(damaged, old, next))
      seen.add(await judge(delta.subarray(0, random.below(delta.length)), old, next))
    }
  }
  assert.ok(seen.has('refused'))
})

test('a plan that lies is refused, whatever its check sum says', tools, async () => {
  for (const [i, { old, next }] of samples.entries()) {
    const parts = await partsOf(await deltaOf(old, next))
    assert.equal(await judge(joined(parts), old, next), 'right')
    const random = numbers(100 + i)
    for (let round = 0; round < 60; round++) {
      const plan = parts.plan.slice()
      for (let flips = 1 + random.below(2); flips > 0; flips--) plan[random.below(plan.length)] = random.below(256)
      const delta = joined({ ...parts, plan })
      const verdict = await judge(delta, old, next)
      if (verdict === 'right') assert.ok(equalBytes(decodeContainer(delta, old), next))
      else if (i < 2)
        assert.throws(
          () => decodeContainer(delta, old),
          (error) => error instanceof Refused || error instanceof Error,
        )
    }
  }
})

test('a damaged container is opened as far as it goes, and comes out as it is', tools, async () => {
  for (const [i, { old, next }] of samples.entries()) {
    const random = numbers(200 + i)
    for (let round = 0; round < 6; round++) {
      const damaged = random.below(4) === 0 ? next.slice(0, random.below(next.length)) : next.slice()
      for (let flips = 1 + random.below(3); flips > 0 && damaged.length > 0; flips--)
        damaged[random.below(damaged.length)] = random.below(256)
      const made = await containerDelta(old, damaged)
      if (made !== undefined) assert.ok(equalBytes(await patchedContainer(made, old), damaged))
      const back = await containerDelta(damaged, old)
      if (back !== undefined) assert.ok(equalBytes(await patchedContainer(back, damaged), old))
    }
  }
})

const opening = { loadXz: loadLiblzma, closed: new Set<string>() }

function depthOf(packed: readonly Packed[]): number {
  return packed.reduce((most, { inner }) => Math.max(most, 1 + depthOf(inner)), 0)
}

test('layers behind the sixth, and what holds thousands of times its size, stay closed', async () => {
  let layers: Uint8Array = new TextEncoder().encode('a text in many layers\n'.repeat(30))
  for (let i = 0; i < 12; i++) layers = gzipSync(layers, { level: 1 })
  const opened = await openContainer(layers, { ...opening, side: 'old' })
  assert.equal(depthOf(opened.packed), 6)
  // 200 MB of zeros in 200 KB, and that once more.
  const member = gzipSync(new Uint8Array(8 << 20))
  const bomb = gzipSync(concatBytes(Array.from({ length: 25 }, () => member)))
  for (const side of ['old', 'new'] as const) {
    const { size } = await openContainer(bomb, { ...opening, side })
    assert.ok(size <= 192 << 20)
  }
})

test('a file of thousands of empty members or streams keeps nobody busy', async () => {
  const text = new TextEncoder().encode('some text\n'.repeat(50))
  const none = gzipSync('')
  const members = [gzipSync(text), ...Array.from({ length: 300_000 }, () => none)]
  for (const side of ['old', 'new'] as const)
    assert.equal((await openContainer(concatBytes(members), { ...opening, side })).packed.length, 0)
  assert.equal((await openContainer(concatBytes(members.slice(0, 2000)), { ...opening, side: 'old' })).packed.length, 1)
  const empty = bzip2(new Uint8Array(0))
  const streams = [bzip2(text), ...Array.from({ length: 100_000 }, () => empty), bzip2(text)]
  assert.deepEqual(bunzip2(concatBytes(streams), 2 * text.length), concatBytes([text, text]))
})

test('a package of a hundred thousand files is opened', async () => {
  const member = header({ name: 'x' })
  const tar = concatBytes(Array.from({ length: 100_000 }, () => member))
  const ar = concatBytes([utf8(`!<arch>\n${'data.tar'.padEnd(48)}${String(tar.length).padEnd(10)}\`\n`), tar])
  assert.equal((await openContainer(ar, { ...opening, side: 'old' })).size, ar.length)
})

test('a zip archive whose entries overlap, or whose directory lies, stays closed', async () => {
  const text = new TextEncoder().encode('some text\n'.repeat(50))
  const packed = new Uint8Array(deflateRawSync(text))
  const zip = zipOf(packed, text.length)
  assert.equal((await openContainer(zip, { ...opening, side: 'old' })).packed.length, 1)
  for (const [at, value] of [
    [-22 + 10, 2],
    [-22 + 16, 255],
    [-22 + 12, 1],
  ] as const) {
    const lying = zip.slice()
    lying[lying.length + at] = value
    assert.equal((await openContainer(lying, { ...opening, side: 'old' })).packed.length, 0)
  }
  const larger = zip.slice()
  new DataView(larger.buffer).setUint32(larger.length - 22 - 47 + 20, packed.length + 40, true)
  assert.equal((await openContainer(larger, { ...opening, side: 'old' })).packed.length, 0)
})

/** One deflated entry, `x`. */
function zipOf(packed: Uint8Array, size: number): Uint8Array {
  const local = new DataView(new ArrayBuffer(31))
  local.setUint32(0, 0x04034b50, true)
  local.setUint16(8, 8, true)
  local.setUint16(26, 1, true)
  local.setUint8(30, 0x78)
  const directory = new DataView(new ArrayBuffer(47))
  directory.setUint32(0, 0x02014b50, true)
  directory.setUint16(10, 8, true)
  directory.setUint32(20, packed.length, true)
  directory.setUint32(24, size, true)
  directory.setUint16(28, 1, true)
  directory.setUint8(46, 0x78)
  const end = new DataView(new ArrayBuffer(22))
  end.setUint32(0, 0x06054b50, true)
  end.setUint16(8, 1, true)
  end.setUint16(10, 1, true)
  end.setUint32(12, 47, true)
  end.setUint32(16, 31 + packed.length, true)
  return concatBytes([new Uint8Array(local.buffer), packed, new Uint8Array(directory.buffer), new Uint8Array(end.buffer)])
}

test('a plan of impossible sizes asks for no memory', tools, async () => {
  const { old, next } = samples[0] as (typeof samples)[number]
  const parts = await partsOf(await deltaOf(old, next))
  const { old: oldPieces, new: newPieces } = decodePlan(parts.plan, { old: old.length, new: next.length })
  const huge = (piece: Packed): Packed => ({ ...piece, contentSize: 2 ** 45 })
  for (const plan of [
    { old: oldPieces.map(huge), new: newPieces },
    { old: oldPieces, new: newPieces.map(huge) },
  ]) {
    const delta = joined({ ...parts, plan: encodePlan(plan) })
    await assert.rejects(patchedContainer(delta, old), (error) => isBinderyError(error, 'over-limit'))
  }
  assert.equal(containerInfo(parts.header).format, 'bindery-container')
})

test('without liblzma xz files stay closed, and a delta that needs it says so', tools, async () => {
  const { old, next } = samples[2] as (typeof samples)[number]
  const none = { loadXz: async () => undefined, closed: new Set<string>(), side: 'new' as const }
  assert.equal((await openContainer(next, none)).packed.length, 0)
  const delta = await deltaOf(old, next)
  await assert.rejects(patchedContainer(delta, old, { memory: 768 << 20, loadXz: async () => undefined }), (error) =>
    isBinderyError(error, 'not-supported'),
  )
})
