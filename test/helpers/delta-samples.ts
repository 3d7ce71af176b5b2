import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { gzipSync } from 'node:zlib'
import { gzip as zlibGzip } from 'pako'
import { concatBytes, emptyBytes, latin1, utf8 } from '../../src/base/bytes.ts'
import { openGzip } from '../../src/engine/delta/gzip/open-gzip.ts'
import { gzipMemory } from '../../src/engine/delta/gzip/section.ts'
import { imageMemory } from '../../src/engine/delta/image/memory.ts'
import { encodeSections } from '../../src/engine/delta/sections.ts'
import { streamNames } from '../../src/format/delta-batch.ts'
import { readElf } from '../../src/format/elf.ts'
import { codedImage } from './coded-image.ts'
import { joinDelta, openDelta, streamOf, varint, withStreams } from './delta-parts.ts'
import { deltaOf, smallLimits } from './delta.ts'
import { link, randomProgram } from './executable.ts'
import { noise } from './noise.ts'
import { numbers } from './numbers.ts'
import * as tar from './tar-builder.ts'
import type { StreamName } from '../../src/format/delta-batch.ts'
import type { FunctionLiteral } from './executable-code.ts'
import type { Program } from './executable.ts'

/** Small deltas that together use every coding, stream and codec. */
export type Sample = {
  readonly name: string
  readonly what: string
  readonly old: Uint8Array
  readonly next: Uint8Array
  readonly delta: Uint8Array
}

export async function deltaSamples(): Promise<readonly Sample[]> {
  return [...(await plainSamples()), ...(await imageSamples()), ...(await gzipSamples()), await allCodings()]
}

async function sample(name: string, what: string, old: Uint8Array, next: Uint8Array, make = deltaOf(old, next)): Promise<Sample> {
  return { name, what, old, next, delta: await make }
}

const words = 'the kernel reads each block before it writes a file and no process waits for the disk that was not asked'.split(' ')

/** `seed` alone decides. */
export function proseOf(lines: number, seed: number): string {
  const { of } = numbers(seed)
  return Array.from({ length: lines }, () => `${Array.from({ length: 9 }, () => of(words)).join(' ')}\n`).join('')
}

/** A page, and the same with a line that is new and another one that is gone. */
function pages(lines: number, seed: number): readonly [Uint8Array, Uint8Array] {
  const page = proseOf(lines, seed).split('\n')
  return [
    utf8(page.join('\n')),
    utf8(
      page
        .with(lines >> 1, 'This line is new in this release.')
        .toSpliced(2, 1)
        .join('\n'),
    ),
  ]
}

async function plainSamples(): Promise<readonly Sample[]> {
  const fox = utf8('The quick brown fox jumps over the lazy dog.\n')
  const cat = utf8('The quick brown cat jumps over the lazy dog!\nTwice.\n')
  const [page, newPage] = pages(300, 1)
  const rest = noise(2000, 2).content
  const kept = tar.file('a', latin1(noise(1000, 5).content))
  const others = tar.file('b', latin1(noise(6000, 6).content))
  const far = [
    concatBytes([kept, others, tar.end]),
    concatBytes([others, kept, tar.file('c', latin1(noise(2500, 9).content)), tar.end]),
  ] as const
  return [
    await sample('fox', 'the example of doc/spec/delta.md', fox, cat),
    await sample('nothing', 'both sides empty: no batch', emptyBytes, emptyBytes),
    await sample('all-new', 'old is empty: literals alone', emptyBytes, cat),
    await sample('all-gone', 'new is empty', cat, emptyBytes),
    await sample('page', 'a page of text: literals and gaps through a codec', page, newPage),
    await sample('numbers', 'words that grow by the same sum, across byte borders, and single bytes at the end of copies', ...counters()),
    await sample(
      'many-blocks',
      'a tar in which a member moves: blocks of 4096 bytes, several batches, a retained range',
      ...far,
      deltaOf(...far, smallLimits),
    ),
    await sample('noise', 'what cannot be compressed is raw', rest, concatBytes([rest.subarray(1000), noise(1500, 3).content])),
  ]
}

