import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folderPageCache } from '../src/host/page-cache.ts'
import { inTemporary } from './helpers/temporary.ts'

const url = 'http://mirror/index'
const large = new Uint8Array(300_000).fill(65)

test('a page comes back as it was kept, small or large', async () => {
  await inTemporary(async (folder) => {
    const cache = folderPageCache(join(folder, 'pages'))
    for (const content of [new Uint8Array(0), new Uint8Array([10, 10, 0, 255]), large]) {
      cache.save(url, { etag: '"é"', lastModified: undefined, content })
      const page = cache.load(url)
      assert.deepEqual([page?.etag, page?.lastModified, page?.size], ['"é"', undefined, content.length])
      assert.deepEqual(new Uint8Array(page?.content() ?? []), content)
    }
    assert.equal(cache.load('http://mirror/other'), undefined)
  })
})

test('the content of a page that another one replaced meanwhile is not given for it', async () => {
  await inTemporary(async (folder) => {
    const cache = folderPageCache(join(folder, 'pages'))
    cache.save(url, { etag: '"1"', content: large })
    const page = cache.load(url)
    cache.save(url, { etag: '"2"', content: large })
    assert.equal(page?.content(), undefined)
    assert.equal(cache.load(url)?.content()?.length, large.length)
  })
})

test('a large page that is not whole is none', async () => {
  await inTemporary(async (folder) => {
    const cache = folderPageCache(folder)
    cache.save(url, { etag: '"1"', content: large })
    const file = join(folder, readdirSync(folder)[0] as string)
    writeFileSync(file, readFileSync(file).subarray(0, -1))
    assert.equal(cache.load(url), undefined)
  })
})
