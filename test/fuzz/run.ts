import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { keep } from './fuzz.ts'
import { sharedWatch, watchIn, whenHanging } from './watch.ts'
import type { Decoder } from './decoder.ts'
import type { Hanging } from './watch.ts'

/**
 * `make fuzz`: the corpus, then rounds over all decoders for so many minutes, and a table. What is bad is kept, as small as it could be made. The
 * work is done by a thread, so that an input that does not end is told and kept, too.
 */

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, only: text, count: text, seed: text } })
const { minutes = '0', count = '1000', seed = String(Math.floor(Date.now() / 1000) % 0x10_0000) } = values
const seen = sharedWatch()
const worker = new Worker(new URL('rounds.ts', import.meta.url), {
  workerData: { minutes: Number(minutes), count: Number(count), seed: Number(seed), only: values.only?.split(','), seen },
})

worker.on('error', (error) => {
  throw error
})
const leave = whenHanging(watchIn(seen), 10_000, (hanging) => void giveUp(hanging))

async function giveUp({ decoder, input }: Hanging): Promise<void> {
  const { decoders } = await import('./decoders.ts')
  const { name } = decoders[decoder] as Decoder
  process.stdout.write(`${name}: does not end: ${keep({ name }, { input, why: 'does not end' })}\n`)
  process.exit(1)
}

worker.on('exit', (status) => {
  leave()
  process.exitCode = status
})