/** Tables of addresses, of which those behind the third one lie 0xfff0 further on. */
function counters(): readonly [Uint8Array, Uint8Array] {
  const table = (shift: number): Uint8Array =>
    concatBytes(
      Array.from({ length: 200 }, (_, i) => {
        const value = 0xfffe_0000 + i * 0x1234 + (i > 3 ? shift : 0)
        return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
      }),
    )
  return [concatBytes([table(0), utf8('ab')]), concatBytes([table(0xfff0), utf8('ac'), table(-3)])]
}

const usual = { machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false } as const

const programs: readonly (readonly [string, string, Omit<Program, 'functions' | 'data'>])[] = [
  ['x86-64', 'a position-independent program for x86-64, as GNU ld lays it out', usual],
  ['x86-64-fixed', 'a program at a fixed address, for OpenBSD: absolute operands', { ...usual, layout: 'openbsd', isFixed: true }],
  ['x86-64-bare', 'a kernel: in the upper half, no section headers', { ...usual, isFixed: true, isBare: true }],
  ['x86-64-go', "a program with Go's tables", { ...usual, isGo: true }],
  ['aarch64', 'a program for AArch64', { ...usual, machine: 'aarch64' }],
  [
    'aarch64-go',
    "a program for AArch64 with Go's tables, as lld lays it out",
    { ...usual, machine: 'aarch64', layout: 'openbsd', isGo: true },
  ],
]

async function imageSamples(): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  for (const [i, [name, what, kind]] of programs.entries()) {
    const program = randomProgram(kind, 12, 30 + i)
    const [first, ...others] = program.functions
    const grown = { ...(first as FunctionLiteral), size: 300 }
    const [old, next] = [link(program), link({ ...program, functions: [...others, grown] })]
    samples.push(await sample(`image-${name}`, `coding 1: ${what}`, old, next, imageDelta(old, next, 'modelled')))
    if (i % 3 === 0) samples.push(await sample(`plain-literals-${name}`, `coding 3: ${what}`, old, next, imageDelta(old, next, 'plain')))
  }
  return samples
}

/** One section of an image, whether that pays or not. */
export async function imageDelta(old: Uint8Array, next: Uint8Array, literalsAre: 'plain' | 'modelled'): Promise<Uint8Array> {
  const parts = openDelta(await deltaOf(old, next))
  const coded = codedImage(old, next, literalsAre)
  const plainLiterals = literalsAre === 'plain' ? (coded.literals?.length ?? 0) : undefined
  const section = { kind: 'image', size: next.length, seek: 0, oldSize: old.length, plainLiterals } as const
  const streams = { ...coded, sections: encodeSections([section]) }
  const batch = withStreams({ newSize: next.length, streams: [] }, streams)
  const codingMemory = varint(imageMemory(old.length, next.length, readElf(old)?.span ?? 0))
  return joinDelta({ ...parts, fields: { ...parts.fields, codingMemory }, batches: [batch] })
}

/** Before each gzip file, lest the whole side be taken for a compressed one. */
const label = utf8('gzip:\n')
const labelled = (file: Uint8Array): Uint8Array => concatBytes([label, file])

/** A plain section of the label, and one of the gzip file behind it, whether that pays or not. */
async function gzipDelta(old: Uint8Array, next: Uint8Array): Promise<Uint8Array> {
  const parts = openDelta(await deltaOf(labelled(old), labelled(next)))
  const [before, after] = [openGzip(old, 1 << 20), openGzip(next, 1 << 20)]
  assert.ok(before && after)
  const sizes = { oldSize: old.length, oldContentSize: before.content.length, contentSize: after.content.length }
  const section = { kind: 'gzip', size: next.length, seek: label.length, ...sizes, recipeSize: after.recipe.length } as const
  const contents = openDelta(await deltaOf(before.content, after.content)).batches[0] ?? { newSize: 0, streams: [] }
  const behind = (name: StreamName, first: Uint8Array): Uint8Array => concatBytes([first, streamOf(contents, name)])
  const batch = withStreams(
    { newSize: label.length + next.length, streams: [] },
    {
      ...Object.fromEntries(streamNames.map((name) => [name, streamOf(contents, name)])),
      sections: encodeSections([{ kind: 'plain', size: label.length }, section]),
      copies: behind('copies', varint(0)),
      literalRuns: behind('literalRuns', varint(label.length)),
      seeks: behind('seeks', varint(0)),
      literals: behind('literals', label),
      recipes: after.recipe,
    },
  )
  const codingMemory = varint(gzipMemory(before.content.length, after.content.length, next.length))
  return joinDelta({ ...parts, fields: { ...parts.fields, codingMemory }, batches: [batch] })
}

