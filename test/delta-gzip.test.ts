import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { gzip as zlibGzip } from 'pako'
import { concatBytes, emptyBytes, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { closeGzip } from '../src/engine/delta/gzip/close-gzip.ts'
import { openGzip } from '../src/engine/delta/gzip/open-gzip.ts'
import { proseOf } from './helpers/delta-samples.ts'
import { noise } from './helpers/noise.ts'
import { needs } from './helpers/programs.ts'
import { cases, everyThird } from './helpers/whole-suite.ts'
import type { Level } from 'pako'
import type { OpenedGzip } from '../src/engine/delta/gzip/open-gzip.ts'

const limit = 1 << 26
/** What the recipe of a plain file takes: version, flags, rules, FLG, XFL, OS. */
const plainRecipe = 6
const allLevels = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const

const gnuGzip = (content: Uint8Array, level: number): Uint8Array => {
  const { status, stdout, stderr } = spawnSync('gzip', [`-${level}nc`], { input: content, maxBuffer: 1 << 28 })
  assert.equal(status, 0, stderr.toString())
  return new Uint8Array(stdout)
}

function mustOpen(file: Uint8Array, content?: Uint8Array): OpenedGzip {
  const opened = openGzip(file, limit)
  assert.ok(opened, 'the file stays closed')
  if (content) assert.ok(Buffer.compare(opened.content, content) === 0, 'another content')
  assert.ok(Buffer.compare(closeGzip(opened.content, opened.recipe, file.length), file) === 0, 'another file')
  return opened
}

function isPlain(file: Uint8Array, content: Uint8Array, most = plainRecipe): void {
  const { recipe } = mustOpen(file, content)
  assert.ok(recipe.length <= most, `a recipe of ${recipe.length} bytes`)
}

const words =
  'the of and a to in is that for it as was with be by on not he his but at are this have from or had an they which one you'.split(' ')
const text = (size: number, seed: number): Uint8Array => {
  const numbers = noise(size, seed).content
  let at = 0
  let written = ''
  while (written.length < size) written += `${words[(numbers[at++] as number) % words.length]}${(numbers[at] as number) < 20 ? '\n' : ' '}`
  return utf8(written.slice(0, size))
}

/** Text, noise, zeros and repetitions by turns, so that blocks of all kinds meet. */
const mixture = (size: number, seed: number): Uint8Array => {
  const part = Math.ceil(size / 5)
  return concatBytes([
    text(part, seed),
    noise(part, seed).content,
    new Uint8Array(part),
    text(part, seed),
    noise(part, seed).content,
  ]).subarray(0, size)
}

/** Around the sizes at which matches, windows and blocks end. */
const sizes = [
  0, 1, 2, 3, 4, 257, 258, 259, 32_505, 32_506, 32_507, 32_767, 32_768, 32_769, 65_273, 65_274, 65_275, 65_400, 65_535, 65_536, 65_537,
]
const largerSizes = [98_303, 98_304, 98_305, 131_072, 200_000]

const contents: Readonly<Record<string, (size: number) => Uint8Array>> = {
  text: (size) => text(size, 1),
  noise: (size) => noise(size, 2).content,
  zeros: (size) => new Uint8Array(size),
  mixture: (size) => mixture(size, 3),
  // Long chains: 4096 candidates at nearly every position.
  'two letters': (size) => noise(size % 9001, 4).content.map((byte) => 97 + (byte & 1)),
}

for (const [turn, [name, make]] of Object.entries(contents).entries()) {
  const tried = everyThird([...[...sizes, ...largerSizes].entries()], turn)

  test(`GNU gzip's files are made again: ${name}`, needs('gzip'), () => {
    for (const [i, size] of tried) {
      const content = make(size)
      isPlain(gnuGzip(content, 1 + (i % 9)), content)
      isPlain(gnuGzip(content, 9), content)
    }
  })

  test(`zlib's files are made again: ${name}`, () => {
    for (const [i, size] of tried) {
      const content = make(size)
      isPlain(zlibGzip(content, { level: (1 + (i % 9)) as Level, memLevel: 8 }), content)
      isPlain(zlibGzip(content, { level: (1 + ((i + 4) % 9)) as Level, memLevel: 9 }), content)
    }
  })
}

test('every level, with content that fills many blocks', needs('gzip'), () => {
  const content = mixture(1_300_000, 5)
  for (const level of everyThird(allLevels, 2)) {
    isPlain(gnuGzip(content, level), content)
    isPlain(zlibGzip(content, { level, memLevel: level % 2 === 0 ? 8 : 9 }), content)
  }
})

test('stored blocks of zlib at level 0 are a few exceptions', () => {
  for (const size of [0, 1, 70_000, 1_000_000]) {
    const content = noise(size, 6).content
    isPlain(zlibGzip(content, { level: 0, memLevel: 8 }), content, 40)
  }
})

test('stored blocks whose ends are within what would be a match', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const content = utf8(proseOf(1500, seed)).subarray(0, 65_536)
    isPlain(zlibGzip(content, { level: 0, memLevel: 8 }), content, 40)
  }
})

