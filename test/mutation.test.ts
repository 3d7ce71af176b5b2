import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { acceptedSurvivors } from '../tools/mutation/accepted.ts'
import { groups } from '../tools/mutation/groups.ts'
import { forgetUncertain, oneLine, readMutants } from '../tools/mutation/mutants.ts'
import { NodeTestRunner } from '../tools/mutation/node-test-runner.ts'
import { inTemporary } from './helpers/temporary.ts'

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

test('what Stryker would believe for good, and cannot know, is tried again', async () => {
  const location = { start: { line: 1, column: 1 }, end: { line: 1, column: 2 } }
  const mutants = [
    { replacement: 'killed', status: 'Killed', coveredBy: ['1'], static: false },
    { replacement: 'killed while loading', status: 'Killed', coveredBy: [], static: true },
    { replacement: 'survived', status: 'Survived', coveredBy: ['1'], static: false },
    { replacement: 'survived while loading', status: 'Survived', coveredBy: [], static: true },
    { replacement: 'survived, loading and in tests', status: 'Survived', coveredBy: ['1'], static: true },
    // What Stryker takes over from its last report is no longer said to be so.
    { replacement: 'survived while loading, before the last run', status: 'Survived', coveredBy: [], static: false },
    { replacement: 'too slow', status: 'Timeout', coveredBy: ['1'], static: false },
    { replacement: 'not reached', status: 'NoCoverage', coveredBy: [], static: false },
  ].map((mutant) => ({ ...mutant, location }))
  await inTemporary(async (folder) => {
    const report = `${folder}/report.json`
    const left = (survivorsToo: boolean): readonly string[] => {
      writeFileSync(report, JSON.stringify({ files: { 'src/a.ts': { source: 'x', mutants }, 'src/b.ts': { source: 'x', mutants } } }))
      forgetUncertain(report, ['src/a.ts'], survivorsToo)
      const found = readMutants(report)
      assert.equal(found.filter(({ file }) => file === 'src/b.ts').length, mutants.length)
      return found.flatMap(({ file, replacement }) => (file === 'src/a.ts' ? [replacement] : []))
    }
    assert.deepEqual(left(false), ['killed', 'killed while loading', 'survived'])
    assert.deepEqual(left(true), ['killed', 'killed while loading'])
    forgetUncertain(`${folder}/none.json`, [], false)
    assert.deepEqual(readMutants(`${folder}/none.json`), [])
  })
})

test('a process that tries mutants knows what the dry run of another one took', async () => {
  await inTemporary(async (folder) => {
    const nodeTests = { files: ['test/base-name.test.ts'], leaveOut: [], times: `${folder}/times.json` }
    const [dry, trying] = [new NodeTestRunner({ nodeTests }), new NodeTestRunner({ nodeTests })]
    try {
      const { status, tests } = await dry.dryRun({ timeout: 60_000 })
      assert.equal(status, 'complete')
      const answer = await trying.mutantRun({ activeMutant: { id: 'none' } })
      assert.deepEqual(answer, { status: 'survived', nrOfTests: (tests as readonly unknown[]).length })
    } finally {
      for (const one of [dry, trying]) one.dispose()
    }
  })
})
