import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  canonicalPackageName,
  comparePackageNames,
  isPlainPackageName,
  parsePackageName,
  readInstalledName,
  splitFromRight,
} from '../src/format/openbsd/package-name.ts'
import { fitsPackageSpec, parsePackageSpec } from '../src/format/openbsd/package-spec.ts'
import {
  compareAsObsdpkgup,
  comparePackageVersions,
  formatPackageVersion,
  parsePackageVersion,
} from '../src/format/openbsd/package-version.ts'
import { fitsPkgpath, parsePkgpath } from '../src/format/openbsd/pkgpath.ts'
import type { Pkgpath } from '../src/format/openbsd/pkgpath.ts'

type Vector =
  | { kind: 'version'; a: string; b: string; pkg_add: number; obsdpkgup: number }
  | { kind: 'split'; name: string; first: string[] | null; right: string[] | null }
  | { kind: 'spec'; spec: string; fits: string[]; not: string[] }
  | { kind: 'pkgpath'; pattern: string; fits: string[]; not: string[] }

const vectors = readFileSync('test/vectors/package-names.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector)

function vectorsOf<K extends Vector['kind']>(kind: K): readonly Extract<Vector, { kind: K }>[] {
  return vectors.filter((vector): vector is Extract<Vector, { kind: K }> => vector.kind === kind)
}

test('versions are ordered as pkg_add and as obsdpkgup order them', () => {
  for (const { a, b, pkg_add: ours, obsdpkgup: theirs } of vectorsOf('version')) {
    const [left, right] = [parsePackageVersion(a), parsePackageVersion(b)]
    assert.equal(Math.sign(comparePackageVersions(left, right)), ours, `pkg_add: ${a} and ${b}`)
    assert.equal(Math.sign(comparePackageVersions(right, left)), 0 - ours, `pkg_add: ${b} and ${a}`)
    assert.equal(Math.sign(compareAsObsdpkgup(left, right)), theirs, `obsdpkgup: ${a} and ${b}`)
    assert.equal(Math.sign(compareAsObsdpkgup(right, left)), 0 - theirs, `obsdpkgup: ${b} and ${a}`)
  }
})

test('names are split at the first dash before a digit, and from the right', () => {
  for (const { name, first, right } of vectorsOf('split')) {
    const parsed = parsePackageName(name)
    assert.deepEqual(parsed === undefined ? null : [parsed.stem, formatPackageVersion(parsed.version), ...parsed.flavors], first, name)
    const split = splitFromRight(name)
    assert.deepEqual(split === undefined ? null : [split.stem, split.version, split.flavor], right, name)
  }
})

test('specs fit what packages-specs(7) says', () => {
  for (const { spec, fits, not } of vectorsOf('spec')) {
    const parsed = parsePackageSpec(spec)
    assert.ok(parsed, spec)
    for (const name of fits) assert.ok(fitsPackageSpec(parsed, name), `${spec} fits ${name}`)
    for (const name of not) assert.ok(!fitsPackageSpec(parsed, name), `${spec} does not fit ${name}`)
  }
  assert.equal(parsePackageSpec('python'), undefined)
  assert.equal(parsePackageSpec('python-*|ruby'), undefined)
})

test('paths in the ports tree fit where folder and words do', () => {
  for (const { pattern, fits, not } of vectorsOf('pkgpath')) {
    const parsed = parsePkgpath(pattern) as Pkgpath
    for (const path of fits) assert.ok(fitsPkgpath(parsed, parsePkgpath(path) as Pkgpath), `${pattern} fits ${path}`)
    for (const path of not) assert.ok(!fitsPkgpath(parsed, parsePkgpath(path) as Pkgpath), `${pattern} does not fit ${path}`)
  }
  for (const text of ['', 'vim', 'a//b', '../b', 'a/..', 'a b/c']) assert.equal(parsePkgpath(text), undefined, text)
})

test('flavors are a set, written in their order', () => {
  assert.equal(canonicalPackageName('vim-9.0.1-no_x11-lua-no_x11'), 'vim-9.0.1-lua-no_x11')
  assert.equal(canonicalPackageName('quirks'), 'quirks')
  const names = ['vim-9.0-a-b', 'vim-9.1-b-a', 'vim-9.1-a', 'nvi-9.1-a-b'].map((name) => parsePackageName(name))
  const [old, next, flavor, other] = names as unknown as [never, never, never, never]
  assert.ok((comparePackageNames(old, next) ?? 0) < 0)
  assert.equal(comparePackageNames(old, flavor), undefined)
  assert.equal(comparePackageNames(old, other), undefined)
})

test('the package database also has kept libraries and what was interrupted', () => {
  assert.deepEqual(readInstalledName('.libs-icu4c-70.1'), { kind: 'kept-libraries', name: 'icu4c-70.1' })
  assert.deepEqual(readInstalledName('.libs1-icu4c-70.1'), { kind: 'kept-libraries', name: 'icu4c-70.1' })
  assert.deepEqual(readInstalledName('partial-vim-9.0'), { kind: 'interrupted', name: 'vim-9.0' })
  assert.deepEqual(readInstalledName('vim-9.0'), { kind: 'package', name: 'vim-9.0' })
})

test('a name that a shell would act on is no name for a command', () => {
  for (const name of ['gtk+3-3.24.38', 'python%3.12', 'p5-Foo-1.0', 'a@b-1']) assert.ok(isPlainPackageName(name), name)
  for (const name of ['', '-rf', 'a;b', 'a b', 'a\nb', '$(x)', '../a', 'a/b', 'a`b`', 'ä', '.libs-a'])
    assert.ok(!isPlainPackageName(name), name)
})

const digits = fc.stringMatching(/^[0-9]{1,20}$/)
const part = fc.oneof(digits, fc.stringMatching(/^[0-9]{1,3}[a-z]?$/), fc.stringMatching(/^[a-z0-9]{1,6}$/))
const version = fc
  .tuple(fc.array(part, { minLength: 1, maxLength: 4 }), fc.constantFrom('', 'rc1', 'pl2', 'beta', 'p0', 'v1', 'p1v0'))
  .map(([parts, end]) => parts.join('.') + end)

test('a version that was read is written the same way, and each order is antisymmetric', () => {
  fc.assert(
    fc.property(version, version, (a, b) => {
      const [left, right] = [parsePackageVersion(a), parsePackageVersion(b)]
      assert.equal(formatPackageVersion(left), a)
      for (const compare of [comparePackageVersions, compareAsObsdpkgup]) {
        assert.equal(Math.sign(compare(left, right)), 0 - Math.sign(compare(right, left)))
        assert.equal(compare(left, parsePackageVersion(a)), 0)
      }
    }),
  )
})

test('a spec of a stem that is longer than any, from a hostile list, fits nothing', () => {
  for (const stem of [`.libs-${'x'.repeat(60_000)}`, `${'x'.repeat(60_000)}*`])
    assert.equal(fitsPackageSpec(parsePackageSpec(`${stem}-*`) ?? [], 'lamp-1.2'), false)
})

test('however a spec is put together, it is read in one pass, and its stars find what they stand for', () => {
  const hostile = `x${'-1'.repeat(500_000)}`
  assert.equal(parsePackageSpec(`${hostile}\n`)?.length, 1)
  assert.equal(parsePackageSpec('x-'.repeat(500_000)), undefined)
  const spec = parsePackageSpec(`${'a*'.repeat(30)}b-*`) ?? []
  assert.equal(fitsPackageSpec(spec, `${'a'.repeat(200)}b-1.2`), true)
  assert.equal(fitsPackageSpec(spec, `${'a'.repeat(200)}-1.2`), false)
})
