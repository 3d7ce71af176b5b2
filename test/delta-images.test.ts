import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { byteReader } from '../src/base/byte-reader.ts'
import { concatBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { readDeltaInfo, usualMemory } from '../src/engine/delta/apply.ts'
import { makeBsdiff } from '../src/engine/delta/bsdiff.ts'
import { readFront } from '../src/engine/delta/read-front.ts'
import { deltaOf, patched, sectionsIn } from './helpers/delta.ts'
import { layouts, link, machines, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import { makeDist, releaseName } from './helpers/repository.ts'
import { end, member } from './helpers/tar-builder.ts'
import { file } from './helpers/plant.ts'
import { cases } from './helpers/whole-suite.ts'
import type { FunctionLiteral } from './helpers/executable-code.ts'
import type { Program } from './helpers/executable.ts'
import type { DeltaLimits } from '../src/engine/delta/make.ts'

type Kind = Omit<Program, 'functions' | 'data'>

const usual: Kind = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false }

const everyKind: readonly Kind[] = machines.flatMap((machine) =>
  layouts.flatMap((layout) => [
    { ...usual, machine, layout },
    { ...usual, machine, layout, isFixed: true },
    { ...usual, machine, layout, isGo: true },
    { ...usual, machine, layout, isBare: true },
  ]),
)

const nameOf = ({ machine, layout, isFixed, isBare, isGo }: Kind): string =>
  [machine, layout, isFixed ? 'fixed' : 'movable', ...(isBare ? ['bare'] : []), ...(isGo ? ['Go'] : [])].join(', ')

/** How many sections of a delta are images. */
async function imagesIn(delta: Uint8Array): Promise<number> {
  return (await sectionsIn(delta)).filter((kind) => kind === 'image').length
}

/** The delta, which was seen to make `next`. */
async function comesBack(old: Uint8Array, next: Uint8Array, chunk = 64 << 10, limits?: DeltaLimits): Promise<Uint8Array> {
  const delta = await deltaOf(old, next, limits)
  assert.equal(sha256(await patched(delta, old, { chunk })), sha256(next))
  return delta
}

type Edit = { readonly kind: 'insert' | 'remove' | 'move' | 'change' | 'grow' | 'data'; readonly at: number; readonly seed: number }

const edits: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('insert', 'remove', 'move', 'change', 'grow', 'data'),
    at: fc.nat({ max: 999 }),
    seed: fc.nat({ max: 1 << 20 }),
  }),
  { minLength: 1, maxLength: 8 },
)

function edited(program: Program, list: readonly Edit[]): Program {
  return list.reduce(editOne, program)
}

function editOne(program: Program, { kind, at, seed }: Edit, i: number): Program {
  const functions = [...program.functions]
  const place = at % functions.length
  const one = functions[place] as FunctionLiteral
  const put = (where: number, leave: number, ...more: readonly FunctionLiteral[]): Program => {
    functions.splice(where, leave, ...more)
    return { ...program, functions }
  }
  switch (kind) {
    case 'insert':
      return put(place, 0, { name: `f new ${i}`, seed, size: 30 + (seed % 300), uses: ['f1', 'd0', one.name] })
    case 'remove':
      return functions.length > 3 ? put(place, 1) : program
    case 'change':
      return put(place, 1, { ...one, seed })
    case 'grow':
      return put(place, 1, { ...one, size: one.size + (seed % 64), uses: [...one.uses, 'f2', 'd1'] })
    case 'move': {
      functions.splice(place, 1)
      return put(seed % functions.length, 0, one)
    }
    case 'data':
      return { ...program, data: [{ name: `d new ${i}`, words: ['f0', seed, 'd0'], isConstant: seed % 2 === 0 }, ...program.data] }
  }
}

for (const kind of everyKind) {
  test(`a program that was edited and linked again comes back: ${nameOf(kind)}`, async () => {
    let images = 0
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 40, max: 90 }),
        edits,
        fc.constantFrom(1000, 4095, 1 << 20),
        async (seed, count, list, chunk) => {
          const program = randomProgram(kind, count, seed)
          images += await imagesIn(await comesBack(link(program), link(edited(program, list)), chunk))
        },
      ),
      { numRuns: cases(12) },
    )
    assert.ok(images > cases(12) / 2, `${images} images of ${cases(12)}`)
  })
}

