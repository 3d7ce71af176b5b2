import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'

/**
 * `node:assert/strict` without the comparison for people, which takes longer than most tests, and minutes for some thousand bytes: nobody
 * reads why a mutant was killed. It is made with a message of one's own, too.
 */

const { match } = assert

// As the module whose place it takes.
// oxlint-disable-next-line import/no-default-export
export default Object.assign((...call: Parameters<typeof assert>) => assert(...call), assert, {
  equal: (actual: unknown, expected: unknown) => assert(Object.is(actual, expected), 'differs'),
  deepEqual: (actual: unknown, expected: unknown) => assert(isDeepStrictEqual(actual, expected), 'differs'),
  notEqual: (actual: unknown, expected: unknown) => assert(!Object.is(actual, expected), 'is the same'),
  match: (text: string, pattern: RegExp) => match(text, pattern, 'does not match'),
})
