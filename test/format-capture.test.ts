import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { oneChunk } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { captureKeys, openCapture, writeCapture } from '../src/engine/capture/folder.ts'
import { changedPart } from '../src/engine/capture/changes.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { decodeCapture, encodeCapture } from '../src/format/capture.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { memoryStore } from '../src/host/memory-store.ts'
import { file, plant } from './helpers/plant.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { CaptureRecord } from '../src/format/capture.ts'

const record: CaptureRecord = {
  made: 1_796_000_000,
  sandbox: 'overlay',
  network: false,
  commands: [['sh', '-c', 'make install']],
  errata: [{ release: '7.6', number: '001', name: '001_sshd', signed: true }],
  exclude: ['tmp', 'var/tmp/größe'],
  old: sha256(utf8('old')),
  new: sha256(utf8('new')),
}

const refuses = (change: (text: string) => string, code: ErrorCode): void => {
  const text = change(Buffer.from(encodeCapture(record)).toString('utf8'))
  assert.throws(
    () => decodeCapture(utf8(text)),
    (error) => isBinderyError(error, code),
    text,
  )
}

test('a record reads back as it was written', () => {
  assert.deepEqual(decodeCapture(encodeCapture(record)), record)
})

test('what is no record is refused', () => {
  refuses(() => '', 'bad-format')
  refuses((text) => `${text}\n`, 'bad-format')
  refuses((text) => text.replace('"capture"', '"update"'), 'bad-format')
  refuses((text) => text.replace('"version":1', '"version":2'), 'not-supported')
  refuses((text) => text.replace('"must":[]', '"must":["phases"]'), 'not-supported')
  refuses((text) => text.replace('"overlay"', '"docker"'), 'bad-format')
  refuses((text) => text.replace('"network":false', '"network":0'), 'bad-format')
  refuses((text) => text.replace('["sh","-c","make install"]', '[]'), 'bad-format')
  refuses((text) => text.replace('"tmp"', '"../tmp"'), 'hostile')
  refuses((text) => text.replace(record.old, record.old.toUpperCase()), 'bad-format')
  refuses((text) => text.replace('"made":1796000000', '"made":-1'), 'over-limit')
})

async function written(): Promise<ReturnType<typeof memoryStore>> {
  const [before, after] = [memoryDisk(), memoryDisk()]
  await plant(before, { 'bin/a': 'one', 'bin/gone': 'x', 'bin/same': 'same' })
  await plant(after, { 'bin/a': 'two', 'bin/copy': 'two', 'bin/new': file('three', { mode: 0o4755 }), 'bin/same': 'same' })
  const store = memoryStore()
  const { old: _, new: __, ...facts } = record
  const sides = changedPart({ old: await scanTree(before), new: await scanTree(after) })
  await writeCapture(store, facts, sides, { after, log: oneChunk(utf8('building\n')), signal: new AbortController().signal })
  return store
}

test('a capture holds manifests, packing list, log, and each content once', async () => {
  const { files } = await written()
  const content = (text: string): string => `content/${sha256(utf8(text))}`
  assert.deepEqual(
    [...files.keys()].sort(),
    ['capture.json', content('two'), content('three'), 'log', 'new.mtree', 'old.mtree', 'plist'].sort(),
  )
  assert.equal(Buffer.from(files.get(captureKeys.plist) as Uint8Array).toString(), 'bin/a\nbin/copy\n@remove bin/gone\nbin/new\n')
  assert.equal([...files.keys()].at(-1), 'capture.json', 'written last')
})

test('a capture in which any byte was changed, or a file is missing, is refused', async () => {
  const whole = await written()
  await openCapture(whole, 'taken')
  for (const [key, bytes] of whole.files) {
    if (key === captureKeys.log || key === captureKeys.plist) continue
    const cut = memoryStore(new Map([...whole.files].filter(([other]) => other !== key)))
    await assert.rejects(openCapture(cut, 'taken'), (error) => isBinderyError(error, 'not-found'), key)
    for (let at = 0; at < bytes.length; at += 7) {
      const damaged = memoryStore(new Map(whole.files))
      damaged.files.set(key, bytes.with(at, (bytes[at] as number) ^ 1))
      // Time, sandbox and command are facts that nothing else depends on.
      if (key === captureKeys.record && (await opens(damaged))) continue
      await assert.rejects(openCapture(damaged, 'taken'), (error) => isBinderyError(error), `${key} byte ${at}`)
    }
  }
})

async function opens(store: ReturnType<typeof memoryStore>): Promise<boolean> {
  const record = await Promise.resolve(store.get(captureKeys.record))
    .then((bytes) => decodeCapture(bytes as Uint8Array))
    .catch(() => undefined)
  return (
    record !== undefined &&
    record.old === sha256(store.files.get(captureKeys.old) as Uint8Array) &&
    record.new === sha256(store.files.get(captureKeys.new) as Uint8Array)
  )
}
