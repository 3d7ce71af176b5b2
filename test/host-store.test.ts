import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { folderStore, sweepFolder } from '../src/host/folder-store.ts'
import { memoryStore } from '../src/host/memory-store.ts'
import { storeConformance } from './conformance/store.ts'

const scratch = await mkdtemp(join(tmpdir(), 'bindery-store-'))
after(() => rm(scratch, { recursive: true, force: true }))
let count = 0

storeConformance('memory store', async () => memoryStore())
storeConformance('folder store', async () => folderStore(join(scratch, String(count++), 'repo')))

test('what a killed writer left is no key, and is swept away', async () => {
  const folder = join(scratch, 'killed')
  const store = folderStore(folder)
  await store.put('blobs/a', oneChunk(utf8('a')))
  await writeFile(join(folder, 'blobs', '.b.0123456789ab.part'), 'half')
  await mkdir(join(folder, '.lock'))
  assert.deepEqual(await store.list(''), ['blobs/a'])
  await sweepFolder(folder)
  assert.deepEqual(await readdir(join(folder, 'blobs')), ['a'])
})
