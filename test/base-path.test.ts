import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  baseName,
  comparePaths,
  isWithin,
  joinPath,
  maxNameBytes,
  maxPathBytes,
  parentPath,
  parseRelPath,
  pathFromText,
  rootPath,
  showPath,
} from '../src/base/path.ts'
import type { RelPath } from '../src/base/path.ts'

const at = (path: string): RelPath => path as RelPath

test('a path that leaves its root, or could be read in two ways, is no path', () => {
  for (const path of ['', '/', '/etc', 'etc/', 'a//b', '..', '../a', 'a/..', 'a/../b', './a', 'a/.', 'a/./b', 'a\0', 'a/b\0c'])
    assert.equal(parseRelPath(path), undefined, JSON.stringify(path))
})

test('a path that stays below its root is taken as it is, byte for byte', () => {
  for (const path of ['.', 'a', 'a/b', '...', '..a', 'a..', '.a/b.', 'a b', 'a\nb', '\u00ff/\u0001', '-x'])
    assert.equal(parseRelPath(path), path)
})

test('neither a path nor a name is longer than a file system takes', () => {
  const name = 'n'.repeat(maxNameBytes)
  assert.equal(parseRelPath(name), name)
  assert.equal(parseRelPath(`${name}n`), undefined)
  assert.equal(parseRelPath(`a/${name}n`), undefined)
  const long = `${`${name}/`.repeat(15)}${name}`
  assert.equal(long.length, maxPathBytes)
  assert.equal(parseRelPath(long), long)
  assert.equal(parseRelPath(`a/${long}`), undefined)
})

test('a typed path is its UTF-8 bytes', () => {
  assert.equal(pathFromText('na\u00efve'), 'na\u00c3\u00afve')
  assert.equal(pathFromText('../na\u00efve'), undefined)
})

test('a path is shown without what a terminal acts on', () => {
  assert.equal(showPath('na\u00c3\u00afve/x'), 'na\u00efve/x')
  assert.equal(showPath('a\u001b[31m\u007f'), 'a\\033[31m\\177')
  assert.equal(showPath('\u00c2\u009b'), '\\233')
  // Not UTF-8: every byte above ASCII is shown as one.
  assert.equal(showPath('\u00ff\u00c3\u00afa\n'), '\\377\\303\\257a\\012')
  // U+202E turns the text behind it around, U+2066 opens such a span.
  assert.equal(showPath('\u00e2\u0080\u00aegpj'), '\\342\\200\\256gpj')
  assert.equal(showPath('\u00e2\u0081\u00a6x'), '\\342\\201\\246x')
})

test('paths are joined to a root and below it, and taken apart again', () => {
  assert.equal(joinPath(rootPath, 'etc'), 'etc')
  assert.equal(joinPath(at('etc'), 'motd'), 'etc/motd')
  assert.deepEqual(
    ['.', 'etc', 'etc/motd', 'a/b/c'].map((path) => parentPath(at(path))),
    ['.', '.', 'etc', 'a/b'],
  )
  assert.deepEqual(
    ['.', 'etc', 'etc/motd', 'a/b/c'].map((path) => baseName(at(path))),
    ['.', 'etc', 'motd', 'c'],
  )
})

test('a folder holds itself and what is below it, not what begins like it', () => {
  assert.equal(isWithin(at('etc'), at('etc')), true)
  assert.equal(isWithin(at('etc/motd'), at('etc')), true)
  assert.equal(isWithin(at('etcetera'), at('etc')), false)
  assert.equal(isWithin(at('etc'), at('etc/motd')), false)
  assert.equal(isWithin(at('etc'), rootPath), true)
  assert.equal(isWithin(rootPath, at('etc')), false)
})

test('paths are in the order of their bytes, the root first of all', () => {
  const paths = ['.', '!', '-x', 'a', 'a!', 'a/b', 'b', '\u00ff'].map(at)
  assert.deepEqual(paths.toReversed().sort(comparePaths), paths)
  for (const [i, a] of paths.entries())
    for (const [j, b] of paths.entries()) assert.equal(comparePaths(a, b), Math.sign(i - j), `${a} ${b}`)
})
