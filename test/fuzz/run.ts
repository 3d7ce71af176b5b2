import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { keep } from './fuzz.ts'
import type { Decoder } from './decoder.ts'

/**
 * `make fuzz`: the corpus, then rounds over all decoders for so many minutes, and a table. What is bad is kept, as small as it could be made. The
 * work is done by a thread, so that an input that does not end is told and kept, too.
 */

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, only: text, count: text, seed: text } })
const { minutes = '0', count = '1000', seed = String(Math.floor(Date.now() / 1000) % 0x10_0000) } = values
const seen = new SharedArrayBuffer((1 << 20) + 12)
const [facts, bytes] = [new Int32Array(seen, 0, 3), new Uint8Array(seen, 12)]
const worker = new Worker(new URL('rounds.ts', import.meta.url), {
  workerData: { minutes: Number(minutes), count: Number(count), seed: Number(seed), only: values.only?.split(','), seen },
})

let last = -1
worker.on('error', (error) => {
  throw error
})
const timer = setInterval(() => {
  const [number, length, decoder] = facts as unknown as [number, number, number]
  if (number !== last || number === 0) return void (last = number)
  void giveUp(decoder, bytes.slice(0, length))
}, 10_000)

async function giveUp(decoder: number, input: Uint8Array): Promise<void> {
  const { decoders } = await import('./decoders.ts')
  const { name } = decoders[decoder] as Decoder
  process.stdout.write(`${name}: does not end: ${keep({ name }, { input, why: 'does not end' })}\n`)
  process.exit(1)
}

worker.on('exit', (status) => {
  clearInterval(timer)
  process.exitCode = status
})