const anyContent = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }),
  fc.array(fc.constantFrom(...words), { maxLength: 3000 }).map((chosen) => utf8(chosen.join(' '))),
  fc
    .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 400 })), { maxLength: 20 })
    .map((runs) => concatBytes(runs.flatMap(([run, count]) => Array.from({ length: count }, () => run)))),
)

test('any content, through GNU gzip', needs('gzip'), () => {
  fc.assert(
    fc.property(anyContent, fc.constantFrom(...allLevels), (content, level) => isPlain(gnuGzip(content, level), content)),
    { numRuns: 60 },
  )
})

test('any content, through zlib', () => {
  fc.assert(
    fc.property(anyContent, fc.constantFrom(...allLevels), fc.constantFrom(8 as const, 9 as const), (content, level, memLevel) =>
      isPlain(zlibGzip(content, { level, memLevel }), content),
    ),
    { numRuns: cases(200) },
  )
})

test('man pages and changelogs of this system', () => {
  const folders = ['/usr/share/man/man1', '/usr/share/man/man8', '/usr/share/doc/bash', '/usr/share/doc/gzip', '/usr/share/doc/tar']
  const files = folders.flatMap((folder) => namesIn(folder).map((name) => join(folder, name)))
  for (const file of files.filter((name) => name.endsWith('.gz')).slice(0, 40)) {
    const bytes = new Uint8Array(readFileSync(file))
    const { recipe } = mustOpen(bytes, new Uint8Array(gunzipSync(bytes)))
    assert.ok(recipe.length <= 16 + bytes.length / 4, `${file}: a recipe of ${recipe.length} bytes`)
  }
})

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

test('names, comments, times, check sums and extra fields are kept', () => {
  const [head, body] = parts(zlibGzip(text(5000, 7), { level: 9, memLevel: 8 }))
  const header = Uint8Array.from([...head.subarray(0, 3), 0x1f, 1, 2, 3, 0xff, 2, 255])
  const optional = concatBytes([Uint8Array.of(3, 0, 9, 8, 7), utf8('a name\0'), utf8('a comment\0'), Uint8Array.of(0x12, 0x34)])
  const { recipe } = mustOpen(concatBytes([header, optional, body]), text(5000, 7))
  assert.equal(recipe.length, plainRecipe + 4 + optional.length)
})

function parts(file: Uint8Array): readonly [Uint8Array, Uint8Array] {
  return [file.subarray(0, 10), file.subarray(10)]
}

test('several members, and what stands behind them', () => {
  const members = [text(3000, 8), emptyBytes, noise(500, 9).content, text(40_000, 10)]
  const files = members.map((content, i) => zlibGzip(content, { level: (i + 5) as Level, memLevel: 8 }))
  mustOpen(concatBytes(files), concatBytes(members))
  for (const tail of [new Uint8Array(512), utf8('garbage'), (files[0] as Uint8Array).subarray(0, 100)]) {
    const { recipe } = mustOpen(concatBytes([...files, tail]), concatBytes(members))
    assert.ok(recipe.length <= 8 * members.length + tail.length)
  }
})

test('a check sum or a size that is not that of the content is kept', () => {
  const file = zlibGzip(text(900, 11), { level: 6, memLevel: 8 })
  for (const at of [file.length - 8, file.length - 1]) {
    const odd = file.slice()
    odd[at] = (odd[at] as number) ^ 0xff
    assert.equal(mustOpen(odd).recipe.length, plainRecipe + 8)
  }
})

