import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { concatBytes, latin1, utf8 } from '../src/base/bytes.ts'
import { deltaAccountant } from '../src/engine/delta/account.ts'
import { makeDelta } from '../src/engine/delta/make.ts'
import { arbitraryPair, deltaOf, smallLimits, sourceOf, whole } from './helpers/delta.ts'
import { link, randomProgram } from './helpers/executable.ts'
import { noise } from './helpers/noise.ts'
import { end, file, member } from './helpers/tar-builder.ts'
import type { DeltaAccount, MemberAccount } from '../src/engine/delta/account.ts'
import type { Effort } from '../src/engine/delta/effort.ts'
import type { DeltaLimits } from '../src/engine/delta/make.ts'

type Ways = { readonly limits?: DeltaLimits; readonly effort?: Effort }

/** The account of a delta, which was seen to be the same without one, and to be told to its last byte. */
async function accountOf(old: Uint8Array, next: Uint8Array, { limits, effort }: Ways = {}): Promise<DeltaAccount> {
  const watch = deltaAccountant(next.length)
  const delta = await whole(makeDelta({ old: sourceOf(old), new: sourceOf(next), oldName: '', newName: '', limits, effort, watch }))
  assert.deepEqual(await deltaOf(old, next, limits, { effort }), delta)
  const account = watch.account()
  const { size, front, frame, streams, members } = account
  assert.equal(size, delta.length)
  const cost = members.reduce((sum, one) => sum + one.cost, 0)
  assert.ok(Math.abs(front + frame + cost - size) < 0.01, `${front} + ${frame} + ${cost} is not ${size}`)
  for (const one of members) {
    const inStreams = Object.values(one.streams).reduce((sum, bytes) => sum + bytes, 0)
    assert.ok(Math.abs(inStreams - one.cost) < 0.01 && one.header <= one.cost)
  }
  assert.ok(frame >= 0 && streams.every(({ codedSize, size: raw }) => codedSize <= raw))
  return account
}

const noiseText = (size: number, seed: number): string => latin1(noise(size, seed).content)
const tarOf = (...members: readonly Uint8Array[]): Uint8Array => concatBytes([...members, end])

function memberOf({ members }: DeltaAccount, path: string | undefined): MemberAccount {
  const found = members.find((one) => one.path === path)
  assert.ok(found, `${path} is not in the account`)
  return found
}

test('a delta is the same with an account and without, and the account adds up', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryPair,
      fc.constantFrom(undefined, smallLimits),
      fc.constantFrom(0, 6, 9),
      async ({ old, next }, limits, effort) => {
        await accountOf(old, next, { limits, effort } as Ways)
        const tars = [old, next].map((bytes) => tarOf(file('a', latin1(bytes.subarray(0, 700))), file('b', latin1(bytes)))) as [
          Uint8Array,
          Uint8Array,
        ]
        const { members } = await accountOf(...tars, { limits, effort } as Ways)
        assert.deepEqual(
          members.map(({ path }) => path),
          ['a', 'b', undefined],
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('how members were paired, and how they are made', async () => {
  const program = randomProgram({ machine: 'x86-64', layout: 'linux', isFixed: false, isBare: false, isGo: false }, 60, 7)
  const [before, after] = [link(program), link({ ...program, functions: program.functions.slice(1) })].map(latin1) as [string, string]
  const text = utf8(Array.from({ length: 900 }, (_, i) => `line ${i * 7}`).join('\n'))
  const packed = (more: string): string => latin1(new Uint8Array(gzipSync(concatBytes([text, utf8(more)]), { level: 9 })))
  const body = noiseText(9000, 1)
  const old = tarOf(
    member({ name: 'bin/a', mode: 0o755 }, before),
    file('doc/same', noiseText(5000, 2)),
    file('lib/c.so.96', body),
    file('man/a.gz', packed('old')),
    file('old/name', noiseText(3000, 3)),
    file('old/place.1', noiseText(4000, 4)),
    member({ name: 'var/', type: '5' }),
  )
  const next = tarOf(
    member({ name: 'bin/a', mode: 0o755 }, after),
    file('doc/same', noiseText(5000, 2)),
    file('lib/c.so.97', `${body.slice(0, 4000)}new${body.slice(4100)}`),
    file('man/a.gz', packed('a new line')),
    file('new/name', noiseText(3000, 3)),
    file('new/place.2', noiseText(4000, 4).replace(/^..../s, '1234')),
    file('nothing/like/it', noiseText(2000, 5)),
    member({ name: 'var/', type: '5' }),
  )
  const account = await accountOf(old, next)
  const seen = Object.fromEntries(
    account.members.map(({ path, coding, from, kind }) => [path ?? 'end', [coding, from?.by, from?.path, kind]]),
  )
  assert.deepEqual(seen, {
    'bin/a': ['image', 'path', 'bin/a', 'ELF'],
    'doc/same': ['equal', 'path', 'doc/same', 'other'],
    'lib/c.so.97': ['plain', 'similar path', 'lib/c.so.96', 'other'],
    'man/a.gz': ['gzip', 'path', 'man/a.gz', 'gzip'],
    'new/name': ['equal', 'content', 'old/name', 'other'],
    'new/place.2': ['plain', 'similar name', 'old/place.1', 'other'],
    'nothing/like/it': ['new', undefined, undefined, 'other'],
    'var/': [undefined, 'path', 'var/', 'other'],
    end: ['equal', undefined, undefined, 'other'],
  })
  const { references } = memberOf(account, 'bin/a')
  assert.ok(references !== undefined && references.copied > 100 && references.guessed > references.copied / 2)
  assert.ok(memberOf(account, 'nothing/like/it').cost > 1600)
  assert.ok(memberOf(account, 'doc/same').cost < 30)
  assert.ok((memberOf(account, 'bin/a').streams.images ?? 0) > 50)
})

test('what moved farther than the reader can see is told', async () => {
  const limits = { window: 64 << 10, batchLimit: 32 << 10, blockSize: 64 << 10 }
  const middle = Array.from({ length: 10 }, (_, i) => file(`m${i}`, noiseText(30_000, 20 + i)))
  const large = noiseText(40_000, 41)
  const account = await accountOf(tarOf(file('b', large), ...middle), tarOf(...middle, file('z', large)), { limits })
  const moved = memberOf(account, 'z')
  assert.deepEqual([moved.isOutOfReach, moved.coding, moved.from?.path, moved.from?.by], [true, 'new', 'b', 'content'])
  assert.ok(moved.cost > 39_000 && account.size - moved.cost < 2000)
  assert.equal(account.members.filter(({ isOutOfReach }) => isOutOfReach).length, 1)
})

test('files that are no tars are one member without a path', async () => {
  const { members, streams } = await accountOf(noise(9000, 1).content, noise(9000, 2).content)
  assert.deepEqual(
    members.map(({ path, size, coding, from }) => [path, size, coding, from]),
    [[undefined, 9000, 'plain', undefined]],
  )
  assert.deepEqual(streams[0], { name: 'literals', size: 9000, codedSize: 9000, codecs: { raw: 1 } })
})