test('in tars, in odd chunks, with small blocks, windows and batches', async () => {
  const limits = { window: 1 << 20, batchLimit: 64 << 10, blockSize: 4096 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), edits, fc.integer({ min: 1, max: 5000 }), async (seed, list, chunk) => {
      const programs = everyKind.slice(0, 5).map((kind, i) => randomProgram(kind, 45, seed + i))
      const tarOf = (change: readonly Edit[], note: string): Uint8Array =>
        concatBytes([
          ...programs.map((program, i) =>
            member({ name: `bin/${i}`, mode: 0o755 }, latin1Of(link(edited(program, i === 1 ? [] : change)))),
          ),
          member({ name: 'etc/note' }, note),
          end,
        ])
      const [old, next] = [tarOf([], 'old'), tarOf(list, 'another note')]
      await comesBack(old, next, chunk)
      await comesBack(old, next, chunk, limits)
    }),
    { numRuns: 6 },
  )
})

function latin1Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

test('in dists, some files moved, the same bytes each time', async () => {
  const program = randomProgram(usual, 60, 7)
  const [a, b] = [link(program), link(edited(program, [{ kind: 'grow', at: 20, seed: 40 }]))]
  const old = await makeDist(releaseName('1.0'), {
    'bin/a': file(a),
    'bin/b': file(noise(9000, 1).content),
    'bin/c': file(link(randomProgram(usual, 50, 8))),
  })
  const next = await makeDist(releaseName('1.1'), { 'bin/b': file(noise(9000, 2).content), 'bin/c': file(b), 'sbin/a': file(b) })
  const delta = await comesBack(old, next, 777)
  assert.deepEqual(await deltaOf(old, next), delta)
  assert.ok((await imagesIn(delta)) >= 1)
})

for (const kind of everyKind) {
  test(`a function that grew costs little: ${nameOf(kind)}`, async () => {
    const program = randomProgram(kind, 400, 11)
    const [old, next] = [link(program), link(edited(program, [{ kind: 'grow', at: 200, seed: 24 }]))]
    const delta = await comesBack(old, next)
    assert.equal(await imagesIn(delta), 1)
    assert.ok(delta.length < 600, `${delta.length} bytes`)
    assert.ok(delta.length * 3 < makeBsdiff(old, next).length)
  })
}

test('a new file with more or fewer program headers than the old one', async () => {
  const old = link(randomProgram(usual, 60, 13))
  for (const [count, other] of [
    [2, 3],
    [3, 2],
    [3, 7],
    [3, 0],
    [0xffff, 3],
  ] as const) {
    const [a, b] = [old.slice(), old.map((byte, i) => (i === 5000 ? byte + 1 : byte))]
    new DataView(a.buffer).setUint16(56, count, true)
    new DataView(b.buffer).setUint16(56, other, true)
    await comesBack(a, b)
  }
})

test('a program that defeats every model is matched plainly, and nothing is lost for those behind it', async () => {
  const limits = { window: 1 << 20, batchLimit: 64 << 10, blockSize: 64 << 10 }
  const code = Buffer.from(noise(190_000, 21).content)
  const program = randomProgram(usual, 60, 22)
  const [old, next] = [link(program), link(edited(program, [{ kind: 'grow', at: 20, seed: 40 }]))]
  const before = concatBytes([old, code])
  // Equal enough for a copy all along, and each change another one: three times what a byte of a copy is thought to cost.
  const changes = noise(before.length, 23).content
  const after = before.map((byte, i) => (i > 0x1000 && i % 5 < 2 ? (changes[i] as number) : byte))
  const tarOf = (a: Uint8Array, b: Uint8Array): Uint8Array =>
    concatBytes([...[b, a, b].map((bytes, i) => member({ name: `bin/${i}`, mode: 0o755 }, latin1Of(bytes))), end])
  const delta = await comesBack(tarOf(before, old), tarOf(after, next), 4095, limits)
  assert.equal(await imagesIn(delta), 2)
  const alone = await deltaOf(before, after, limits)
  assert.ok(delta.length < alone.length + 2000, `${delta.length} bytes, ${alone.length} of the program alone`)
})

