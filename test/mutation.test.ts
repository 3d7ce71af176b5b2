import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { acceptedSurvivors } from '../tools/mutation/accepted.ts'
import { groups } from '../tools/mutation/groups.ts'
import { oneLine } from '../tools/mutation/mutants.ts'

const mutated = groups.flatMap(({ mutate }) => mutate.flatMap((pattern) => globSync(pattern)))

test('every file of the client, and all else that is mutated, is in one group with tests that exist', () => {
  assert.deepEqual(mutated.toSorted(), [...new Set(mutated)].sort())
  for (const file of globSync('src/engine/client/**/*.ts')) assert.ok(mutated.includes(file), file)
  for (const { name, mutate, tests } of groups) {
    for (const pattern of mutate) assert.notEqual(globSync(pattern).length, 0, pattern)
    assert.notEqual(tests.length, 0, name)
    for (const file of tests) assert.ok(existsSync(file), file)
  }
})

test('every accepted survivor stands in its file, with a reason', () => {
  for (const { file, original, within = '' } of acceptedSurvivors(readFileSync('tools/mutation/accepted.toml', 'utf8'))) {
    const source = oneLine(readFileSync(file, 'utf8'))
    assert.ok(source.includes(original) && source.includes(within), `${file}: ${original}`)
  }
})
