import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import type { TrustStore } from '../../src/engine/repo/trust.ts'

/** What every TrustStore promises (src/engine/repo/trust-types.ts). `make` gives an empty one. */
export function trustStoreConformance(name: string, make: () => Promise<TrustStore>): void {
  test(`${name}: what was saved is loaded, replaced, and gone when removed`, async () => {
    const store = await make()
    assert.equal(await store.load('root.json'), undefined)
    await store.remove('root.json')
    await store.save('root.json', utf8('{"one": 1}\n'))
    await store.save('checked', new Uint8Array(0))
    assert.deepEqual(await store.load('root.json'), utf8('{"one": 1}\n'))
    assert.deepEqual(await store.load('checked'), new Uint8Array(0))
    await store.save('root.json', utf8('2'))
    assert.deepEqual(await store.load('root.json'), utf8('2'))
    await store.remove('root.json')
    assert.equal(await store.load('root.json'), undefined)
  })

  test(`${name}: quoted role names are names`, async () => {
    const store = await make()
    for (const file of ['..%2Fx.json', '%2e.json', 'base-amd64.json', '~.json', '..json']) {
      await store.save(file, utf8(file))
      assert.deepEqual(await store.load(file), utf8(file))
    }
  })

  test(`${name}: what leads elsewhere is no name`, async () => {
    const store = await make()
    for (const file of ['', '.', '..', '../x', 'a/b', '/x', 'a\0b']) {
      for (const work of [() => store.load(file), () => store.save(file, utf8('x')), () => store.remove(file)]) {
        await assert.rejects(work(), (error) => isBinderyError(error, 'hostile'), JSON.stringify(file))
      }
    }
  })
}
