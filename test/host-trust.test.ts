import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { diskTrustStore } from '../src/engine/client/fetch/trust-store.ts'
import { makeStateFolders } from '../src/engine/client/state.ts'
import { folderTrust } from '../src/host/folder-trust.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { refuseExisting, writeNewFile } from '../src/host/new-file.ts'
import { trustStoreConformance } from './conformance/trust-store.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bindery-trust-'))
after(() => rmSync(scratch, { recursive: true }))
let count = 0

trustStoreConformance('folder trust', () => Promise.resolve(folderTrust(join(scratch, String(count++), 'made'))))
trustStoreConformance('disk trust store', async () => {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  return diskTrustStore(disk, '0123456789abcdef')
})

test('a folder of trust holds the files and nothing else', async () => {
  const folder = join(scratch, 'plain')
  const store = folderTrust(folder)
  await store.save('root.json', utf8('1'))
  await store.save('root.json', utf8('2'))
  assert.deepEqual(readdirSync(folder), ['root.json'])
})

test('a new file has its mode and its bytes, and no name before that', async () => {
  const folder = join(scratch, 'new')
  mkdirSync(folder)
  await writeNewFile(join(folder, 'a.sec'), utf8('secret'), 0o600)
  assert.equal(readFileSync(join(folder, 'a.sec'), 'utf8'), 'secret')
  assert.equal(statSync(join(folder, 'a.sec')).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(folder), ['a.sec'])
})

test('whatever is there stays: a file, a folder, a link that leads nowhere', async () => {
  const folder = join(scratch, 'taken')
  mkdirSync(join(folder, 'folder'), { recursive: true })
  writeFileSync(join(folder, 'file'), 'old')
  symlinkSync('nowhere', join(folder, 'link'))
  for (const name of ['file', 'folder', 'link']) {
    await assert.rejects(writeNewFile(join(folder, name), utf8('new'), 0o600), (error) => isBinderyError(error, 'exists'))
    await assert.rejects(refuseExisting(join(folder, name)), (error) => isBinderyError(error, 'exists'))
  }
  assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'old')
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'folder', 'link'])
  await assert.rejects(writeNewFile(join(folder, 'none/x'), utf8('new'), 0o600), (error) => isBinderyError(error, 'not-found'))
  if (process.getuid?.() === 0) return
  chmodSync(folder, 0o500)
  await assert.rejects(writeNewFile(join(folder, 'x'), utf8('new'), 0o600), (error) => isBinderyError(error, 'permission'))
})
