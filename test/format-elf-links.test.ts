import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { readElfLinks } from '../src/format/elf-links.ts'
import { elfFile } from './helpers/elf-file.ts'
import { needs } from './helpers/programs.ts'
import type { ElfLinks } from '../src/format/elf-links.ts'

/** Answers also how much was asked for. */
function linksOf(file: Uint8Array): { readonly links: ElfLinks | undefined; readonly asked: number } {
  const reading = readElfLinks()
  let asked = 0
  let step = reading.next(new Uint8Array(0))
  while (step.done !== true) {
    const { start, end } = step.value
    assert.ok(Number.isSafeInteger(start) && start >= 0 && end >= start && end - start <= 1 << 16)
    asked += end - start
    step = reading.next(file.subarray(Math.min(start, file.length), Math.min(end, file.length)))
  }
  return { links: step.value, asked }
}

test('libraries, the own name and the linker are read in every width and byte order', () => {
  for (const isWide of [true, false]) {
    for (const isLittle of [true, false]) {
      const wanted = { needed: ['libc.so.7', 'libz.so.6'], soname: 'libfoo.so.1', interpreter: '/libexec/ld-elf.so.1' }
      assert.deepEqual(linksOf(elfFile({ ...wanted, isWide, isLittle })).links, wanted)
    }
  }
})

test('what is no ELF file is none, and one that wants nothing wants nothing', () => {
  assert.equal(linksOf(Buffer.from('#!/bin/sh\n'.padEnd(100))).links, undefined)
  assert.equal(linksOf(new Uint8Array(0)).links, undefined)
  assert.deepEqual(linksOf(elfFile({})).links, { needed: [] })
})

test('whatever a file holds, reading it ends soon and asks for little', () => {
  const whole = elfFile({ needed: ['libc.so.7'], soname: 'libfoo.so.1', interpreter: '/libexec/ld-elf.so.1' })
  const hit = fc.record({ at: fc.integer({ min: 4, max: 400 }), byte: fc.integer({ min: 0, max: 255 }) })
  fc.assert(
    fc.property(fc.array(hit, { maxLength: 8 }), fc.integer({ min: 0, max: whole.length }), fc.boolean(), (hits, length, inDynamic) => {
      const file = whole.slice()
      for (const { at, byte } of hits) file[inDynamic ? 0x1000 + at - 4 : at] = byte
      const { links, asked } = linksOf(file.subarray(0, length))
      assert.ok(asked < 1 << 21)
      for (const name of links?.needed ?? []) assert.ok(name.length > 0 && name.length < 1024)
    }),
    { numRuns: 2000 },
  )
})

test('readelf says the same of the programs of this machine', needs('readelf'), () => {
  for (const name of ['/bin/sh', '/usr/bin/gcc', '/usr/bin/mtree', process.execPath]) {
    const path = realpathSync(name)
    const text = execFileSync('readelf', ['-dlW', path], { encoding: 'latin1', env: { LC_ALL: 'C' } })
    const needed = [...text.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, found]) => found)
    const interpreter = /interpreter: (.*)\]/.exec(text)?.[1]
    const { links } = linksOf(readFileSync(path))
    assert.deepEqual([links?.needed, links?.interpreter], [needed, interpreter])
  }
})
