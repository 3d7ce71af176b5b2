import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { fromLatin1, latin1 } from '../src/base/bytes.ts'
import { mergeText } from '../src/engine/client/apply/merge-text.ts'
import { needs } from './helpers/programs.ts'
import type { Versions } from '../src/engine/client/apply/merge-text.ts'

/** Merged texts, judged by git merge-file and GNU diff3. */

const work = mkdtempSync(join(tmpdir(), 'bindery-merge-'))
after(() => rmSync(work, { recursive: true }))

/** What the other program makes of it, undefined for a conflict. */
function judge(program: string, options: readonly string[], versions: Versions): string | undefined {
  const files = (['ours', 'base', 'theirs'] as const).map((name) => {
    writeFileSync(join(work, name), versions[name])
    return join(work, name)
  })
  const { status, stdout, stderr } = spawnSync(program, [...options, ...files], { encoding: 'latin1' })
  assert.notEqual(status, null, stderr)
  return status === 0 ? stdout : undefined
}

function merge(versions: Versions): string | undefined {
  const merged = mergeText(versions)
  return merged === undefined ? undefined : latin1(merged)
}

type Edit = { readonly at: number; readonly removed: number; readonly added: readonly string[] }

function edits(words: readonly string[]): fc.Arbitrary<readonly Edit[]> {
  const added = fc.array(fc.constantFrom(...words), { maxLength: 2 })
  return fc.array(fc.record({ at: fc.nat(15), removed: fc.nat(2), added }), { maxLength: 3 })
}

function apply(lines: readonly string[], changes: readonly Edit[]): Uint8Array {
  const result = [...lines]
  for (const { at, removed, added } of changes) result.splice(at, removed, ...added)
  return fromLatin1(result.join(''))
}

const distinct = fc.nat(15).map((count) => Array.from({ length: count }, (_, i) => `line \u00e4 ${i}\n`))
const repeated = fc.array(fc.constantFrom('a\n', 'b\n', '#\n', '\n', '__proto__\n'), { maxLength: 12 })

function versionsOf(base: fc.Arbitrary<readonly string[]>): fc.Arbitrary<Versions> {
  const words = ['new\n', 'mine\r\n', '\u00ff\n', '\n', 'no end']
  return fc
    .tuple(base, edits(words), edits(words))
    .map(([lines, ours, theirs]) => ({ base: apply(lines, []), ours: apply(lines, ours), theirs: apply(lines, theirs) }))
}

test('lines that differ from each other are merged as git merge-file merges them, conflicts included', needs('git'), () => {
  fc.assert(
    fc.property(versionsOf(distinct), (versions) => {
      assert.equal(merge(versions), judge('git', ['merge-file', '-p'], versions))
    }),
    { numRuns: 80 },
  )
})

test('what GNU diff3 merges too is the same', needs('diff3'), () => {
  fc.assert(
    fc.property(versionsOf(distinct), (versions) => {
      const [merged, judged] = [merge(versions), judge('diff3', ['-m'], versions)]
      if (merged !== undefined && judged !== undefined) assert.equal(merged, judged)
    }),
    { numRuns: 50 },
  )
})

test('of lines that repeat, each side alone is taken whole, and both sides can be exchanged', () => {
  fc.assert(
    fc.property(versionsOf(repeated), ({ base, ours, theirs }) => {
      assert.deepEqual(mergeText({ base, ours, theirs: base }), ours)
      assert.deepEqual(mergeText({ base, ours: base, theirs }), theirs)
      assert.deepEqual(mergeText({ base, ours, theirs: ours }), ours)
      assert.deepEqual(mergeText({ base, ours, theirs }), mergeText({ base, ours: theirs, theirs: ours }))
    }),
    { numRuns: 500 },
  )
})

test('lines that all three begin and end with cost nothing; what would take too long is not merged', () => {
  const long = '#\n'.repeat(10_000)
  const text = (head: string, tail: string): Uint8Array => fromLatin1(`${long}${head}\n1\n2\n${tail}\n${long}`)
  const versions = { base: text('a', 'z'), ours: text('b', 'z'), theirs: text('a', 'y') }
  assert.deepEqual(mergeText(versions), text('b', 'y'))
  const around = (head: string, tail: string): Uint8Array => fromLatin1(`${head}\n${long}${tail}\n`)
  assert.equal(mergeText({ base: around('a', 'z'), ours: around('b', 'z'), theirs: around('a', 'y') }), undefined)
})
