import { createInterface } from 'node:readline'
import type { Ask } from '../port/ambient.ts'

export const ask: Ask = (question) => {
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false })
  return new Promise((resolve) => {
    lines.once('close', () => resolve(''))
    lines.once('line', (line) => {
      resolve(line)
      lines.close()
    })
    process.stderr.write(question)
  })
}
