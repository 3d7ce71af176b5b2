import { BinderyError } from '../base/error.ts'
import type { Option } from './command.ts'

export const usualAddress = '127.0.0.1:8080'

export const listenOption = {
  kind: 'value',
  value: 'HOST:PORT',
  help: `where to listen; port 0 takes a free one (default: ${usualAddress})`,
} as const satisfies Option

export function addressOf(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):([0-9]{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new BinderyError('usage', `--listen takes HOST:PORT, not '${text}'`)
  const host = match[1] ?? match[2] ?? ''
  return { host: host === '' ? '127.0.0.1' : host, port }
}

/** Resolves at SIGINT or SIGTERM. */
export async function untilStopped(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
