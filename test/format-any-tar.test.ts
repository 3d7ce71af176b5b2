import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concatBytes } from '../src/base/bytes.ts'
import { readAnyTar } from '../src/format/any-tar.ts'
import { directory, end, file, pax, symlink } from './helpers/tar-builder.ts'

/** Tars of anybody, as PBIs and packages hold them. */

test('names are paths below the root of the tar, however they are written', async () => {
  const entries = await readAnyTar(concatBytes([directory('./'), directory('./a//'), file('././a/b', 'b'), symlink('c', '../x'), end]))
  assert.deepEqual(
    entries.map(({ path, kind }) => [path, kind]),
    [
      ['a', 'dir'],
      ['a/b', 'file'],
      ['c', 'symlink'],
    ],
  )
})

test('a path that is no path is refused, be it a million slashes long', async () => {
  for (const path of ['/a', '../a', 'a/../b', `a${'/'.repeat(1_000_000)}b`])
    await assert.rejects(readAnyTar(concatBytes([pax({ path }), file('f', 'f'), end])), { code: 'hostile' }, path.slice(0, 10))
})
