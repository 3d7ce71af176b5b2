import fc from 'fast-check'
import { fromLatin1 } from '../../src/base/bytes.ts'
import type { Versions } from '../../src/engine/client/apply/merge-text.ts'

/** Three versions of a text, two of them made of the third. */

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

export const distinctLines: fc.Arbitrary<readonly string[]> = fc
  .nat(15)
  .map((count) => Array.from({ length: count }, (_, i) => `line \u00e4 ${i}\n`))

export const repeatedLines: fc.Arbitrary<readonly string[]> = fc.array(fc.constantFrom('a\n', 'b\n', '#\n', '\n', '__proto__\n'), {
  maxLength: 12,
})

export function versionsOf(base: fc.Arbitrary<readonly string[]>): fc.Arbitrary<Versions> {
  const words = ['new\n', 'mine\r\n', '\u00ff\n', '\n', 'no end']
  return fc
    .tuple(base, edits(words), edits(words))
    .map(([lines, ours, theirs]) => ({ base: apply(lines, []), ours: apply(lines, ours), theirs: apply(lines, theirs) }))
}

export const arbitraryVersions: fc.Arbitrary<Versions> = fc.oneof(versionsOf(distinctLines), versionsOf(repeatedLines))
