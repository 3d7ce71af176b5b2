import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { startBindery } from '../demo/stage.ts'

/** A program of the farm that goes on until it is stopped. */
export type Part = {
  said(): string
  /** Waits for a line; fails when the program ends before. */
  heard(pattern: RegExp): Promise<RegExpExecArray>
  stop(): Promise<void>
}

/** What it says also goes to `LOG` in `cwd`. */
export function startPart(cwd: string, log: string, words: readonly string[]): Part {
  const child = startBindery(cwd, words)
  let text = ''
  let wake = (): void => {}
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      appendFileSync(join(cwd, log), chunk)
      wake()
    })
  let isOver = false
  const ended = new Promise<void>((done) => {
    child.once('close', () => {
      isOver = true
      wake()
      done()
    })
  })
  return {
    said: () => text,
    heard: async (pattern) => {
      for (;;) {
        const found = pattern.exec(text)
        if (found !== null) return found
        if (isOver) throw new Error(`bindery ${words.join(' ')} ended before it said ${String(pattern)}:\n${text}`)
        await new Promise<void>((done) => (wake = done))
      }
    },
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