test("files of Node's zlib, which hashes otherwise, open with corrections or stay closed", () => {
  let opened = 0
  for (const level of allLevels) {
    for (const content of [text(100_000, 12), mixture(300_000, 13), emptyBytes]) {
      const file = new Uint8Array(gzipSync(content, { level }))
      if (openGzip(file, limit) === undefined) continue
      const { recipe } = mustOpen(file, content)
      assert.ok(recipe.length <= 24 + file.length / 4)
      opened++
    }
  }
  assert.ok(opened > 9, `${opened} opened`)
})

test('what is not gzip, is damaged, or makes too much stays closed', () => {
  const file = zlibGzip(text(5000, 14), { level: 9, memLevel: 8 })
  assert.equal(openGzip(emptyBytes, limit), undefined)
  assert.equal(openGzip(utf8('#!/bin/sh\nexit 0\n'), limit), undefined)
  assert.equal(openGzip(file.subarray(0, -9), limit), undefined)
  assert.equal(openGzip(file, 4999), undefined)
  mustOpen(file)
  assert.ok(openGzip(file, 5000))
  for (let end = 0; end < 40; end++) assert.equal(openGzip(file.subarray(0, end), limit), undefined)
})

test('a damaged file is opened to the byte or not at all', () => {
  const file = zlibGzip(text(3000, 15), { level: 9, memLevel: 8 })
  fc.assert(
    fc.property(fc.nat(file.length * 8 - 1), (bit) => {
      const damaged = file.slice()
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
      const opened = openGzip(damaged, limit)
      if (opened) assert.ok(Buffer.compare(closeGzip(opened.content, opened.recipe, damaged.length), damaged) === 0)
    }),
    { numRuns: cases(300) },
  )
})

/** A result or a refusal, and nothing else. */
function endsWell(content: Uint8Array, recipe: Uint8Array, most = 1 << 20): void {
  try {
    assert.ok(closeGzip(content, recipe, most).length <= most)
  } catch (error) {
    if (!isBinderyError(error)) throw error
    assert.ok(error.code === 'bad-format' || error.code === 'over-limit')
  }
}

/** Recipes with everything in them. */
function richRecipes(): readonly OpenedGzip[] {
  const content = mixture(60_000, 16)
  const stored = zlibGzip(noise(3000, 17).content, { level: 0, memLevel: 8 })
  const files = [
    new Uint8Array(gzipSync(content, { level: 9 })),
    concatBytes([stored, zlibGzip(content, { level: 9, memLevel: 9 }), utf8('tail')]),
  ]
  return files.map((file) => mustOpen(file))
}

test('no recipe does harm: cut, bent and made up', () => {
  for (const { content, recipe } of richRecipes()) {
    for (let end = 0; end < Math.min(recipe.length, 300); end++) endsWell(content, recipe.subarray(0, end))
    fc.assert(
      fc.property(fc.nat(recipe.length * 8 - 1), (bit) => {
        const bent = recipe.slice()
        bent[bit >> 3] = (bent[bit >> 3] as number) ^ (1 << (bit & 7))
        endsWell(content, bent)
      }),
      { numRuns: cases(150) },
    )
  }
  const content = text(2000, 18)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(63), fc.constantFrom(1, 9, 22, 41), (rest, what, rules) =>
      endsWell(content, Uint8Array.from([1, what, rules, 0, 0, 3, ...rest])),
    ),
    { numRuns: cases(3000) },
  )
})

test('the size of the file is bounded, and so is the work', () => {
  const content = text(5000, 19)
  const file = zlibGzip(content, { level: 9, memLevel: 8 })
  const { recipe } = mustOpen(file, content)
  assert.throws(
    () => closeGzip(content, recipe, file.length - 1),
    (error) => isBinderyError(error, 'over-limit'),
  )
  // Empty blocks without end.
  for (const block of [[8, 0], [10, 0], [2]]) {
    endsWell(emptyBytes, Uint8Array.of(1, 4, 9, 0, 2, 3, 1, 0, 255, 255, 255, 255, 255, 255, 255, 15, ...block), 1 << 28)
  }
  // A content with the longest chains there can be: eight letters in no order.
  const slow = noise(1 << 20, 20).content.map((byte) => byte & 7)
  endsWell(slow, Uint8Array.of(1, 0, 9, 0, 2, 3))
})