const gnuGzip = (content: Uint8Array, level: number): Uint8Array => new Uint8Array(execFileSync('gzip', [`-${level}n`], { input: content }))

async function gzipSamples(): Promise<readonly Sample[]> {
  const [old, next] = pages(400, 4)
  const [before, after] = [noise(300, 7).content, noise(400, 7).content]
  const header = Uint8Array.of(0x1f, 0x8b, 8, 0x1f, 1, 2, 3, 4, 2, 255, 3, 0, 9, 8, 7)
  const dressed = concatBytes([header, utf8('a name\0a comment\0'), Uint8Array.of(0x12, 0x34), gnuGzip(next, 9).subarray(10)])
  const odd = gnuGzip(next, 9)
  odd[odd.length - 1] = 0x55
  const stored = (content: Uint8Array): Uint8Array => zlibGzip(content, { level: 0, memLevel: 8 })
  const pairs: readonly (readonly [string, string, Uint8Array, Uint8Array])[] = [
    ['gnu-9', 'GNU gzip -9', gnuGzip(old, 9), gnuGzip(next, 9)],
    ['gnu-1', 'GNU gzip -1', gnuGzip(old, 9), gnuGzip(next, 1)],
    ['zlib-8', 'zlib with memLevel 8, level 6', gnuGzip(old, 6), zlibGzip(next, { level: 6, memLevel: 8 })],
    ['zlib-9', 'zlib with memLevel 9, level 3', gnuGzip(old, 6), zlibGzip(next, { level: 3, memLevel: 9 })],
    ['dressed', 'time, extra field, name, comment and check sum of the header', gnuGzip(old, 9), dressed],
    ['odd', 'a trailer that is wrong, and kept', gnuGzip(old, 9), odd],
    ['stored', 'stored blocks: exceptions', concatBytes([stored(before), gnuGzip(old, 9)]), concatBytes([stored(after), gnuGzip(next, 9)])],
    [
      'members',
      'several members, an empty one, and a tail',
      gnuGzip(old, 9),
      concatBytes([gnuGzip(old.subarray(0, 5000), 9), gnuGzip(emptyBytes, 9), gnuGzip(next, 6), utf8('tail')]),
    ],
    ['corrected', 'another compressor (Node has zlib with another hash): corrections', gnuGzip(old, 9), gzipSync(next, { level: 9 })],
  ]
  return await Promise.all(
    pairs.map(async ([name, what, a, b]) => await sample(`gzip-${name}`, `coding 2: ${what}`, labelled(a), labelled(b), gzipDelta(a, b))),
  )
}

/** A tar, whose members are plain, images and gzip files by turns. */
async function allCodings(): Promise<Sample> {
  const program = randomProgram(usual, 60, 50)
  const [old, next] = pages(300, 8)
  const tarOf = (text: Uint8Array, functions: Program['functions'], other: string): Uint8Array =>
    concatBytes([
      tar.file('bin/program', latin1(link({ ...program, functions }))),
      tar.file('etc/text', latin1(text)),
      tar.file('man/page.gz', latin1(gnuGzip(text, 9))),
      tar.file('share/text', other),
      tar.end,
    ])
  const functions = [...program.functions]
  return await sample(
    'tar',
    'a tar with sections of every kind but 3',
    tarOf(old, functions, proseOf(20, 9)),
    tarOf(next, functions.toSpliced(4, 1), proseOf(21, 9)),
  )
}
