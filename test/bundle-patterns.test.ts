import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { parseRelPath } from '../src/base/path.ts'
import { glob } from '../src/format/glob.ts'
import { escapeWord } from '../src/format/journal-node.ts'
import { needs } from './helpers/programs.ts'

/** Patterns of what a system makes anew: a bundle's program reads them as bindery does (src/format/glob.ts). */

const word = fc.constantFrom('a', 'b', 'ab', 'lib', '.so.1', 'x y', 'é', '%', '-')
const name = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join(''))
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'))
const token = fc.oneof(word, fc.constantFrom('*', '?', '[ab]', '[!a]', '[a-l]', '[!x-z]', '[a-]', '**'))
const patternName = fc.oneof(
  { weight: 1, arbitrary: fc.constant('**') },
  { weight: 4, arbitrary: fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join('')) },
  { weight: 1, arbitrary: fc.tuple(word, word, token).map(([a, b, c]) => `{${a},${b}/${c},}x`) },
)
const pattern = fc.array(patternName, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join('/')}`)

/** Of paths that are here, whose contents decide nothing: those whose digest is asked for, as of what is made anew. */
function matching(awk: string, patterns: readonly string[], paths: readonly string[]): readonly string[] {
  const words = paths.map((one) => escapeWord(latin1(utf8(one))))
  const lines = [
    ...patterns.map((text) => `generated ${escapeWord(latin1(utf8(text)))}`),
    ...words.map((one) => `path ${one} 0 file,0644,0,0,1.000000000,1,${'0'.repeat(64)} - - - - -`),
    ...words.map((one) => `live ${one} file - 644 0 0 5 1 2 0 0 1 1970-01-01 00:00:01.000000000`),
  ]
  const input = lines.map((line) => `${line}\n`).join('')
  const script = '$AWK -v phase=digest -v way=install -v hex=1 -f share/bundle/plan.awk'
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', AWK: awk }
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { env, input, encoding: 'latin1' })
  assert.equal(status, 0, stderr)
  return [...new Set(stdout.split('\n').filter(Boolean))].sort()
}

for (const awk of ['mawk', 'original-awk', 'busybox awk'])
  test(`the same paths, under ${awk}`, needs(awk.replace(/ .*/, '')), () => {
    const property = fc.property(
      fc.array(pattern, { minLength: 1, maxLength: 4 }),
      fc.uniqueArray(path, { minLength: 8, maxLength: 30 }),
      (texts, paths) => {
        const globs = texts.map(glob)
        fc.pre(globs.every((one) => one !== undefined))
        const wanted = paths
          .map((one) => latin1(utf8(one)))
          .filter((one) => globs.some((each) => each?.matches(parseRelPath(one) ?? assert.fail(one))))
        assert.deepEqual(matching(awk, texts, paths), wanted.map(escapeWord).sort())
      },
    )
    fc.assert(property, { numRuns: 25 })
  })
