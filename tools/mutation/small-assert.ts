import assert from 'node:assert/strict'

/** `node:assert/strict` without the comparison for people, which takes longer than most tests: nobody reads why a mutant was killed. */

const { equal, deepEqual, notEqual, match } = assert

// As the module whose place it takes.
// oxlint-disable-next-line import/no-default-export
export default Object.assign((...call: Parameters<typeof assert>) => assert(...call), assert, {
  equal: (actual: unknown, expected: unknown) => equal(actual, expected, 'differs'),
  deepEqual: (actual: unknown, expected: unknown) => deepEqual(actual, expected, 'differs'),
  notEqual: (actual: unknown, expected: unknown) => notEqual(actual, expected, 'is the same'),
  match: (text: string, pattern: RegExp) => match(text, pattern, 'does not match'),
})
