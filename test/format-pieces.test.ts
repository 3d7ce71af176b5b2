import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { base64, oneChunk } from '../src/base/bytes.ts'
import { measure, putBlob, targetOf } from '../src/engine/repo/blob.ts'
import { blobKey } from '../src/engine/repo/layout.ts'
import { checkBlobs } from '../src/engine/repo/stage-blobs.ts'
import { decodePieces, pieceHasher, pieceSizeOf } from '../src/format/pieces.ts'
import { memoryStore } from '../src/host/memory-store.ts'

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

test('there are at most 32 pieces, of 64 KiB at least; what is no larger is one', () => {
  const sizes = [0, 65_536, 65_537, 2 << 20, (2 << 20) + 1, 110_000_000].map((length) => pieceSizeOf(length))
  assert.deepEqual(sizes, [undefined, undefined, 65_536, 65_536, 131_072, 3_473_408])
})

test('a target of several pieces names the first six bytes of each digest', async () => {
  const bytes = new Uint8Array(200_000).map((_, i) => i % 251)
  const pieces = [0, 65_536, 131_072, 196_608].map((at) => sha256(bytes.subarray(at, at + 65_536)).subarray(0, 6))
  const blob = { target: 'x', ...(await measure(oneChunk(bytes), bytes.length)), open: () => oneChunk(bytes) }
  const { custom, length } = targetOf(blob, { sequence: 1 })
  assert.deepEqual(custom, { pieces: { size: 65_536, sha256: base64(Buffer.concat(pieces)) }, sequence: 1 })
  assert.deepEqual(decodePieces('x', length, custom), { size: 65_536, digests: pieces.map((piece) => base64(piece)) })
})

test('nobody signs for a target whose pieces are others, though its digest is right', async () => {
  const bytes = new Uint8Array(100_000).map((_, i) => i % 251)
  const store = memoryStore()
  const blob = { target: 'base/amd64/x', ...(await measure(oneChunk(bytes), bytes.length)), open: () => oneChunk(bytes) }
  await putBlob(store, blob)
  const [path, file] = [blob.target, targetOf(blob)]
  const key = blobKey(path, blob.sha256)
  await checkBlobs(store, [{ path, key, file }])
  const other = { ...file, custom: { pieces: { size: 65_536, sha256: base64(new Uint8Array(12)) } } }
  await assert.rejects(checkBlobs(store, [{ path, key, file: other }]), { code: 'bad-digest', subject: key })
})

test('however the bytes come, the pieces are the same', () => {
  const bytes = new Uint8Array(300_000).map((_, i) => i % 253)
  const digestsBy = (step: number): readonly string[] => {
    const hasher = pieceHasher(65_536)
    const digests: string[] = []
    for (let at = 0; at < bytes.length; at += step) digests.push(...hasher.update(bytes.subarray(at, at + step)))
    return [...digests, ...hasher.end()]
  }
  const whole = digestsBy(bytes.length)
  assert.equal(whole.length, 5)
  for (const step of [1_000, 65_535, 65_536, 65_537, 200_000]) assert.deepEqual(digestsBy(step), whole)
})

test('pieces that nobody writes are told', () => {
  const six = base64(new Uint8Array(6))
  assert.equal(decodePieces('x', 100_000, { sequence: 1 }), undefined)
  for (const pieces of [
    null,
    7,
    [],
    { size: 65_536 },
    { size: 65_536, sha256: six },
    { size: 65_536, sha256: `${six}${six}${six}` },
    { size: 65_536, sha256: '=' },
    { size: 0, sha256: six },
    { size: 65_535, sha256: `${six}${six}` },
    { size: 1e30, sha256: six },
    { size: '65536', sha256: `${six}${six}` },
  ])
    assert.throws(() => decodePieces('x', 100_000, { pieces }), { code: 'bad-format', subject: 'x' }, JSON.stringify(pieces))
})
