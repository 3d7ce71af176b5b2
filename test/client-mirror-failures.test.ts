import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, utf8 } from '../src/base/bytes.ts'
import { BinderyError, exitStatusOf } from '../src/base/error.ts'
import { blamed, blaming, isOwnFault, isUnobtainable } from '../src/engine/client/fetch/fault.ts'
import { isAway, isMirrorFault, mirrorFailures } from '../src/engine/client/fetch/mirror-failures.ts'
import { byPriority, mirrorOrder } from '../src/engine/client/fetch/mirror-order.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { ErrorCode, ErrorFacts } from '../src/base/error.ts'
import type { FaultFinder } from '../src/engine/client/fetch/fault.ts'
import type { MirrorFailures } from '../src/engine/client/fetch/mirror-failures.ts'

/** Whose fault a failure is, what is told of mirrors that fail, and in which order they are asked. */

const codes = Object.keys(exitStatusOf) as ErrorCode[]
const withCode = (code: ErrorCode, facts: ErrorFacts = {}): BinderyError => new BinderyError(code, `says ${code}`, facts)
const codesThat = (is: (error: BinderyError) => boolean): string => codes.filter((code) => is(withCode(code))).join(' ')

test('a stop, a disk that fails and a network that is away are no fault of what was read', () => {
  const isInnocent = (error: BinderyError): boolean => {
    const finder: FaultFinder = { found: undefined }
    assert.equal(blamed(finder, { kind: 'base' }, error), error)
    return finder.found === undefined
  }
  assert.equal(codesThat(isInnocent), 'io no-space read-only permission network too-slow incomplete stopped interrupted')
})

test('what fails first is blamed, and with it whose it is; a bug is nobody’s', () => {
  const finder: FaultFinder = { found: undefined }
  const bug = new Error('a bug')
  assert.equal(blamed(finder, { kind: 'base' }, bug), bug)
  assert.equal(finder.found, undefined)
  const [first, second] = [withCode('bad-digest'), withCode('wrong-base')]
  blamed(finder, { kind: 'target', target: 'a.delta' }, first)
  blamed(finder, { kind: 'base' }, second)
  assert.deepEqual(finder.found, { kind: 'target', target: 'a.delta', error: first })
})

test('a stream that is watched passes its bytes, and its failure, noted', async () => {
  const [finder, error]: [FaultFinder, BinderyError] = [{ found: undefined }, withCode('bad-format')]
  async function* broken(isBroken: boolean): ByteStream {
    yield utf8('a')
    if (isBroken) throw error
    yield utf8('b')
  }
  assert.deepEqual(await collectBytes(blaming(finder, { kind: 'assembled' }, broken(false)), 10), utf8('ab'))
  assert.equal(finder.found, undefined)
  await assert.rejects(collectBytes(blaming(finder, { kind: 'assembled' }, broken(true)), 10), error)
  assert.deepEqual(finder.found, { kind: 'assembled', error })
})

for (const [name, is, which] of [
  ['of this machine, or a stop', isOwnFault, 'io no-space read-only permission stopped interrupted'],
  ['what nobody has as it is signed', isUnobtainable, 'incomplete bad-digest over-limit'],
  ['a mirror that is away', isAway, 'not-found network too-slow incomplete'],
  ['what another mirror may not fail with', isMirrorFault, 'not-found network too-slow incomplete bad-digest over-limit'],
] as const)
  test(`${name}: ${which.replaceAll(' ', ', ')}`, () => {
    assert.equal(codesThat(is), which)
  })

test('a bug is no fault of a mirror, whatever it says', () => {
  const bug = Object.assign(new Error('a bug'), { code: 'network' })
  assert.deepEqual([isMirrorFault(bug), isUnobtainable(Object.assign(bug, { code: 'bad-digest' }))], [false, false])
})

type Heard = { readonly failures: MirrorFailures; readonly said: string[]; readonly explained: string[] }

function hear(): Heard {
  const [said, explained]: [string[], string[]] = [[], []]
  const session = { say: (line: string) => void said.push(line), explain: (line: string) => void explained.push(line) }
  return { failures: mirrorFailures(session, 'the file'), said, explained }
}

/** What is thrown when all of these have failed, one after the other. */
function lastOf(...errors: readonly BinderyError[]): readonly (string | undefined)[] {
  const { failures } = hear()
  for (const error of errors) failures.add(error, undefined)
  const { code, message, subject, hint } = failures.last()
  return [code, message, subject, hint]
}

