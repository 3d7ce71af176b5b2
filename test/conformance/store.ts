import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, oneChunk, utf8 } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import type { ByteStream } from '../../src/base/bytes.ts'
import type { Store } from '../../src/port/store.ts'

/** What every Store promises (src/port/store.ts). `make` gives an empty one. */
export function storeConformance(name: string, make: () => Promise<Store>): void {
  const put = async (store: Store, key: string, text: string): Promise<void> => await store.put(key, oneChunk(utf8(text)))
  const text = async (store: Store, key: string): Promise<string | undefined> => {
    const bytes = await store.get(key)
    return bytes && Buffer.from(bytes).toString()
  }

  test(`${name}: what was put is there, whole, replaced or gone`, async () => {
    const store = await make()
    await put(store, 'blobs/base/amd64/a', 'one')
    assert.equal(await text(store, 'blobs/base/amd64/a'), 'one')
    assert.equal(await store.size('blobs/base/amd64/a'), 3)
    await put(store, 'blobs/base/amd64/a', 'second')
    assert.equal(Buffer.from((await collectBytes(store.stream('blobs/base/amd64/a'), 99)) as Uint8Array).toString(), 'second')
    await store.delete('blobs/base/amd64/a')
    assert.equal(await store.get('blobs/base/amd64/a'), undefined)
    assert.equal(await store.size('blobs/base/amd64/a'), undefined)
    await store.delete('blobs/base/amd64/a')
  })

  test(`${name}: an empty object is an object`, async () => {
    const store = await make()
    await put(store, 'empty', '')
    assert.equal(await store.size('empty'), 0)
    assert.deepEqual(await store.get('empty'), new Uint8Array(0))
  })

  test(`${name}: list is sorted and by prefix, and an empty store lists nothing`, async () => {
    const store = await make()
    assert.deepEqual(await store.list(''), [])
    for (const key of ['b/z', 'a', 'b/a/c', 'bb', 'b/a-b']) await put(store, key, key)
    assert.deepEqual(await store.list(''), ['a', 'b/a-b', 'b/a/c', 'b/z', 'bb'])
    assert.deepEqual(await store.list('b/'), ['b/a-b', 'b/a/c', 'b/z'])
    assert.deepEqual(await store.list('b/a'), ['b/a-b', 'b/a/c'])
    assert.deepEqual(await store.list('c'), [])
  })

  test(`${name}: a put that fails half-way changes nothing`, async () => {
    const store = await make()
    await put(store, 'metadata/timestamp.json', 'old')
    async function* breaking(): ByteStream {
      yield utf8('half')
      throw new Error('the source broke')
    }
    await assert.rejects(store.put('metadata/timestamp.json', breaking()), /the source broke/)
    await assert.rejects(store.put('metadata/new.json', breaking()), /the source broke/)
    assert.equal(await text(store, 'metadata/timestamp.json'), 'old')
    assert.deepEqual(await store.list(''), ['metadata/timestamp.json'])
  })

  test(`${name}: a reader of the old object reads it to its end`, async () => {
    const store = await make()
    await put(store, 'a', 'old')
    const reader = store.stream('a')[Symbol.asyncIterator]()
    const first = await reader.next()
    await put(store, 'a', 'newer')
    assert.equal(Buffer.from(first.value as Uint8Array).toString(), 'old')
    assert.equal((await reader.next()).done, true)
  })

  test(`${name}: what is not there cannot be streamed, and keys stay inside`, async () => {
    const store = await make()
    await assert.rejects(collectBytes(store.stream('a/b'), 9), (error) => isBinderyError(error, 'not-found'))
    for (const key of ['../a', '/a', 'a//b', '', 'a/', '.lock', 'a/.b', 'a\\b', 'a\0', 'ä', 'a b', 'a/../b']) {
      await assert.rejects(
        async () => await put(store, key, 'x'),
        (error) => isBinderyError(error, 'hostile'),
        key,
      )
      await assert.rejects(
        async () => await store.get(key),
        (error) => isBinderyError(error, 'hostile'),
        key,
      )
    }
  })
}
