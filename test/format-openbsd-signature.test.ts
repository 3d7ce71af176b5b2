import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromLatin1 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { readUpdateInfo } from '../src/format/openbsd/update-info.ts'
import {
  compareUpdateSignatures,
  formatUpdateSignature,
  obsdpkgupSignature,
  updateSignature,
} from '../src/format/openbsd/update-signature.ts'
import type { SignatureComparison, UpdateSignature } from '../src/format/openbsd/update-signature.ts'

type Vector = { list: string; obsdpkgup: string; pkg_add: string }

const vectors = readFileSync('test/vectors/update-signatures.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector)

function signatureOf(list: string): UpdateSignature {
  return updateSignature(readUpdateInfo(fromLatin1(list)), () => assert.fail('asked for the whole list'))
}

test('both strings of each vector, the worked example first', () => {
  for (const { list, obsdpkgup, pkg_add: pkgAdd } of vectors) {
    assert.equal(obsdpkgupSignature(readUpdateInfo(fromLatin1(list))), obsdpkgup)
    assert.equal(formatUpdateSignature(signatureOf(list)), pkgAdd)
  }
})

const base = '@name a-1.0\n@depend x/y:y-*:y-1.0\n@wantlib c.97.1\n@wantlib m.10.1\n'

function compared(old: string, next: string): SignatureComparison {
  return compareUpdateSignatures(signatureOf(old), signatureOf(next))
}

test('the same list is no update, whatever order its lines have', () => {
  assert.deepEqual(compared(base, base), { kind: 'same' })
  assert.deepEqual(compared(base, '@name a-1.0\n@wantlib m.10.1\n@wantlib c.97.1\n@depend x/y:other:y-1.0\n'), { kind: 'same' })
})

test('another name decides alone, as far as it is the same package', () => {
  const named = (name: string): string => base.replace('a-1.0', name)
  assert.equal(compared(base, named('a-1.1')).kind, 'newer')
  assert.equal(compared(named('a-1.1'), base).kind, 'older')
  assert.equal(compared(base, named('a-1.00')).kind, 'same')
  for (const name of ['b-1.1', 'a-1.1-flavor', 'a']) {
    const { kind, reason } = compared(base, named(name)) as SignatureComparison & { reason: string }
    assert.deepEqual([kind, reason], ['undefined', 'names'])
  }
})

test('then the version of the package system, before all elements', () => {
  const next = compared(base, `${base.replace('c.97.1', 'c.96.0')}@version 1\n`)
  assert.deepEqual(next, { kind: 'newer', by: 'version', differences: [] })
  assert.equal(compared(`${base}@version 10\n`, `${base}@version 9\n`).kind, 'older')
  assert.equal(compared(`${base}@version 1\n@version 1\n`, `${base}@version 2\n`).kind, 'same')
})

test('then elements, which may be newer on one side alone', () => {
  assert.deepEqual(compared(base, base.replace('c.97.1', 'c.100.0').replace('y-1.0', 'y-1.1')), {
    kind: 'newer',
    by: 'elements',
    differences: [
      { key: 'c', old: 'c.97.1', new: 'c.100.0', newer: 'new' },
      { key: 'x/y', old: '@y-1.0', new: '@y-1.1', newer: 'new' },
    ],
  })
  assert.equal(compared(base, base.replace('c.97.1', 'c.97.0')).kind, 'older')
  const both = compared(base, base.replace('c.97.1', 'c.98.0').replace('m.10.1', 'm.10.0'))
  assert.deepEqual([both.kind, (both as { reason?: string }).reason], ['undefined', 'both-newer'])
})

test('an element that only one side has knows no order', () => {
  for (const [old, next] of [
    [base, `${base}@wantlib z.7.0\n`],
    [`${base}@depend q/r:r-*:r-1\n`, base],
  ] as const) {
    const comparison = compared(old, next)
    assert.ok(comparison.kind === 'undefined' && comparison.reason === 'missing')
    assert.equal(comparison.differences.length, 1)
  }
})

test('what cannot be ordered counts for neither side, except under always-update', () => {
  const flavored = base.replace('y-1.0', 'y-1.0-flavor')
  assert.equal(compared(base, flavored).kind, 'same')
  const always = (list: string, hash: string): string => `${list}@option always-update ${hash}\n`
  const hashes = compared(always(base, 'aaa'), always(base, 'bbb'))
  assert.ok(hashes.kind === 'undefined' && hashes.reason === 'hash')
  assert.equal(compared(always(base, 'aaa'), always(base, 'aaa')).kind, 'same')
  const odd = compared(always(base, 'aaa'), always(flavored, 'aaa'))
  assert.ok(odd.kind === 'undefined' && odd.reason === 'hash')
})

test('without a hash, always-update stands for the whole list', () => {
  const info = readUpdateInfo(fromLatin1(`${base}@option always-update\n`))
  assert.equal(formatUpdateSignature(updateSignature(info, () => 'TEXT')), 'a-1.0,0,@y-1.0,c.97.1,m.10.1,TEXT')
})

test('lists without what a signature needs are refused', () => {
  for (const list of ['', '@wantlib c.1.0\n', '@name a-1\n@version two\n'])
    assert.throws(
      () => signatureOf(list),
      (error) => isBinderyError(error, 'bad-format'),
      list,
    )
  assert.throws(
    () => obsdpkgupSignature(readUpdateInfo(fromLatin1('@version 1\n'))),
    (error) => isBinderyError(error, 'bad-format'),
  )
})
