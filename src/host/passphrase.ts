import { openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { BinderyError } from '../base/error.ts'
import type { ReadStream, WriteStream } from 'node:tty'
import type { AskPassphrase } from '../port/ambient.ts'

/** Asks on /dev/tty, as signify(1) does, so that a pipe on stdin stays data; nothing is echoed. */
export const askOnTerminal: AskPassphrase = async (prompt) => {
  const { input, output } = openTerminal()
  try {
    output.write(prompt)
    return await readHidden(input)
  } finally {
    // Whatever happened, the terminal echoes again; one that was hung up cannot.
    if (!input.destroyed) input.setRawMode(false)
    output.write('\n')
    input.destroy()
    output.destroy()
  }
}

type Terminal = { readonly input: ReadStream; readonly output: WriteStream }

function openTerminal(): Terminal {
  const tty = process.getBuiltinModule('node:tty')
  try {
    const terminal = { input: new tty.ReadStream(openSync('/dev/tty', 'r')), output: new tty.WriteStream(openSync('/dev/tty', 'w')) }
    // Raw before the prompt, so that whoever answers it at once is not echoed.
    terminal.input.setRawMode(true)
    terminal.output.on('error', () => {})
    return terminal
  } catch (cause) {
    throw new BinderyError('usage', 'a passphrase is needed, and there is no terminal to ask on', {
      hint: 'run it on a terminal, or use keys that were made with --no-passphrase',
      cause,
    })
  }
}

const endings = ['SIGTERM', 'SIGHUP'] as const

/** A line editor without an output echoes nothing. */
async function readHidden(input: ReadStream): Promise<string> {
  const lines = createInterface({ input, terminal: true, historySize: 0 })
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const stop = (): void => reject(new BinderyError('stopped', 'stopped at the passphrase'))
  for (const signal of endings) process.once(signal, stop)
  lines.once('line', resolve)
  lines.once('SIGINT', stop)
  // End of input (^D, or a terminal that went away) without a line.
  lines.once('close', () => reject(new BinderyError('bad-passphrase', 'no passphrase was given')))
  input.once('error', (cause) => reject(new BinderyError('io', 'the terminal cannot be read', { cause })))
  try {
    return await promise
  } finally {
    for (const signal of endings) process.off(signal, stop)
    lines.close()
  }
}
