import assert from 'node:assert/strict'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { hex, latin1 } from '../src/base/bytes.ts'
import { decoders } from './fuzz/decoders.ts'
import { elsewhere } from './fuzz/elsewhere.ts'
import { corpusOf, fuzz, judge } from './fuzz/fuzz.ts'
import { sharedWatch, watchIn, whenHanging } from './fuzz/watch.ts'

/** A slice of `make fuzz`, other inputs each day, and everything that was ever taken wrongly. */

const today = Math.floor(Date.now() / 86_400_000)

for (const decoder of decoders)
  test(`${decoder.name}: whatever comes is refused, or is what it says`, async () => {
    for (const sample of decoder.samples) assert.equal(await judge(decoder, sample), 'accepted')
    for (const input of corpusOf(decoder)) await judge(decoder, input)
    const { bad } = await fuzz(decoder, { count: 40, seed: today })
    assert.equal(bad, undefined, bad === undefined ? '' : `${bad.why}: ${hex(bad.input)}`)
  })

/** Named for what they do, and given bytes, a text or a value of JSON first. */
const exported = /^export (?:async )?function\*? ((?:decode|parse|read|unpack|inflate|bunzip|split)\w*)(?:<[^(]*>)?\(([^)]*)/gm
const takesInput =
  /^\s*(?:\w+: (?:LinesFormat|\w*Header|\w*Set), )?(?!file|folder|path|name|secretFile)\w+: (?:Uint8Array|ByteStream|string|readonly (?:string|ErrataStep)\[\]|Json\w*|Cursor)/

test('each exported decoder of src is under the fuzzer, or it is said why not', () => {
  const table = globSync('test/fuzz/decoders/*.ts').map((file) => readFileSync(file, 'utf8'))
  const found = globSync('src/{format,engine,host}/**/*.ts').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(exported)].flatMap(([, name, parameters]) =>
      takesInput.test(parameters as string) ? (name as string) : [],
    ),
  )
  const missing = found.filter((name) => !table.some((text) => new RegExp(`\\b${name}\\b`).test(text)))
  assert.deepEqual(new Set(missing), new Set(Object.keys(elsewhere)))
})

test('an input that does not end is told by another thread, and no other one is', async () => {
  const [shared, gate] = [sharedWatch(), new Int32Array(new SharedArrayBuffer(4))]
  const judging = `
    const { workerData, parentPort } = require('node:worker_threads')
    import(${JSON.stringify(new URL('fuzz/watch.ts', import.meta.url).href)}).then(({ watchIn, noteInput, noteNone }) => {
      const watched = watchIn(workerData.shared)
      for (let i = 0; i < 1000; i++) noteInput(watched, 1, Buffer.from('quick'))
      noteNone(watched)
      parentPort.postMessage('quick ones are done')
      Atomics.wait(workerData.gate, 0, 0)
      noteInput(watched, 2, Buffer.from('slow'))
      for (;;);
    })`
  const worker = new Worker(judging, { eval: true, workerData: { shared, gate } })
  const found: { decoder: number; input: string }[] = []
  const hanging = new Promise<void>((done) => {
    whenHanging(watchIn(shared), 50, ({ decoder, input }) => (found.push({ decoder, input: latin1(input) }), done()))
  })
  await once(worker, 'message')
  await sleep(200)
  assert.deepEqual(found, [])
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
  await hanging
  assert.deepEqual(found, [{ decoder: 2, input: 'slow' }])
  await worker.terminate()
})
