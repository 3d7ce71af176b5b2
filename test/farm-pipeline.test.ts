import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildStates, isEnd, mayFollow, pipeline, statesAfter } from '../src/engine/farm/pipeline.ts'
import { afterFailure, usualRetries } from '../src/engine/farm/retry.ts'
import { schema1 } from '../src/host/farm/schema-1.ts'
import type { BuildState } from '../src/port/farm-build.ts'

/** Any walk that the table allows, from waiting on. */
const walks = fc.array(fc.nat(), { maxLength: 40 }).map((choices) => {
  const walk: BuildState[] = ['waiting']
  for (const choice of choices) {
    const next = statesAfter(walk.at(-1) as BuildState)
    if (next.length > 0) walk.push(next[choice % next.length] as BuildState)
  }
  return walk
})

test('from every state there is a way to an end, and from an end there is none', () => {
  for (const state of buildStates) {
    const reached = new Set<BuildState>([state])
    for (const one of reached) for (const next of statesAfter(one)) reached.add(next)
    assert.ok([...reached].some(isEnd), state)
  }
  assert.deepEqual(buildStates.filter(isEnd), ['published', 'superseded'])
})

test('every state can be reached by a build that begins to wait', () => {
  const reached = new Set<BuildState>(['waiting'])
  for (const one of reached) for (const next of statesAfter(one)) reached.add(next)
  assert.deepEqual([...reached].toSorted(), buildStates.toSorted())
})

test('nothing is published that was not built, and nothing is signed that was not handed over', () => {
  fc.assert(
    fc.property(walks, (walk) => {
      const at = (state: BuildState): number => walk.indexOf(state)
      if (at('published') >= 0) assert.ok(at('built') >= 0 && at('built') < at('published'))
      if (at('signed') >= 0) assert.ok(at('handed-over') < at('signed'))
      if (at('quarantined') >= 0) assert.ok(at('failed') >= 0 && at('failed') < at('quarantined'))
    }),
  )
})

test('only a person brings back what was cancelled or quarantined, and nobody what is superseded', () => {
  assert.deepEqual(statesAfter('quarantined'), ['waiting', 'cancelled', 'superseded'])
  assert.deepEqual(statesAfter('cancelled'), ['waiting', 'superseded'])
  assert.ok(!mayFollow('superseded', 'waiting') && !mayFollow('published', 'superseded'))
})

test('the table and its reverse say the same', () => {
  for (const from of buildStates)
    for (const to of buildStates) assert.equal(pipeline.statesBefore(to).includes(from), mayFollow(from, to), `${from} ${to}`)
})

test('the database knows these states and no other', () => {
  const check = schema1.join('\n').match(/build_state check \(state in\s*\(([^)]*)\)/)?.[1] ?? ''
  assert.deepEqual(check.match(/[a-z-]+/g), [...buildStates])
})

test('each failure waits longer than the one before, until it is enough', () => {
  const waits = Array.from({ length: usualRetries.failures }, (_, index) => afterFailure(index + 1, usualRetries))
  assert.deepEqual(waits, [{ kind: 'again', afterSeconds: 300 }, { kind: 'again', afterSeconds: 1200 }, { kind: 'quarantine' }])
  assert.deepEqual(afterFailure(9, { failures: 10, firstSeconds: 300, mostSeconds: 3600 }), { kind: 'again', afterSeconds: 3600 })
})
