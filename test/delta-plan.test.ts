import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sha256 } from '../src/base/digest.ts'
import { findAnchors } from '../src/engine/delta/anchors.ts'
import { matcher } from '../src/engine/delta/match.ts'
import { heaviestAscending } from '../src/engine/delta/order.ts'
import { pairMembers } from '../src/engine/delta/pair.ts'
import { piecesOf } from '../src/engine/delta/pieces.ts'
import { planDelta } from '../src/engine/delta/plan.ts'
import { seedHash, seedIndexer, seedSize, strideFor } from '../src/engine/delta/seed-index.ts'
import { sourceView } from '../src/engine/delta/source-view.ts'
import { arbitraryPair, sourceOf } from './helpers/delta.ts'
import { noise } from './helpers/noise.ts'
import type { SourceView } from '../src/engine/delta/source-view.ts'
import type { Survey } from '../src/engine/delta/survey.ts'
import type { TarMember } from '../src/format/tar-members.ts'

/** Members one behind the other: `path=content size`, with `:` and what the content is where that matters. */
function members(...words: readonly string[]): readonly TarMember[] {
  let at = 0
  return words.map((word) => {
    const [, path, size, content] = /^([^=]+)=([0-9]+)(?::(.*))?$/.exec(word) as unknown as [string, string, string, string | undefined]
    const headerStart = at
    at += 512 + Math.ceil(Number(size) / 512) * 512
    return {
      headerStart,
      contentStart: headerStart + 512,
      contentSize: Number(size),
      end: at,
      path,
      type: path.endsWith('/') ? '5' : '0',
      content,
    } as TarMember
  })
}

const contents = async (_side: string, member: TarMember): Promise<string> =>
  (member as TarMember & { content?: string }).content ?? member.path

async function pairsOf(old: readonly string[], next: readonly string[]): Promise<readonly (string | undefined)[]> {
  const before = members(...old)
  return (await pairMembers(before, members(...next), contents)).map((pair) => pair && (before[pair.member] as TarMember).path)
}

test('members are paired by path, then content, then path without numbers, then last name', async () => {
  assert.deepEqual(await pairsOf(['a=1', 'b=2'], ['b=3', 'a=4', 'c=5']), ['b', 'a', undefined])
  assert.deepEqual(await pairsOf(['a=10:x', 'b=10:y'], ['c=10:y', 'd=10:z']), ['b', undefined])
  assert.deepEqual(await pairsOf(['lib/libc.so.96.1=100'], ['lib/libc.so.97.0=120']), ['lib/libc.so.96.1'])
  assert.deepEqual(await pairsOf(['lib/libc.so.96.1=9:a', 'lib/x=9:b'], ['lib/libc.so.97.0=9:b', 'lib/y=1']), ['lib/x', undefined])
  assert.deepEqual(await pairsOf(['usr/lib/python3.11/os.py=9'], ['opt/python3.12/os.py=8']), ['usr/lib/python3.11/os.py'])
  assert.deepEqual(await pairsOf(['etc/x/=0'], ['etc/x=5']), [undefined])
})

test('one old content may serve several new members', async () => {
  assert.deepEqual(await pairsOf(['a=10:x'], ['a=10:x', 'b=10:x', 'c=10:x']), ['a', 'a', 'a'])
})

test('the heaviest ascending choice is as heavy as any', () => {
  const items = fc.array(fc.record({ place: fc.nat({ max: 7 }), weight: fc.integer({ min: 1, max: 9 }) }), { maxLength: 9 })
  fc.assert(
    fc.property(items, (list) => {
      const chosen = [...heaviestAscending(list, 8)].sort((a, b) => a - b)
      const weigh = (indexes: readonly number[]): number => indexes.reduce((sum, i) => sum + (list[i]?.weight ?? 0), 0)
      const ascends = (indexes: readonly number[]): boolean =>
        indexes.every((i, k) => k === 0 || (list[indexes[k - 1] as number]?.place ?? 0) < (list[i]?.place ?? 0))
      assert.ok(ascends(chosen))
      for (let mask = 0; mask < 1 << list.length; mask++) {
        const some = list.map((_, i) => i).filter((i) => (mask >> i) % 2 === 1)
        if (ascends(some)) assert.ok(weigh(some) <= weigh(chosen))
      }
    }),
    { numRuns: 200 },
  )
})