test('that a mirror is away is told to those who want to know all, that one serves what must be refused to everybody', () => {
  const { failures, said, explained } = hear()
  for (const code of codes) failures.add(withCode(code, { subject: 'http://a/f' }), 'http://b/')
  const lineOf = (code: ErrorCode): string => `http://a/f: says ${code}; going on with http://b/`
  assert.deepEqual(said, codes.filter((code) => exitStatusOf[code] === 3).map(lineOf))
  assert.deepEqual(explained, codes.filter((code) => exitStatusOf[code] !== 3).map(lineOf))
})

test('what is about nothing is told without it, and of the last mirror nothing is told: it is the error', () => {
  const { failures, said, explained } = hear()
  failures.add(withCode('network'), 'http://b/')
  failures.add(withCode('bad-digest', { subject: 'http://b/f' }), undefined)
  assert.deepEqual([said, explained], [[], ['says network; going on with http://b/']])
})

test('without a mirror there is no way', () => {
  assert.deepEqual(lastOf(), ['no-way', 'no mirror is known', 'the file', undefined])
})

test('the last failure is the error, with its cause, and a hint where something was not told before', () => {
  const more = "'bindery -v' tells what failed before"
  const [away, slow, wrong, large] = [
    withCode('network', { subject: 'http://a/', hint: 'try later' }),
    withCode('too-slow', { subject: 'http://b/' }),
    withCode('bad-digest', { subject: 'http://c/', hint: 'tell them' }),
    withCode('over-limit', { subject: 'http://d/' }),
  ]
  assert.deepEqual(lastOf(away), ['network', 'says network', 'http://a/', 'try later'])
  assert.deepEqual(lastOf(slow, away), ['network', 'says network', 'http://a/', more])
  assert.deepEqual(lastOf(slow, wrong), ['bad-digest', 'says bad-digest', 'http://c/', more])
  // All of it was said aloud.
  assert.deepEqual(lastOf(large, wrong), ['bad-digest', 'says bad-digest', 'http://c/', 'tell them'])
  const { failures } = hear()
  failures.add(away, undefined)
  assert.equal(failures.last().cause, away)
})

test('that the last mirror was away does not make good what another one served', () => {
  const [away, wrong, large] = [withCode('network', { hint: 'try later' }), withCode('bad-digest'), withCode('over-limit')]
  assert.deepEqual(lastOf(wrong, large, away), ['bad-digest', 'says network', undefined, 'try later'])
  assert.deepEqual(lastOf(withCode('too-slow'), large, away).slice(0, 2), ['over-limit', 'says network'])
  // It is here and refused: that counts.
  assert.deepEqual(lastOf(wrong, large).slice(0, 2), ['over-limit', 'says over-limit'])
  // Of this machine.
  assert.deepEqual(lastOf(wrong, withCode('io')).slice(0, 2), ['io', 'says io'])
})

const mirror = (url: string, priority: number): { readonly url: string; readonly priority: number } => ({ url, priority })

test('addresses are asked by their numbers, those of enroll with theirs, each once and as the configuration says', () => {
  const configured = [mirror('far', 200), mirror('b', 50), mirror('a', 50), mirror('x', 100)]
  assert.deepEqual(byPriority(configured, ['y', 'far', 'w', 'y', 'a']), [
    mirror('b', 50),
    mirror('a', 50),
    mirror('x', 100),
    mirror('y', 100),
    mirror('w', 100),
    mirror('far', 200),
  ])
  assert.deepEqual(byPriority([mirror('a', 50), mirror('a', 1)], []), [mirror('a', 50)])
})

test('whoever has failed in this run is asked last from then on, in the same order', () => {
  const order = mirrorOrder([mirror('a', 50), mirror('far', 200)])
  assert.deepEqual(order.of(['y', 'z']), ['a', 'y', 'z', 'far'])
  order.failed('y')
  assert.deepEqual(order.of(['y', 'z']), ['a', 'z', 'far', 'y'])
  order.failed('a')
  order.failed('far')
  assert.deepEqual(order.of(['y', 'z']), ['z', 'a', 'y', 'far'])
  assert.deepEqual(order.of([]), ['a', 'far'])
})
