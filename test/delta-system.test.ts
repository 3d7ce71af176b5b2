import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { deltaAccountant } from '../src/engine/delta/account.ts'
import { makeDelta } from '../src/engine/delta/make.ts'
import { patched, refusals, refusedWith, sourceOf, whole } from './helpers/delta.ts'
import { link, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import * as tar from './helpers/tar-builder.ts'

/** More than 64 MiB, most of it the same, with programs and gzip files that changed. */
function systemOf(which: 'old' | 'next'): Uint8Array {
  const members = [tar.file('usr/share/large', latin1(large))]
  for (let i = 0; i < 12; i++) {
    const program = randomProgram({ machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false }, 30, i)
    const [first, ...others] = program.functions
    assert.ok(first)
    const bytes = which === 'old' ? link(program) : link({ ...program, functions: [...others, { ...first, size: 300 }] })
    members.push(tar.file(`usr/bin/p${i}`, latin1(bytes)))
    const text = `page ${i} of the manual says ${[...noise(900, i).content].map((byte) => byte % 90).join(' ')} ${which}`
    members.push(tar.file(`usr/share/man/p${i}.1.gz`, latin1(new Uint8Array(gzipSync(utf8(text))))))
  }
  return concatBytes([...members, tar.end])
}

const piece = noise(1 << 16, 1).content
const large = concatBytes(Array.from({ length: 1040 }, (_, i) => piece.with(0, i & 255)))
const [old, next] = [systemOf('old'), systemOf('next')]
const watch = deltaAccountant(next.length)
const delta = await whole(makeDelta({ old: sourceOf(old), new: sourceOf(next), oldName: '', newName: '', watch }))

test('programs of a system are images with plain literals, its gzip files are opened, and it comes back', async () => {
  const made = watch.account().members.map(({ coding }) => coding)
  assert.equal(made.filter((coding) => coding === 'image, plain literals').length, 12)
  assert.ok(made.includes('gzip') && made.includes('equal'))
  assert.equal(sha256(await patched(delta, old, { reuse: true })), sha256(next))
})

test('a damaged delta of a system is refused', async () => {
  for (let i = 1; i <= 12; i++) {
    const damaged = delta.slice()
    const at = Math.floor((delta.length * (i + 30)) / 44)
    damaged[at] = (damaged[at] as number) ^ 0x10
    await refusedWith(patched(damaged, old), ...refusals)
  }
})
