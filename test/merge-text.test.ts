import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { equalBytes, fromLatin1, latin1 } from '../src/base/bytes.ts'
import { mergeText } from '../src/engine/client/apply/merge-text.ts'
import { needs } from './helpers/programs.ts'
import { arbitraryVersions, distinctLines, repeatedLines, versionsOf } from './helpers/text-versions.ts'
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

test('lines that differ from each other are merged as git merge-file merges them, conflicts included', needs('git'), () => {
  fc.assert(
    fc.property(versionsOf(distinctLines), (versions) => {
      assert.equal(merge(versions), judge('git', ['merge-file', '-p'], versions))
    }),
    { numRuns: 80 },
  )
})

test('what GNU diff3 merges too is the same', needs('diff3'), () => {
  fc.assert(
    fc.property(versionsOf(distinctLines), (versions) => {
      const [merged, judged] = [merge(versions), judge('diff3', ['-m'], versions)]
      if (merged !== undefined && judged !== undefined) assert.equal(merged, judged)
    }),
    { numRuns: 50 },
  )
})

/** Words for lines. */
const lines = (words: string): string => words.replaceAll(' ', '\n')

for (const [what, base, ours, theirs, wanted] of [
  ['changes with a line between them', 'a b c d ', 'A b c d ', 'a b C d ', 'A b C d '],
  ['a line more here, a line less there', 'a b c d ', 'a x b c d ', 'a b c ', 'a x b c '],
  ['the same change', 'a b c ', 'a B c ', 'a B c ', 'a B c '],
  ['the same change with more lines here', 'a b c ', 'a B B c ', 'a B c ', undefined],
  ['changes that touch', 'a b c ', 'A b c ', 'a B c ', undefined],
  ['changes of one line', 'abc ', 'Abc ', 'abC ', undefined],
  ['an end that came here, a change there', 'a b c', 'a b c ', 'A b c', 'A b c '],
  ['a last line without an end', 'a b c', 'A b c', 'a b C', 'A b C'],
  ['nothing left here, nothing changed there', 'a b ', '', 'a b ', ''],
  ['all of it twice', 'a a ', 'a a a ', 'a a ', 'a a a '],
] as const)
  test(`merged text: ${what}`, () => {
    const versions = { base: lines(base), ours: lines(ours), theirs: lines(theirs) }
    const merged = merge({ base: fromLatin1(versions.base), ours: fromLatin1(versions.ours), theirs: fromLatin1(versions.theirs) })
    assert.equal(merged, wanted === undefined ? undefined : lines(wanted))
  })

test('a version with a NUL is no text, whichever it is', () => {
  const text = fromLatin1('a\nb\n')
  for (const which of ['base', 'ours', 'theirs'] as const)
    assert.equal(mergeText({ base: text, ours: text, theirs: text, [which]: fromLatin1('a\n\0\n') }), undefined)
})

test('of lines that repeat, each side alone is taken whole, and both sides can be exchanged', () => {
  fc.assert(
    fc.property(versionsOf(repeatedLines), ({ base, ours, theirs }) => {
      assert.deepEqual(mergeText({ base, ours, theirs: base }), ours)
      assert.deepEqual(mergeText({ base, ours: base, theirs }), theirs)
      assert.deepEqual(mergeText({ base, ours, theirs: ours }), ours)
      assert.deepEqual(mergeText({ base, ours, theirs }), mergeText({ base, ours: theirs, theirs: ours }))
    }),
    { numRuns: 500 },
  )
})

// Where gawk is installed it becomes the awk of a Debian system, which set-up leaves alone.
const gawk = spawnSync('gawk', ['--version']).status === 0 ? ['gawk'] : []

for (const awk of ['mawk', 'original-awk', 'busybox awk', ...gawk]) {
  test(`the program of a bundle makes the same text under ${awk}, to the byte, or none`, needs(awk.replace(/ .*/, '')), () => {
    fc.assert(
      fc.property(arbitraryVersions, (versions) => {
        const merged = mergeText(versions)
        assert.deepEqual(mergedByAwk(awk, versions), merged === undefined ? undefined : latin1(merged))
      }),
      { numRuns: 40 },
    )
  })
}

function mergedByAwk(awk: string, versions: Versions): string | undefined {
  const names = ['base', 'ours', 'theirs'] as const
  for (const name of names) writeFileSync(join(work, name), versions[name])
  const unended = names.filter((name) => versions[name].length > 0 && versions[name].at(-1) !== 10).join(' ')
  const files = Object.fromEntries(names.map((name) => [name, join(work, name)]))
  const env = { ...process.env, ...files, unended, LC_ALL: 'C', AWK: awk }
  const { status, stdout, stderr } = spawnSync('sh', ['-c', '$AWK -f share/bundle/merge.awk'], { env, encoding: 'latin1' })
  assert.ok(status === 0 || (status === 1 && stdout === ''), stderr)
  return status === 0 ? stdout : undefined
}

test('a long text of which both made a short one is no effort', () => {
  const [long, short] = ['#\n'.repeat(20_000), 'x\n#\ny\n'].map(fromLatin1) as [Uint8Array, Uint8Array]
  assert.deepEqual(mergeText({ base: long, ours: short, theirs: short }), short)
})

test('lines that all three begin and end with cost nothing; what would take too long is not merged', () => {
  const long = '#\n'.repeat(10_000)
  const text = (head: string, tail: string): Uint8Array => fromLatin1(`${long}${head}\n1\n2\n${tail}\n${long}`)
  const versions = { base: text('a', 'z'), ours: text('b', 'z'), theirs: text('a', 'y') }
  assert.ok(equalBytes(mergeText(versions) ?? new Uint8Array(0), text('b', 'y')))
  const around = (head: string, tail: string): Uint8Array => fromLatin1(`${head}\n${long}${tail}\n`)
  assert.equal(mergeText({ base: around('a', 'z'), ours: around('b', 'z'), theirs: around('a', 'y') }), undefined)
})
