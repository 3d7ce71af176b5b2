import { createInterface } from 'node:readline'
import { showLine } from '../base/show-text.ts'
import type { Ask } from '../port/ambient.ts'

export const ask: Ask = async (question) => {
  // Of a stream that has ended no line comes, and no end either.
  if (process.stdin.readableEnded || process.stdin.destroyed) return undefined
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  return await new Promise((resolve) => {
    lines.once('close', () => resolve(undefined))
    // A stop ends stdin with its reason, which is for whoever asks the signal.
    lines.once('error', () => resolve(undefined))
    lines.once('line', (line) => {
      resolve(line)
      lines.close()
    })
    process.stderr.write(showLine(question))
  })
}
