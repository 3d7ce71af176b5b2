import { runCommand } from './run-command.ts'
import type { Command } from '../../src/command/command.ts'

/** Runs a verb that serves, until `work` is through with it; what it says is added to `said`. */
export async function whileServing(
  command: Command,
  words: readonly string[],
  work: (url: string) => Promise<void>,
  said: string[] = [],
): Promise<void> {
  const stop = new AbortController()
  const told = Promise.withResolvers<string>()
  const out = async (data: Uint8Array | string): Promise<void> => await Promise.resolve(told.resolve(String(data).trim()))
  const running = runCommand(command, words, { out, say: (line) => void said.push(line), signal: stop.signal })
  try {
    const ended = running.then(({ error }) => {
      throw error ?? new Error('ended before it served')
    })
    await work(await Promise.race([told.promise, ended]))
  } finally {
    stop.abort()
    await running
  }
}