function surveyed(list: readonly TarMember[]): Survey {
  const size = (list.at(-1)?.end ?? 0) + 1024
  return { side: { size, sha256: sha256(new Uint8Array(0)) }, digests: new Uint8Array(0), members: list }
}

test('a plan covers the new side, asks the reader for what it can have, and for no more than half a window', async () => {
  const word = fc
    .tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), fc.nat({ max: 3000 }))
    .map(([name, size]) => `${name}=${size}`)
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 8 }), fc.array(word, { maxLength: 8 }), async (old, next) => {
      const [before, after] = [members(...old), members(...next)]
      const { segments, retained } = planDelta(surveyed(before), surveyed(after), await pairMembers(before, after, contents), 4096)
      let at = 0
      for (const segment of segments) {
        assert.equal(segment.next.start, at)
        at = segment.next.end
        if (segment.old !== undefined) assert.ok(segment.old.start <= segment.old.end && segment.old.end <= surveyed(before).side.size)
      }
      assert.equal(at, surveyed(after).side.size)
      assert.ok(retained.reduce((sum, { start, end }) => sum + end - start, 0) <= 2048)
      for (const [i, { start, end }] of retained.entries()) assert.ok(start < end && (i === 0 || start > (retained[i - 1]?.end ?? 0)))
    }),
    { numRuns: 300 },
  )
})

test('copies are within both sides, ascend and do not overlap', () => {
  const { match } = matcher()
  fc.assert(
    fc.property(arbitraryPair, fc.nat(), ({ old, next }, pick) => {
      const copies = match(old, next, old.length === 0 ? 0 : pick % old.length)
      let done = 0
      for (let i = 0; i < copies.length; i += 3) {
        const [start, from, length] = copies.slice(i, i + 3) as [number, number, number]
        assert.ok(start >= done && length > 0 && start + length <= next.length && from >= 0 && from + length <= old.length)
        done = start + length
      }
    }),
    { numRuns: 500 },
  )
})

test('the index finds every seed at every stride, in ascending order', () => {
  const { index: indexOf } = seedIndexer()
  for (const size of [0, 7, 8, 1000, (1 << 20) + 1, (8 << 20) + 3]) {
    const old = noise(size, size + 1).content
    const { bits, starts, positions } = indexOf(old)
    const view = new DataView(old.buffer)
    for (let at = 0; at + seedSize <= size; at += strideFor(size) * Math.max(1, size >> 12)) {
      const hash = seedHash(view.getInt32(at, true), view.getInt32(at + 4, true), bits)
      const bucket = positions.subarray(starts[hash], starts[hash + 1])
      assert.ok(bucket.includes(at))
      assert.deepEqual(bucket, bucket.slice().sort())
    }
  }
})

function viewOf(bytes: Uint8Array): SourceView {
  return sourceView(sourceOf(bytes), true)
}

test('anchors ascend in both sides and stand on equal bytes', async () => {
  const old = noise(2_000_000, 1).content
  const next = Buffer.concat([old.subarray(500_000, 900_000), noise(300_000, 2).content, old.subarray(900_000), old.subarray(0, 100_000)])
  const anchors = await findAnchors(viewOf(old), { start: 0, end: old.length }, viewOf(next), { start: 0, end: next.length })
  assert.ok(anchors.length > 200)
  for (const [i, anchor] of anchors.entries()) {
    assert.ok(i === 0 || (anchor.old > (anchors[i - 1]?.old ?? 0) && anchor.next > (anchors[i - 1]?.next ?? 0)))
    assert.deepEqual(old.subarray(anchor.old - 31, anchor.old), new Uint8Array(next.subarray(anchor.next - 31, anchor.next)))
  }
})

test('pieces follow each other, no longer than half a window, and begin where old bytes jump', () => {
  const window = 1600
  const anchors = [
    { next: 50, old: 50 },
    { next: 400, old: 400 },
    { next: 500, old: 5000 },
    { next: 2000, old: 6500 },
  ]
  const pieces = piecesOf({ start: 0, end: 3000 }, anchors, window)
  assert.deepEqual(pieces[0], { start: 0, end: 500, expected: 0 })
  assert.deepEqual(pieces[1], { start: 500, end: 1300, expected: 5000 })
  let at = 0
  for (const { start, end } of pieces) {
    assert.equal(start, at)
    assert.ok(end - start <= 800 && end > start)
    at = end
  }
  assert.equal(at, 3000)
})
