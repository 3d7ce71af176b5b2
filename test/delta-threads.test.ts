import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { sameThread } from '../src/host/same-thread.ts'
import { threadWorks } from '../src/thread-works.ts'
import { deltaOf, patched, refusedWith, refusals } from './helpers/delta.ts'
import { link, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import * as tar from './helpers/tar-builder.ts'
import type { Thread, Threads } from '../src/port/thread.ts'

/** A system of more than 64 MiB, most of it the same, with programs and gzip files that changed. */
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
const delta = await deltaOf(old, next)

/** Tells of every task what it is. */
function watched(seen: string[]): Threads {
  const threads = sameThread(threadWorks)
  return {
    start: (work, given) => {
      const thread = threads.start(work, given) as Thread
      const run: Thread['run'] = async (task, takes) => {
        seen.push((task as { readonly kind: string }).kind)
        await thread.run(task, takes)
      }
      return { ...thread, run, end: async () => void seen.push('end') }
    },
  }
}

test('programs and gzip files of a system are made on a thread, and the bytes are the same', async () => {
  const seen: string[] = []
  assert.equal(sha256(await patched(delta, old, { threads: watched(seen), reuse: true })), sha256(next))
  assert.equal(seen.filter((kind) => kind === 'image').length, 12)
  assert.ok(seen.includes('gzip') && seen.at(-1) === 'end')
})

test('a thread is for who has granted more than the delta needs', async () => {
  const seen: string[] = []
  assert.equal(sha256(await patched(delta, old, { threads: watched(seen), memory: 80 << 20 })), sha256(next))
  assert.deepEqual(seen, [])
})

test('what a thread cannot make is refused, and the thread is ended', async () => {
  for (let i = 1; i <= 12; i++) {
    const seen: string[] = []
    const damaged = delta.slice()
    const at = Math.floor((delta.length * (i + 30)) / 44)
    damaged[at] = (damaged[at] as number) ^ 0x10
    await refusedWith(patched(damaged, old, { threads: watched(seen) }), ...refusals)
    assert.equal(seen.at(-1), 'end')
  }
})