/** Programs of the set-up's packages; each test says which it missed. */
const programs = ['/usr/bin/bsdiff', '/usr/bin/xdelta3', '/usr/bin/openssl', '/bin/busybox'].filter(existsSync)

const mutations: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  'bytes put in': (bytes) => spliced(bytes, bytes.length >> 1, 0, noise(100, 3).content),
  'bytes overwritten': (bytes) => spliced(bytes, bytes.length >> 2, 500, noise(500, 4).content),
  'bytes left out': (bytes) => spliced(bytes, (bytes.length * 3) >> 3, 1000, new Uint8Array(0)),
  'two blocks swapped': (bytes) => {
    const [a, b] = [bytes.length >> 2, bytes.length >> 1]
    return concatBytes([
      bytes.subarray(0, a),
      bytes.subarray(b, b + 3000),
      bytes.subarray(a + 3000, b),
      bytes.subarray(a, a + 3000),
      bytes.subarray(b + 3000),
    ])
  },
  'cut short': (bytes) => bytes.subarray(0, (bytes.length * 5) >> 3),
  'headers of sections gone': (bytes) => spliced(bytes, 40, 8, new Uint8Array(8)),
  'another byte everywhere': (bytes) => bytes.map((byte, i) => (i % 997 === 300 ? byte ^ 0x55 : byte)),
}

function spliced(bytes: Uint8Array, at: number, leave: number, put: Uint8Array): Uint8Array {
  return concatBytes([bytes.subarray(0, at), put, bytes.subarray(at + leave)])
}

for (const path of programs) {
  test(`${path}, changed in ways no compiler would, there and back`, async () => {
    const program = new Uint8Array(readFileSync(path))
    for (const [name, mutate] of Object.entries(mutations)) {
      const changed = mutate(program)
      const delta = await comesBack(program, changed)
      assert.ok(delta.length < 4000 + program.length / 50, `${name}: ${delta.length} bytes`)
      if (program.length < 300_000) await comesBack(changed, program, 5000)
    }
  })
}

test('the header grants what images and gzip files take together, and all of it is within what a reader usually grants', async () => {
  const program = randomProgram(usual, 60, 31)
  const [old, next] = [link(program), link(edited(program, [{ kind: 'grow', at: 20, seed: 40 }]))]
  const text = utf8(Array.from({ length: 3000 }, (_, i) => `line ${i * 7}`).join('\n'))
  const files = {
    image: [member({ name: 'bin/a', mode: 0o755 }, latin1Of(old)), member({ name: 'bin/a', mode: 0o755 }, latin1Of(next))],
    gzip: [text, concatBytes([utf8('new'), text])].map((bytes) => member({ name: 'a.gz' }, latin1Of(gzipSync(bytes, { level: 9 })))),
  } as const
  const delta = async (names: readonly (keyof typeof files)[], limits?: DeltaLimits): Promise<Uint8Array> => {
    const side = (which: 0 | 1): Uint8Array => concatBytes([...names.map((name) => files[name][which]), end])
    return await comesBack(side(0), side(1), 4095, limits)
  }
  const granted = async (bytes: Uint8Array): Promise<number> => (await readFront(byteReader(oneChunk(bytes), 'it'))).header.codingMemory
  const [image, gzip] = [await granted(await delta(['image'])), await granted(await delta(['gzip']))]
  assert.ok(image > 10 << 20 && gzip > 1 << 20)
  assert.equal(await granted(await delta(['image', 'gzip'])), image + gzip)
  // Batches so large that the reader has little left for codings.
  for (const [batchLimit, expected] of [
    [105 << 20, image + gzip],
    [(221 << 19) - (1 << 17), image],
    [112 << 20, gzip],
    [(231 << 19) + (1 << 18), 0],
  ] as const) {
    const made = await delta(['image', 'gzip'], { window: 1 << 20, batchLimit, blockSize: 64 << 10 })
    assert.equal(await granted(made), expected, `batches of ${batchLimit}`)
    assert.ok((await readDeltaInfo(made)).memory <= usualMemory)
  }
})
